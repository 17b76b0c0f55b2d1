/** What a ledger remembers of a machine: hosts' SMMUs, VMs, SMMUs of guests, devices; nothing grows with the log. */
import type { MachineConfig } from '../../core/config.ts';
import type { DriverFeatures, Platform } from '../../core/driver/features.ts';
import type { VmConfig } from '../../core/vm/state.ts';
import type { Later } from './lives.ts';
import type { Used } from './uses.ts';

type Idr = Readonly<Record<string, number>>;

export interface Held<T> {
  readonly value: T;
  readonly seq: number;
}

/** An SMMU as its software sees it, and what a driver of it has said of itself. */
export interface DriverView {
  readonly name: string;
  platform: Held<Platform> | undefined;
  features: Held<DriverFeatures> | undefined;
  /** What it first read from each register. */
  readonly reads: Map<string, Held<number>>;
  /** Words of the identification registers as they are now. */
  idr: Idr;
  /** Each field, since when it is so. */
  readonly fields: Map<string, Held<number>>;
  readonly uses: Map<string, Use>;
  refused: { readonly field: string; readonly seq: number; readonly why: string } | undefined;
}

export interface HostSmmu extends DriverView {
  /** The kernel says which HTTU works for a VM. */
  readonly saysHttu: boolean;
  /** The system loses what hardware stores into descriptors, whatever the register says. */
  readonly losesUpdates: boolean;
  /** CR2.PTM, as last written. */
  ptm: Held<boolean>;
}

/** How a field was used, counted. */
export interface Use {
  readonly first: number;
  last: number;
  count: number;
  /** Of the last one. */
  what: string;
  failed: (Held<string> & { readonly what: string }) | undefined;
  /** The latest uses that failed. */
  readonly failures: number[];
  /** It was used for more than the field offers. */
  beyond: Held<string> | undefined;
}

export interface GuestSmmu extends DriverView {
  readonly vm: string;
  /** How often its VM was made anew. */
  life: number;
  /** SMMU of the host that its last device came from. */
  host: string;
  readonly later: Later[];
  /** Its last command, and what that used. */
  command: { readonly seq: number; readonly used: readonly Used[] } | undefined;
  /** A CMD_SYNC of SIG_SEV is under way (0), or was completed there, and no event has come. */
  waitsForEvent: number | undefined;
}

export interface Report {
  /** Words of struct iommu_hw_info_arm_smmuv3 by register. */
  readonly idr: Idr | undefined;
  readonly capabilities: number;
  readonly maxPasidLog2: number;
  readonly seq: number;
}

/** An assigned device: the way from one SMMU of the host to one of a guest. */
export interface Way {
  readonly vm: string;
  readonly endpoint: string;
  readonly smmu: string;
  readonly ats: boolean;
  /** StreamID that the guest knows. */
  readonly streamId: number;
  /** Id of its vDEVICE; 0 for none. */
  vdevice: number;
  /** Why the VMM did not take the device: nothing of the guest goes this way. */
  refused: string | undefined;
  readonly seq: number;
  report: Report | undefined;
  /** VMID of the device's STE, as hardware last read it. */
  stage2Vmid: Held<number> | undefined;
}

export interface Vm {
  readonly name: string;
  readonly config: VmConfig;
  readonly seq: number;
  booted: number;
  vmid: number;
  /** VMID of KVM that stays the VM's, so that an SMMU may share it. */
  pinned: Held<boolean> | undefined;
}

export interface Chains {
  readonly machine: MachineConfig;
  readonly hosts: Map<string, HostSmmu>;
  readonly vms: Map<string, Vm>;
  readonly guests: Map<string, GuestSmmu>;
  /** By endpoint. */
  readonly ways: Map<string, Way>;
}

/** A machine before its first entry. */
export function newChains(machine: MachineConfig): Chains {
  const hosts = machine.smmus.map(({ name, idr, choices }): [string, HostSmmu] => {
    const ptm = { value: choices['ptmAtReset'] === true, seq: 0 };
    const saysHttu = machine.kernel?.switches?.['vhttu'] === true;
    const losesUpdates = choices['descriptorUpdates'] === false;
    return [name, { ...newView(name), idr, saysHttu, losesUpdates, ptm }];
  });
  return { machine, hosts: new Map(hosts), vms: new Map(), guests: new Map(), ways: new Map() };
}

/** An SMMU of whose software nothing is known. */
export function newView(name: string): DriverView {
  return {
    name,
    platform: undefined,
    features: undefined,
    reads: new Map(),
    idr: {},
    fields: new Map(),
    uses: new Map(),
    refused: undefined,
  };
}

/** Whether software has the machine's SMMUs to itself: no VM stands between. */
export function isBare({ vms }: Chains): boolean {
  return vms.size === 0;
}

/** The SMMU of the host that an endpoint stands behind; empty for a device of the VMM's own. */
export function hostOf({ machine }: Chains, endpoint: string): string {
  return machine.endpoints.find(({ name }) => name === endpoint)?.smmu ?? '';
}
