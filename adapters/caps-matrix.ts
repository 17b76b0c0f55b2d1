/**
 * Kernels against VMMs for a capability that does not follow from its register: each cell is a run on a machine of its
 * own, with a guest that relies on what it is told. The guest's DMA after that is the proof, whatever the ledger says.
 */
import type { DriverConfig, MachineConfig } from '../core/config.ts';
import type { Entry } from '../core/event.ts';
import { Simulation } from '../core/simulation.ts';
import { type SmmuOverrides, smmuConfig } from '../core/smmu/profiles.ts';
import { resetRegisters } from '../core/smmu/regs.ts';
import { initialState } from '../core/state.ts';
import type { VmmPolicies } from '../core/vmm/profiles.ts';
import { ledger } from '../projections/caps/ledger.ts';
import type { LedgerRow } from '../projections/caps/row.ts';
import { type CapsVerdict, judge } from '../projections/caps/verdict.ts';
import { runProjections } from '../projections/projection.ts';

/** `old` does nothing for the feature; `new` has the software for it. */
export type KernelAge = 'old' | 'new';
/** What hw_info says: registers as they are, or what works. */
export type ReportPolicy = 'raw' | 'sanitised';
export type VmmKind = 'forwards' | 'masks' | 'new';

export interface MatrixCell {
  readonly feature: string;
  readonly kernel: KernelAge;
  readonly report: ReportPolicy;
  readonly vmm: VmmKind;
  /** What the guest was told. */
  readonly told: number;
  /** What happened to the guest that relied on it. */
  readonly proof: string;
  /** Whether that is what the field promises. */
  readonly good: boolean;
  /** Entry of the run that shows it. */
  readonly seq: number;
  readonly verdict: CapsVerdict;
}

const RAM = { base: 0x4000_0000, size: 0x4000_0000 };
const GUEST_RAM = { base: 0x4000_0000, size: 0x400_0000 };
/** KVM's number for the VM is another than the first that an SMMU gives. */
const VMID = 7;
const PAGE = 0x1000;

export interface Run {
  readonly machine: MachineConfig;
  readonly simulation: Simulation;
  readonly entries: Entry[];
}

/** A machine in memory with one device, up to the point where its kernel runs. */
export function boot(
  switches: Readonly<Record<string, boolean | string>>,
  { smmu = {}, driver = {} }: { readonly smmu?: Partial<SmmuOverrides>; readonly driver?: DriverConfig } = {},
): Run {
  const machine: MachineConfig = {
    ram: [RAM],
    smmus: [smmuConfig('everything', { name: 'smmu0', base: 0x0905_0000, ...smmu })],
    endpoints: [{ name: 'nic0', smmu: 'smmu0', streamId: 8, ats: false, pri: false, ssidBits: 0, atc: 0 }],
    kernel: { profile: 'linux-7.3', switches, driver },
    schedule: 'eager',
    seed: 1,
  };
  const simulation = new Simulation(initialState(machine, resetRegisters));
  const entries: Entry[] = [];
  simulation.entries$.subscribe((step) => entries.push(...step));
  simulation.dispatch({ type: 'kernel.boot' });
  simulation.run();
  return { machine, simulation, entries };
}

function start({ simulation }: Run, policies: Partial<VmmPolicies>): void {
  const config = {
    profile: 'qemu-accel',
    policies,
    cpus: 1,
    ram: [GUEST_RAM],
    smmus: ['vm0.smmu'],
    vmid: VMID,
  } as const;
  simulation.dispatch({ type: 'vm.create', vm: 'vm0', config });
  simulation.dispatch({ type: 'vm.plug', vm: 'vm0', endpoint: 'nic0', device: { streamId: 16 } });
  simulation.dispatch({ type: 'guest.boot', vm: 'vm0', platform: { broadcast: true } });
}

function rowOf({ machine, entries }: Run, field: string): LedgerRow | undefined {
  const [rows] = runProjections(entries, [ledger(machine)]);
  return rows.find((row) => row.field === field);
}

type Proof = Pick<MatrixCell, 'proof' | 'good' | 'seq'>;

/** The guest maps, uses, unmaps; where it was told of broadcasts, without a command. Then the device tries again. */
function proveBroadcast({ simulation, entries }: Run): Proof {
  const { outcome } = simulation.dispatch({
    type: 'guest.map',
    vm: 'vm0',
    endpoint: 'nic0',
    bytes: PAGE,
    access: 'read-write',
  });
  const iova = BigInt(String(outcome['iova']));
  const dma = () =>
    simulation.dispatch({ type: 'dma', endpoint: 'nic0', iova, size: 8, access: 'read' }).outcome['result'];
  const before = dma();
  simulation.dispatch({ type: 'guest.unmap', vm: 'vm0', endpoint: 'nic0', iova, bytes: PAGE });
  const after = dma();
  const seq = entries.findLast(({ type }) => type.startsWith('access.'))?.seq ?? 0;
  const good = before === 'ok' && after !== 'ok';
  return {
    good,
    seq,
    proof: good ? 'DMA after the unmap is refused' : 'DMA after the unmap reaches the page',
  };
}

