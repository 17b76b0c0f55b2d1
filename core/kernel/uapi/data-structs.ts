/**
 * Structs that are no argument of an iommufd ioctl: what pointers lead to, what event and fault queues
 * are read and written in, and the arguments of the VFIO container. Which struct a data type stands for
 * is `dataStructs`. Linux 7.3, include/uapi/linux/iommufd.h and vfio.h.
 */
import { type EnumName, enums, type MemberName } from './enums.ts';
import { struct, u8, u16, u32, u32s, u64, u64s } from './struct.ts';

// biome-ignore format: a table
export const structs = {
  iommu_iova_range: struct('iommu_iova_range', {
    start: u64(0, 'in'),
    last:  u64(8, 'in'), // inclusive
  }),

  iommu_hwpt_vtd_s1: struct('iommu_hwpt_vtd_s1', {
    flags:      u64(0,  'in', { names: enums.iommu_hwpt_vtd_s1_flags }),
    pgtbl_addr: u64(8,  'in'),
    addr_width: u32(16, 'in'),
    __reserved: u32(20, 'reserved0'),
  }),
  iommu_hwpt_arm_smmuv3: struct('iommu_hwpt_arm_smmuv3', {
    ste: u64s(0, 2, 'in'), // the first two doublewords of a guest's STE
  }),
  iommu_hwpt_amd_guest: struct('iommu_hwpt_amd_guest', {
    dte: u64s(0, 4, 'in'),
  }),

  iommu_hw_info_vtd: struct('iommu_hw_info_vtd', {
    flags:      u32(0,  'out', { names: enums.iommu_hw_info_vtd_flags }),
    __reserved: u32(4,  'out'),
    cap_reg:    u64(8,  'out'),
    ecap_reg:   u64(16, 'out'),
  }),
  iommu_hw_info_arm_smmuv3: struct('iommu_hw_info_arm_smmuv3', {
    flags:      u32(0,     'out', { names: enums.iommu_hw_info_arm_smmuv3_flags }),
    __reserved: u32(4,     'out'),
    idr:        u32s(8, 6, 'out'), // SMMU_IDR0 to SMMU_IDR5
    iidr:       u32(32,    'out'),
    aidr:       u32(36,    'out'),
  }),
  iommu_hw_info_tegra241_cmdqv: struct('iommu_hw_info_tegra241_cmdqv', {
    flags:      u32(0, 'out'),
    version:    u8(4,  'out'),
    log2vcmdqs: u8(5,  'out'), // logical queues of one VINTF
    log2vsids:  u8(6,  'out'), // SID pairs of one VINTF
    __reserved: u8(7,  'out'),
  }),
  iommu_hw_info_amd: struct('iommu_hw_info_amd', {
    efr:  u64(0, 'out'),
    efr2: u64(8, 'out'),
  }),

  iommu_hwpt_vtd_s1_invalidate: struct('iommu_hwpt_vtd_s1_invalidate', {
    addr:       u64(0,  'in'),
    npages:     u64(8,  'in'),
    flags:      u32(16, 'in', { names: enums.iommu_hwpt_vtd_s1_invalidate_flags }),
    __reserved: u32(20, 'reserved0'),
  }),
  iommu_viommu_arm_smmuv3_invalidate: struct('iommu_viommu_arm_smmuv3_invalidate', {
    cmd: u64s(0, 2, 'in'), // a command as it stands in a guest's Command queue
  }),

  iommu_viommu_tegra241_cmdqv: struct('iommu_viommu_tegra241_cmdqv', {
    out_vintf_mmap_offset: u64(0, 'out'),
    out_vintf_mmap_length: u64(8, 'out'),
  }),

  iommufd_vevent_header: struct('iommufd_vevent_header', {
    flags:    u32(0, 'out', { names: enums.iommu_veventq_flag }),
    sequence: u32(4, 'out'),
  }),
  iommu_vevent_arm_smmuv3: struct('iommu_vevent_arm_smmuv3', {
    evt: u64s(0, 4, 'out'), // an event record, its StreamID virtual
  }),
  iommu_vevent_tegra241_cmdqv: struct('iommu_vevent_tegra241_cmdqv', {
    lvcmdq_err_map: u64s(0, 2, 'out'),
  }),

  iommu_hwpt_pgfault: struct('iommu_hwpt_pgfault', {
    flags:      u32(0,  'out', { names: enums.iommu_hwpt_pgfault_flags }),
    dev_id:     u32(4,  'out'),
    pasid:      u32(8,  'out'),
    grpid:      u32(12, 'out'),
    perm:       u32(16, 'out', { names: enums.iommu_hwpt_pgfault_perm }),
    __reserved: u32(20, 'out'), // the compiler's padding before 6.14
    addr:       u64(24, 'out'),
    length:     u32(32, 'out'), // always 0
    cookie:     u32(36, 'out'),
  }),
  iommu_hwpt_page_response: struct('iommu_hwpt_page_response', {
    cookie: u32(0, 'in'),
    code:   u32(4, 'in', { names: enums.iommufd_page_response_code }),
  }),

  vfio_iommu_type1_info: struct('vfio_iommu_type1_info', {
    argsz:        u32(0,  'inout'),
    flags:        u32(4,  'out', { names: enums.vfio_iommu_info_flags }),
    iova_pgsizes: u64(8,  'out'),
    cap_offset:   u32(16, 'out'),
    pad:          u32(20, 'out'),
  }),
  vfio_info_cap_header: struct('vfio_info_cap_header', {
    id:      u16(0, 'out'),
    version: u16(2, 'out'),
    next:    u32(4, 'out'),
  }),
  vfio_iommu_type1_info_dma_avail: struct('vfio_iommu_type1_info_dma_avail', {
    id:      u16(0, 'out'),
    version: u16(2, 'out'),
    next:    u32(4, 'out'),
    avail:   u32(8, 'out'),
  }),
  vfio_iommu_type1_info_cap_iova_range: struct('vfio_iommu_type1_info_cap_iova_range', {
    id:       u16(0,  'out'),
    version:  u16(2,  'out'),
    next:     u32(4,  'out'),
    nr_iovas: u32(8,  'out'), // so many pairs of u64 follow: start and end, inclusive
    reserved: u32(12, 'out'),
  }),
  vfio_iommu_type1_dma_map: struct('vfio_iommu_type1_dma_map', {
    argsz: u32(0,  'in'),
    flags: u32(4,  'in', { names: enums.vfio_dma_map_flags }),
    vaddr: u64(8,  'in'),
    iova:  u64(16, 'in'),
    size:  u64(24, 'in'),
  }),
  vfio_iommu_type1_dma_unmap: struct('vfio_iommu_type1_dma_unmap', {
    argsz: u32(0,  'in'),
    flags: u32(4,  'in', { names: enums.vfio_dma_unmap_flags }),
    iova:  u64(8,  'in'),
    size:  u64(16, 'inout'),
  }),
} as const;

