/**
 * Whether an access was served from something stale. Most accesses are found clean by comparing a few
 * words; for the rest the answer of a machine without caches decides, and then the ledger says who
 * left the entry behind. Rules I1 and I3 of the catalogue, silent where its N1 says so.
 */
import type { EntryOf } from '../../core/event.ts';
import type { Request, Translation } from '../../core/smmu/translate.ts';
import { completedAfter, isUnderWay } from './commands.ts';
import {
  type ConfigFill,
  heldConfig,
  type PathNode,
  pathStands,
  structureStands,
  type TlbFill,
} from './fills.ts';
import { configObligations, tlbObligations } from './ledger.ts';
import { changeAfter, discharges, type Invalidation, type Obligation } from './obligation.ts';
import { freshAnswer, type Shadow } from './shadow.ts';
import { steAddress } from './streams.ts';

type AccessEntry = EntryOf<'access.completed'> | EntryOf<'access.terminated'>;

export interface Basis {
  readonly ste: ConfigFill | undefined;
  readonly cd: ConfigFill | undefined;
  readonly tlb: TlbFill | undefined;
}

export interface Stale extends Basis {
  readonly stale: 'ste' | 'cd' | 'tlb';
  readonly now: string;
  readonly guilty: readonly [Obligation, ...Obligation[]];
  readonly readAt: number;
  readonly survived: Invalidation | undefined;
}

/** The finding's facts, or undefined: the access was right, or it was allowed. */
export function judgeUse(shadow: Shadow, access: AccessEntry, request: Request): Stale | undefined {
  const basis = basisOf(shadow, access);
  const steClean = isSteClean(shadow, basis.ste);
  const cdClean = isCdClean(shadow, basis.cd);
  if (steClean && cdClean && isTlbClean(shadow, basis.tlb, access.streamId)) return undefined;
  const fresh = freshAnswer(shadow, request);
  if (isSameAnswer(shadow, access, fresh)) {
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
    if (found === 'allowed') return undefined;
    if (found !== undefined) return { ...basis, ...found, stale, now };
  }
  return undefined;
}

/** What it rests on. An access that a held V=0 copy refused names no fill, so it is asked for. */
function basisOf({ fills }: Shadow, access: AccessEntry): Basis {
  const ssid = access.substreamId ?? 0;
  const refused = access.type === 'access.terminated' ? access.reason : '';
  const bad = /^(C_BAD_STE|C_BAD_STREAMID)/.test(refused);
  const badCd = /^(C_BAD_CD|C_BAD_SUBSTREAMID)/.test(refused);
  return {
    ste: fills.config.get(access.ste) ?? (bad ? heldConfig(fills, 'ste', access.streamId, 0) : undefined),
    cd: fills.config.get(access.cd) ?? (badCd ? heldConfig(fills, 'cd', access.streamId, ssid) : undefined),
    tlb: fills.tlb.get(access.tlb),
  };
}

/** No change since the fill, and nothing outstanding above it, says so at once. */
function isUnchanged({ streams, ledger }: Shadow, fill: ConfigFill): boolean {
  return fill.seq > streams.contexts.lastChange && ledger.config.size === 0;
}

function isSteClean(shadow: Shadow, fill: ConfigFill | undefined): boolean {
  if (fill === undefined || isUnchanged(shadow, fill)) return true;
  const { memory } = shadow.watch;
  return steAddress(shadow.streams, fill.streamId) === fill.pa && structureStands(memory, fill);
}

/** A CD that stands where it was read may still be the wrong one: then the STE is not clean. */
function isCdClean(shadow: Shadow, fill: ConfigFill | undefined): boolean {
  if (fill === undefined || isUnchanged(shadow, fill)) return true;
  const level1 = configObligations(shadow.ledger, fill.streamId, fill.substreamId);
  return (
    structureStands(shadow.watch.memory, fill) && !level1.some(({ structure }) => structure === 'L1CD')
  );
}

function isTlbClean({ ledger, streams, watch }: Shadow, fill: TlbFill | undefined, sid: number): boolean {
  if (fill === undefined) return true;
  const { lastChange } = streams.contexts;
  const context =
    fill.entry.seq > lastChange || (fill.verified === lastChange && fill.verifiedStream === sid);
  return context && (ledger.lastHarm < fill.oldest || pathStands(watch.memory, fill.path));
}