const BTM_POLICY: Readonly<Record<VmmKind, VmmPolicies['btm']>> = {
  forwards: 'forwarded',
  masks: 'masked',
  new: 'linked',
};

/** The cells of IDR0.BTM: what one kernel and one VMM come to. */
export function runBroadcast(kernel: KernelAge, report: ReportPolicy, vmm: VmmKind): MatrixCell {
  const run = boot({ vbtm: kernel === 'new', hwInfoIdr: report });
  start(run, { btm: BTM_POLICY[vmm] });
  return cellOf(run, 'IDR0.BTM', { kernel, report, vmm }, proveBroadcast(run));
}

const HTTU_POLICY: Readonly<Record<VmmKind, VmmPolicies['httu']>> = {
  forwards: 'forwarded',
  masks: 'masked',
  new: 'confirmed',
};
const NONE = { ste: 0, cd: 0, tlb: 0, walk: 0 } as const;

/**
 * The cells of IDR0.HTTU, on a platform whose firmware says 0 whatever the register says.
 * @param loses the system loses updates, as firmware says; false: firmware is wrong
 */
export function runUpdates(kernel: KernelAge, report: ReportPolicy, vmm: VmmKind, loses = true): MatrixCell {
  const smmu = { caches: NONE, choices: { descriptorUpdates: !loses } };
  const run = boot({ vhttu: kernel === 'new', hwInfoIdr: report }, { smmu, driver: { httu: 0 } });
  start(run, { httu: HTTU_POLICY[vmm] });
  return cellOf(run, 'IDR0.HTTU', { kernel, report, vmm }, proveUpdates(run));
}

const HA_HD = 3n << 42n;
const READ_ONLY = 1n << 7n;
const DBM = 1n << 51n;

/** A guest that was told of dirty state makes a page writable-clean; its device writes; is the page dirty then? */
function proveUpdates(run: Run): Proof {
  const { simulation, entries } = run;
  const about = { vm: 'vm0', endpoint: 'nic0', bytes: PAGE, access: 'read-write' } as const;
  const { outcome } = simulation.dispatch({ type: 'guest.map', ...about });
  const iova = BigInt(String(outcome['iova']));
  const dma = (access: 'read' | 'write') =>
    simulation.dispatch({ type: 'dma', endpoint: 'nic0', iova, size: 8, access }).outcome['result'];
  dma('read');
  const cd = entries.findLast((each) => each.type === 'structure.fetched' && each.structure === 'CD');
  const leaf = entries.findLast((each) => each.type === 'descriptor.fetched' && each.stage === 1);
  const seq = (): number => entries.findLast(({ type }) => type.startsWith('access.'))?.seq ?? 0;
  if (Number(rowOf(run, 'IDR0.HTTU')?.cells.guest?.value ?? 0) < 2)
    return { good: true, seq: seq(), proof: 'the guest was told nothing, and marks pages itself' };
  if (cd?.type !== 'structure.fetched' || leaf?.type !== 'descriptor.fetched')
    return { good: false, seq: seq(), proof: 'the device never reached the page' };
  const store = (pa: number, value: bigint): void => {
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setBigUint64(0, value, true);
    simulation.dispatch({ type: 'mem.write', pa, bytes });
  };
  const first = new DataView(cd.words.buffer, cd.words.byteOffset).getBigUint64(0, true);
  store(cd.pa, first | HA_HD);
  store(leaf.pa, leaf.value | READ_ONLY | DBM);
  const from = entries.length;
  const wrote = dma('write') === 'ok';
  const marked = entries.some(
    (each, at) =>
      at >= from && each.type === 'memory.written' && each.pa === leaf.pa && each.actor === 'smmu0',
  );
  const good = wrote && marked;
  return {
    good,
    seq: seq(),
    proof: good ? 'the write made the page dirty' : 'the device wrote, and the page stays clean',
  };
}

function cellOf(
  run: Run,
  feature: string,
  of: Pick<MatrixCell, 'kernel' | 'report' | 'vmm'>,
  proof: Proof,
): MatrixCell {
  const row = rowOf(run, feature);
  const verdict = row === undefined ? 'unknown' : judge(row).verdict;
  return { feature, ...of, told: Number(row?.cells.guest?.value ?? 0), ...proof, verdict };
}

/** Every cell, in the order of the table. */
export function* matrixCells(): Generator<MatrixCell> {
  for (const kernel of ['old', 'new'] as const)
    for (const vmm of ['forwards', 'masks', 'new'] as const)
      for (const report of ['raw', 'sanitised'] as const) yield runBroadcast(kernel, report, vmm);
  for (const kernel of ['old', 'new'] as const)
    for (const vmm of ['forwards', 'masks', 'new'] as const)
      for (const report of ['raw', 'sanitised'] as const) yield runUpdates(kernel, report, vmm);
}