export type StructName = keyof typeof structs;

/** The struct that a data type stands for; a type without one has no data. */
// biome-ignore format: a table
export const dataStructs = {
  iommu_hwpt_data_type: {
    IOMMU_HWPT_DATA_VTD_S1:     'iommu_hwpt_vtd_s1',
    IOMMU_HWPT_DATA_ARM_SMMUV3: 'iommu_hwpt_arm_smmuv3',
    IOMMU_HWPT_DATA_AMD_GUEST:  'iommu_hwpt_amd_guest',
  },
  iommu_hw_info_type: {
    IOMMU_HW_INFO_TYPE_INTEL_VTD:      'iommu_hw_info_vtd',
    IOMMU_HW_INFO_TYPE_ARM_SMMUV3:     'iommu_hw_info_arm_smmuv3',
    IOMMU_HW_INFO_TYPE_TEGRA241_CMDQV: 'iommu_hw_info_tegra241_cmdqv',
    IOMMU_HW_INFO_TYPE_AMD:            'iommu_hw_info_amd',
  },
  iommu_hwpt_invalidate_data_type: {
    IOMMU_HWPT_INVALIDATE_DATA_VTD_S1:       'iommu_hwpt_vtd_s1_invalidate',
    IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3: 'iommu_viommu_arm_smmuv3_invalidate',
  },
  iommu_viommu_type: {
    IOMMU_VIOMMU_TYPE_TEGRA241_CMDQV: 'iommu_viommu_tegra241_cmdqv',
  },
  /** The body of a record; the header `iommufd_vevent_header` goes before it. */
  iommu_veventq_type: {
    IOMMU_VEVENTQ_TYPE_ARM_SMMUV3:     'iommu_vevent_arm_smmuv3',
    IOMMU_VEVENTQ_TYPE_TEGRA241_CMDQV: 'iommu_vevent_tegra241_cmdqv',
  },
} as const satisfies Partial<Readonly<Record<EnumName, Partial<Readonly<Record<MemberName, StructName>>>>>>;
