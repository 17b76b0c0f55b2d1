/**
 * What a VMM does, as data: its strategy and the policies in which VMMs differ. A profile is one VMM as its
 * source has it; a scenario may override any policy.
 */
import type { Platform } from '../driver/features.ts';
import type { ProfileName } from '../smmu/profiles.ts';

export interface PolicyRow<V extends boolean | string | number = boolean | string | number> {
  readonly values: readonly V[];
  readonly meaning: string;
}

// biome-ignore format: a table
export const policies = {
  strategy:      { values: ['trap-emulate', 'nested', 'nested-cmdqv', 'nested-swvcmdq', 'tlbi-on-map', 'virtio-iommu'],
                   meaning: 'how a device of the guest is served: emulated, two stages in hardware, with a command queue of hardware or of the kernel, by a shadow of the guest\'s tables, or through a paravirtual IOMMU' },
  btm:           { values: ['masked', 'forwarded', 'linked'],
                   meaning: 'IDR0.BTM of the guest: 0; as the kernel reports it, with nothing done for it; or 1 where the kernel can tie the vIOMMU to KVM\'s VMID, and that is done' },
  httu:          { values: ['masked', 'forwarded', 'confirmed'],
                   meaning: 'IDR0.HTTU of the guest: 0; as the kernel reports the register; or what the kernel says works for a VM' },
  // At the start, and when a device comes
  ids:           { values: ['own', 'oas', 'host'],
                   meaning: 'ID registers of the guest: the VMM\'s own; with the OAS of the host; or COHACC, ASID16, VMID16, CD2L, OAS and granules no more than the host\'s, SSIDSIZE the host\'s, ATS as the device has it' },
  checks:        { values: ['qemu', 'openvmm', 'none'],
                   meaning: 'which ID registers of the host are compared with those of the guest when a device is plugged' },
  parent:        { values: ['attached', 'allocated'],
                   meaning: 'a new device is attached to the nesting parent first, or never' },
  parents:       { values: ['shared', 'own'],
                   meaning: 'emulated SMMUs before one SMMU of the host have one nesting parent, and so one VMID; or each its own' },
  shared:        { values: ['abort-first', 'bypass-first'],
                   meaning: 'which of the two shared nested HWPTs is made first' },
  veventq:       { values: ['eventqen', 'depth-64', 'depth-256'],
                   meaning: 'the vEVENTQ is made when the guest sets CR0.EVENTQEN, as deep as the guest\'s queue; or with the vIOMMU, so deep' },
  vdevice:       { values: ['cfgi', 'plug', 'never'],
                   meaning: 'the vDEVICE is made by the first CMD_CFGI_STE of the guest, when the device gets its StreamID, or never' },
  plugged:       { values: ['gbpa-first', 'abort-gbpa', 'bypass'],
                   meaning: 'a new device: the first one follows GBPA and the others stay on the parent until the reset; it aborts, and follows GBPA when it has a StreamID; it bypasses' },
  // Streams
  ranges:        { values: ['applied', 'ignored'],
                   meaning: 'CMD_CFGI_STE_RANGE and CMD_CFGI_ALL look at the vSTE of each device in the range, or do nothing' },
  install:       { values: ['replace', 'park'],
                   meaning: 'a new nested HWPT replaces the attachment before, or the stream aborts in between' },
  badSte:        { values: ['ill', 'abort'],
                   meaning: 'a vSTE that cannot be installed is CERROR_ILL of its CMD_CFGI_STE, or leaves the stream aborting without an error' },
  noSte:         { values: ['kept', 'abort'],
                   meaning: 'a vSTE that cannot be read leaves the attachment as it is, or the stream aborting' },
  gbpa:          { values: ['follows', 'while-off', 'seen-while-off', 'ignored'],
                   meaning: 'a write of GBPA attaches every device to the abort or bypass HWPT; only while SMMUEN is 0; then only streams that a CMD_CFGI_STE has named; or nothing' },
  smmuen:        { values: ['ignored', 'reattaches', 'seen'],
                   meaning: 'a change of CR0.SMMUEN leaves attachments as they are, looks at every vSTE again, or at those that a CMD_CFGI_STE has named' },
  vsid:          { values: ['frozen', 'rebinds'],
                   meaning: 'the vDEVICE keeps the StreamID of its first CMD_CFGI_STE, or follows the guest\'s bus numbers' },
  doorbell:      { values: ['board', 'walked', 'kept'],
                   meaning: 'where KVM sends messages of an assigned device: to the doorbell of the board, whatever address the guest has put into the vector; where a walk of the guest\'s tables leads from that; or where one has led before, which is kept whatever the guest invalidates (QEMU while nesting was made)' },
  // Commands and events
  batch:         { values: ['each', 'run'],
                   meaning: 'commands in one IOMMU_HWPT_INVALIDATE: one, or as many as stand side by side in the queue' },
  failure:       { values: ['ill', 'ill-at-start', 'resync', 'invalidate-all'],
                   meaning: 'a refused invalidation is CERROR_ILL at its command, or at the command behind those that were handled; or all of the VM is invalidated, and then CERROR_ILL, or the guest sees success' },
  beforeVdevice: { values: ['dropped', 'local', 'forwarded'],
                   meaning: 'a command for a StreamID without a vDEVICE is dropped; local: one for a stream that is not translated is done by the VMM alone; or it goes to the kernel, which refuses it' },
  unhandled:     { values: ['consumed', 'ill'],
                   meaning: 'commands of EL2, EL3, PRI and stalls, and CMD_ATC_INV without IDR0.ATS, are passed over, or CERROR_ILL' },
  syncMsi:       { values: ['ignored', 'always', 'never'],
                   meaning: 'the message of a CMD_SYNC is sent only where IDR0.MSI is 1, or always; never: nor its event, whatever IDR0 says' },
  eventLoss:     { values: ['told', 'ovflg'],
                   meaning: 'lost vEVENTs are a line of the VMM\'s log, or toggle EVENTQ_PROD.OVFLG too' },
  eventqFull:    { values: ['abt-err', 'ovflg'],
                   meaning: 'a record that finds the guest\'s Event queue full activates EVENTQ_ABT_ERR, or toggles OVFLG' },
  virtioDevice:  { values: ['qemu-9.2', 'virtio-1.3'],
                   meaning: 'what a virtio-iommu does where the specification leaves it a choice: as QEMU, or its strictest reading' },
  bootBypass:    { values: [true, false],
                   meaning: 'devices behind a virtio-iommu reach all of the guest\'s memory before a driver attaches them, or nothing' },
} as const satisfies Readonly<Record<string, PolicyRow>>;

