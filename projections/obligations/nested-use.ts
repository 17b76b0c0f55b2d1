/**
 * Whether an access of a stream with stage 2 was served from something stale. The tables of a guest lie
 * where stage 2 puts them, so they are not followed store by store as stage 1 tables are: each entry
 * knows the words it was made of, and when the answer of a machine without caches is another one, the
 * word that changed under the entry is to blame.
 */
import type { Words } from '../../core/layout/field.ts';
import { STE } from '../../core/smmu/ste.ts';
import type { Request } from '../../core/smmu/translate.ts';
import type { AccessEntry } from '../explain.ts';
import { isSameAnswer, showAnswer } from './answers.ts';
import { completedAfter } from './commands.ts';
import { type ConfigFill, configOf, type PathNode, structureStands, type TlbFill } from './fills.ts';
import { tlbObligations } from './ledger.ts';
import {
  type Change,
  changeAfter,
  covers,
  discharges,
  type Invalidation,
  isOver,
  type Obligation,
  type Target,
  type TlbTarget,
} from './obligation.ts';
import { freshAnswer, type Shadow } from './shadow.ts';
import { steAddress } from './streams.ts';
import { structureWords } from './structures.ts';
import type { Stale } from './use.ts';

/** A word that something cached rests on, and that software has changed since. */
export interface Culprit {
  readonly change: Change;
  readonly readAt: number;
  readonly obligation: Obligation;
  readonly stale: 'cd' | 'tlb';
  readonly fill: TlbFill | ConfigFill;
  /** The stage 2 entry, where the word is one of stage 2 and the fill holds both stages or stage 1. */
  readonly through?: TlbTarget | undefined;
}

/** The finding's facts, or undefined: the access was right, it was allowed, or its stream has no stage 2. */
export function judgeNestedUse(shadow: Shadow, access: AccessEntry, request: Request): Stale | undefined {
  const { fills } = shadow;
  const ste = configOf(fills, access.ste);
  const stream = steWords(shadow, ste, access.streamId);
  if (stream === undefined) return undefined;
  const fresh = freshAnswer(shadow, request);
  if (isSameAnswer(shadow, access, fresh)) return undefined;
  const cd = configOf(fills, access.cd);
  const used = [access.tlb, access.tlb2 ?? 0].flatMap((seq) => fills.tlb.get(seq) ?? []);
  const words = [...used.flatMap((fill) => culpritsOf(shadow, fill)), ...cdCulprits(shadow, cd)];
  const own =
    words.length > 0 ? words : used.flatMap((fill) => contextCulprits(shadow, fill, cd, access.streamId));
  // An access that ended without an entry names none: what any entry of the VMID rests on.
  const culprits = own.length > 0 ? own : ofVmid(shadow, STE.fields.S2VMID.read(stream));
  const open = culprits
    .filter(({ obligation }) => isOver(obligation) || !isQueued(shadow, obligation))
    .sort((a, b) => a.change.seq - b.change.seq);
  const owed = open.find((culprit) => survivedBy(shadow, culprit) === undefined);
  const first = owed ?? open[0];
  if (first === undefined) return undefined;
  const { obligation, readAt, stale, fill } = first;
  const survived = owed === undefined && own.length > 0 ? survivedBy(shadow, first) : undefined;
  if (survived?.synced === 0) return undefined; // N1: performed, and no CMD_SYNC yet.
  return {
    ste,
    cd: stale === 'cd' ? (fill as ConfigFill) : cd,
    tlb: stale === 'tlb' ? (fill as TlbFill) : used[0],
    stale,
    now: showAnswer(fresh),
    guilty: [obligation],
    readAt,
    survived,
  };
}

/** I1: the completed command that had to take the entry, which is older. */
function survivedBy(shadow: Shadow, culprit: Culprit): Invalidation | undefined {
  const fill = 'entry' in culprit.fill ? culprit.fill.entry : culprit.fill;
  const cleaned = cleanedBy(shadow, culprit);
  return cleaned !== undefined && cleaned.performed > fill.seq ? cleaned : undefined;
}

