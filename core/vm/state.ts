/**
 * A virtual machine: its memory, its CPUs, its devices, and what its VMM holds of iommufd. The guest's driver
 * is a driver like the host's (`core/driver/state.ts`), over a port that leads into the VM.
 */
import type { KvmVmid } from '../kvm/vmids.ts';
import type { Radix } from '../memory/radix.ts';
import type { VirtioIommu } from '../virtio-iommu/guest-state.ts';
import type { VmmPolicies, VmmProfileName } from '../vmm/profiles.ts';

/** A range of guest physical addresses backed by memory of the VMM. */
export interface Slot {
  readonly gpa: number;
  readonly bytes: number;
  /** Where the VMM has it. */
  readonly va: number;
}

/** What a scenario asks for; everything has its value. */
export interface VmConfig {
  readonly profile: VmmProfileName;
  /** Values that differ from the profile's. */
  readonly policies: Partial<VmmPolicies>;
  readonly cpus: number;
  readonly ram: readonly { readonly base: number; readonly size: number }[];
  /** ID registers of the emulated SMMUs that differ from the profile's. */
  readonly idr?: Readonly<Record<string, number>>;
  /** Properties of the emulated SMMUs, as QEMU has them. */
  readonly properties?: SmmuProperties;
  /** Names of the emulated SMMUs. */
  readonly smmus: readonly string[];
  /** VMID that KVM gives it. */
  readonly vmid?: number;
}

/** `auto`: as the host has it, from the first device on. */
export interface SmmuProperties {
  readonly ril?: boolean | 'auto';
  readonly ats?: boolean | 'auto';
  /** Bits. */
  readonly ssidsize?: number | 'auto';
  readonly oas?: 32 | 36 | 40 | 42 | 44 | 48 | 52 | 'auto';
}

/** How a device is served: by hardware behind iommufd, or by the VMM. */
export type DeviceKind = 'assigned' | 'emulated';

/** What a scenario says of a device; the rest goes by the strategy. */
export type GivenDevice = Partial<
  Pick<VmDevice, 'kind' | 'smmu' | 'streamId' | 'ssidBits' | 'ats' | 'pri' | 'stall'>
>;

/** What an assigned device is attached to, as the VMM sees it. */
export type VmAttachment = 'none' | 'ioas' | 's2' | 'abort' | 'bypass' | 'nested';

export interface VmDevice {
  readonly endpoint: string;
  readonly kind: DeviceKind;
  /** Emulated SMMU that it stands behind. */
  readonly smmu: string;
  /** StreamID that the guest knows. */
  readonly streamId: number;
  readonly ssidBits: number;
  readonly ats: boolean;
  readonly pri: boolean;
  readonly stall: boolean;
  /** Name of the VFIO file, and ids of iommufd objects; 0 for none. */
  readonly fd: string;
  readonly deviceId: number;
  readonly vdevice: number;
  /** StreamID that the vDEVICE was made with. */
  readonly boundSid: number;
  /** Its own IOAS, where the VMM shadows the guest's mappings. */
  readonly ioas: number;
  /** Its own nested HWPT. */
  readonly hwpt: number;
  /** A CMD_CFGI_STE of the guest has named its StreamID. */
  readonly seen?: boolean;
  readonly attached: VmAttachment;
}

/** A queue beside the main one: what the guest has written, and the kernel's object. */
export interface SecondOfGuest {
  readonly base: bigint;
  readonly enabled: boolean;
  readonly allocated: boolean;
  readonly object: number;
}

/** What the VMM keeps for one emulated SMMU; ids of iommufd objects, 0 for none. */
export interface VirtualSmmu {
  readonly name: string;
  /** The SMMU of the host that its devices stand behind; empty until there is one. */
  readonly physical: string;
  readonly parent: number;
  readonly viommu: number;
  readonly abortHwpt: number;
  readonly bypassHwpt: number;
  readonly veventq: number;
  /** Number of the vEVENTQ's file; -1 for none. */
  readonly veventFd: number;
  /** Sequence number of the last vEVENT that was read. */
  readonly veventSeen: number;
  /** Queues of the guest beside the main one, by their index: where the guest put them, and their object; 0 for none. */
  readonly seconds?: Readonly<Record<string, SecondOfGuest>>;
  /** The unit and its interface are on, as the guest sees them. */
  readonly secondUnit?: { readonly unit: boolean; readonly vintf: boolean };
  /** Where the file is mapped for the page of the queues, and its interface, and the number of that. */
  readonly secondAt?: bigint;
  readonly secondVintf?: number;
  /** The vEVENTQ of their errors, and its file. */
  readonly secondEventq?: number;
  readonly secondEventFd?: number;
}

export interface VmState {
  readonly name: string;
  readonly config: VmConfig;
  slots: readonly Slot[];
  /** Free pages of the guest, as runs by their first page; and who has the others. */
  pool: { free: Radix<number> };
  devices: Record<string, VmDevice>;
  smmus: Record<string, VirtualSmmu>;
  /** Name of the VMM's iommufd; empty before the first assigned device. */
  iommufd: string;
  ioas: number;
  /** Its slots are mapped in the IOAS. */
  mapped: boolean;
  /** vCPUs with exits that have not ended, and how many: one instruction sequence may leave several. */
  held: Record<string, number>;
  /** Deliberate faults of the VMM, by name. */
  quirks: Readonly<Record<string, boolean>>;
  booted: boolean;
  /** Its VMID in KVM. */
  kvm?: KvmVmid;
  /** Its virtio-iommu, where its strategy is that. */
  virtio?: VirtioIommu;
}

/** The unit that does the VMM's work, one piece after the other, as under one big lock. */
export function vmmUnit(vm: string): string {
  return `${vm}.vmm`;
}

/** The unit of the kernel's worker for the queues of a VM that it works off itself. */
export function workerUnit(vm: string): string {
  return `${vm}.vcmdq`;
}