export type PolicyName = keyof typeof policies;
export type VmmPolicies = { readonly [N in PolicyName]: (typeof policies)[N]['values'][number] };
export type StrategyName = VmmPolicies['strategy'];

export interface VmmProfile {
  readonly about: string;
  readonly source: string;
  /** Hardware profile of the SMMU that it emulates; its ID registers are what a guest sees, but for `idr`. */
  readonly hardware: ProfileName;
  readonly idr: Readonly<Record<string, number>>;
  readonly policies: VmmPolicies;
  /** What its firmware tells the guest. */
  readonly platform?: Partial<Platform>;
}

/** QEMU: hw/arm/smmuv3-accel.c and hw/arm/smmuv3.c. */
const QEMU: VmmPolicies = {
  strategy: 'nested',
  ids: 'own', // smmuv3_accel_idr_override
  checks: 'qemu', // smmuv3_accel_check_hw_compatible
  parent: 'attached', // hw/vfio/iommufd.c: iommufd_cdev_autodomains_get
  parents: 'shared', // hw/vfio/iommufd.c: iommufd_cdev_autodomains_get
  shared: 'abort-first', // smmuv3_accel_alloc_viommu
  veventq: 'eventqen', // smmuv3_writel, CR0
  vdevice: 'cfgi', // smmuv3_accel_alloc_vdev, called by smmuv3_accel_install_ste
  plugged: 'gbpa-first', // smmuv3_accel_alloc_viommu, smmuv3_accel_reset
  ranges: 'applied', // smmuv3_accel_install_ste_range
  install: 'replace', // smmuv3_accel_install_ste
  badSte: 'ill', // smmuv3_cmdq_consume
  noSte: 'kept', // smmuv3_accel_install_ste
  gbpa: 'follows', // smmuv3_accel_attach_gbpa_hwpt
  smmuen: 'ignored', // smmuv3_writel, CR0: nothing is attached there
  vsid: 'frozen',
  doorbell: 'board', // smmuv3_accel_get_msi_gpa
  batch: 'each', // smmuv3_accel_issue_inv_cmd: entry_num 1
  failure: 'ill', // smmuv3_cmdq_consume
  beforeVdevice: 'dropped', // smmuv3_accel_issue_inv_cmd
  unhandled: 'consumed', // smmuv3_cmdq_consume
  syncMsi: 'ignored',
  eventLoss: 'told',
  eventqFull: 'abt-err', // smmuv3_write_eventq, smmuv3_record_event
  virtioDevice: 'qemu-9.2',
  bootBypass: true,
  btm: 'masked',
  httu: 'masked',
};

