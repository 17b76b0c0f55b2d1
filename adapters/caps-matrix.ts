/**
 * Kernels against VMMs for capabilities that do not follow from their registers; and every kernel, VMM and hardware
 * profile against each other. Each cell is a run on a machine of its own, with a guest that relies on what it is told.
 * The guest's DMA after that is the proof, whatever the ledger says.
 */
import { type ProfileName, profiles } from '../core/smmu/profiles.ts';
import { type VmmPolicies, type VmmProfileName, vmmProfiles } from '../core/vmm/profiles.ts';
import type { CapsVerdict } from '../projections/caps/verdict.ts';
import { judge } from '../projections/caps/verdict.ts';
import {
  auditOf,
  begin,
  dma,
  lastAccess,
  map,
  otherwise,
  type Proof,
  type Run,
  refusalIn,
  rowsOf,
  unmap,
} from './caps-run.ts';
import { type LeakStory, leakStories } from './caps-stories.ts';

/** `old` does nothing for the feature; `new` has the software for it. */
export type KernelAge = 'old' | 'new';
/** What hw_info says: registers as they are, or what works. */
export type ReportPolicy = 'raw' | 'sanitised';
export type VmmKind = 'forwards' | 'masks' | 'new';
/** Firmware says less than the register, and is right; or the same. */
export type Firmware = 'overrides' | 'confirms';

/** A finding of the run, by its name. */
export interface Linked {
  readonly rule: string;
  readonly position: string;
  readonly title: string;
}

export interface Shown extends Proof {
  /** What the guest was told. */
  readonly told: number;
  readonly verdict: CapsVerdict;
  /** What the rules find in the run about this field. */
  readonly findings: readonly Linked[];
}

export interface MatrixCell extends Shown {
  readonly feature: string;
  readonly kernel: KernelAge;
  readonly report: ReportPolicy;
  readonly vmm: VmmKind;
  /** What firmware says of it; undefined where it says nothing. */
  readonly firmware: Firmware | undefined;
}

/** The name of a cell's run: positions of its findings begin with it. */
export function cellName({ feature, kernel, report, vmm, firmware }: Omit<MatrixCell, keyof Shown>): string {
  return `${feature}/${kernel}-${report}/${vmm}${firmware === 'confirms' ? '/confirmed' : ''}`;
}

/** The guest maps, uses, unmaps; where it was told of broadcasts, without a command. Then the device tries again. */
function proveBroadcast(run: Run): Proof {
  const iova = map(run) ?? 0n;
  const before = dma(run, iova);
  unmap(run, iova);
  const good = before === 'ok' && dma(run, iova) !== 'ok';
  const proof = good ? 'DMA after the unmap is refused' : 'DMA after the unmap reaches the page';
  return { good, seq: lastAccess(run), proof };
}

const BTM_POLICY: Readonly<Record<VmmKind, VmmPolicies['btm']>> = {
  forwards: 'forwarded',
  masks: 'masked',
  new: 'linked',
};

/** The cells of IDR0.BTM: what one kernel and one VMM come to. */
export function runBroadcast(kernel: KernelAge, report: ReportPolicy, vmm: VmmKind): MatrixCell {
  const run = begin({
    switches: { vbtm: kernel === 'new', hwInfoIdr: report },
    policies: { btm: BTM_POLICY[vmm] },
    platform: { broadcast: true },
  });
  const of = { feature: 'IDR0.BTM', kernel, report, vmm, firmware: undefined };
  return { ...of, ...shownBy(run, of.feature, cellName(of), proveBroadcast(run)) };
}

const HTTU_POLICY: Readonly<Record<VmmKind, VmmPolicies['httu']>> = {
  forwards: 'forwarded',
  masks: 'masked',
  new: 'confirmed',
};
const NONE = { ste: 0, cd: 0, tlb: 0, walk: 0 } as const;

/**
 * The cells of IDR0.HTTU.
 * @param firmware `overrides`: the system loses updates, and firmware says 0 whatever the register says
 * @param loses the system loses updates though firmware does not say it, or the other way round
 */
export function runUpdates(
  kernel: KernelAge,
  report: ReportPolicy,
  vmm: VmmKind,
  firmware: Firmware = 'overrides',
  loses = firmware === 'overrides',
): MatrixCell {
  const run = begin({
    switches: { vhttu: kernel === 'new', hwInfoIdr: report },
    smmu: { caches: NONE, choices: { descriptorUpdates: !loses } },
    driver: { httu: firmware === 'overrides' ? 0 : 2 },
    policies: { httu: HTTU_POLICY[vmm] },
    platform: { broadcast: true },
  });
  const of = { feature: 'IDR0.HTTU', kernel, report, vmm, firmware };
  return { ...of, ...shownBy(run, of.feature, cellName(of), proveUpdates(run)) };
}

const HA_HD = 3n << 42n;
const READ_ONLY = 1n << 7n;
const DBM = 1n << 51n;

