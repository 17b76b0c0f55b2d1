/**
 * I2 for input addresses: a range goes back to the allocator of a domain when nothing of it is cached any more.
 * Lazy flushing holds the range until the flush (linux: iommu_dma flush queues): what it gives back before that is
 * told, also where the pages of its window are not.
 */
import type { EntryOf } from '../core/event.ts';
import { positions, tellChange, tellMissing, tellOwed } from './explain.ts';
import type { State } from './invalidation-state.ts';
import { tlbObligationsIn } from './obligations/ledger.ts';
import { hex } from './obligations/tell.ts';

const PAGE = 4096;

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
  const release = { position: at(seq), actor, what };
  state.findings.push({
    rule: 'I2',
    verdict: 'could-be-used',
    position: at(seq),
    title: `iova-released-dirty: ${what} by ${driver}`,
    actor,
    consequence: 'isolation',
    blame: tellChange(at, change),
    after: [release],
    missing: tellMissing(state.teller, shadow, obligation, seq),
    obligations: [tellOwed(at, shadow, obligation)],
    dirtyEvents: seq - change.seq,
    notes: ['whoever is given the range next shares what is cached of the old mapping'],
    next: [`backwalk show ${at(seq)}`, `backwalk fork fix ${at(change.seq)}`],
    reproduce: `backwalk check ${at(1)}..${at(seq)} --explain`,
  });
}
