/**
 * Whether an access was served from something stale. Most accesses are found clean by comparing a few
 * words; for the rest the answer of a machine without caches decides, and then the ledger says who
 * left the entry behind. Rules I1 and I3 of the catalogue, silent where its N1 says so.
 */
import type { Request } from '../../core/smmu/translate.ts';
import { type AccessEntry, type Basis, isRecordedAlike, isSameAnswer, showAnswer } from './answers.ts';
import { completedAfter, isUnderWay } from './commands.ts';
import {
  type ConfigFill,
  configOf,
  type Fills,
  heldConfig,
  type PathNode,
  pathStands,
  structureStands,
  type TlbFill,
  walkBegan,
} from './fills.ts';
import { configObligations, tlbObligations } from './ledger.ts';
import { walkedBy } from './made-under.ts';
import { changeAfter, discharges, type Invalidation, isOver, type Obligation } from './obligation.ts';
import { ATTRIBUTES, givesOldAttributes, isBack } from './old-attributes.ts';
import { freshAnswer, type Shadow } from './shadow.ts';
import { steAddress } from './streams.ts';
import type { Root } from './tables.ts';

export interface Stale extends Basis {
  readonly stale: 'ste' | 'cd' | 'tlb';
  readonly now: string;
  readonly guilty: readonly [Obligation, ...Obligation[]];
  readonly readAt: number;
  readonly survived: Invalidation | undefined;
  /** The SMMU that it is owed to, where that is another than served the access. */
  readonly shadow?: Shadow;
  /** Where it is not the rule of the verdict. */
  readonly rule?: string;
  /** What would have been right, where no command mends it. */
  readonly needed?: string;
}

/** The finding's facts; `allowed` where what will remove the entry is under way (N1); undefined: nothing is known to be wrong. */
export function judgeUse(
  shadow: Shadow,
  access: AccessEntry,
  request: Request,
): Stale | 'allowed' | undefined {
  const basis = basisOf(shadow, access);
  const steClean = isSteClean(shadow, basis.ste);
  const cdClean = isCdClean(shadow, basis.cd);
  if (steClean) walkedBy(shadow.fills, access);
  if (steClean && cdClean && isTlbClean(shadow, basis, access.streamId)) return undefined;
  const fresh = freshAnswer(shadow, request);
  if (
    isSameAnswer(shadow, access, fresh) &&
    ((steClean && cdClean) || isRecordedAlike(access, basis, fresh))
  ) {
    const now = `${showAnswer(fresh)}${ATTRIBUTES}`;
    if (!steClean && access.type === 'access.completed' && givesOldAttributes(shadow, basis)) {
      const left = whoLeft(shadow, access, basis, 'ste');
      return left === 'allowed' || left === undefined ? left : { ...basis, ...left, stale: 'ste', now };
    }
    const held = oldAttributes(shadow, access, basis.tlb);
    if (held !== undefined) return { ...basis, ...held, stale: 'tlb', now };
    if (basis.tlb !== undefined) {
      basis.tlb.verified = shadow.streams.contexts.lastChange;
      basis.tlb.verifiedStream = access.streamId;
    }
    return undefined;
  }
  const now = showAnswer(fresh);
  for (const stale of ['ste', 'cd', 'tlb'] as const) {
    if ((stale === 'ste' && steClean) || (stale === 'cd' && cdClean)) continue;
    const found = whoLeft(shadow, access, basis, stale);
    if (found === 'allowed') return 'allowed';
    if (found !== undefined) return { ...basis, ...found, stale, now };
  }
  const shared = basis.tlb === undefined ? undefined : sharedTag(shadow, basis.tlb);
  return shared === undefined ? undefined : { ...basis, ...shared, stale: 'tlb', now };
}

/** What it rests on. */
function basisOf(shadow: Shadow, access: AccessEntry): Basis {
  const { fills } = shadow;
  const ste = configOf(fills, access.ste);
  const cd = configOf(fills, access.cd);
  return {
    ste: ste ?? refusingSte(shadow, access),
    cd: cd ?? (ste === undefined ? undefined : refusingCd(shadow, access)),
    tlb: access.tlb === 0 ? walkBegan(fills, access.iova, asidOf(cd)) : fills.tlb.get(access.tlb),
  };
}