function isSameAnswer({ watch }: Shadow, access: AccessEntry, fresh: Translation): boolean {
  if (access.type === 'access.completed') return fresh.kind === 'ok' && fresh.pa === access.pa;
  if (access.result === 'bus-error') return fresh.kind === 'ok' && !watch.memory.isRam(fresh.pa, access.size);
  return fresh.kind === 'refused' && recordOf(fresh.why) === recordOf(access.reason);
}

/** The record's name, or nothing for a refusal without one. */
function recordOf(reason: string): string {
  return /^[CF]_[A-Z_]+/.exec(reason)?.[0] ?? '';
}

function showAnswer(fresh: Translation): string {
  return fresh.kind === 'ok' ? `PA 0x${fresh.pa.toString(16)}` : fresh.why;
}

type Left = Pick<Stale, 'guilty' | 'readAt' | 'survived'>;

/** The obligations that left the stale part, or the command that it outlived. */
function whoLeft(
  shadow: Shadow,
  access: AccessEntry,
  basis: Basis,
  stale: Stale['stale'],
): Left | 'allowed' | undefined {
  const suspects = stale === 'tlb' ? tlbSuspects(shadow, basis.tlb) : configSuspects(shadow, access, basis, stale);
  if (suspects.outstanding.length > 0) {
    const open = suspects.outstanding.filter(({ obligation }) => !isUnderWay(shadow.commands, obligation));
    const [first, ...rest] = open.sort(earliest);
    if (first === undefined) return 'allowed'; // N1: queued, and not yet complete.
    const guilty = [first.obligation, ...rest.map(({ obligation }) => obligation)] as const;
    return { guilty: [...guilty], readAt: first.readAt, survived: undefined };
  }
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
  const readAt = new Map<number, number>();
  for (let node: PathNode | undefined = path; node !== undefined; node = node.up) readAt.set(node.pa, node.at);
  const relevant: Suspect[] = [];
  for (const obligation of tlbObligations(ledger, entry, entry.va)) {
    const at = obligation.kind === 'tags' ? entry.seq : readAt.get(obligation.where);
    if (at === undefined || changeAfter(obligation, at) === undefined) continue;
    relevant.push({ obligation, readAt: at });
  }
  const direct = relevant.filter(({ obligation }) => obligation.structure !== 'table');
  const outstanding = direct.length > 0 ? direct : relevant;
  const past = [...readAt].flatMap(([pa, at]) => {
    const obligation = ledger.past.get(pa);
    return obligation === undefined ? [] : [{ obligation, readAt: at }];
  });
  return { outstanding, past };
}

function configSuspects(
  { ledger }: Shadow,
  access: AccessEntry,
  basis: Basis,
  stale: 'ste' | 'cd',
): Suspects {
  const fill = basis[stale];
  if (fill === undefined) return NOBODY;
  const own = stale === 'ste' ? 'STE' : 'CD';
  const level1 = stale === 'ste' ? 'L1STD' : 'L1CD';
  const outstanding: Suspect[] = [];
  for (const obligation of configObligations(ledger, access.streamId, access.substreamId ?? 0)) {
    // What a stale level 1 descriptor led to may have been read at any time since.
    const readAt = obligation.structure === own ? fill.seq : obligation.structure === level1 ? 0 : Infinity;
    if (changeAfter(obligation, readAt) !== undefined) outstanding.push({ obligation, readAt });
  }
  const past = ledger.past.get(fill.pa);
  return { outstanding, past: past === undefined ? [] : [{ obligation: past, readAt: fill.seq }] };
}

/** I1: the command that obliged the SMMU to drop the entry, complete before the access. */
function survivedBy({ commands }: Shadow, obligation: Obligation, readAt: number): Invalidation | undefined {
  const change = changeAfter(obligation, readAt);
  if (change === undefined) return undefined;
  const kept = obligation.covered;
  if (kept !== undefined && kept.synced > 0 && kept.performed > change.seq) return kept;
  return completedAfter(commands, change.seq, (scopes) => discharges(scopes, obligation));
}
