/**
 * Enums, flag sets and constants of include/uapi/linux/iommufd.h and vfio.h, with the first release of
 * each name. What came "between 7.0 and 7.2" is said to be of 7.2: earlier ones are not certain to have it.
 */
import { flags, type Members, type NameSet, values } from './names.ts';

// biome-ignore format: a table
const iommufdEnums = {
  iommufd_ioas_map_flags: flags({
    IOMMU_IOAS_MAP_FIXED_IOVA: [1, '6.2'],
    IOMMU_IOAS_MAP_WRITEABLE:  [2, '6.2'],
    IOMMU_IOAS_MAP_READABLE:   [4, '6.2'],
  }),
  iommufd_option: values({
    IOMMU_OPTION_RLIMIT_MODE: [0, '6.2'],
    IOMMU_OPTION_HUGE_PAGES:  [1, '6.2'],
  }),
  iommufd_option_ops: values({
    IOMMU_OPTION_OP_SET: [0, '6.2'],
    IOMMU_OPTION_OP_GET: [1, '6.2'],
  }),
  iommufd_vfio_ioas_op: values({
    IOMMU_VFIO_IOAS_GET:   [0, '6.2'],
    IOMMU_VFIO_IOAS_SET:   [1, '6.2'],
    IOMMU_VFIO_IOAS_CLEAR: [2, '6.2'],
  }),
  iommufd_hwpt_alloc_flags: flags({
    IOMMU_HWPT_ALLOC_NEST_PARENT:    [1, '6.7'],
    IOMMU_HWPT_ALLOC_DIRTY_TRACKING: [2, '6.7'],
    IOMMU_HWPT_FAULT_ID_VALID:       [4, '6.11'],
    IOMMU_HWPT_ALLOC_PASID:          [8, '6.13'], // named; refused until 6.15, see the switch allocPasid
  }),
  iommu_hwpt_data_type: values({
    IOMMU_HWPT_DATA_NONE:       [0, '6.7'],
    IOMMU_HWPT_DATA_VTD_S1:     [1, '6.7'],
    IOMMU_HWPT_DATA_ARM_SMMUV3: [2, '6.13'],
    IOMMU_HWPT_DATA_AMD_GUEST:  [3, '7.2'],
  }),
  iommu_hwpt_vtd_s1_flags: flags({
    IOMMU_VTD_S1_SRE:  [1, '6.7'],
    IOMMU_VTD_S1_EAFE: [2, '6.7'],
    IOMMU_VTD_S1_WPE:  [4, '6.7'],
  }),
  iommu_hw_info_vtd_flags:        flags({ IOMMU_HW_INFO_VTD_ERRATA_772415_SPR17:            [1, '6.7'] }),
  iommu_hw_info_arm_smmuv3_flags: flags({ IOMMU_HW_INFO_ARM_SMMUV3_ERRATA_REPEAT_TLBI_CFGI: [1, '7.3'] }),
  iommu_hw_info_type: values({
    IOMMU_HW_INFO_TYPE_NONE:           [0, '6.6'],
    IOMMU_HW_INFO_TYPE_DEFAULT:        [0, '6.17'], // the same number, as an input
    IOMMU_HW_INFO_TYPE_INTEL_VTD:      [1, '6.6'],
    IOMMU_HW_INFO_TYPE_ARM_SMMUV3:     [2, '6.13'],
    IOMMU_HW_INFO_TYPE_TEGRA241_CMDQV: [3, '6.17'],
    IOMMU_HW_INFO_TYPE_AMD:            [4, '7.2'],
  }),
  iommufd_hw_capabilities: flags({
    IOMMU_HW_CAP_DIRTY_TRACKING:        [1, '6.7'],
    IOMMU_HW_CAP_PCI_PASID_EXEC:        [2, '6.15'],
    IOMMU_HW_CAP_PCI_PASID_PRIV:        [4, '6.15'],
    IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED: [8, '7.2'],
  }),
  iommufd_hw_info_flags:                 flags({ IOMMU_HW_INFO_FLAG_INPUT_TYPE:         [1, '6.17'] }),
  iommufd_hwpt_set_dirty_tracking_flags: flags({ IOMMU_HWPT_DIRTY_TRACKING_ENABLE:      [1, '6.7'] }),
  iommufd_hwpt_get_dirty_bitmap_flags:   flags({ IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR:  [1, '6.7'] }),
  iommu_hwpt_invalidate_data_type: values({
    IOMMU_HWPT_INVALIDATE_DATA_VTD_S1:       [0, '6.8'],
    IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3: [1, '6.13'],
  }),
  iommu_hwpt_vtd_s1_invalidate_flags: flags({ IOMMU_VTD_INV_FLAGS_LEAF: [1, '6.8'] }),
  iommu_hwpt_pgfault_flags: flags({
    IOMMU_PGFAULT_FLAGS_PASID_VALID: [1, '6.11'],
    IOMMU_PGFAULT_FLAGS_LAST_PAGE:   [2, '6.11'],
  }),
  iommu_hwpt_pgfault_perm: flags({
    IOMMU_PGFAULT_PERM_READ:  [1, '6.11'],
    IOMMU_PGFAULT_PERM_WRITE: [2, '6.11'],
    IOMMU_PGFAULT_PERM_EXEC:  [4, '6.11'],
    IOMMU_PGFAULT_PERM_PRIV:  [8, '6.11'],
  }),
  iommufd_page_response_code: values({
    IOMMUFD_PAGE_RESP_SUCCESS: [0, '6.11'],
    IOMMUFD_PAGE_RESP_INVALID: [1, '6.11'],
  }),
  iommu_viommu_type: values({
    IOMMU_VIOMMU_TYPE_DEFAULT:        [0, '6.13'],
    IOMMU_VIOMMU_TYPE_ARM_SMMUV3:     [1, '6.13'],
    IOMMU_VIOMMU_TYPE_TEGRA241_CMDQV: [2, '6.17'],
  }),
  iommu_veventq_flag: flags({ IOMMU_VEVENTQ_FLAG_LOST_EVENTS: [1, '6.15'] }),
  iommu_veventq_type: values({
    IOMMU_VEVENTQ_TYPE_DEFAULT:        [0, '6.15'],
    IOMMU_VEVENTQ_TYPE_ARM_SMMUV3:     [1, '6.15'],
    IOMMU_VEVENTQ_TYPE_TEGRA241_CMDQV: [2, '6.17'],
  }),
  iommu_hw_queue_type: values({
    IOMMU_HW_QUEUE_TYPE_DEFAULT:        [0, '6.17'],
    IOMMU_HW_QUEUE_TYPE_TEGRA241_CMDQV: [1, '6.17'],
  }),
} as const satisfies Readonly<Record<string, NameSet>>;