/** An access that a cached level 1 descriptor refused names no fill. */
function refusingSte({ fills, streams }: Shadow, access: AccessEntry): ConfigFill | undefined {
  if (access.type === 'access.completed' || access.ste !== 0) return undefined;
  const split = 2 ** (streams.linked?.shape.splitLog2 ?? 0);
  const first = access.streamId - (access.streamId % split);
  return heldConfig(fills, 'ste', access.streamId, 0) ?? heldConfig(fills, 'l1std', first, 0);
}

function refusingCd({ fills }: Shadow, access: AccessEntry): ConfigFill | undefined {
  if (access.type === 'access.completed' || !/^(C_BAD_CD|C_BAD_SUBSTREAMID)/.test(access.reason))
    return undefined;
  const { streamId, substreamId = 0 } = access;
  const level1 = heldL1cds(fills, streamId, substreamId);
  return heldConfig(fills, 'cd', streamId, substreamId) ?? level1[0] ?? level1[1];
}

/** Level 1 CDs of either span that stand above the SubstreamID. */
function heldL1cds(fills: Fills, streamId: number, substreamId: number): readonly (ConfigFill | undefined)[] {
  return [64, 1024].map((span) => heldConfig(fills, 'l1cd', streamId, substreamId - (substreamId % span)));
}

/** CD.ASID, bits [63:48]. */
function asidOf(cd: ConfigFill | undefined): number | undefined {
  return cd === undefined ? undefined : (cd.words[6] ?? 0) | ((cd.words[7] ?? 0) << 8);
}

/** No change since the fill, and nothing outstanding above it, says so at once. */
function isUnchanged({ streams, ledger }: Shadow, fill: ConfigFill): boolean {
  return fill.seq > streams.contexts.lastChange && ledger.config.size === 0;
}

function isSteClean(shadow: Shadow, fill: ConfigFill | undefined): boolean {
  if (fill === undefined || isUnchanged(shadow, fill)) return true;
  const { memory } = shadow.watch;
  if (fill.cache === 'l1std') return structureStands(memory, fill);
  return steAddress(shadow.streams, fill.streamId) === fill.pa && structureStands(memory, fill);
}

/** A CD that stands where it was read may still be the wrong one: then the STE is not clean. */
function isCdClean(shadow: Shadow, fill: ConfigFill | undefined): boolean {
  if (fill === undefined || isUnchanged(shadow, fill)) return true;
  const level1 = configObligations(shadow.ledger, fill.streamId, fill.substreamId);
  return structureStands(shadow.watch.memory, fill) && !level1.some(({ structure }) => structure === 'L1CD');
}

function isTlbClean({ ledger, streams, watch }: Shadow, { tlb: fill, cd }: Basis, sid: number): boolean {
  if (fill === undefined) return true;
  const { lastChange, roots } = streams.contexts;
  const context =
    (!roots.shared && !fill.doubtful && !isOfAnother(fill, cd) && fill.entry.seq > lastChange) ||
    (fill.verified === lastChange && fill.verifiedStream === sid);
  return context && (ledger.lastHarm < fill.oldest || pathStands(watch.memory, fill.path));
}

/** A global entry that another ASID filled: the tables of this one may say something else (3.17). */
function isOfAnother({ entry }: TlbFill, cd: ConfigFill | undefined): boolean {
  return entry.global && entry.stage !== 2 && entry.regime !== 'EL2' && entry.asid !== asidOf(cd);
}

/** I4: the entry is of other tables that are used under the same tags. */
function sharedTag({ streams }: Shadow, fill: TlbFill): Left | undefined {
  const { stage, regime, vmid, asid, va, global } = fill.entry;
  const { tables } = streams.contexts.roots;
  const under: Root[] = [];
  for (const root of tables.roots.values()) {
    const tags = root.stage === stage && root.regime === regime && root.vmid === vmid;
    const same = tags && (global || root.asid === asid);
    const end = root.va + (1n << BigInt(root.inputBits));
    if (same && root.users > 0 && va >= root.va && va < end) under.push(root);
  }
  const [latest] = under.sort((a, b) => b.since.seq - a.since.seq);
  if (latest === undefined || under.length < 2) return undefined;
  const target = { ...fill.entry, cache: 'tlb' } as const;
  // A global leaf stands for every ASID of its VMID: that some tables say otherwise is its doing (3.17).
  const shared = global ? tables.globals.get(fill.path.pa) : undefined;
  const since = shared ?? latest.since;
  const obligation: Obligation = {
    kind: 'tags',
    structure: shared !== undefined ? 'leaf' : stage === 2 ? 'STE' : 'CD',
    where: since.pa,
    targets: [target],
    changes: [since],
    output: undefined,
    upper: undefined,
    covered: undefined,
    remade: 0,
    reported: true,
    done: false,
  };
  const needed = shared === undefined ? {} : { needed: SAME_EVERYWHERE };
  return { guilty: [obligation], readAt: fill.entry.seq, survived: undefined, rule: 'I4', ...needed };
}

