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
  batch:         { values: ['each', 'run'],
                   meaning: 'commands in one IOMMU_HWPT_INVALIDATE: one, or as many as stand side by side in the queue' },
  failure:       { values: ['ill', 'ill-at-start', 'invalidate-all'],
                   meaning: 'a refused invalidation is CERROR_ILL at its command, or at the command behind those that were handled; or all of the VM is invalidated in its place and the guest sees success' },
  badSte:        { values: ['ill', 'abort'],
                   meaning: 'a vSTE that cannot be installed is CERROR_ILL of its CMD_CFGI_STE, or leaves the stream aborting without an error' },
  gbpa:          { values: ['follows', 'ignored'],
                   meaning: 'a write of GBPA attaches every device to the abort or bypass HWPT, or to nothing new' },
  smmuen:        { values: ['ignored', 'reattaches'],
                   meaning: 'a change of CR0.SMMUEN leaves attachments as they are, or looks at every vSTE again' },
  beforeVdevice: { values: ['dropped', 'local'],
                   meaning: 'a command for a StreamID without a vDEVICE is dropped; local: one for a stream that is not translated is done by the VMM alone' },
  vsid:          { values: ['frozen', 'rebinds'],
                   meaning: 'the vDEVICE keeps the StreamID of its first CMD_CFGI_STE, or follows the guest\'s bus numbers' },
  unhandled:     { values: ['consumed', 'ill'],
                   meaning: 'commands of EL2, EL3, PRI and stalls, and CMD_ATC_INV without IDR0.ATS, are passed over, or CERROR_ILL' },
  btm:           { values: ['masked', 'forwarded', 'linked'],
                   meaning: 'IDR0.BTM of the guest: 0; as the kernel reports it, with nothing done for it; or 1 where the kernel can tie the vIOMMU to KVM\'s VMID, and that is done' },
  checks:        { values: ['qemu', 'openvmm', 'none'],
                   meaning: 'which ID registers of the host are compared with those of the guest when a device is plugged' },
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

const QEMU: VmmPolicies = {
  strategy: 'nested',
  batch: 'each',
  failure: 'ill',
  badSte: 'ill',
  gbpa: 'follows',
  smmuen: 'ignored',
  beforeVdevice: 'dropped',
  vsid: 'frozen',
  unhandled: 'consumed',
  btm: 'masked',
  checks: 'qemu',
};
/** Stage 1 only, as accel=on and the machines before virt-9.2 have it. */
const STAGE1 = { IDR0: 0x0d44101a, IDR1: 0x02730010, IDR3: 0x1404, IDR5: 0x74 } as const;

// biome-ignore format: a table
export const vmmProfiles = {
  qemu: {
    about: 'plain QEMU: registers, queues and translation are emulated, devices too', source: 'QEMU 9.2 hw/arm/smmuv3.c, smmu-common.c',
    hardware: 'qemu-11', idr: STAGE1, policies: { ...QEMU, strategy: 'trap-emulate' } },
  'qemu-accel': {
    about: 'QEMU arm-smmuv3,accel=on: nested over iommufd, one command in a call', source: 'QEMU hw/arm/smmuv3-accel.c of 2026',
    hardware: 'qemu-11', idr: STAGE1, policies: QEMU },
  openvmm: {
    about: 'OpenVMM: nested over iommufd, runs of commands in a call', source: 'microsoft/openvmm SMMUv3 emulator, August 2026',
    hardware: 'qemu-11', idr: { IDR0: 0x0544101a, IDR1: 0x02730010, IDR3: 0x0, IDR5: 0x15 },
    policies: { ...QEMU, batch: 'run', failure: 'ill-at-start', badSte: 'abort', beforeVdevice: 'local', vsid: 'rebinds', smmuen: 'reattaches', checks: 'openvmm' } },
  'cloud-hypervisor': {
    about: 'Cloud Hypervisor: nested over iommufd, a failure invalidates all', source: 'cloud-hypervisor SMMUv3 backend, 2026',
    hardware: 'qemu-11', idr: STAGE1, policies: { ...QEMU, failure: 'invalidate-all', checks: 'none' } },
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
