/**
 * Where kernels that speak the same interface behave differently: each switch by name, with its value
 * from a release on, until the next release named. Values that no release has are those of proposals, or
 * of a scenario that compares two rules. 7.3 is meant as of 7.3.4. Sources are files of Linux
 * (`iommufd/` is drivers/iommu/iommufd) or mails.
 */
import { atLeast, type Version, versions } from './uapi/versions.ts';

export type SwitchValue = boolean | number | string;

export interface Switch {
  readonly meaning: string;
  readonly source: string;
  /** Every value it can take. */
  readonly values: readonly SwitchValue[];
  /** The value from a release on. */
  readonly from: { readonly '6.2': SwitchValue } & Partial<Readonly<Record<Version, SwitchValue>>>;
}

const yesNo = [false, true] as const;

// biome-ignore format: a table
export const switches = {
  // Invalidation
  batchRule:             { values: ['per-block', 'validate-first'], from: { '6.2': 'per-block' },
                           source: 'arm-smmu-v3-iommufd.c, arm_vsmmu_cache_invalidate', meaning: 'commands are converted one by one and issued in blocks, and a bad one leaves the block before it counted but not issued; validate-first: each block of at most 63 is converted before any of it is issued, and counted when it is done' },
  zeroLengthProbe:       { values: ['EINVAL', 'accepted'],          from: { '6.2': 'EINVAL' },
                           source: 'arm-smmu-v3-iommufd.c, iommu_copy_struct_from_full_user_array', meaning: 'HWPT_INVALIDATE of a vIOMMU with entry_num 0, documented as a probe of the data type' },
  strictCommandValidation: { values: yesNo,                         from: { '6.2': false, '7.3': true },
                           source: 'arm-smmu-v3-iommufd.c 7.3.4', meaning: 'fields of forwarded commands are checked, EIO; before, bits pass through and a bad one is an error of the hardware' },
  entryCaps:             { values: yesNo,                           from: { '6.2': false, '7.3': true },
                           source: 'iommufd/hw_pagetable.c 7.3.4', meaning: 'HWPT_INVALIDATE with entry_len above a page or entry_num above 2^19 is EINVAL' },
  invalidateViommu:      { values: yesNo,                           from: { '6.2': false, '6.13': true },
                           source: 'iommufd/hw_pagetable.c, iommufd_hwpt_invalidate', meaning: 'HWPT_INVALIDATE takes a vIOMMU id, and an id of another type is EINVAL; before, all but nested HWPTs are ENOENT' },
  invalidateForm:        { values: ['entries', 'guest-queue'],      from: { '6.2': 'entries' },
                           source: 'iommufd.h; mails of 2023-05-09', meaning: 'invalidation commands come as an array; guest-queue: the kernel reads the Command queue of the guest from CONS to PROD itself' },
  invalidateErrors:      { values: ['errno', 'cons', 'driver-code', 'event-fd'], from: { '6.2': 'errno' },
                           source: 'iommufd.h; mails of 2023-05-09, 2023-11-17, 2023-11-30', meaning: 'how a refused command is told: errno and the count handled; cons: CERROR_ILL in the guest CONS, whose index stays, nothing of the batch is issued, and the call returns the error of the conversion; driver-code: a word of the driver beside the count; event-fd: a record read from an fd' },
  unknownCommand:        { values: ['EIO', 'skipped'],              from: { '6.2': 'EIO' },
                           source: 'arm-smmu-v3-iommufd.c; mail of 2023-05-09, PATCH v2 17/17', meaning: 'a command of an opcode that is not forwarded; skipped: consumed, not issued, no error' },

  // vIOMMU, vDEVICE, nested attach
  vdeviceNeeded:         { values: ['none', 'all', 'stage1'],       from: { '6.2': 'none', '6.15': 'all', '6.19': 'stage1' },
                           source: 'arm-smmu-v3-iommufd.c, arm_smmu_attach_prepare_vmaster', meaning: 'which nested HWPTs a device without a vDEVICE may not be attached to (ENOENT)' },
  eatsVeto:              { values: ['all', 'stage1'],               from: { '6.2': 'all', '6.19': 'stage1' },
                           source: 'arm-smmu-v3-iommufd.c, arm_smmu_attach_dev_nested', meaning: 'nested HWPTs that turn ATS off when their EATS does not ask for it; all: bypass and abort too' },
  nestedMev:             { values: yesNo,                           from: { '6.2': false, '6.15': true },
                           source: 'arm-smmu-v3-iommufd.c, arm_smmu_make_nested_cd_table_ste', meaning: 'a nested STE has MEV=1, so that the SMMU may merge event records' },
  nestedFaultId:         { values: ['driver', 'core'],              from: { '6.2': 'driver', '6.15': 'core' },
                           source: 'iommufd/hw_pagetable.c', meaning: 'who handles FAULT_ID_VALID of a nested HWPT: the driver sees the flag, or not' },
  oneVdevicePerDevice:   { values: yesNo,                           from: { '6.2': false, '6.17': true },
                           source: 'iommufd/viommu.c, iommufd_vdevice_alloc_ioctl', meaning: 'a second vDEVICE of a device is EEXIST, on any vIOMMU' },
  tombstones:            { values: yesNo,                           from: { '6.2': false, '6.17': true },
                           source: 'iommufd/main.c, iommufd/viommu.c', meaning: 'a vDEVICE goes with its device, and its id is not used again; before, it stays and names an unbound device' },
  vdeviceOneStream:      { values: yesNo,                           from: { '6.2': false, '7.3': true },
                           source: 'arm-smmu-v3-iommufd.c 7.3.4', meaning: 'a vDEVICE of a device with other than one StreamID is EOPNOTSUPP' },
  tegraVirtIdBits:       { values: [20, 32],                        from: { '6.2': 32, '7.3': 20 },
                           source: 'tegra241-cmdqv.c 7.3.4', meaning: 'bits of virt_id that a vDEVICE of a Tegra241 vIOMMU may have, else EINVAL' },
  vsidTable:             { values: ['none', 'vdevice', 'dev-data', 'vdev-id'], from: { '6.2': 'none', '6.13': 'vdevice' },
                           source: 'iommufd.h; mails of 2023-07-27, 2024-04-12', meaning: 'what tells the kernel a virtual StreamID; none: commands with one are refused' },
  smmuNestedOn:          { values: ['hwpt', 'viommu', 'both'],      from: { '6.2': 'hwpt', '6.13': 'viommu' },
                           source: 'iommufd/hw_pagetable.c; mail of 2024-05-21', meaning: 'what pt_id of a nested HWPT on an SMMUv3 names: the parent HWPT or the vIOMMU' },
  stage2Attach:          { values: ['stage2', 'proxy-nested'],      from: { '6.2': 'stage2' },
                           source: 'arm-smmu-v3.c; mail of 2024-05-21', meaning: 'attaching to a nesting parent; proxy-nested: the kernel makes a nested domain of bypass or abort on the vIOMMU for it' },
  vmidOwner:             { values: ['parent', 'viommu'],            from: { '6.2': 'parent' },
                           source: 'arm-smmu-v3-iommufd.c; mail of 2024-05-21', meaning: 'what a VMID is allocated for: the stage 2 HWPT, one SMMU each; or the vIOMMU, so that SMMUs share a stage 2' },

  // hw_info
  hwInfoIdr:             { values: ['raw', 'sanitised'],            from: { '6.2': 'raw' },
                           source: 'arm-smmu-v3-iommufd.c, arm_smmu_hw_info; mail of 2024-11-06', meaning: 'idr[] of hw_info: the registers as hardware has them, or only what kernel and firmware make work' },
  idr5DsListed:          { values: yesNo,                           from: { '6.2': false, '7.3': true },
                           source: 'iommufd.h, iommu_hw_info_arm_smmuv3', meaning: 'IDR5.DS is among the fields that the documentation lets a VMM read' },
  hwInfoReserved:        { values: [3, 4],                          from: { '6.2': 4, '6.15': 3 },
                           source: 'iommufd.h, iommu_hw_info', meaning: 'bytes before out_capabilities that must be zero' },

  // Queues, files
  shortEventRead:        { values: ['zero', 'EINVAL'],              from: { '6.2': 'zero', '7.3': 'EINVAL' },
                           source: 'iommufd/eventq.c 7.3.4', meaning: 'reading an event or fault queue into a buffer too short for the first record' },
  veventqDepthCap:       { values: yesNo,                           from: { '6.2': false, '7.3': true },
                           source: 'iommufd/eventq.c 7.3.4', meaning: 'a veventq_depth above 2^19 is EINVAL' },
  faultWriteFault:       { values: ['residue', 'EFAULT'],           from: { '6.2': 'residue', '7.3': 'EFAULT' },
                           source: 'iommufd/eventq.c 7.3.4', meaning: 'a response whose first record cannot be read; residue: the bytes that were not copied' },
  mmap:                  { values: yesNo,                           from: { '6.2': false, '6.17': true },
                           source: 'iommufd/main.c, iommufd_fops_mmap', meaning: 'the iommufd file can be mapped (pages of hardware queues)' },

  softwareQueue:         { values: yesNo,                           from: { '6.2': false },
                           source: 'mail of 2023-03-10', meaning: 'IOMMU_HW_QUEUE_ALLOC has a type (0x80000000) of queue in the memory of a guest that the kernel works off itself' },
  softwareQueueCons:     { values: ['synced', 'early'],             from: { '6.2': 'synced' },
                           source: 'mail of 2023-03-10; derived', meaning: 'when CONS of such a queue moves: after the physical CMD_SYNC, or when the commands have been copied (a fault)' },
  softwareQueueTags:     { values: ['replaced', 'guest'],           from: { '6.2': 'replaced' },
                           source: 'mail of 2023-03-10; derived', meaning: 'the VMID of commands of such a queue: that of the vIOMMU, or what the guest put there (a fault)' },

  drainsQueues:          { values: yesNo,                           from: { '6.2': true },
                           source: 'tegra241-cmdqv.c, tegra241_vcmdq_hw_flush_timeout', meaning: 'a CMD_SYNC on the main queue when a hardware queue of a guest ends, so that a time-out of its CMD_ATC_INV is not met by the next VM' },

  // IOAS, devices
  unmapSearch:           { values: ['onward', 'again'],             from: { '6.2': 'onward' },
                           source: 'iommufd/io_pagetable.c, iopt_unmap_iova_range; stable 6.18.y', meaning: 'where an unmapping of several areas looks for the next one: behind the last; again: from the start of its span, where another thread may have mapped meanwhile (releases before that fix)' },
  mapFileDmabuf:         { values: yesNo,                           from: { '6.2': false, '6.19': true },
                           source: 'iommufd/io_pagetable.c', meaning: 'IOAS_MAP_FILE takes the dma-buf of a VFIO device' },
  unmapDmaEmpty:         { values: ['ENOENT', 'success'],           from: { '6.2': 'ENOENT', '7.2': 'success' },
                           source: 'iommufd/vfio_compat.c; changed between 7.0 and 7.2', meaning: 'VFIO_IOMMU_UNMAP_DMA of a range that holds nothing' },
  infoCapabilityAlign:   { values: [1, 8],                          from: { '6.2': 1, '6.6': 8 },
                           source: 'iommufd/vfio_compat.c, iommufd_vfio_iommu_get_info; vfio: align capability structures, 6.6', meaning: 'bytes to which capabilities behind the struct of VFIO_IOMMU_GET_INFO are aligned' },
  msiPagePerContext:     { values: yesNo,                           from: { '6.2': false, '6.15': true },
                           source: 'iommufd/driver.c, iommufd_sw_msi', meaning: 'each MSI doorbell has one IOVA in all domains of a context, in order of first use' },
  allocPasid:            { values: yesNo,                           from: { '6.2': false, '6.15': true },
                           source: 'iommufd/hw_pagetable.c', meaning: 'IOMMU_HWPT_ALLOC_PASID is accepted; before, EOPNOTSUPP although named' },
  pasidWithoutPasid:     { values: ['EINVAL', 'skipped'],           from: { '6.2': 'EINVAL', '6.16': 'skipped' },
                           source: 'drivers/iommu/iommu.c; changed after 6.15', meaning: 'a PASID attach of a device that has none: refused, or a success without effect' },
  resetBlocksAttach:     { values: yesNo,                           from: { '6.2': false, '7.3': true },
                           source: 'drivers/iommu/iommu.c; present in 7.3', meaning: 'attach and replace are EBUSY while a device of the group is under reset' },
  bindTail:              { values: ['ignored', 'E2BIG'],            from: { '6.2': 'ignored', '6.17': 'E2BIG' },
                           source: 'vfio/device_cdev.c', meaning: 'bytes other than zero beyond the struct of VFIO_DEVICE_BIND_IOMMUFD' },
  noiommu:               { values: yesNo,                           from: { '6.2': false, '7.3': true },
                           source: 'iommufd/device.c', meaning: 'devices without an IOMMU can be bound, if the kernel is built for it' },

  // Guests
  vbtm:                  { values: yesNo,                           from: { '6.2': false },
                           source: 'mail of 2021-02-22', meaning: 'a nesting parent takes the VMID that KVM has pinned for the VM, and drivers clear CR2.PTM where IDR0.BTM=1' },
  vhttu:                 { values: yesNo,                           from: { '6.2': false },
                           source: 'mail of 2024-11-06', meaning: 'the kernel says which HTTU works for a VM: the register\'s, cut down to what firmware says' },
  tlbiOnMap:             { values: yesNo,                           from: { '6.2': false },
                           source: 'mail of 2017-08-23', meaning: 'a guest driver invalidates what it maps too, so that a VMM sees it: by CMD_TLBI_NH_VA, or by opcode 0x8f with a count of 4 KiB pages where VMID stands' },
} as const satisfies Readonly<Record<string, Switch>>;

export type SwitchName = keyof typeof switches;
export type SwitchValues = { readonly [N in SwitchName]: (typeof switches)[N]['values'][number] };

/** Every switch as a release has it. */
export function switchesIn(version: Version): SwitchValues {
  const rows = Object.entries(switches).map(([name, { from }]) => [name, valueIn(from, version)]);
  return Object.fromEntries(rows) as SwitchValues;
}

/** Whether that is a value of the switch. */
export function isSwitchValue(name: SwitchName, value: unknown): boolean {
  return (switches[name].values as readonly unknown[]).includes(value);
}

function valueIn(from: Switch['from'], version: Version): SwitchValue {
  const since = versions.findLast((each) => from[each] !== undefined && atLeast(version, each));
  return from[since ?? '6.2'] ?? from['6.2'];
}