/** OpenVMM: vm/devices/iommu/smmu/src and vm/devices/pci/vfio_assigned_device/src/iommufd_nesting.rs. */
const OPENVMM: VmmPolicies = {
  strategy: 'nested',
  ids: 'oas', // SmmuSharedState::resolve_host_caps, oas=auto
  checks: 'openvmm', // SmmuSharedState::resolve_host_caps
  parent: 'allocated', // NestingParent::new
  parents: 'shared', // NestingParent::alloc_viommu
  shared: 'abort-first', // SmmuAccelState::new
  veventq: 'depth-256', // spawn_veventq
  vdevice: 'plug', // AccelStream::bind, when the guest gives the device its bus number
  plugged: 'abort-gbpa', // AccelStream::new, register_accel_device
  ranges: 'applied', // process_cmdq
  install: 'replace', // IommufdStreamBackend::handle_s1_translate
  badSte: 'abort', // process_cmdq, apply_stream_config
  noSte: 'abort', // stream_config_for_policy
  gbpa: 'while-off', // SmmuDevice::write_reg32
  smmuen: 'reattaches', // transition_translation_policy
  vsid: 'rebinds', // AccelStream::bind
  doorbell: 'walked', // SmmuIrqFdRoute::enable
  batch: 'run', // process_cmdq, flush_invalidation_batch
  failure: 'ill-at-start', // SmmuAccelState::invalidate
  beforeVdevice: 'local', // process_cmdq, is_translating
  unhandled: 'ill', // process_cmdq
  syncMsi: 'always', // handle_cmd_sync
  eventLoss: 'told', // forward_veventq
  eventqFull: 'ovflg', // signal_evtq_overflow
  virtioDevice: 'qemu-9.2',
  bootBypass: true,
  btm: 'masked',
  httu: 'masked',
};

/** Cloud Hypervisor: devices/src/smmuv3.rs and devices/src/iommu/iommufd.rs; its crate iommufd-ioctls. */
const CLOUD_HYPERVISOR: VmmPolicies = {
  strategy: 'nested',
  ids: 'host', // Smmuv3::set_host_id_regs
  checks: 'none', // Smmuv3::initialize compares nothing
  parent: 'allocated', // IommufdVIommu::new
  parents: 'own', // IommufdVIommu::new
  shared: 'bypass-first', // IommufdVIommu::new
  veventq: 'depth-64', // IommufdIommu::allocate_veventq
  vdevice: 'plug', // IommufdIommu::register_endpoint
  plugged: 'bypass', // IommufdIommu::register_endpoint
  ranges: 'ignored', // Smmuv3::dispatch_command
  install: 'park', // IommufdIommu::install_table_entry
  badSte: 'ill', // Smmuv3::consume_cmdq
  noSte: 'abort', // Smmuv3::configure_stream
  gbpa: 'seen-while-off', // Smmuv3::write_reg, configure_all_streams
  smmuen: 'seen', // Smmuv3::write_reg, configure_all_streams
  vsid: 'frozen',
  doorbell: 'board', // not known: taken as QEMU's
  batch: 'each', // IommufdVIommu::invalidate: entry_num 1
  failure: 'ill', // Smmuv3::dispatch_command
  beforeVdevice: 'forwarded', // Smmuv3::dispatch_command
  unhandled: 'ill', // Smmuv3::dispatch_command
  syncMsi: 'ignored', // Smmuv3::complete_sync
  eventLoss: 'ovflg', // FaultForwarder::forward_record
  eventqFull: 'ovflg', // Smmuv3::push_event
  virtioDevice: 'qemu-9.2',
  bootBypass: true,
  btm: 'masked',
  httu: 'masked',
};

/** Stage 1 only, as accel=on and the machines before virt-9.2 have it. */
const STAGE1 = { IDR0: 0x0d44101a, IDR1: 0x02730010, IDR3: 0x1404, IDR5: 0x74 } as const;

