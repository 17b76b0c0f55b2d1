/**
 * Structs that were proposed on the list and not merged so, as the mails have them (mails by their names
 * in `proposed.ts`). What no mail gives is marked as derived.
 */
import { structs } from './data-structs.ts';
import { enums } from './enums.ts';
import { flags, type NameSet, values } from './names.ts';
import { type Struct, struct, u32, u64 } from './struct.ts';

/** Name sets of proposals; numbers may differ from those of the same names today. */
// biome-ignore format: a table
export const proposedEnums = {
  iommu_hwpt_type: values({ // guestQueue; replaced by iommu_hwpt_data_type
    IOMMU_HWPT_TYPE_DEFAULT:    [0, '6.6'],
    IOMMU_HWPT_TYPE_VTD_S1:     [1, '6.6'],
    IOMMU_HWPT_TYPE_ARM_SMMUV3: [2, '6.6'],
  }),
  iommu_hwpt_arm_smmuv3_flags: flags({ IOMMU_SMMUV3_FLAG_S2: [1, '6.6'] }), // guestQueue; else stage 1
  iommu_viommu_type: values({
    IOMMU_VIOMMU_TYPE_DEFAULT:        [0, '6.10'], // [PATCH v1 04/16] of 2024-08-07
    IOMMU_VIOMMU_TYPE_TEGRA241_CMDQV: [1, '6.10'], // derived: 0 in viommu, taken since by DEFAULT
  }),
  iommu_vqueue_data_type: values({ IOMMU_VQUEUE_DATA_TEGRA241_CMDQV: [0, '6.10'] }), // vqueue
} as const satisfies Readonly<Record<string, NameSet>>;

