/**
 * Arguments of the ioctls of iommufd and of the VFIO device, include/uapi/linux/iommufd.h and vfio.h as
 * of Linux 7.3. Data that pointers of theirs lead to is in `data-structs.ts`. Columns: offset, direction.
 */
import { enums } from './enums.ts';
import { type Pointer, s32, struct, u8, u8s, u16, u32, u64 } from './struct.ts';

const iovaRanges = (dir: 'in' | 'out'): Pointer => ({
  to: 'struct',
  of: 'iommu_iova_range',
  count: 'num_iovas',
  dir,
});
const hwptData: Pointer = {
  to: 'data',
  by: 'iommu_hwpt_data_type',
  type: 'data_type',
  bytes: 'data_len',
  dir: 'in',
};
const hwInfo: Pointer = {
  to: 'data',
  by: 'iommu_hw_info_type',
  type: 'out_data_type',
  bytes: 'data_len',
  dir: 'out',
};
const viommuData: Pointer = {
  to: 'data',
  by: 'iommu_viommu_type',
  type: 'type',
  bytes: 'data_len',
  dir: 'inout',
};
const commands: Pointer = {
  to: 'entries',
  by: 'iommu_hwpt_invalidate_data_type',
  type: 'data_type',
  bytes: 'entry_len',
  count: 'entry_num',
  dir: 'in',
};