// biome-ignore format: a table
export const vmmProfiles = {
  qemu: {
    about: 'plain QEMU: registers, queues and translation are emulated, devices too', source: 'QEMU 9.2 hw/arm/smmuv3.c, smmu-common.c',
    hardware: 'qemu-11', idr: STAGE1, policies: { ...QEMU, strategy: 'trap-emulate' } },
  'qemu-accel': {
    about: 'QEMU arm-smmuv3,accel=on: nested over iommufd, one command in a call', source: 'QEMU of 2026 hw/arm/smmuv3-accel.c smmuv3_accel_install_ste, smmuv3_accel_issue_inv_cmd; hw/arm/smmuv3.c smmuv3_cmdq_consume',
    hardware: 'qemu-11', idr: STAGE1, policies: QEMU },
  openvmm: {
    about: 'OpenVMM: nested over iommufd, runs of commands in a call', source: 'microsoft/openvmm of 2026: vm/devices/iommu/smmu/src/emulator.rs SmmuDevice::new, process_cmdq; shared.rs; vfio_assigned_device/src/iommufd_nesting.rs',
    hardware: 'qemu-11', idr: { IDR0: 0x0540101a, IDR1: 0x01080010, IDR3: 0x0, IDR5: 0x12, AIDR: 0x3 },
    policies: OPENVMM },
  'cloud-hypervisor': {
    about: 'Cloud Hypervisor: nested over iommufd, ID registers cut down to the host\'s, ranged CFGI ignored', source: 'cloud-hypervisor of 2026: devices/src/smmuv3.rs Smmuv3::set_host_id_regs, dispatch_command; devices/src/iommu/iommufd.rs; iommufd-ioctls',
    hardware: 'qemu-11', idr: { IDR0: 0x094c101a, IDR1: 0x02730010, IDR3: 0x0, IDR5: 0x55, AIDR: 0x0 },
    policies: CLOUD_HYPERVISOR },
  'cloud-hypervisor-staged': {
    about: 'a Cloud Hypervisor that stages nested HWPTs and invalidates all of a VM after a failure', source: 'a cloud-hypervisor tree of 2026: devices/src/iommu/iommufd.rs install_s1, resync',
    hardware: 'qemu-11', idr: { IDR0: 0x094c101a, IDR1: 0x02730010, IDR3: 0x0, IDR5: 0x55, AIDR: 0x0 },
    policies: { ...CLOUD_HYPERVISOR, install: 'replace', failure: 'resync' } },
  'qemu-cmdqv': {
    about: 'QEMU with a Tegra241 CMDQV: the guest owns a command queue of the hardware', source: 'QEMU hw/arm/tegra241-cmdqv.c of 2026',
    hardware: 'qemu-11', idr: STAGE1, policies: { ...QEMU, strategy: 'nested-cmdqv' } },
  'sw-vcmdq': {
    about: 'the software queue of March 2023: the kernel reads the guest\'s queue', source: 'iommufd mail thread of March 2023',
    hardware: 'qemu-11', idr: STAGE1, policies: { ...QEMU, strategy: 'nested-swvcmdq' } },
  'tlbi-on-map': {
    about: 'the RFC of August 2017: the guest invalidates what it maps, the VMM shadows its tables', source: 'RFC v2 of August 2017 (vSMMUv3, caching mode)',
    hardware: 'qemu-7.2', idr: { ...STAGE1, IDR3: 0x4 }, platform: { tlbiOnMap: 'page' }, policies: { ...QEMU, strategy: 'tlbi-on-map' } },
  'virtio-iommu': {
    about: 'QEMU virtio-iommu over VFIO or iommufd', source: 'QEMU hw/virtio/virtio-iommu.c; virtio 1.3, 5.13',
    hardware: 'qemu-11', idr: {}, policies: { ...QEMU, strategy: 'virtio-iommu' } },
} as const satisfies Readonly<Record<string, VmmProfile>>;

export type VmmProfileName = keyof typeof vmmProfiles;
export const defaultVmm: VmmProfileName = 'qemu-accel';

/** Whether there is such a VMM. */
export function isVmmProfile(name: string): name is VmmProfileName {
  return Object.hasOwn(vmmProfiles, name);
}

/** The policies of a VM: those of its profile, but for what the scenario has changed. */
export function policiesOf({
  profile,
  policies: changed,
}: {
  readonly profile: VmmProfileName;
  readonly policies: Partial<VmmPolicies>;
}): VmmPolicies {
  return { ...vmmProfiles[profile].policies, ...changed };
}

/** The first policy with a value that it does not take: `NAME=VALUE`. */
export function wrongPolicy(given: Readonly<Record<string, unknown>>): string | undefined {
  const wrong = Object.entries(given).find(([name, value]) => {
    const row = Object.hasOwn(policies, name) ? policies[name as PolicyName] : undefined;
    return row === undefined || !(row.values as readonly unknown[]).includes(value);
  });
  return wrong && `${wrong[0]}=${String(wrong[1])}`;
}
