/** What a ledger remembers of a machine: hosts' SMMUs, VMs, SMMUs of guests, devices; nothing grows with the log. */
import type { MachineConfig } from '../../core/config.ts';
import type { DriverFeatures, Platform } from '../../core/driver/features.ts';
import type { VmConfig } from '../../core/vm/state.ts';

type Idr = Readonly<Record<string, number>>;

export interface Held<T> {
  readonly value: T;
  readonly seq: number;
}

/** What a driver of an SMMU has said of itself. */
export interface DriverView {
  platform: Held<Platform> | undefined;
  features: Held<DriverFeatures> | undefined;
  /** Where it first read each register. */
  readonly reads: Map<string, number>;
}

export interface HostSmmu extends DriverView {
  readonly name: string;
  readonly idr: Idr;
  /** The kernel says which HTTU works for a VM. */
  readonly saysHttu: boolean;
  /** CR2.PTM, as last written. */
  ptm: Held<boolean>;
}

/** How a field was used, counted. */
export interface Use {
  readonly first: number;
  last: number;
  count: number;
  readonly what: string;
  failed: Held<string> | undefined;
}

export interface GuestSmmu extends DriverView {
  readonly name: string;
  readonly vm: string;
  /** Each field, since when it is so. */
  readonly fields: Map<string, Held<number>>;
  readonly uses: Map<string, Use>;
  refused: { readonly field: string; readonly seq: number; readonly why: string } | undefined;
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
  readonly seq: number;
  report: Report | undefined;
  /** VMID of the device's STE, as hardware last read it. */
  stage2Vmid: Held<number> | undefined;
}

export interface Vm {
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
    return [name, { name, idr, saysHttu, ptm, ...newView() }];
  });
  return { machine, hosts: new Map(hosts), vms: new Map(), guests: new Map(), ways: new Map() };
}

/** A driver of which nothing is known. */
export function newView(): DriverView {
  return { platform: undefined, features: undefined, reads: new Map() };
}

/** The SMMU of the host that an endpoint stands behind; empty for a device of the VMM's own. */
export function hostOf({ machine }: Chains, endpoint: string): string {
  return machine.endpoints.find(({ name }) => name === endpoint)?.smmu ?? '';
}
