/**
 * The ioctls: number, argument, smallest accepted size and first release. Every code is _IO(0x3B, nr):
 * no direction and no size in it, so it is 0x3B00 | nr. The size travels in the first word of the
 * argument (`size`, or `argsz` in VFIO). linux: iommufd/main.c, vfio/device_cdev.c, iommufd/vfio_compat.c.
 */

import type { StructName } from './data-structs.ts';
import { constants } from './enums.ts';
import type { IoctlStructName } from './structs.ts';
import type { Version } from './versions.ts';

export interface IoctlRow {
  readonly nr: number;
  /** Which kind of file takes it: an open /dev/iommu, or a VFIO device's. */
  readonly file: 'iommufd' | 'vfio-device';
  readonly struct: IoctlStructName;
  /** Smallest size field accepted, bytes. */
  readonly min: number;
  readonly since: Version;
}

// biome-ignore format: a table
export const ioctls = {
  IOMMU_DESTROY:                 { nr: 0x80, file: 'iommufd',     struct: 'iommu_destroy',                 min:  8, since: '6.2' },
  IOMMU_IOAS_ALLOC:              { nr: 0x81, file: 'iommufd',     struct: 'iommu_ioas_alloc',              min: 12, since: '6.2' },
  IOMMU_IOAS_ALLOW_IOVAS:        { nr: 0x82, file: 'iommufd',     struct: 'iommu_ioas_allow_iovas',        min: 24, since: '6.2' },
  IOMMU_IOAS_COPY:               { nr: 0x83, file: 'iommufd',     struct: 'iommu_ioas_copy',               min: 40, since: '6.2' },
  IOMMU_IOAS_IOVA_RANGES:        { nr: 0x84, file: 'iommufd',     struct: 'iommu_ioas_iova_ranges',        min: 32, since: '6.2' },
  IOMMU_IOAS_MAP:                { nr: 0x85, file: 'iommufd',     struct: 'iommu_ioas_map',                min: 40, since: '6.2' },
  IOMMU_IOAS_UNMAP:              { nr: 0x86, file: 'iommufd',     struct: 'iommu_ioas_unmap',              min: 24, since: '6.2' },
  IOMMU_OPTION:                  { nr: 0x87, file: 'iommufd',     struct: 'iommu_option',                  min: 24, since: '6.2' },
  IOMMU_VFIO_IOAS:               { nr: 0x88, file: 'iommufd',     struct: 'iommu_vfio_ioas',               min: 12, since: '6.2' },
  IOMMU_HWPT_ALLOC:              { nr: 0x89, file: 'iommufd',     struct: 'iommu_hwpt_alloc',              min: 24, since: '6.6' },
  IOMMU_GET_HW_INFO:             { nr: 0x8a, file: 'iommufd',     struct: 'iommu_hw_info',                 min: 32, since: '6.6' },
  IOMMU_HWPT_SET_DIRTY_TRACKING: { nr: 0x8b, file: 'iommufd',     struct: 'iommu_hwpt_set_dirty_tracking', min: 16, since: '6.7' },
  IOMMU_HWPT_GET_DIRTY_BITMAP:   { nr: 0x8c, file: 'iommufd',     struct: 'iommu_hwpt_get_dirty_bitmap',   min: 48, since: '6.7' },
  IOMMU_HWPT_INVALIDATE:         { nr: 0x8d, file: 'iommufd',     struct: 'iommu_hwpt_invalidate',         min: 32, since: '6.8' },
  IOMMU_FAULT_QUEUE_ALLOC:       { nr: 0x8e, file: 'iommufd',     struct: 'iommu_fault_alloc',             min: 16, since: '6.11' },
  IOMMU_IOAS_MAP_FILE:           { nr: 0x8f, file: 'iommufd',     struct: 'iommu_ioas_map_file',           min: 40, since: '6.13' },
  IOMMU_VIOMMU_ALLOC:            { nr: 0x90, file: 'iommufd',     struct: 'iommu_viommu_alloc',            min: 24, since: '6.13' },
  IOMMU_VDEVICE_ALLOC:           { nr: 0x91, file: 'iommufd',     struct: 'iommu_vdevice_alloc',           min: 24, since: '6.13' },
  IOMMU_IOAS_CHANGE_PROCESS:     { nr: 0x92, file: 'iommufd',     struct: 'iommu_ioas_change_process',     min:  8, since: '6.13' },
  IOMMU_VEVENTQ_ALLOC:           { nr: 0x93, file: 'iommufd',     struct: 'iommu_veventq_alloc',           min: 28, since: '6.15' },
  IOMMU_HW_QUEUE_ALLOC:          { nr: 0x94, file: 'iommufd',     struct: 'iommu_hw_queue_alloc',          min: 40, since: '6.17' },
  IOMMU_IOAS_NOIOMMU_GET_PA:     { nr: 0x95, file: 'iommufd',     struct: 'iommu_ioas_noiommu_get_pa',     min: 40, since: '7.3' },
  VFIO_DEVICE_SET_IRQS:          { nr: 0x6e, file: 'vfio-device', struct: 'vfio_irq_set',                  min: 20, since: '6.6' },
  VFIO_DEVICE_BIND_IOMMUFD:      { nr: 0x76, file: 'vfio-device', struct: 'vfio_device_bind_iommufd',      min: 16, since: '6.6' },
  VFIO_DEVICE_ATTACH_IOMMUFD_PT: { nr: 0x77, file: 'vfio-device', struct: 'vfio_device_attach_iommufd_pt', min: 12, since: '6.6' },
  VFIO_DEVICE_DETACH_IOMMUFD_PT: { nr: 0x78, file: 'vfio-device', struct: 'vfio_device_detach_iommufd_pt', min:  8, since: '6.6' },
} as const satisfies Readonly<Record<string, IoctlRow>>;

export type IoctlName = keyof typeof ioctls;

export interface ContainerRow {
  readonly nr: number;
  /** What the argument points to; without one, the argument is itself a number, or is not looked at. */
  readonly struct?: StructName;
  /** Smallest argsz accepted, bytes. */
  readonly min?: number;
}

/** The calls of a VFIO container that an iommufd file takes too, since 6.2. */
// biome-ignore format: a table
export const containerIoctls = {
  VFIO_GET_API_VERSION:   { nr: 0x64 },
  VFIO_CHECK_EXTENSION:   { nr: 0x65 },
  VFIO_SET_IOMMU:         { nr: 0x66 },
  VFIO_IOMMU_GET_INFO:    { nr: 0x70, struct: 'vfio_iommu_type1_info',      min: 16 },
  VFIO_IOMMU_MAP_DMA:     { nr: 0x71, struct: 'vfio_iommu_type1_dma_map',   min: 32 },
  VFIO_IOMMU_UNMAP_DMA:   { nr: 0x72, struct: 'vfio_iommu_type1_dma_unmap', min: 24 },
  VFIO_IOMMU_DIRTY_PAGES: { nr: 0x75 },
} as const satisfies Readonly<Record<string, ContainerRow>>;

export type ContainerIoctlName = keyof typeof containerIoctls;

/** The request code of a number: _IO(';', nr). */
export function ioctlCode(nr: number): number {
  return (constants.IOMMUFD_TYPE << 8) | nr;
}