/** A guest that was told of dirty state makes a page writable-clean; its device writes; is the page dirty then? */
function proveUpdates(run: Run): Proof {
  const { entries } = run;
  const iova = map(run) ?? 0n;
  dma(run, iova);
  const cd = entries.findLast((each) => each.type === 'structure.fetched' && each.structure === 'CD');
  const leaf = entries.findLast((each) => each.type === 'descriptor.fetched' && each.stage === 1);
  const told = rowsOf(run).find(({ field }) => field === 'IDR0.HTTU')?.cells.guest?.value;
  if (Number(told ?? 0) < 2)
    return { good: true, seq: lastAccess(run), proof: 'the guest was told nothing, and marks pages itself' };
  if (cd?.type !== 'structure.fetched' || leaf?.type !== 'descriptor.fetched')
    return { good: false, seq: lastAccess(run), proof: 'the device never reached the page' };
  const store = (pa: number, value: bigint): void => {
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setBigUint64(0, value, true);
    run.ask({ type: 'mem.write', pa, bytes });
  };
  const first = new DataView(cd.words.buffer, cd.words.byteOffset).getBigUint64(0, true);
  store(cd.pa, first | HA_HD);
  store(leaf.pa, leaf.value | READ_ONLY | DBM);
  const from = entries.length;
  const wrote = dma(run, iova, 'write') === 'ok';
  const marked = entries.some(
    (each, at) =>
      at >= from && each.type === 'memory.written' && each.pa === leaf.pa && each.actor === 'smmu0',
  );
  const good = wrote && marked;
  const proof = good ? 'the write made the page dirty' : 'the device wrote, and the page stays clean';
  return { good, seq: lastAccess(run), proof };
}

function shownBy(run: Run, field: string, name: string, proof: Proof): Shown {
  const audited = auditOf(run, field, name);
  return {
    ...proof,
    told: Number(audited?.row.cells.guest?.value ?? 0),
    verdict: audited?.judged.verdict ?? 'unknown',
    findings: (audited?.findings ?? []).map(({ rule, position, title }) => ({ rule, position, title })),
  };
}

/** Every cell of BTM and HTTU, in the order of the table. */
export function* matrixCells(): Generator<MatrixCell> {
  const kinds = (['old', 'new'] as const).flatMap((kernel) =>
    (['forwards', 'masks', 'new'] as const).flatMap((vmm) =>
      (['raw', 'sanitised'] as const).map((report) => [kernel, report, vmm] as const),
    ),
  );
  for (const of of kinds) yield runBroadcast(...of);
  for (const firmware of ['overrides', 'confirms'] as const)
    for (const of of kinds) yield runUpdates(...of, firmware);
}

/** A story of a leak, or its good twin. */
export interface LeakCell extends Shown {
  readonly story: string;
  readonly feature: string;
  readonly about: string;
  readonly twin: boolean;
}

/** The run of a story. @param twin the good one */
export function runLeak(story: LeakStory, twin: boolean): LeakCell {
  const { name, field, about, setup } = story;
  const run = begin(twin ? otherwise(setup, story.twin) : setup);
  const proof = story.prove(run);
  const called = `${name}${twin ? '/twin' : ''}`;
  return { story: name, feature: field, about, twin, ...shownBy(run, field, called, proof) };
}

/** Every story and its twin. */
export function* leakCells(): Generator<LeakCell> {
  for (const story of leakStories) for (const twin of [false, true]) yield runLeak(story, twin);
}

/** The first kernel that nests, the last, one with sanitised reports, and one that serves what no release does. */
// biome-ignore format: a table
export const kernels = {
  'linux-6.13':           { kernel: 'linux-6.13' },
  'linux-7.3':            { kernel: 'linux-7.3' },
  'v4-2024-11-sanitised': { kernel: 'v4-2024-11-sanitised' },
  'linux-7.3+vbtm+vhttu': { kernel: 'linux-7.3', switches: { vbtm: true, vhttu: true } },
} as const;

/** VMMs whose devices translate in two stages. */
export const vmms = (Object.keys(vmmProfiles) as VmmProfileName[]).filter(
  (name) => vmmProfiles[name].policies.strategy === 'nested',
);

export interface ProfileCell {
  readonly kernel: keyof typeof kernels;
  readonly vmm: VmmProfileName;
  readonly hardware: ProfileName;
  /** Why the VMM took no device. */
  readonly refused: string | undefined;
  /** Fields by their verdict. */
  readonly fields: Readonly<Partial<Record<CapsVerdict, readonly string[]>>>;
  /** Mapped memory is reached, unmapped memory is not. */
  readonly works: boolean;
}

/** One kernel, one VMM and one part: the device is plugged, the guest boots and uses it. */
export function runProfiles(
  kernel: keyof typeof kernels,
  vmm: VmmProfileName,
  hardware: ProfileName,
): ProfileCell {
  const run = begin({ ...kernels[kernel], vmm, hardware });
  const refused = refusalIn(run);
  const works = refused === undefined && proveBroadcast(run).good;
  const fields: Partial<Record<CapsVerdict, string[]>> = {};
  for (const row of rowsOf(run)) {
    const { verdict } = judge(row);
    fields[verdict] = [...(fields[verdict] ?? []), row.field];
  }
  return { kernel, vmm, hardware, refused, fields, works };
}

/** Every kernel, VMM and hardware profile. */
export function* profileCells(): Generator<ProfileCell> {
  for (const kernel of Object.keys(kernels) as (keyof typeof kernels)[])
    for (const vmm of vmms)
      for (const hardware of Object.keys(profiles) as ProfileName[]) yield runProfiles(kernel, vmm, hardware);
}
