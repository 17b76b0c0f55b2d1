/**
 * I2 for input addresses: a range goes back to the allocator of a domain when nothing of it is cached any more.
 * Lazy flushing gives pages back before the flush and holds the range until it (linux: iommu_dma flush queues):
 * a declared trade-off, so the pages are no finding then, and the range is.
 */
import type { EntryOf } from '../core/event.ts';
import { positions, tellChange, tellMissing, tellOwed } from './explain.ts';
import type { State } from './invalidation-state.ts';
import { tlbObligationsIn } from './obligations/ledger.ts';
import { isTlb, type Obligation } from './obligations/obligation.ts';
import { hex } from './obligations/tell.ts';

interface Range {
  readonly start: bigint;
  readonly end: bigint;
}

/** Ranges that wait for their flush, by the ring they stand in. */
export type Lazy = Map<string, Range[]>;

const PAGE = 4096;

function ringOf({ driver, domain, cpu }: Pick<EntryOf<'fq.queued'>, 'driver' | 'domain' | 'cpu'>): string {
  return `${driver}:${domain}:${cpu}`;
}

/** A range is unmapped, and its flush put off. */
export function flushPutOff({ lazy }: State, entry: EntryOf<'fq.queued'>): void {
  const { iova, pages } = entry;
  const range = { start: iova, end: iova + BigInt(pages * PAGE) };
  const ring = lazy.get(ringOf(entry));
  if (ring === undefined) lazy.set(ringOf(entry), [range]);
  else ring.push(range);
}

/** The oldest of a ring are done with. */
export function flushDone({ lazy }: State, entry: EntryOf<'fq.released'>): void {
  const ring = lazy.get(ringOf(entry));
  ring?.splice(0, entry.count);
  if (ring?.length === 0) lazy.delete(ringOf(entry));
}

/** Whether policy puts off what is owed for the leaf. */
export function isPutOff(
  { lazy }: Pick<State, 'lazy'>,
  { structure, targets: [target] }: Obligation,
): boolean {
  if (lazy.size === 0 || structure !== 'leaf' || !isTlb(target)) return false;
  const { va } = target;
  for (const ring of lazy.values()) if (ring.some(({ start, end }) => va >= start && va < end)) return true;
  return false;
}

/** A range may be given to anybody: what was mapped there must be clean. */
export function iovaFreed(state: State, entry: EntryOf<'iova.freed'>): void {
  const { iova, pages, driver, domain, seq, actor } = entry;
  const tag = state.tagOf.get(domain);
  const shadow = state.shadows.get(driver);
  if (tag === undefined || shadow === undefined) return;
  const range = { start: iova, end: iova + BigInt(pages * PAGE) };
  const [obligation] = tlbObligationsIn(shadow.ledger, tag.stage, tag.tag, range).filter(
    ({ kind, reported }) => kind === 'broken' && !reported,
  );
  if (obligation === undefined) return;
  obligation.reported = true;
  const at = positions(state.teller);
  const [change] = obligation.changes;
  const what = `IOVA ${hex(iova)}, ${pages} page${pages === 1 ? '' : 's'}, given back`;
  state.findings.push({
    rule: 'I2',
    verdict: 'could-be-used',
    position: at(seq),
    title: `iova-released-dirty: ${what} by ${driver}`,
    actor,
    consequence: 'isolation',
    blame: { position: at(seq), actor, what },
    after: [tellChange(at, change)],
    missing: tellMissing(state.teller, shadow, obligation, seq),
    obligations: [tellOwed(at, shadow, obligation)],
    dirtyEvents: seq - change.seq,
    notes: ['whoever is given the range next shares what is cached of the old mapping'],
    next: [`backwalk show ${at(seq)}`, `backwalk fork fix ${at(change.seq)}`],
    reproduce: `backwalk check ${at(1)}..${at(seq)} --explain`,
  });
}