/** The STE of a stream with stage 2: as it is cached, or as it stands in memory. */
function steWords(
  { bare, streams, watch }: Shadow,
  ste: ConfigFill | undefined,
  sid: number,
): Words | undefined {
  if (!bare.features.s2p) return undefined;
  const pa = steAddress(streams, sid);
  if (ste === undefined && pa === undefined) return undefined;
  const words = ste?.cache === 'ste' ? structureWords(ste.words) : watch.memory.readWords(pa ?? 0, 16);
  const config = STE.fields.Config.read(words);
  return config === 'S2' || config === 'NESTED' ? words : undefined;
}

/** Words that the entry rests on and that are not as they were read. */
export function culpritsOf(shadow: Shadow, fill: TlbFill): readonly Culprit[] {
  const { entry, path, others } = fill;
  const own = entry.stage === 2 ? [] : changed(shadow, path, fill, undefined);
  const second = entry.stage === 2 ? [path, ...others] : others;
  return [...own, ...second.flatMap((head) => changed(shadow, head, fill, throughOf(shadow, head, fill)))];
}

/** The stage 2 entry whose walk ended at `head`. */
function throughOf({ fills }: Shadow, head: PathNode, { entry }: TlbFill): TlbTarget {
  if (entry.stage === 2) return { ...entry, cache: entry.leaf ? 'tlb' : 'walk' };
  for (const seq of entry.rests ?? []) {
    const rest = fills.tlb.get(seq);
    if (rest?.path.pa === head.pa) return { ...rest.entry, cache: 'tlb' };
  }
  const { regime, vmid, granuleLog2, ipa = 0, size2Log2 = granuleLog2 } = entry;
  const tags = { regime, stage: 2, vmid, asid: 0, global: false, granuleLog2 };
  return { cache: 'tlb', ...tags, va: BigInt(ipa), sizeLog2: size2Log2, level: head.level, leaf: true };
}

function changed(
  shadow: Shadow,
  head: PathNode,
  fill: TlbFill,
  through: TlbTarget | undefined,
): readonly Culprit[] {
  const ipa = through?.va;
  const found: Culprit[] = [];
  const { memory } = shadow.watch;
  for (let node: PathNode | undefined = head; node !== undefined; node = node.up) {
    if (memory.read32(node.pa) === node.lo && memory.read32(node.pa + 4) === node.hi) continue;
    const change = changeOf(shadow, node, through ?? fill.entry);
    // What hardware stores (access flag, dirty state) makes nothing stale.
    if (change === undefined || change.byHardware === true) continue;
    const structure = node === head && fill.entry.leaf ? 'leaf' : 'table';
    const target: Target = {
      ...fill.entry,
      cache: fill.entry.leaf ? 'tlb' : 'walk',
      leaf: structure === 'leaf',
    };
    const obligation = obligationOf(structure, node.pa, target, change, fill.entry.vmid, ipa);
    const second = fill.entry.stage === 2 ? undefined : through;
    found.push({ change, readAt: node.at, obligation, stale: 'tlb', fill, through: second });
  }
  return found;
}

/** The store that changed the word after it was read. */
function changeOf(
  { stores, ledger }: Shadow,
  { pa, at }: PathNode,
  tags: Pick<TlbTarget, 'regime' | 'stage' | 'vmid' | 'asid' | 'va'>,
): Change | undefined {
  const noted = stores.get(pa);
  if (noted !== undefined && noted.seq > at) return noted;
  const owed = tlbObligations(ledger, tags, tags.va).find(({ where }) => where === pa);
  const known = owed ?? ledger.past.get(pa);
  return known === undefined ? undefined : changeAfter(known, at);
}

/** The command that completed what the change made owed, if any has: stage 2 first, then what rests on it. */
export function cleanedBy({ commands }: Shadow, culprit: Culprit): Invalidation | undefined {
  const { change, obligation, through } = culprit;
  const first =
    through === undefined
      ? change.seq
      : (completedAfter(commands, change.seq, (scopes) => covers(scopes, through))?.performed ?? 0);
  if (first === 0) return undefined;
  return completedAfter(commands, first - 1, (scopes) => discharges(scopes, obligation));
}

