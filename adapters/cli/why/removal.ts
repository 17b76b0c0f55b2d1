/**
 * Why a cached entry was not removed, and why a command removed nothing: the entry's tags beside the scope
 * of a command, field by field (IHI 0070 4.3, 4.4). The commands are those of the log, the entries those
 * that the caches held at the moment.
 */
import type { Entry, EntryOf } from '../../../core/event.ts';
import { scopeEnv } from '../../../core/smmu/cmdq.ts';
import { scopesOf } from '../../../core/smmu/command.ts';
import { type CommandName, commandLayouts } from '../../../core/smmu/command-layout.ts';
import type { Scope } from '../../../core/smmu/invalidate.ts';
import { cacheNames, type SmmuState } from '../../../core/smmu/state.ts';
import { mismatches, showCommand } from '../../../projections/obligations/nearest.ts';
import type { Target } from '../../../projections/obligations/obligation.ts';
import { type Evidence, fact, type Reason } from './reason.ts';

export type Fill = EntryOf<'tlb.filled'> | EntryOf<'config.filled'>;

/** Commands looked at on either side of a change. */
const COMMANDS_MAX = 256;
/** Entries of a cache that are compared with a command. */
const ENTRIES_MAX = 16_384;
const NEAREST_MAX = 3;

interface Tried {
  readonly performed: number;
  readonly fetched: number;
  readonly text: string;
  readonly cite: string | undefined;
  /** Fields that differ; none when it covers the entry. */
  readonly fields: readonly string[];
}

/** Why `fill` was still there at `until` although what it was filled from changed at `changed`. */
export function survived(fill: Fill, changed: number, until: number, evidence: Evidence): readonly Reason[] {
  const smmu = evidence.state(until).smmus[fill.smmu];
  if (smmu === undefined) return [];
  const after = triedOn(fill, smmu, changed, until, evidence);
  const waiting = smmu.inFlight.flatMap((each) => {
    const fields = missedBy(scopesOf(wordsOf(each.lo, each.hi), scopeEnv(smmu)), fill);
    return fields?.length === 0
      ? [
          {
            seq: each.fetched,
            role: 'not removed',
            what: `${each.command} covers it and is not performed yet`,
          },
        ]
      : [];
  });
  if (waiting.length > 0) return waiting;
  if (after.length === 0)
    return [noneAfter(fill, changed, until), ...tooEarly(fill, smmu, changed, evidence)];
  return nearestOf(after).map((each) => triedReason(each, 'not removed', evidence));
}

function noneAfter({ smmu, cache }: Fill, changed: number, until: number): Reason {
  const kind = cache === 'tlb' || cache === 'walk' ? 'CMD_TLBI_*' : 'CMD_CFGI_*';
  const what = `${smmu} performed no ${kind} after @${changed} up to @${until}`;
  return fact(until, 'not removed', what, 'IHI 0070 3.21');
}

/** A command that would have removed it, had it come after the change. */
function tooEarly(fill: Fill, smmu: SmmuState, changed: number, evidence: Evidence): readonly Reason[] {
  const covering = triedOn(fill, smmu, 0, changed, evidence).find(({ fields }) => fields.length === 0);
  if (covering === undefined) return [];
  return [
    triedReason({ ...covering, fields: ['too early: performed before the change'] }, 'nearest', evidence),
  ];
}

function triedReason(
  { performed, fetched, text, cite, fields }: Tried,
  role: string,
  evidence: Evidence,
): Reason {
  const how = fields.length === 0 ? 'covers it, and the entry stayed' : fields.join('; ');
  return {
    seq: performed,
    role,
    what: `${text}: ${how}`,
    cite,
    below: () => evidence.because('fetched', fetched),
  };
}

/** Fewest fields that differ first, the newest of those first. */
function nearestOf(all: readonly Tried[]): readonly Tried[] {
  return all
    .toSorted((a, b) => a.fields.length - b.fields.length || b.performed - a.performed)
    .slice(0, NEAREST_MAX);
}

/** The commands that were performed with `from < seq <= until` and are of the entry's kind, newest first. */
function triedOn(
  fill: Fill,
  smmu: SmmuState,
  from: number,
  until: number,
  evidence: Evidence,
): readonly Tried[] {
  const found: Tried[] = [];
  let looked = 0;
  for (const each of evidence.newest('type:command.performed', until, from)) {
    looked += 1;
    if (looked > COMMANDS_MAX) break;
    if (each.type !== 'command.performed' || each.smmu !== fill.smmu || !isInvalidation(each.command))
      continue;
    const tried = tryCommand(each, smmu, fill, evidence);
    if (tried !== undefined) found.push(tried);
  }
  return found;
}

/** Whether a command takes entries out of the SMMU's caches. */
export function isInvalidation(command: string): boolean {
  return command.startsWith('CMD_TLBI_') || command.startsWith('CMD_CFGI_');
}

