/**
 * A machine made for one capability: a host, one device, a VM whose guest relies on what it is told, and what its
 * device then meets. The stories of leaks and the matrix are made of these.
 */
import type { DriverConfig, EndpointConfig, MachineConfig } from '../core/config.ts';
import type { Platform } from '../core/driver/features.ts';
import type { Entry } from '../core/event.ts';
import type { Outcome } from '../core/outcome.ts';
import { Simulation } from '../core/simulation.ts';
import { type ProfileName, type SmmuOverrides, smmuConfig } from '../core/smmu/profiles.ts';
import { resetRegisters } from '../core/smmu/regs.ts';
import { initialState } from '../core/state.ts';
import type { Stimulus } from '../core/stimulus.ts';
import type { GivenDevice, VmConfig } from '../core/vm/state.ts';
import type { VmmPolicies, VmmProfileName } from '../core/vmm/profiles.ts';
import { ledger } from '../projections/caps/ledger.ts';
import { findingsOfRow } from '../projections/caps/links.ts';
import type { LedgerRow } from '../projections/caps/row.ts';
import { type Judged, judge } from '../projections/caps/verdict.ts';
import { checkHistory } from '../projections/check.ts';
import type { Finding } from '../projections/finding.ts';
import { runProjections } from '../projections/projection.ts';

/** What differs from a host with all features, Linux 7.3 and QEMU with accel. */
export interface Setup {
  readonly hardware?: ProfileName;
  readonly smmu?: Partial<SmmuOverrides>;
  readonly endpoint?: Partial<EndpointConfig>;
  readonly kernel?: string;
  readonly switches?: Readonly<Record<string, boolean | string>>;
  readonly driver?: DriverConfig;
  readonly vmm?: VmmProfileName;
  readonly policies?: Partial<VmmPolicies>;
  readonly vm?: Partial<VmConfig>;
  readonly device?: GivenDevice;
  readonly platform?: Partial<Platform>;
}

type Nested = Readonly<Record<string, unknown>>;

const isNested = (value: unknown): value is Nested =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** A setup with some of it otherwise: objects are joined, all else is replaced. */
export function otherwise(setup: Setup, changed: Setup): Setup {
  const join = (a: Nested, b: Nested): Nested => {
    const out: Record<string, unknown> = { ...a };
    for (const [name, value] of Object.entries(b)) {
      const held = a[name];
      out[name] = isNested(value) && isNested(held) ? join(held, value) : value;
    }
    return out;
  };
  return join(setup as Nested, changed as Nested) as Setup;
}

export interface Run {
  readonly machine: MachineConfig;
  readonly entries: readonly Entry[];
  ask(stimulus: Stimulus): Outcome;
}

/** What a run shows. */
export interface Proof {
  readonly proof: string;
  /** Whether the guest got what it was told. */
  readonly good: boolean;
  /** Entry of the run that shows it. */
  readonly seq: number;
}

const RAM = { base: 0x4000_0000, size: 0x4000_0000 };
const GUEST_RAM = { base: 0x4000_0000, size: 0x400_0000 };
/** KVM's number for the VM is another than the first that an SMMU gives. */
const VMID = 7;
export const PAGE = 0x1000;
export const VM = 'vm0';
export const DEVICE = 'nic0';

/** A host with one device, up to the point where its guest has booted, or the device was refused. */
export function begin(setup: Setup): Run {
  const { hardware = 'everything', smmu = {}, kernel = 'linux-7.3', switches = {}, driver = {} } = setup;
  const machine: MachineConfig = {
    ram: [RAM],
    smmus: [smmuConfig(hardware, { name: 'smmu0', base: 0x0905_0000, ...smmu })],
    endpoints: [
      {
        name: DEVICE,
        smmu: 'smmu0',
        streamId: 8,
        ats: false,
        pri: false,
        ssidBits: 0,
        atc: 0,
        ...setup.endpoint,
      },
    ],
    kernel: { profile: kernel, switches, driver },
    schedule: 'eager',
    seed: 1,
  };
  const simulation = new Simulation(initialState(machine, resetRegisters));
  const entries: Entry[] = [];
  simulation.entries$.subscribe((step) => entries.push(...step));
  simulation.dispatch({ type: 'kernel.boot' });
  simulation.run();
  const run: Run = { machine, entries, ask: (stimulus) => simulation.dispatch(stimulus).outcome };
  start(run, setup);
  return run;
}

function start(
  run: Run,
  { vmm = 'qemu-accel', policies = {}, vm = {}, device = {}, platform = {} }: Setup,
): void {
  const shape = { profile: vmm, policies, cpus: 1, ram: [GUEST_RAM], smmus: ['vm0.smmu'], vmid: VMID };
  run.ask({ type: 'vm.create', vm: VM, config: { ...shape, ...vm } });
  run.ask({ type: 'vm.plug', vm: VM, endpoint: DEVICE, device: { streamId: 16, ...device } });
  run.ask({ type: 'guest.boot', vm: VM, platform });
}

/** Why the device was refused, if it was. */
export function refusalIn({ entries }: Run): string | undefined {
  const found = entries.find(
    (each) => each.type === 'vm.answered' && (each.refused ?? each.errno) !== undefined,
  );
  return found?.type === 'vm.answered' ? (found.refused ?? found.errno) : undefined;
}

/**
 * The guest maps memory for the device.
 * @param pa the memory as the guest sees it; it takes some when absent
 * @returns its address; undefined where it could not
 */
export function map(run: Run, bytes = PAGE, pa?: number): bigint | undefined {
  const about = { vm: VM, endpoint: DEVICE, bytes, access: 'read-write' } as const;
  const outcome = run.ask({ type: 'guest.map', ...about, ...(pa === undefined ? {} : { pa }) });
  return outcome['iova'] === undefined ? undefined : BigInt(String(outcome['iova']));
}

/** The guest takes it away. */
export function unmap(run: Run, iova: bigint, bytes = PAGE): void {
  run.ask({ type: 'guest.unmap', vm: VM, endpoint: DEVICE, iova, bytes });
}

/** The device accesses its address. */
export function dma(
  run: Run,
  iova: bigint,
  access: 'read' | 'write' = 'read',
  more: { readonly ssid?: number; readonly translated?: boolean } = {},
): unknown {
  return run.ask({ type: 'dma', endpoint: DEVICE, iova, size: 8, access, ...more })['result'];
}

/** seq of the last access of the device. */
export function lastAccess({ entries }: Run): number {
  return entries.findLast(({ type }) => type.startsWith('access.'))?.seq ?? 0;
}

/** The ledger of the run so far. */
export function rowsOf({ machine, entries }: Run): readonly LedgerRow[] {
  const [rows] = runProjections(entries, [ledger(machine)]);
  return rows;
}

/** The row of a field of the guest's SMMU, with its verdict and the findings of the run that are about it. */
export interface Audited {
  readonly row: LedgerRow;
  readonly judged: Judged;
  readonly findings: readonly Finding[];
}

/** The verdict over a field. @param name of the run, which positions of findings begin with */
export function auditOf(run: Run, field: string, name: string): Audited | undefined {
  const row = rowsOf(run).find((each) => each.field === field);
  if (row === undefined) return undefined;
  const findings = findingsOfRow(checkHistory(run.entries, run.machine, name), row);
  return { row, judged: judge(row), findings };
}
