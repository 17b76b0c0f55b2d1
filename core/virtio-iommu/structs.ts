/**
 * What driver and device of a virtio-iommu put into memory: requests, properties, fault reports and the
 * configuration space (virtio 1.3, section 5.13; linux: include/uapi/linux/virtio_iommu.h), and the parts of
 * a split virtqueue (section 2.7; linux: virtio_ring.h). All little-endian. Columns: offset, direction as the
 * device sees it: `in` it reads, `out` it writes. The release is the oldest in the list: all are older.
 */
import { flags, values } from '../kernel/uapi/names.ts';
import { struct, u8, u8s, u16, u32, u64 } from '../kernel/uapi/struct.ts';

// biome-ignore format: a table
export const names = {
  features: flags({
    INPUT_RANGE:   [1 << 0, '6.2'],
    DOMAIN_RANGE:  [1 << 1, '6.2'],
    MAP_UNMAP:     [1 << 2, '6.2'],
    BYPASS:        [1 << 3, '6.2'], // superseded by BYPASS_CONFIG
    PROBE:         [1 << 4, '6.2'],
    MMIO:          [1 << 5, '6.2'],
    BYPASS_CONFIG: [1 << 6, '6.2'],
    INDIRECT_DESC: [1 << 28, '6.2'],
    EVENT_IDX:     [1 << 29, '6.2'],
  }),
  type: values({
    ATTACH: [1, '6.2'],
    DETACH: [2, '6.2'],
    MAP:    [3, '6.2'],
    UNMAP:  [4, '6.2'],
    PROBE:  [5, '6.2'],
  }),
  status: values({
    OK:     [0, '6.2'],
    IOERR:  [1, '6.2'],
    UNSUPP: [2, '6.2'],
    DEVERR: [3, '6.2'],
    INVAL:  [4, '6.2'],
    RANGE:  [5, '6.2'],
    NOENT:  [6, '6.2'],
    FAULT:  [7, '6.2'],
    NOMEM:  [8, '6.2'],
  }),
  attach:   flags({ BYPASS: [1, '6.2'] }),
  map:      flags({ READ: [1, '6.2'], WRITE: [2, '6.2'], MMIO: [4, '6.2'] }),
  property: values({ NONE: [0, '6.2'], RESV_MEM: [1, '6.2'] }),
  subtype:  values({ RESERVED: [0, '6.2'], MSI: [1, '6.2'] }),
  reason:   values({ UNKNOWN: [0, '6.2'], DOMAIN: [1, '6.2'], MAPPING: [2, '6.2'] }),
  fault:    flags({ READ: [1, '6.2'], WRITE: [2, '6.2'], EXEC: [4, '6.2'], ADDRESS: [0x100, '6.2'] }),
  desc:     flags({ NEXT: [1, '6.2'], WRITE: [2, '6.2'], INDIRECT: [4, '6.2'] }),
} as const;

export type StatusName = keyof (typeof names)['status']['members'];
export type RequestName = keyof (typeof names)['type']['members'];
export type FeatureName = keyof (typeof names)['features']['members'];
export type FaultReason = keyof (typeof names)['reason']['members'];
export type Subtype = keyof (typeof names)['subtype']['members'];

const head = { type: u8(0, 'in', { names: names.type }), head_reserved: u8s(1, 3, 'in') } as const;
const status = { names: names.status } as const;

/** Requests by their names; of PROBE the part that the device reads, because properties and tail follow it. */
// biome-ignore format: a table
export const requests = {
  ATTACH: struct('virtio_iommu_req_attach', {
    ...head,
    domain:        u32(4, 'in'),
    endpoint:      u32(8, 'in'),
    flags:         u32(12, 'in', { names: names.attach }),
    reserved:      u8s(16, 4, 'reserved0'),
    status:        u8(20, 'out', status),
    tail_reserved: u8s(21, 3, 'out'),
  }),
  DETACH: struct('virtio_iommu_req_detach', {
    ...head,
    domain:        u32(4, 'in'),
    endpoint:      u32(8, 'in'),
    reserved:      u8s(12, 8, 'reserved'),
    status:        u8(20, 'out', status),
    tail_reserved: u8s(21, 3, 'out'),
  }),
  MAP: struct('virtio_iommu_req_map', {
    ...head,
    domain:        u32(4, 'in'),
    virt_start:    u64(8, 'in'),
    virt_end:      u64(16, 'in'), // inclusive
    phys_start:    u64(24, 'in'),
    flags:         u32(32, 'in', { names: names.map }),
    status:        u8(36, 'out', status),
    tail_reserved: u8s(37, 3, 'out'),
  }),
  UNMAP: struct('virtio_iommu_req_unmap', {
    ...head,
    domain:        u32(4, 'in'),
    virt_start:    u64(8, 'in'),
    virt_end:      u64(16, 'in'), // inclusive
    reserved:      u8s(24, 4, 'reserved0'),
    status:        u8(28, 'out', status),
    tail_reserved: u8s(29, 3, 'out'),
  }),
  PROBE: struct('virtio_iommu_req_probe', {
    ...head,
    endpoint: u32(4, 'in'),
    reserved: u8s(8, 64, 'reserved'),
  }),
} as const;

