/** The findings of I2: what was released or reused, and what may still lead there. */
import type { EntryOf } from '../core/event.ts';
import { type Positions, positions, type Teller, tellChange, tellMissing, tellOwed } from './explain.ts';
import type { Blame, Finding, OwedItem } from './finding.ts';
import { atcMismatch } from './obligations/atc-scope.ts';
import type { AtcHeld } from './obligations/atcs.ts';
import { showCommand } from './obligations/nearest.ts';
import type { Invalidation, Obligation } from './obligations/obligation.ts';
import { encoded, showNeeded } from './obligations/remedy.ts';
import type { Shadow } from './obligations/shadow.ts';
import { type Claim, heldBy } from './obligations/tables.ts';
import { hex, showChange, showSize, stateOf } from './obligations/tell.ts';
import type { Ways } from './release.ts';
import { tellEarly } from './stale-atc.ts';

/** Memory that took a new role while a cached entry may lead to it. */
export interface Reuse {
  readonly shadow: Shadow;
  readonly obligation: Obligation;
  readonly pa: number;
  readonly bytes: number;
  readonly by: Claim;
}

/** The finding of a `could-be-used`: what became of the memory, and what may still lead to it. */
export function explainReuse(teller: Teller, { shadow, obligation, pa, by }: Reuse): Finding {
  const at = positions(teller);
  const { change } = by;
  const [first] = obligation.changes;
  const state = stateOf(shadow.commands, obligation);
  const way = obligation.structure === 'table' ? 'a walk-cache entry' : 'a TLB entry';
  const size = obligation.output === undefined ? '' : `/${showSize(obligation.output.sizeLog2)}`;
  return {
    rule: 'I2',
    verdict: 'could-be-used',
    position: at(change.seq),
    title: `memory-reused-dirty: ${hex(pa)}${size} became a ${by.as}`,
    actor: change.actor,
    consequence: 'isolation',
    blame: tellChange(at, change),
    after: [],
    missing: tellMissing(teller, shadow, obligation, change.seq),
    obligations: [tellOwed(at, shadow, obligation)],
    dirtyEvents: change.seq - first.seq,
    notes: [
      `${at(first.seq)} ${showChange(first)} took it away; ${way} may still lead there (${state})`,
      'if invalidation is put off by policy, this is the length of the exposure window',
    ],
    next: [`backwalk show ${at(change.seq)}`, `backwalk fork fix ${at(first.seq)}`],
    reproduce: `backwalk check ${at(1)}..${at(change.seq)} --explain`,
  };
}

export interface Release {
  readonly shadow: Shadow;
  readonly entry: Pick<EntryOf<'pages.returned'>, 'pa' | 'bytes' | 'seq' | 'owner'>;
  readonly ways: Ways;
}

/** Obligations that a finding lists. */
const LISTED_MAX = 8;

/** The finding of pages that were given back while something may still lead to them. */
export function explainRelease(teller: Teller, { shadow, entry, ways }: Release): Finding {
  const at = positions(teller);
  const { obligations, held } = ways;
  const reachable = wordsOfWays(ways);
  const [first] = obligations;
  const what = `${hex(entry.pa)}/${entry.bytes} bytes returned by ${entry.owner}`;
  const release: Blame = { position: at(entry.seq), actor: entry.owner, what };
  const store = first === undefined ? undefined : tellChange(at, first.changes[0]);
  // A page that walks go through was freed too soon whatever comes later; a page of data lacks its invalidation.
  const live = ways.leaves.length + ways.structures.length > 0;
  const blame = live || store === undefined || first?.structure === 'table' ? release : store;
  const early = held[0] === undefined || live || first !== undefined ? undefined : earlyFor(shadow, held[0]);
  const order = early === undefined ? undefined : tellEarly(at, early);
  const from = first?.changes[0].seq ?? held[0]?.entry.seq ?? entry.seq;
  return {
    rule: 'I2',
    verdict: 'could-be-used',
    position: at(entry.seq),
    title: `memory-released-dirty: ${what}`,
    actor: entry.owner,
    consequence: 'isolation',
    blame: order ?? blame,
    after: order !== undefined ? [release] : blame === release && store !== undefined ? [store] : [],
    missing: missingOf(teller, at, { shadow, entry, ways }),
    obligations: [
      ...obligations.slice(0, LISTED_MAX).map((each) => tellOwed(at, shadow, each)),
      ...held.slice(0, LISTED_MAX).map((each) => tellHeld(at, each)),
    ],
    dirtyEvents: entry.seq - from,
    notes: reachable,
    next: [`backwalk show ${at(entry.seq)}`, `backwalk fork fix ${at(Math.max(1, from - 1))}`],
    reproduce: `backwalk check ${at(1)}..${at(entry.seq)} --explain`,
  };
}

