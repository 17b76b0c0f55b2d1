/**
 * From the facts of a broken rule to a finding: the access, the entry with its fill, the change that
 * made it wrong, what was owed, the smallest fix and what came closest to it.
 */
import type { EntryOf } from '../core/event.ts';
import type { Access, Blame, Consequence, EntryUsed, Finding, Missing, OwedItem, Step } from './finding.ts';
import type { ConfigFill, PathNode, TlbFill } from './obligations/fills.ts';
import { type Miss, nearestMiss, showCommand } from './obligations/nearest.ts';
import { type Change, changeAfter, type Invalidation, type Obligation } from './obligations/obligation.ts';
import { type Met, remedy, showNeeded } from './obligations/remedy.ts';
import type { Shadow } from './obligations/shadow.ts';
import { hex, showChange, showOwes, showStructure, showTlbEntry, stateOf } from './obligations/tell.ts';

export type AccessEntry = EntryOf<'access.completed'> | EntryOf<'access.terminated'>;

/** What a finding is told with. */
export interface Teller {
  readonly branch: string;
  /** The nearest miss of an obligation is asked again and again while nothing is queued. */
  readonly misses: WeakMap<Obligation, { readonly next: number; readonly miss: Miss | undefined }>;
}

/** An access that was served from what should be gone. */
export interface StaleUse {
  readonly shadow: Shadow;
  readonly access: AccessEntry;
  /** The answer of a machine without caches. */
  readonly now: string;
  readonly line: number | undefined;
  readonly tlb: TlbFill | undefined;
  readonly ste: ConfigFill | undefined;
  readonly cd: ConfigFill | undefined;
  /** Which of the three was stale. */
  readonly stale: 'ste' | 'cd' | 'tlb';
  /** All that could have left it, the one to blame first. */
  readonly guilty: readonly [Obligation, ...Obligation[]];
  /** seq of the read that the change made wrong. */
  readonly readAt: number;
  /** The completed command that ought to have removed the entry: then the SMMU is to blame. */
  readonly survived: Invalidation | undefined;
  readonly map: readonly string[] | undefined;
  readonly rule?: string;
  /** What would have been right, where no command mends it. */
  readonly needed?: string;
  /** What became of the memory meanwhile; undefined where the log does not tell who owns memory. */
  readonly meanwhile?: readonly string[];
}

const classes = { ste: 'stale-ste-used', cd: 'stale-cd-used', tlb: 'stale-translation-used' } as const;

/** The finding of a `used-stale`, at the position of the access. */
export function explainUse(teller: Teller, use: StaleUse): Finding {
  const { access, guilty, survived, shadow } = use;
  const [primary] = guilty;
  const change = changeAfter(primary, use.readAt) ?? primary.changes[0];
  const at = positions(teller);
  const { endpoint } = access;
  const actor = isByVmm(use) ? access.actor : endpoint;
  const by = isByVmm(use)
    ? `in a translation by ${actor} for ${endpoint}`
    : `in DMA ${access.access} by ${actor}`;
  return {
    rule: use.rule ?? (use.stale !== 'tlb' ? 'I8' : survived === undefined ? 'I3' : 'I1'),
    verdict: 'used-stale',
    position: at(access.seq),
    title: `${classes[use.stale]} ${by} (SID ${hex(access.streamId)})`,
    actor,
    consequence: consequenceOf(use),
    access: tellAccess(at, use),
    ...entryPart(at, use),
    blame: survived === undefined ? tellChange(at, change) : tellSurvivor(at, use, survived),
    after: laterStores(at, primary, change, survived),
    missing: missingOf(teller, use),
    obligations: guilty.map((each) => tellOwed(at, shadow, each)),
    dirtyEvents: access.seq - change.seq,
    ...(use.map === undefined ? {} : { map: use.map }),
    notes: useNotes(at, use, change),
    next: [`backwalk show ${at(access.seq - 1)} ${access.smmu}.tlb`, `backwalk fork fix ${at(change.seq)}`],
    reproduce: `backwalk check ${at(1)}..${at(access.seq)} --explain`,
  };
}