/** Structs of proposals, by the header's name and what tells it from others of that name. */
// biome-ignore format: a table
export const proposedStructs = {
  // guestQueue, readQueue, devData
  'iommu_hwpt_alloc 2023-05': struct('iommu_hwpt_alloc', {
    size:        u32(0,  'in'),
    flags:       u32(4,  'in'), // none is defined
    dev_id:      u32(8,  'in'),
    pt_id:       u32(12, 'in'),
    out_hwpt_id: u32(16, 'out'),
    __reserved:  u32(20, 'reserved0'),
    hwpt_type:   u32(24, 'in', { names: proposedEnums.iommu_hwpt_type }),
    data_len:    u32(28, 'in'),
    data_uptr:   u64(32, 'in', { points: { to: 'data', by: 'iommu_hwpt_type', type: 'hwpt_type', bytes: 'data_len', dir: 'in' } }),
  }),
  'iommu_hw_info 2023-05': struct('iommu_hw_info', {
    size:          u32(0,  'in'),
    flags:         u32(4,  'in'), // none is defined
    dev_id:        u32(8,  'in'),
    data_len:      u32(12, 'inout'),
    data_ptr:      u64(16, 'in', { points: { to: 'data', by: 'iommu_hw_info_type', type: 'out_data_type', bytes: 'data_len', dir: 'out' } }),
    out_data_type: u32(24, 'out', { names: enums.iommu_hw_info_type }),
    __reserved:    u32(28, 'reserved0'),
  }),
  iommu_resv_iova_ranges: struct('iommu_resv_iova_ranges', {
    size:       u32(0,  'in'),
    dev_id:     u32(4,  'in'),
    num_iovas:  u32(8,  'inout'),
    __reserved: u32(12, 'reserved0'),
    resv_iovas: u64(16, 'in', { points: { to: 'struct', of: 'iommu_iova_range', count: 'num_iovas', dir: 'out' } }),
  }),
  'iommu_hwpt_invalidate 2023-05': struct('iommu_hwpt_invalidate', {
    size:       u32(0,  'in'),
    hwpt_id:    u32(4,  'in'),
    data_len:   u32(8,  'in'),
    __reserved: u32(12, 'reserved0'),
    data_uptr:  u64(16, 'in', { points: { to: 'struct', of: 'iommu_hwpt_invalidate_arm_smmuv3', count: 1, dir: 'in' } }),
  }),
  'iommu_hwpt_arm_smmuv3 2023-05': struct('iommu_hwpt_arm_smmuv3', {
    flags:          u64(0,  'in', { names: proposedEnums.iommu_hwpt_arm_smmuv3_flags }),
    ste_len:        u64(8,  'in'),
    ste_uptr:       u64(16, 'in', { points: { to: 'bytes', bytes: 'ste_len', dir: 'in' } }),
    event_len:      u64(24, 'in'),
    out_event_uptr: u64(32, 'in', { points: { to: 'bytes', bytes: 'event_len', dir: 'out' } }), // C_BAD_STE
  }),
  iommu_hwpt_invalidate_arm_smmuv3: struct('iommu_hwpt_invalidate_arm_smmuv3', {
    cmdq_uptr:       u64(0,  'in'), // the queue's first entry; how much is read follows from the indices
    cmdq_cons_uptr:  u64(8,  'in', { points: { to: 'bytes', bytes: 4, dir: 'inout' } }), // CONS, wrap bit and ERR included
    cmdq_prod:       u32(16, 'in'), // PROD, wrap bit included
    cmdq_entry_size: u32(20, 'in'), // bytes
    cmdq_log2size:   u32(24, 'in'), // of entries
    __reserved:      u32(28, 'reserved0'),
  }),
  iommu_set_dev_data: struct('iommu_set_dev_data', {
    size:      u32(0,  'in'),
    dev_id:    u32(4,  'in'),
    data_uptr: u64(8,  'in', { points: { to: 'bytes', bytes: 'data_len', dir: 'in' } }), // iommu_dev_data_arm_smmuv3
    data_len:  u32(16, 'in'),
  }),
  iommu_unset_dev_data: struct('iommu_unset_dev_data', {
    size:   u32(0, 'in'),
    dev_id: u32(4, 'in'),
  }),
  iommu_dev_data_arm_smmuv3: struct('iommu_dev_data_arm_smmuv3', {
    sid: u32(0, 'in'), // the virtual StreamID
  }),

  // invalidate, eventFd
  'iommu_hwpt_invalidate 2023-11': struct('iommu_hwpt_invalidate', {
    size:                  u32(0,  'in'),
    hwpt_id:               u32(4,  'in'),
    reqs_uptr:             u64(8,  'in', { points: { to: 'entries', by: 'iommu_hwpt_invalidate 2023-11', type: 'req_type', bytes: 'req_len', count: 'req_num', dir: 'in' } }),
    req_type:              u32(16, 'in', { names: enums.iommu_hwpt_data_type }),
    req_len:               u32(20, 'in'),
    req_num:               u32(24, 'inout'),
    out_driver_error_code: u32(28, 'out'), // with an event fd: 1 when a record waits there
  }),
  iommu_hwpt_event_alloc: struct('iommu_hwpt_event_alloc', { // derived: only the fd was spoken of
    size:         u32(0,  'in'),
    flags:        u32(4,  'in'), // none is defined
    hwpt_id:      u32(8,  'in'),
    out_event_fd: u32(12, 'out'),
  }),
  iommu_hwpt_event: struct('iommu_hwpt_event', { // derived: the index and the code that the mail wants told
    hwpt_id:    u32(0,  'out'),
    index:      u32(4,  'out'), // of the request that failed
    error_code: u32(8,  'out'), // CERROR_*
    __reserved: u32(12, 'out'),
  }),

  // viommu, setDevId, vqueue, viommuParts, vdevId
  'iommu_viommu_alloc 2024-05': struct('iommu_viommu_alloc', {
    size:          u32(0,  'in'),
    flags:         u32(4,  'in'), // none is defined
    type:          u32(8,  'in', { names: proposedEnums.iommu_viommu_type }),
    dev_id:        u32(12, 'in'),
    hwpt_id:       u32(16, 'in'),
    out_viommu_id: u32(20, 'out'),
  }),
  iommu_viommu_attach: struct('iommu_viommu_attach', { // derived: the mail names the call only
    size:       u32(0,  'in'),
    viommu_id:  u32(4,  'in'),
    dev_id:     u32(8,  'in'),
    __reserved: u32(12, 'reserved0'),
  }),
  iommu_viommu_set_vdev_id: struct('iommu_viommu_set_vdev_id', {
    size:       u32(0,  'in'),
    viommu_id:  u32(4,  'in'),
    dev_id:     u32(8,  'in'),
    __reserved: u32(12, 'reserved0'),
    vdev_id:    u64(16, 'in'), // `id` in setDevId
  }),
  iommu_viommu_unset_vdev_id: struct('iommu_viommu_unset_vdev_id', {
    size:       u32(0,  'in'),
    viommu_id:  u32(4,  'in'),
    dev_id:     u32(8,  'in'),
    __reserved: u32(12, 'reserved0'),
    vdev_id:    u64(16, 'in'), // must be the one that was set
  }),
  iommu_dev_invalidate: struct('iommu_dev_invalidate', { // derived: fields as a VMM branch of the time sets them, in the order of iommu_hwpt_invalidate
    size:       u32(0,  'in'),
    dev_id:     u32(4,  'in'),
    data_uptr:  u64(8,  'in', { points: { to: 'entries', by: 'iommu_hwpt_invalidate_data_type', type: 'data_type', bytes: 'entry_len', count: 'entry_num', dir: 'in' } }),
    data_type:  u32(16, 'in', { names: enums.iommu_hwpt_invalidate_data_type }),
    entry_len:  u32(20, 'in'),
    entry_num:  u32(24, 'inout'),
    __reserved: u32(28, 'reserved0'),
  }),
  iommu_vqueue_alloc: struct('iommu_vqueue_alloc', {
    size:          u32(0,  'in'),
    flags:         u32(4,  'in'), // none is defined
    viommu_id:     u32(8,  'in'),
    out_vqueue_id: u32(12, 'out'),
    data_type:     u32(16, 'in', { names: proposedEnums.iommu_vqueue_data_type }),
    data_len:      u32(20, 'in'),
    data_uptr:     u64(24, 'in', { points: { to: 'struct', of: 'iommu_vqueue_tegra241_cmdqv', count: 1, dir: 'in' } }),
  }),
  iommu_vqueue_tegra241_cmdqv: struct('iommu_vqueue_tegra241_cmdqv', {
    vcmdq_id:       u32(0, 'in'),
    vcmdq_log2size: u32(4, 'in'), // of entries
    vcmdq_base:     u64(8, 'in'), // an address of the guest
  }),
} as const satisfies Readonly<Record<string, Struct>>;

export type ProposedStructName = keyof typeof proposedStructs;

/** The struct that a data type of a proposal stands for, by what pointers of `proposedStructs` name. */
// biome-ignore format: a table
export const proposedData = {
  iommu_hwpt_type: {
    IOMMU_HWPT_TYPE_VTD_S1:     [1, structs.iommu_hwpt_vtd_s1],
    IOMMU_HWPT_TYPE_ARM_SMMUV3: [2, proposedStructs['iommu_hwpt_arm_smmuv3 2023-05']],
  },
  'iommu_hwpt_invalidate 2023-11': { // numbers of iommu_hwpt_data_type
    IOMMU_HWPT_DATA_VTD_S1:     [1, structs.iommu_hwpt_vtd_s1_invalidate],
    IOMMU_HWPT_DATA_ARM_SMMUV3: [2, structs.iommu_viommu_arm_smmuv3_invalidate], // derived: a command, as merged
  },
} as const satisfies Readonly<Record<string, Readonly<Record<string, readonly [number, Struct]>>>>;