function tryCommand(
  { seq, fetched }: EntryOf<'command.performed'>,
  smmu: SmmuState,
  fill: Fill,
  evidence: Evidence,
): Tried | undefined {
  const command = evidence.entry(fetched);
  if (command.type !== 'command.fetched') return undefined;
  const words = wordsOf(command.lo, command.hi);
  const fields = missedBy(scopesOf(words, scopeEnv(smmu)), fill);
  if (fields === undefined) return undefined;
  const text = showCommand({ command: command.command, words });
  return { performed: seq, fetched, text, cite: citeOf(command.command), fields };
}

/** The section of a command. */
export function citeOf(command: string): string | undefined {
  const row = command in commandLayouts ? commandLayouts[command as CommandName] : undefined;
  return row === undefined ? undefined : `IHI 0070 ${row.spec}`;
}

/** The fields by which the nearest scope misses the entry; undefined when all are of another kind. */
function missedBy(scopes: readonly Scope[], fill: Pick<Fill, 'cache'>): readonly string[] | undefined {
  let best: readonly string[] | undefined;
  for (const scope of scopes) {
    const fields = mismatches(scope, [fill as Target], 'the entry has')?.map(({ why }) => why);
    if (fields !== undefined && (best === undefined || fields.length < best.length)) best = fields;
  }
  return best;
}

/** What a performed invalidation removed; where that is nothing, what it missed and by which field. */
export function removedBy(e: EntryOf<'command.performed'>, evidence: Evidence): readonly Reason[] {
  if (!isInvalidation(e.command)) return [];
  const removed = removals(e, evidence);
  if (removed.length > 0) return removed.flatMap(({ seq }) => evidence.because('removed', seq));
  return removedNothing(e, evidence);
}

function removals(e: EntryOf<'command.performed'>, evidence: Evidence): readonly Entry[] {
  return evidence
    .step(e)
    .filter((each) => each.type === 'cache.invalidated' && each.fetched === e.fetched && each.seq < e.seq);
}

/** Why the command removed nothing: the nearest entries, and the fields by which it missed each. */
export function removedNothing(e: EntryOf<'command.performed'>, evidence: Evidence): readonly Reason[] {
  const command = evidence.entry(e.fetched);
  const smmu = evidence.state(e.seq - 1).smmus[e.smmu];
  if (smmu === undefined || command.type !== 'command.fetched') return [];
  const cite = citeOf(e.command);
  const scopes = scopesOf(wordsOf(command.lo, command.hi), scopeEnv(smmu));
  if (scopes.length === 0) return [fact(e.seq, 'removed nothing', `${e.command} names nothing here`, cite)];
  const near = nearestEntries(smmu, scopes);
  if (near.length === 0) return [fact(e.seq, 'removed nothing', emptyText(smmu, scopes), cite)];
  const role = removals(e, evidence).length > 0 ? 'left alone' : 'removed nothing';
  return near.map(({ id, fields }): Reason => {
    const what = `entry @${id} stays: ${fields.length === 0 ? 'it is covered' : fields.join('; ')}`;
    return { seq: e.seq, role, what, cite, below: () => evidence.because('entry', id) };
  });
}

function emptyText(smmu: SmmuState, scopes: readonly Scope[]): string {
  const tlb = scopes.some(({ kind }) => kind === 'tlb');
  const { caches } = smmu.config;
  const none = tlb ? caches.tlb === 0 && caches.walk === 0 : caches.ste === 0 && caches.cd === 0;
  const which = tlb ? 'the TLB and the walk cache' : 'the configuration caches';
  return none ? `${which} of ${smmu.config.name} have no room` : `${which} held nothing`;
}

interface Near {
  readonly id: number;
  readonly fields: readonly string[];
}

function nearestEntries(smmu: SmmuState, scopes: readonly Scope[]): readonly Near[] {
  const found: Near[] = [];
  let looked = 0;
  for (const name of cacheNames) {
    for (const [, entry] of smmu.caches[name].fills.range()) {
      looked += 1;
      if (looked > ENTRIES_MAX) break;
      const fields = missedBy(scopes, entry as unknown as Fill);
      if (fields !== undefined) found.push({ id: entry.id, fields });
    }
  }
  return found.sort((a, b) => a.fields.length - b.fields.length || b.id - a.id).slice(0, NEAREST_MAX);
}

function wordsOf(lo: bigint, hi: bigint): readonly number[] {
  return [lo, lo >> 32n, hi, hi >> 32n].map((half) => Number(half & 0xffff_ffffn));
}

/** Whether the entry is one of a cache of the SMMU. */
export function isFill(entry: Entry): entry is Fill {
  return entry.type === 'tlb.filled' || entry.type === 'config.filled';
}