/** A CD that is not what stands at its IPA now: it was changed, or its page was moved. */
export function cdCulprits(shadow: Shadow, cd: ConfigFill | undefined): readonly Culprit[] {
  if (cd === undefined) return [];
  const { watch, fills, stores } = shadow;
  const found: Culprit[] = [];
  const target: Target = { cache: 'cd', streamId: cd.streamId, substreamId: cd.substreamId, span: 1 };
  const blame = (change: Change | undefined, readAt: number): void => {
    if (change === undefined || change.seq <= readAt || change.byHardware === true) return;
    const obligation = obligationOf('CD', cd.pa, target, change, 0, undefined);
    found.push({ change, readAt, obligation, stale: 'cd', fill: cd });
  };
  if (!structureStands(watch.memory, cd))
    for (let at = 0; at < 64; at += 8) blame(stores.get(cd.pa + at), cd.seq);
  for (let node = fills.configPaths.get(cd.seq); node !== undefined; node = node.up) {
    if (watch.memory.read32(node.pa) !== node.lo || watch.memory.read32(node.pa + 4) !== node.hi)
      blame(stores.get(node.pa), node.at);
  }
  return found;
}

/**
 * All that the entry was made of still stands, and the CD or the STE leads elsewhere by now: the tags stand for other
 * tables than those that filled it (5.2.1, 5.4.1).
 */
function contextCulprits(
  { stores, streams, ledger }: Shadow,
  fill: TlbFill,
  cd: ConfigFill | undefined,
  streamId: number,
): readonly Culprit[] {
  const { entry } = fill;
  if (entry.stage === 2) return [];
  const found: Culprit[] = [];
  const blame = (structure: 'CD' | 'STE', where: number, change: Change | undefined): void => {
    if (change === undefined || change.seq <= entry.seq) return;
    found.push(contextCulprit(fill, structure, where, change));
  };
  if (cd !== undefined) for (let at = 0; at < 64; at += 8) blame('CD', cd.pa, stores.get(cd.pa + at));
  const ste = steAddress(streams, streamId);
  if (ste === undefined) return found;
  const owed = (ledger.config.get(streamId) ?? []).find(({ where }) => where === ste) ?? ledger.past.get(ste);
  if (owed !== undefined) blame('STE', ste, changeAfter(owed, entry.seq));
  return found;
}

/** The entry was made before its CD or STE was changed. */
export function contextCulprit(
  fill: TlbFill,
  structure: 'CD' | 'STE',
  where: number,
  change: Change,
): Culprit {
  const { entry } = fill;
  const target: Target = { ...entry, cache: entry.leaf ? 'tlb' : 'walk' };
  const owed = obligationOf('table', where, target, change, entry.vmid, undefined);
  const obligation: Obligation = { ...owed, kind: 'tags', structure };
  return { change, readAt: entry.seq, obligation, stale: 'tlb', fill };
}

function ofVmid(shadow: Shadow, vmid: number): readonly Culprit[] {
  const found: Culprit[] = [];
  for (const fill of shadow.fills.tlb.values())
    if (fill.entry.vmid === vmid) found.push(...culpritsOf(shadow, fill));
  return found;
}

function obligationOf(
  structure: 'leaf' | 'table' | 'CD',
  where: number,
  target: Target,
  change: Change,
  vmid: number,
  ipa: bigint | undefined,
): Obligation {
  return {
    kind: structure === 'CD' ? 'config' : structure === 'leaf' ? 'broken' : 'table',
    structure,
    where,
    targets: [target],
    changes: [change],
    output: undefined,
    ...(ipa === undefined ? {} : { stage2: { vmid, ipa } }),
    upper: undefined,
    covered: undefined,
    remade: 0,
    reported: false,
    done: false,
  };
}

/** N1: software has queued what will remove the entry, and its CMD_SYNC is still to come. */
export function isQueued({ commands }: Shadow, { targets }: Obligation): boolean {
  for (const list of [commands.inFlight, commands.pending])
    for (const { scopes } of list.values())
      if (targets.every((target) => covers(scopes, target))) return true;
  return false;
}