function missingOf(teller: Teller, { survived, needed, shadow, guilty, access }: StaleUse): Missing {
  if (survived !== undefined) return NOTHING_MISSING;
  if (needed !== undefined) return { needed, commands: [], nearest: { position: null, why: '' } };
  return tellMissing(teller, shadow, guilty[0], access.seq, access);
}

const NOTHING_MISSING: Missing = {
  needed: 'nothing: the command that covers the entry was queued, performed and synced',
  commands: [],
  nearest: { position: null, why: 'the entry outlived a completed invalidation that covers it' },
};

export type Positions = (seq: number) => string;

/** Names positions of the branch that is told of. */
export function positions({ branch }: Teller): Positions {
  return (seq) => `${branch}@${seq}`;
}

/** A stale entry that refuses or that permits less is no danger to memory. */
function consequenceOf({ access, guilty }: StaleUse): Consequence {
  if (access.type === 'access.terminated') return 'availability';
  return guilty.every(({ kind }) => kind === 'relaxed') ? 'availability' : 'isolation';
}

/** The access, with what a machine without caches would have answered. */
export function tellAccess(
  at: Positions,
  { access, now, line }: Pick<StaleUse, 'access' | 'now' | 'line'>,
): Access {
  const common = {
    position: at(access.seq),
    endpoint: access.endpoint,
    streamId: hex(access.streamId),
    ...(access.substreamId === undefined ? {} : { substreamId: hex(access.substreamId) }),
    iova: hex(access.iova),
    size: access.size,
    access: access.access,
    now,
    ...(line === undefined ? {} : { line }),
  };
  if (access.type === 'access.completed')
    return { ...common, result: 'ok', pa: hex(access.pa), via: access.via };
  return { ...common, result: `${access.result}, ${access.reason}` };
}

function entryPart(at: Positions, use: StaleUse): { readonly entry?: EntryUsed } {
  const fill = use.stale === 'tlb' ? use.tlb?.entry : use[use.stale];
  if (fill === undefined) return {};
  const what = fill.type === 'tlb.filled' ? showTlbEntry(fill) : showConfigFill(fill);
  return { entry: { filled: at(fill.seq), cache: fill.cache, what, rests: restsOn(at, use) } };
}

function showConfigFill({ cache, streamId, substreamId, pa }: ConfigFill): string {
  const who = cache === 'cd' ? `sid=${hex(streamId)} ssid=${hex(substreamId)}` : `sid=${hex(streamId)}`;
  return `{${cache.toUpperCase()} ${who} read from ${hex(pa)}}`;
}

/** The entry that was used and what it rests on, latest first. */
export function restsOn(
  at: Positions,
  { shadow, tlb, ste, cd }: Pick<StaleUse, 'shadow' | 'tlb' | 'ste' | 'cd'>,
): readonly Step[] {
  const steps: Step[] = [];
  const actor = shadow.name;
  if (tlb !== undefined) {
    const { entry } = tlb;
    steps.push({ position: at(entry.seq), actor, what: `fill ${showTlbEntry(entry)}` });
    let level = entry.level;
    for (let node: PathNode | undefined = tlb.path; node !== undefined; node = node.up) {
      const word = (BigInt(node.hi) << 32n) | BigInt(node.lo);
      steps.push({ position: at(node.at), actor, what: `walk L${level} [${hex(node.pa)}] = ${hex(word)}` });
      level -= 1;
    }
  }
  for (const fill of [cd, ste]) {
    if (fill !== undefined)
      steps.push({ position: at(fill.seq), actor, what: `fill ${showConfigFill(fill)}` });
  }
  return steps;
}