/** Whatever may still lead into the memory, a line each. */
function wordsOfWays({ obligations, held, leaves, structures }: Ways): readonly string[] {
  const [leaf] = leaves;
  const [structure] = structures;
  return [
    ...(leaf === undefined
      ? []
      : [
          `${leaves.length} valid descriptor${leaves.length === 1 ? '' : 's'} still map it, as at ${hex(leaf.table.pa + leaf.index * 8)}: ${heldBy(leaf.table)}`,
        ]),
    ...(structure === undefined
      ? []
      : [`it holds a ${structure.as} at ${hex(structure.start)}: ${structure.held()}`]),
    ...(obligations.length === 0
      ? []
      : [`${obligations.length} descriptors that led there are not clean: an entry may still be used`]),
    ...(held.length === 0 ? [] : [`${held.length} ATC entries may still lead there`]),
    'if invalidation is put off by policy, this is the length of the exposure window',
  ];
}

function missingOf(teller: Teller, at: Positions, { shadow, entry, ways }: Release): Finding['missing'] {
  const [obligation] = ways.obligations;
  if (obligation !== undefined) return tellMissing(teller, shadow, obligation, entry.seq);
  const [held] = ways.held;
  if (held !== undefined && ways.leaves.length === 0) {
    const { streamId, substreamId, iova, sizeLog2 } = held.entry;
    const pasid = substreamId === undefined ? {} : { SSV: true, SubstreamID: substreamId };
    const span = { Size: Math.min(52, Math.max(0, sizeLog2 - 12)), Address: Number(iova) };
    const commands = [
      encoded('CMD_ATC_INV', { StreamID: streamId, ...pasid, ...span }),
      encoded('CMD_SYNC', {}),
    ];
    const early = earlyFor(shadow, held);
    return { needed: commands.map(showNeeded).join('; '), commands, nearest: nearestAtc(at, held, early) };
  }
  const needed = 'take the descriptors away, invalidate and CMD_SYNC, and only then release';
  return { needed, commands: [], nearest: { position: null, why: 'it is still linked' } };
}

/** A CMD_ATC_INV that was answered while the TLB could still give the same translation again. */
function earlyFor({ commands }: Shadow, { entry, invalidated }: AtcHeld): Invalidation | undefined {
  if (invalidated !== undefined) return undefined;
  return commands.recent.find(
    ({ atc, answered, performed }) =>
      atc !== undefined && answered !== 0 && performed > entry.seq && atcMismatch(atc, entry) === undefined,
  );
}

function nearestAtc(
  at: Positions,
  { invalidated }: AtcHeld,
  early: Invalidation | undefined,
): Finding['missing']['nearest'] {
  const found = invalidated ?? early;
  if (found === undefined) return { position: null, why: 'no CMD_ATC_INV covers it' };
  const why =
    invalidated === undefined
      ? 'too early: before the CMD_SYNC of the TLB invalidation'
      : 'no CMD_SYNC has completed after it';
  return { position: at(found.performed), why, command: showCommand(found) };
}

function tellHeld(at: Positions, { entry, invalidated }: AtcHeld): OwedItem {
  const pasid = entry.substreamId === undefined ? '' : `, pasid ${hex(entry.substreamId)}`;
  return {
    structure: 'ATC entry',
    where: hex(entry.pa),
    owes: `ATC(sid ${hex(entry.streamId)}${pasid}, va ${hex(entry.iova)}/${showSize(entry.sizeLog2)})`,
    since: at(entry.seq),
    state: invalidated === undefined ? 'owed' : 'performed, no CMD_SYNC',
  };
}