const SAME_EVERYWHERE = 'nG=1 in the leaf, or the same leaf in the tables of every ASID of the VMID';

/** The entry leads where it should, with a memory type or shareability of before (8.3). */
function oldAttributes(shadow: Shadow, access: AccessEntry, fill: TlbFill | undefined): Left | undefined {
  if (access.type !== 'access.completed' || shadow.ledger.tlb.size === 0) return undefined;
  // A step of the walk cache has none: they come with the leaf, which was read anew.
  if (fill === undefined || !fill.entry.leaf) return undefined;
  const owed = tlbSuspects(shadow, fill).outstanding.find(
    // An entry that was made after the change has the new ones, unless the old CD was still cached then.
    ({ obligation, readAt }) =>
      obligation.attributes === true &&
      (readAt > 0 || (fill.doubtful && changeAfter(obligation, fill.cd?.seq ?? 0) !== undefined)) &&
      !isBack(obligation, readAt) &&
      !isUnderWay(shadow.commands, obligation),
  );
  return owed && { guilty: [owed.obligation], readAt: owed.readAt, survived: undefined };
}

type Left = Pick<Stale, 'guilty' | 'readAt' | 'survived' | 'rule' | 'needed'>;

/** The obligations that left the stale part, or the command that it outlived. */
function whoLeft(
  shadow: Shadow,
  access: AccessEntry,
  basis: Basis,
  stale: Stale['stale'],
): Left | 'allowed' | undefined {
  const suspects =
    stale === 'tlb' ? tlbSuspects(shadow, basis.tlb) : configSuspects(shadow, access, basis, stale);
  const outlived = survivorOf(shadow, suspects);
  // It is in no cache that a command reaches: whatever was changed since, it had to go before.
  if (outlived !== undefined && stale !== 'tlb' && !shadow.fills.config.has(basis[stale]?.seq ?? 0))
    return outlived;
  if (suspects.outstanding.length > 0) {
    const open = suspects.outstanding.filter(
      ({ obligation }) => isOver(obligation) || !isUnderWay(shadow.commands, obligation),
    );
    const [first, ...rest] = open.sort(earliest);
    if (first === undefined) return 'allowed'; // N1: queued, and not yet complete.
    const guilty = [first.obligation, ...rest.map(({ obligation }) => obligation)] as const;
    return { guilty: [...guilty], readAt: first.readAt, survived: undefined };
  }
  return outlived;
}

/** The completed command that the stale part outlived. */
function survivorOf(shadow: Shadow, suspects: Suspects): Left | undefined {
  const past = suspects.past.find(({ obligation, readAt }) => changeAfter(obligation, readAt) !== undefined);
  const survived = past === undefined ? undefined : survivedBy(shadow, past.obligation, past.readAt);
  return past === undefined || survived === undefined
    ? undefined
    : { guilty: [past.obligation], readAt: past.readAt, survived };
}

interface Suspect {
  readonly obligation: Obligation;
  /** seq of the read that a change after it made wrong. */
  readonly readAt: number;
}

function earliest(a: Suspect, b: Suspect): number {
  const at = ({ obligation, readAt }: Suspect): number =>
    (changeAfter(obligation, readAt) ?? obligation.changes[0]).seq;
  return at(a) - at(b) || a.obligation.where - b.obligation.where;
}

interface Suspects {
  readonly outstanding: Suspect[];
  readonly past: readonly Suspect[];
}

const NOBODY: Suspects = { outstanding: [], past: [] };

