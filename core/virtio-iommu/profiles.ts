/**
 * What a virtio-iommu device does where the specification leaves it a choice, or where one is known to differ
 * from it: a row for each device. A name says what happens, not whether it is right.
 */

export interface DeviceChoices {
  /** MAP with an address that is not aligned to the page. */
  readonly alignment: 'RANGE' | 'ignored';
  /** MAP outside of the input range; ATTACH of a domain outside of its range. */
  readonly ranges: 'RANGE' | 'ignored';
  /** MAP over addresses that PROBE said to be reserved. */
  readonly reservedRegions: 'INVAL' | 'ignored';
  /** Reserved fields of ATTACH and UNMAP that are not 0. */
  readonly reservedFields: 'INVAL' | 'ignored';
  /** MAP of guest-physical addresses beyond the last one. */
  readonly badAddress: 'FAULT' | 'ignored';
  /** UNMAP that would split a mapping: nothing is removed, or the whole mappings below it are. */
  readonly splitUnmap: 'nothing' | 'below';
  /** A request of an unknown type. */
  readonly unknownType: 'returned' | 'UNSUPP';
  /** Fewer bytes than the type has. */
  readonly short: 'returned' | 'INVAL';
  /** No room for a head, or for a tail: `broken` is a device that does nothing until it is reset. */
  readonly malformed: 'returned' | 'broken';
  /** PROBE with less room than the properties have. */
  readonly shortProperties: 'INVAL' | 'broken';
  /** ATTACH that is refused because of its BYPASS flag leaves the endpoint in its old domain, or in none. */
  readonly refusedAttach: 'as it was' | 'detached';
  /** Flags of features that were not negotiated are refused. */
  readonly flagsNeedFeatures: boolean;
  /** Mappings with MMIO are given to the host too. */
  readonly mmioOnHost: boolean;
  /** READ and WRITE in a fault tell what was tried, or only what a mapping did not permit. */
  readonly faultFlags: 'access' | 'permission';
  /** Status where the host refuses a mapping. */
  readonly hostRefusal: 'DEVERR' | 'ignored';
}

// biome-ignore format: a table
export const deviceProfiles = {
  // virtio 1.3, 5.13.6, all of SHOULD and MAY taken at their strictest.
  'virtio-1.3': {
    alignment: 'RANGE', ranges: 'RANGE', reservedRegions: 'INVAL', reservedFields: 'INVAL', badAddress: 'FAULT',
    splitUnmap: 'nothing', unknownType: 'returned', short: 'returned', malformed: 'returned',
    shortProperties: 'INVAL', refusedAttach: 'as it was', flagsNeedFeatures: true, mmioOnHost: true,
    faultFlags: 'access', hostRefusal: 'DEVERR',
  },
  // QEMU 9.2, hw/virtio/virtio-iommu.c. Which mappings a split UNMAP has removed there depends on the shape of
  // a tree; here it is those below.
  'qemu-9.2': {
    alignment: 'ignored', ranges: 'ignored', reservedRegions: 'ignored', reservedFields: 'ignored', badAddress: 'ignored',
    splitUnmap: 'below', unknownType: 'UNSUPP', short: 'INVAL', malformed: 'broken',
    shortProperties: 'broken', refusedAttach: 'detached', flagsNeedFeatures: false, mmioOnHost: false,
    faultFlags: 'permission', hostRefusal: 'ignored',
  },
} as const satisfies Readonly<Record<string, DeviceChoices>>;

export type DeviceProfile = keyof typeof deviceProfiles;