// biome-ignore format: a table
const vfioEnums = {
  vfio_irq_set_flags: flags({
    VFIO_IRQ_SET_DATA_NONE:      [1, '6.6'],
    VFIO_IRQ_SET_DATA_BOOL:      [2, '6.6'],
    VFIO_IRQ_SET_DATA_EVENTFD:   [4, '6.6'],
    VFIO_IRQ_SET_ACTION_MASK:    [8, '6.6'],
    VFIO_IRQ_SET_ACTION_UNMASK:  [16, '6.6'],
    VFIO_IRQ_SET_ACTION_TRIGGER: [32, '6.6'],
  }),
  vfio_pci_irq_index: values({
    VFIO_PCI_INTX_IRQ_INDEX: [0, '6.6'],
    VFIO_PCI_MSI_IRQ_INDEX:  [1, '6.6'],
    VFIO_PCI_MSIX_IRQ_INDEX: [2, '6.6'],
    VFIO_PCI_ERR_IRQ_INDEX:  [3, '6.6'],
    VFIO_PCI_REQ_IRQ_INDEX:  [4, '6.6'],
  }),
  vfio_device_bind_flags:   flags({ VFIO_DEVICE_BIND_FLAG_TOKEN: [1, '6.17'] }),
  vfio_device_attach_flags: flags({ VFIO_DEVICE_ATTACH_PASID:    [1, '6.15'] }),
  vfio_device_detach_flags: flags({ VFIO_DEVICE_DETACH_PASID:    [1, '6.15'] }),
  vfio_iommu_info_flags: flags({
    VFIO_IOMMU_INFO_PGSIZES: [1, '6.2'],
    VFIO_IOMMU_INFO_CAPS:    [2, '6.2'],
  }),
  vfio_dma_map_flags: flags({
    VFIO_DMA_MAP_FLAG_READ:  [1, '6.2'],
    VFIO_DMA_MAP_FLAG_WRITE: [2, '6.2'],
    VFIO_DMA_MAP_FLAG_VADDR: [4, '6.2'],
  }),
  vfio_dma_unmap_flags: flags({
    VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP: [1, '6.2'],
    VFIO_DMA_UNMAP_FLAG_ALL:              [2, '6.2'],
    VFIO_DMA_UNMAP_FLAG_VADDR:            [4, '6.2'],
  }),
  vfio_extension: values({
    VFIO_TYPE1_IOMMU:    [1,  '6.2'],
    VFIO_TYPE1v2_IOMMU:  [3,  '6.2'],
    VFIO_DMA_CC_IOMMU:   [4,  '6.2'],
    VFIO_NOIOMMU_IOMMU:  [8,  '6.2'],
    VFIO_UNMAP_ALL:      [9,  '6.2'],
    VFIO_UPDATE_VADDR:   [10, '6.2'],
  }),
} as const satisfies Readonly<Record<string, NameSet>>;

export const enums = { ...iommufdEnums, ...vfioEnums } as const;

export type EnumName = keyof typeof enums;
/** Every named value and flag. */
export type MemberName = { [E in EnumName]: keyof (typeof enums)[E]['members'] & string }[EnumName];

/** All members of all sets; their names are unique, as in C. */
export const members = Object.assign({}, ...Object.values(enums).map((set) => set.members)) as Readonly<
  Record<MemberName, Members[string]>
>;

/** The number of each name: `numbers.IOMMU_HWPT_ALLOC_NEST_PARENT`. */
export const numbers = Object.fromEntries(
  Object.entries(members).map(([name, [value]]) => [name, value]),
) as Readonly<Record<MemberName, number>>;

// biome-ignore format: a table
export const constants = {
  IOMMUFD_TYPE:                 0x3b,
  IOMMUFD_CMD_BASE:             0x80,
  VFIO_BASE:                    100,
  IOMMU_NO_PASID:               0,
  INVALIDATE_ENTRY_NUM_MAX:     1 << 19,     // linux: iommufd/hw_pagetable.c
  VEVENTQ_DEPTH_MAX:            1 << 19,     // linux: iommufd/eventq.c
  VEVENT_SEQUENCE_MASK:         0x7fff_ffff,
  OBJECT_ID_FIRST:              1,
  OBJECT_ID_LAST:               0x7fff_ffff,
  ARM_SW_MSI_IOVA_BASE:         0x800_0000,  // linux: arm-smmu-v3.c, MSI_IOVA_BASE
  ARM_SW_MSI_IOVA_LENGTH:       0x10_0000,
  TEGRA241_VINTF_MMAP_LENGTH:   0x1_0000,    // bytes: VINTF page 0
} as const;