/** Leaves first: a table is to blame only for what was read through it after its leaves were clean. */
function tlbSuspects({ ledger }: Shadow, fill: TlbFill | undefined): Suspects {
  if (fill === undefined) return NOBODY;
  const { entry, path } = fill;
  const reads = new Map<number, number>();
  for (let node: PathNode | undefined = path; node !== undefined; node = node.up) reads.set(node.pa, node.at);
  const owed = tlbObligations(ledger, entry, entry.va);
  const relevant: Suspect[] = [];
  for (const obligation of owed) {
    const readAt = obligation.kind === 'tags' ? entry.seq : firstRead(reads, obligation);
    if (readAt !== undefined && changeAfter(obligation, readAt) !== undefined)
      relevant.push({ obligation, readAt });
  }
  // With the old CD still cached, its tags may have been filled again since the change.
  if (relevant.length === 0) {
    const again = owed.filter(({ kind, upper }) => kind === 'tags' && upper !== undefined);
    relevant.push(...again.map((obligation) => ({ obligation, readAt: 0 })));
  }
  const direct = relevant.filter(({ obligation }) => obligation.structure !== 'table');
  const outstanding = direct.length > 0 ? direct : relevant;
  const past = [...reads].flatMap(([pa, readAt]) => {
    const obligation = ledger.past.get(pa);
    return obligation === undefined ? [] : [{ obligation, readAt }];
  });
  return { outstanding, past };
}

/** When what the obligation is for was read: itself, or what led to it. Undefined: not on this path. */
function firstRead(reads: ReadonlyMap<number, number>, obligation: Obligation): number | undefined {
  const own = reads.get(obligation.where);
  const above = obligation.upper === undefined ? undefined : firstRead(reads, obligation.upper);
  return own === undefined ? undefined : Math.min(own, above ?? own);
}

function configSuspects(shadow: Shadow, access: AccessEntry, basis: Basis, stale: 'ste' | 'cd'): Suspects {
  const { ledger, streams } = shadow;
  const fill = basis[stale];
  if (fill === undefined) return NOBODY;
  const own = fill.cache.toUpperCase();
  const level1 = stale === 'ste' ? 'L1STD' : 'L1CD';
  const level1Read = readOfLevel1(shadow, access, fill, stale);
  const outstanding: Suspect[] = [];
  for (const obligation of configObligations(ledger, access.streamId, access.substreamId ?? 0)) {
    // What a stale level 1 descriptor led to may have been read at any time since.
    const through = obligation.structure === level1 || obligation.upper !== undefined;
    if (obligation.structure !== own && !through) continue;
    const readAt = through ? level1Read : fill.seq;
    if (changeAfter(obligation, readAt) !== undefined) outstanding.push({ obligation, readAt });
  }
  // Read from where it belongs: what is owed for the level above did not mislead it.
  const placed = stale === 'ste' && steAddress(streams, fill.streamId) === fill.pa;
  const direct = placed ? outstanding.filter(({ obligation }) => obligation.structure === own) : [];
  const past = ledger.past.get(fill.pa);
  return {
    outstanding: direct.length > 0 ? direct : outstanding,
    past: past === undefined ? [] : [{ obligation: past, readAt: fill.seq }],
  };
}

/** When the level 1 descriptor was read that led to the fill; 0: it is held no more, so at any time. */
function readOfLevel1(
  { fills, streams }: Shadow,
  { streamId, substreamId = 0 }: AccessEntry,
  fill: ConfigFill,
  stale: 'ste' | 'cd',
): number {
  const split = 2 ** (streams.linked?.shape.splitLog2 ?? 0);
  const held =
    stale === 'ste'
      ? [heldConfig(fills, 'l1std', streamId - (streamId % split), 0)]
      : heldL1cds(fills, streamId, substreamId);
  const read = held.find((level1) => level1 !== undefined)?.seq ?? 0;
  return read <= fill.seq ? read : 0;
}

/** I1: the command that obliged the SMMU to drop the entry, complete before the access. */
function survivedBy({ commands }: Shadow, obligation: Obligation, readAt: number): Invalidation | undefined {
  const change = changeAfter(obligation, readAt);
  if (change === undefined) return undefined;
  const kept = obligation.covered;
  if (kept !== undefined && kept.synced > 0 && kept.performed > change.seq) return kept;
  return completedAfter(commands, change.seq, (scopes) => discharges(scopes, obligation));
}