// biome-ignore format: a table
export const HEAD = struct('virtio_iommu_req_head', {
  type:          u8(0, 'in', { names: names.type }),
  head_reserved: u8s(1, 3, 'in'),
});

// biome-ignore format: a table
export const TAIL = struct('virtio_iommu_req_tail', {
  status:        u8(0, 'out', status),
  tail_reserved: u8s(1, 3, 'out'),
});

/** `type` has 12 bits, and 4 reserved ones above. */
// biome-ignore format: a table
export const PROPERTY = struct('virtio_iommu_probe_property', {
  type:   u16(0, 'out', { names: names.property }),
  length: u16(2, 'out'),
});

// biome-ignore format: a table
export const RESV_MEM = struct('virtio_iommu_probe_resv_mem', {
  type:     u16(0, 'out', { names: names.property }),
  length:   u16(2, 'out'),
  subtype:  u8(4, 'out', { names: names.subtype }),
  reserved: u8s(5, 3, 'out'),
  start:    u64(8, 'out'),
  end:      u64(16, 'out'), // inclusive
});

// biome-ignore format: a table
export const FAULT = struct('virtio_iommu_fault', {
  reason:   u8(0, 'out', { names: names.reason }),
  reserved: u8s(1, 3, 'out'),
  flags:    u32(4, 'out', { names: names.fault }),
  endpoint: u32(8, 'out'),
  reserved1: u32(12, 'out'),
  address:  u64(16, 'out'),
});

/** All of it is read by the driver; `bypass` alone it may write. */
// biome-ignore format: a table
export const CONFIG = struct('virtio_iommu_config', {
  page_size_mask:     u64(0, 'out'),
  input_range_start:  u64(8, 'out'),
  input_range_end:    u64(16, 'out'), // inclusive
  domain_range_start: u32(24, 'out'),
  domain_range_end:   u32(28, 'out'), // inclusive
  probe_size:         u32(32, 'out'),
  bypass:             u8(36, 'inout'),
  reserved:           u8s(37, 3, 'out'),
});

// biome-ignore format: a table
export const VRING_DESC = struct('vring_desc', {
  addr:  u64(0, 'in'),
  len:   u32(8, 'in'),
  flags: u16(12, 'in', { names: names.desc }),
  next:  u16(14, 'in'),
});

/** The head of the avail ring and of the used ring. */
// biome-ignore format: a table
export const VRING_HEAD = struct('vring_head', {
  flags: u16(0, 'in'),
  idx:   u16(2, 'in'),
});

// biome-ignore format: a table
export const VRING_USED_ELEM = struct('vring_used_elem', {
  id:  u32(0, 'out'),
  len: u32(4, 'out'),
});

/** Every struct, for listings. */
export const virtioStructs = {
  ...requests,
  HEAD,
  TAIL,
  PROPERTY,
  RESV_MEM,
  FAULT,
  CONFIG,
  VRING_DESC,
  VRING_HEAD,
  VRING_USED_ELEM,
} as const;

/** Device id of a virtio-iommu, its queues, and how many entries QEMU gives them. */
export const VIRTIO_ID_IOMMU = 23;
export const queueNumbers = { request: 0, event: 1 } as const;
export type QueueName = keyof typeof queueNumbers;
export const QUEUE_SIZE = 256;
export const TAIL_BYTES = TAIL.bytes;
export const PROPERTY_TYPE_MASK = 0xfff;