/** The store to blame, and where it came from. */
export function tellChange(at: Positions, change: Change): Blame {
  const { line, cpu, pc } = change;
  return {
    position: at(change.seq),
    actor: change.actor,
    what: showChange(change),
    ...(line === undefined ? {} : { line }),
    ...(cpu === undefined ? {} : { cpu }),
    ...(pc === undefined ? {} : { pc: hex(pc) }),
  };
}

/** The stores stay part of the story when the SMMU is to blame. */
function laterStores(
  at: Positions,
  { changes }: Obligation,
  first: Change,
  survived: Invalidation | undefined,
): readonly Blame[] {
  const from = survived === undefined ? first.seq + 1 : first.seq;
  return changes.filter((change) => change.seq >= from).map((change) => tellChange(at, change));
}

/** A VMM asks the SMMU that it emulates, for a device of its guest: what that SMMU caches is a cache of the VMM. */
function isByVmm({ access, shadow }: Pick<StaleUse, 'access' | 'shadow'>): boolean {
  return shadow.space !== undefined && access.actor !== access.endpoint;
}

function tellSurvivor(at: Positions, use: StaleUse, command: Invalidation): Blame {
  const { shadow, access } = use;
  if (isByVmm(use)) {
    const what = `used a translation that it kept, past ${showCommand(command)} of its guest`;
    return { position: at(access.seq), actor: access.actor, what };
  }
  const position = at(command.performed);
  const what = `${showCommand(command)} covers the entry and is complete, the entry stayed`;
  return { position, actor: shadow.name, what };
}

/** What would have discharged the obligation, and the command that came closest. */
export function tellMissing(
  teller: Teller,
  shadow: Shadow,
  obligation: Obligation,
  until: number,
  met?: Met,
): Missing {
  const at = positions(teller);
  const commands = remedy(obligation, met);
  const needed = commands.map(showNeeded).join('; ');
  const miss = missOf(teller, shadow, obligation, until);
  if (miss === undefined) {
    return { needed, commands, nearest: { position: null, why: 'no invalidation like it was queued' } };
  }
  const nearest = { position: at(miss.seq), why: miss.why, command: showCommand(miss.command) };
  return { needed, commands, nearest };
}

function missOf(
  { misses }: Teller,
  { commands }: Shadow,
  obligation: Obligation,
  until: number,
): Miss | undefined {
  const known = misses.get(obligation);
  if (
    known !== undefined &&
    known.next === commands.next &&
    commands.pending.size + commands.inFlight.size === 0
  )
    return known.miss;
  const miss = nearestMiss(commands, obligation, until);
  misses.set(obligation, { next: commands.next, miss });
  return miss;
}

/** What is owed, and how far it is on its way. */
export function tellOwed(at: Positions, { commands }: Shadow, obligation: Obligation): OwedItem {
  return {
    structure: showStructure(obligation),
    where: hex(obligation.where),
    owes: showOwes(obligation),
    since: at(obligation.changes[0].seq),
    state: stateOf(commands, obligation),
    ...(obligation.remade === 0 ? {} : { remade: at(obligation.remade) }),
  };
}

function useNotes(
  at: Positions,
  { guilty, survived, shadow, access, meanwhile }: StaleUse,
  change: Change,
): readonly string[] {
  const notes: string[] = [];
  const [{ remade, kind }] = guilty;
  if (remade > change.seq)
    notes.push(`${at(remade)} a new valid descriptor was made there before the old was clean`);
  if (kind === 'relaxed')
    notes.push('the change only permits more: the stale entry refuses, it opens nothing');
  notes.push(...(meanwhile ?? []));
  if (access.type === 'access.completed' && kind !== 'relaxed' && meanwhile === undefined)
    notes.push('page frees are not in this log: who owns the page now is not known');
  if (survived !== undefined)
    notes.push(`${at(survived.synced)} ${shadow.name} completed the CMD_SYNC behind that command`);
  return notes;
}
