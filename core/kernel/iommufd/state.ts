/**
 * Objects of an iommufd context (linux: iommufd_private.h). All references are ids in the same context;
 * `users` counts as the kernel does: 1 for the id itself, 1 for each reference that keeps the object.
 */
import type { Radix } from '../../memory/radix.ts';

interface Common {
  readonly id: number;
  /** Published: look-ups find it. */
  ready: boolean;
  users: number;
}

/** One contiguous range of IOVA from one MAP or COPY. */
export interface Area {
  readonly iova: bigint;
  /** Inclusive. */
  readonly last: bigint;
  /** Pages it maps: of a process address, a memfd, or those of the area it was copied from. */
  readonly pages: { readonly kind: 'process' | 'memfd'; readonly owner: string; readonly start: bigint };
  readonly readable: boolean;
  readonly writeable: boolean;
}

export interface Ioas extends Common {
  readonly kind: 'ioas';
  /** By page of the first IOVA: the areas that begin in it, in order. */
  areas: Radix<readonly Area[]>;
  areaCount: number;
  /** Ranges that devices and domains reserve, with their owner; inclusive ends. */
  reserved: readonly { readonly start: bigint; readonly last: bigint; readonly owner: number }[];
  allowed: readonly { readonly start: bigint; readonly last: bigint }[];
  hugePages: boolean;
  /** Smallest alignment of IOVA, bytes. */
  alignment: number;
}

export interface HwptPaging extends Common {
  readonly kind: 'hwpt_paging';
  readonly ioas: number;
  /** Made by attaching to the IOAS, and gone with its last user. */
  readonly auto: boolean;
  readonly nestParent: boolean;
  readonly dirtyTracking: boolean;
  readonly pasid: boolean;
  readonly fault: number;
  /** Name of the domain in the driver (`core/driver`). */
  readonly domain: number;
}

export interface HwptNested extends Common {
  readonly kind: 'hwpt_nested';
  readonly viommu: number;
  readonly fault: number;
  readonly domain: number;
}

export interface Device extends Common {
  readonly kind: 'device';
  readonly endpoint: string;
  /** HWPT by PASID; 0 is the RID. */
  attached: Record<number, number>;
  vdevice: number;
}

export interface Access extends Common {
  readonly kind: 'access';
  readonly ioas: number;
  readonly internal: boolean;
}

export interface Fault extends Common {
  readonly kind: 'fault';
  /** Groups that wait to be read, and those that wait for a response. */
  queue: readonly unknown[];
  pending: Record<number, unknown>;
}

export interface Viommu extends Common {
  readonly kind: 'viommu';
  readonly type: number;
  readonly hwpt: number;
  readonly smmu: string;
  readonly vmid: number;
  /** Device objects by virtual StreamID (text: it may have 64 bits). */
  vdevices: Record<string, number>;
}

export interface Vdevice extends Common {
  readonly kind: 'vdevice';
  readonly viommu: number;
  readonly device: number;
  readonly virtId: bigint;
}

export interface Veventq extends Common {
  readonly kind: 'veventq';
  readonly viommu: number;
  readonly type: number;
  readonly depth: number;
  sequence: number;
  /** Records that wait, oldest first; `lost` ones have no body. */
  events: readonly { readonly sequence: number; readonly lost: boolean; readonly body: Uint8Array }[];
}

export interface HwQueue extends Common {
  readonly kind: 'hw_queue';
  readonly viommu: number;
  readonly access: number;
  readonly index: number;
}

export type AnyObject =
  | Ioas
  | HwptPaging
  | HwptNested
  | Device
  | Access
  | Fault
  | Viommu
  | Vdevice
  | Veventq
  | HwQueue;
export type ObjectKind = AnyObject['kind'];
export type ObjectOf<K extends ObjectKind> = Extract<AnyObject, { kind: K }>;

/** One open of /dev/iommu. */
export interface Context {
  readonly id: number;
  objects: Record<number, AnyObject>;
  /** Ids that are never used again: vDEVICEs whose device went first. */
  tombstones: readonly number[];
  rlimitMode: number;
  vfioIoas: number;
}
