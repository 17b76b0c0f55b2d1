/**
 * The audit of a whole history: when a promise began to be more than what stands behind it, and when it ceased. Of
 * guests that have read the register: before, nobody can rely on it, and much is still being made.
 */
import type { MachineConfig } from '../../core/config.ts';
import type { Entry } from '../../core/event.ts';
import { type Chains, newChains } from './chain.ts';
import { keyOf, stepper } from './changes.ts';
import { rowsOf } from './ledger.ts';
import type { LedgerRow } from './row.ts';
import { type CapsVerdict, type Judged, judge } from './verdict.ts';

/** A time in which a row had a bad verdict. */
export interface Spell {
  readonly row: LedgerRow;
  readonly judged: Judged;
  /** Entry from which on it was so. */
  readonly from: number;
  /** Entry with which it ended; undefined: it holds to the end. */
  readonly until: number | undefined;
}

const BAD: ReadonlySet<CapsVerdict> = new Set(['leak', 'mismatch', 'refused']);

type Open = { row: LedgerRow; judged: Judged; readonly from: number };

/** The bad times of a history, in the order of their beginnings. */
export function spellsOf(machine: MachineConfig, entries: Iterable<Entry>): readonly Spell[] {
  const state: Chains = newChains(machine);
  const step = stepper(state);
  const open = new Map<string, Open>();
  const done: Spell[] = [];
  for (const entry of entries) {
    if (!step(entry)) continue;
    const now = new Set<string>();
    for (const row of rowsOf(state)) {
      const judged = judge(row);
      if (!BAD.has(judged.verdict) || (!row.isRead && judged.verdict !== 'refused')) continue;
      const key = `${keyOf(row)} ${judged.verdict}`;
      now.add(key);
      const known = open.get(key);
      // What is told of it is the latest: a use may prove it later.
      if (known === undefined) open.set(key, { row, judged, from: entry.seq });
      else Object.assign(known, { row, judged });
    }
    for (const [key, spell] of open) {
      if (now.has(key)) continue;
      open.delete(key);
      done.push({ ...spell, until: entry.seq });
    }
  }
  for (const spell of open.values()) done.push({ ...spell, until: undefined });
  return done.sort((a, b) => a.from - b.from);
}