// biome-ignore format: a table
export const ioctlStructs = {
  iommu_destroy: struct('iommu_destroy', {
    size: u32(0, 'in'),
    id:   u32(4, 'in'),
  }),
  iommu_ioas_alloc: struct('iommu_ioas_alloc', {
    size:        u32(0, 'in'),
    flags:       u32(4, 'in'), // none is defined
    out_ioas_id: u32(8, 'out'),
  }),
  iommu_ioas_allow_iovas: struct('iommu_ioas_allow_iovas', {
    size:          u32(0,  'in'),
    ioas_id:       u32(4,  'in'),
    num_iovas:     u32(8,  'in'),
    __reserved:    u32(12, 'reserved0'),
    allowed_iovas: u64(16, 'in', { points: iovaRanges('in') }),
  }),
  iommu_ioas_copy: struct('iommu_ioas_copy', {
    size:        u32(0,  'in'),
    flags:       u32(4,  'in', { names: enums.iommufd_ioas_map_flags }),
    dst_ioas_id: u32(8,  'in'),
    src_ioas_id: u32(12, 'in'),
    length:      u64(16, 'in'),
    dst_iova:    u64(24, 'inout'),
    src_iova:    u64(32, 'in'),
  }),
  iommu_ioas_iova_ranges: struct('iommu_ioas_iova_ranges', {
    size:               u32(0,  'in'),
    ioas_id:            u32(4,  'in'),
    num_iovas:          u32(8,  'inout'),
    __reserved:         u32(12, 'reserved0'),
    allowed_iovas:      u64(16, 'in', { points: iovaRanges('out') }),
    out_iova_alignment: u64(24, 'out'),
  }),
  iommu_ioas_map: struct('iommu_ioas_map', {
    size:       u32(0,  'in'),
    flags:      u32(4,  'in', { names: enums.iommufd_ioas_map_flags }),
    ioas_id:    u32(8,  'in'),
    __reserved: u32(12, 'reserved0'),
    user_va:    u64(16, 'in'), // an address of the process; the call itself does not read there
    length:     u64(24, 'in'),
    iova:       u64(32, 'inout'),
  }),
  iommu_ioas_unmap: struct('iommu_ioas_unmap', {
    size:    u32(0,  'in'),
    ioas_id: u32(4,  'in'),
    iova:    u64(8,  'in'),
    length:  u64(16, 'inout'),
  }),
  iommu_option: struct('iommu_option', {
    size:       u32(0,  'in'),
    option_id:  u32(4,  'in', { names: enums.iommufd_option }),
    op:         u16(8,  'in', { names: enums.iommufd_option_ops }),
    __reserved: u16(10, 'reserved0'),
    object_id:  u32(12, 'in'),
    val64:      u64(16, 'inout'),
  }),
  iommu_vfio_ioas: struct('iommu_vfio_ioas', {
    size:       u32(0,  'in'),
    ioas_id:    u32(4,  'inout'),
    op:         u16(8,  'in', { names: enums.iommufd_vfio_ioas_op }),
    __reserved: u16(10, 'reserved0'),
  }),
  iommu_hwpt_alloc: struct('iommu_hwpt_alloc', {
    size:        u32(0,  'in'),
    flags:       u32(4,  'in', { names: enums.iommufd_hwpt_alloc_flags }),
    dev_id:      u32(8,  'in'),
    pt_id:       u32(12, 'in'),
    out_hwpt_id: u32(16, 'out'),
    __reserved:  u32(20, 'reserved0'),
    data_type:   u32(24, 'in', { since: '6.7', names: enums.iommu_hwpt_data_type }),
    data_len:    u32(28, 'in', { since: '6.7' }),
    data_uptr:   u64(32, 'in', { since: '6.7', points: hwptData }),
    fault_id:    u32(40, 'in', { since: '6.11' }),
    __reserved2: u32(44, 'reserved', { since: '6.11' }),
  }),
  iommu_hw_info: struct('iommu_hw_info', {
    size:               u32(0,  'in'),
    flags:              u32(4,  'in', { names: enums.iommufd_hw_info_flags }),
    dev_id:             u32(8,  'in'),
    data_len:           u32(12, 'inout'),
    data_uptr:          u64(16, 'in', { points: hwInfo }),
    in_data_type:       u32(24, 'in', { since: '6.17', names: enums.iommu_hw_info_type }),
    out_data_type:      u32(24, 'out', { over: 'in_data_type', names: enums.iommu_hw_info_type }),
    out_max_pasid_log2: u8(28, 'out', { since: '6.15' }),
    __reserved:         u8s(29, 3, 'reserved0'), // a u32 at 28 before 6.15
    out_capabilities:   u64(32, 'out', { since: '6.7', names: enums.iommufd_hw_capabilities }),
  }),
  iommu_hwpt_set_dirty_tracking: struct('iommu_hwpt_set_dirty_tracking', {
    size:       u32(0,  'in'),
    flags:      u32(4,  'in', { names: enums.iommufd_hwpt_set_dirty_tracking_flags }),
    hwpt_id:    u32(8,  'in'),
    __reserved: u32(12, 'reserved'),
  }),
  iommu_hwpt_get_dirty_bitmap: struct('iommu_hwpt_get_dirty_bitmap', {
    size:       u32(0,  'in'),
    hwpt_id:    u32(4,  'in'),
    flags:      u32(8,  'in', { names: enums.iommufd_hwpt_get_dirty_bitmap_flags }),
    __reserved: u32(12, 'reserved0'),
    iova:       u64(16, 'in'),
    length:     u64(24, 'in'),
    page_size:  u64(32, 'in'),
    data:       u64(40, 'in', { points: { to: 'bitmap', dir: 'inout' } }),
  }),
  iommu_hwpt_invalidate: struct('iommu_hwpt_invalidate', {
    size:       u32(0,  'in'),
    hwpt_id:    u32(4,  'in'), // of a nested HWPT; of a vIOMMU too from 6.13
    data_uptr:  u64(8,  'in', { points: commands }),
    data_type:  u32(16, 'in', { names: enums.iommu_hwpt_invalidate_data_type }),
    entry_len:  u32(20, 'in'),
    entry_num:  u32(24, 'inout'),
    __reserved: u32(28, 'reserved0'),
  }),
  iommu_fault_alloc: struct('iommu_fault_alloc', {
    size:         u32(0,  'in'),
    flags:        u32(4,  'in'), // none is defined
    out_fault_id: u32(8,  'out'),
    out_fault_fd: u32(12, 'out'),
  }),
  iommu_ioas_map_file: struct('iommu_ioas_map_file', {
    size:    u32(0,  'in'),
    flags:   u32(4,  'in', { names: enums.iommufd_ioas_map_flags }),
    ioas_id: u32(8,  'in'),
    fd:      s32(12, 'in'),
    start:   u64(16, 'in'),
    length:  u64(24, 'in'),
    iova:    u64(32, 'inout'),
  }),
  iommu_viommu_alloc: struct('iommu_viommu_alloc', {
    size:          u32(0,  'in'),
    flags:         u32(4,  'in'), // none is defined
    type:          u32(8,  'in', { names: enums.iommu_viommu_type }),
    dev_id:        u32(12, 'in'),
    hwpt_id:       u32(16, 'in'),
    out_viommu_id: u32(20, 'out'),
    data_len:      u32(24, 'in', { since: '6.17' }),
    __reserved:    u32(28, 'reserved', { since: '6.17' }),
    data_uptr:     u64(32, 'in', { since: '6.17', points: viommuData }),
  }),
  iommu_vdevice_alloc: struct('iommu_vdevice_alloc', {
    size:           u32(0,  'in'),
    viommu_id:      u32(4,  'in'),
    dev_id:         u32(8,  'in'),
    out_vdevice_id: u32(12, 'out'),
    virt_id:        u64(16, 'in'), // SMMUv3: the virtual StreamID
  }),
  iommu_ioas_change_process: struct('iommu_ioas_change_process', {
    size:       u32(0, 'in'),
    __reserved: u32(4, 'reserved0'),
  }),
  iommu_veventq_alloc: struct('iommu_veventq_alloc', {
    size:           u32(0,  'in'),
    flags:          u32(4,  'in'), // none is defined
    viommu_id:      u32(8,  'in'),
    type:           u32(12, 'in', { names: enums.iommu_veventq_type }),
    veventq_depth:  u32(16, 'in'),
    out_veventq_id: u32(20, 'out'),
    out_veventq_fd: u32(24, 'out'),
    __reserved:     u32(28, 'reserved0'),
  }),
  iommu_hw_queue_alloc: struct('iommu_hw_queue_alloc', {
    size:                u32(0,  'in'),
    flags:               u32(4,  'in'), // none is defined
    viommu_id:           u32(8,  'in'),
    type:                u32(12, 'in', { names: enums.iommu_hw_queue_type }),
    index:               u32(16, 'in'),
    out_hw_queue_id:     u32(20, 'out'),
    nesting_parent_iova: u64(24, 'in'),
    length:              u64(32, 'in'),
  }),
  iommu_ioas_noiommu_get_pa: struct('iommu_ioas_noiommu_get_pa', {
    size:       u32(0,  'in'),
    flags:      u32(4,  'in'), // none is defined
    ioas_id:    u32(8,  'in'),
    __reserved: u32(12, 'reserved0'),
    iova:       u64(16, 'in'),
    length:     u64(24, 'inout'),
    out_phys:   u64(32, 'out'),
  }),
  vfio_irq_set: struct('vfio_irq_set', {
    argsz: u32(0,  'in'),
    flags: u32(4,  'in', { names: enums.vfio_irq_set_flags }),
    index: u32(8,  'in', { names: enums.vfio_pci_irq_index }),
    start: u32(12, 'in'),
    count: u32(16, 'in'), // eventfds follow; they are not looked at
  }),
  vfio_device_bind_iommufd: struct('vfio_device_bind_iommufd', {
    argsz:          u32(0,  'in'),
    flags:          u32(4,  'in', { names: enums.vfio_device_bind_flags }),
    iommufd:        s32(8,  'in'),
    out_devid:      u32(12, 'out'),
    token_uuid_ptr: u64(16, 'in', { since: '6.17', points: { to: 'bytes', bytes: 16, dir: 'in' } }),
  }),
  vfio_device_attach_iommufd_pt: struct('vfio_device_attach_iommufd_pt', {
    argsz: u32(0,  'in'),
    flags: u32(4,  'in', { names: enums.vfio_device_attach_flags }),
    pt_id: u32(8,  'inout'),
    pasid: u32(12, 'in', { since: '6.15' }), // read only with VFIO_DEVICE_ATTACH_PASID
  }),
  vfio_device_detach_iommufd_pt: struct('vfio_device_detach_iommufd_pt', {
    argsz: u32(0, 'in'),
    flags: u32(4, 'in', { names: enums.vfio_device_detach_flags }),
    pasid: u32(8, 'in', { since: '6.15' }), // read only with VFIO_DEVICE_DETACH_PASID
  }),
} as const;

export type IoctlStructName = keyof typeof ioctlStructs;
