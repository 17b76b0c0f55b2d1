/**
 * What an explanation is made of. A reason is one line of the answer and, when somebody asks, the reasons
 * below it. It says what an entry says, or what the state at a moment says, and nothing else.
 */
import type { Entry, EntryOf, EntryType } from '../../../core/event.ts';
import type { Branch } from '../../../core/history/store.ts';
import type { State } from '../../../core/state.ts';

export interface Reason {
  /** The entry the line points to; 0 is the machine before its first entry. */
  readonly seq: number;
  /** What it is to the line above it: `served by`, `STE`, `stored by`. */
  readonly role: string;
  readonly what: string;
  /** The section that says so: `IHI 0070 4.4.2`, `linux: iommufd/main.c`. */
  readonly cite?: string | undefined;
  /** The line is that entry as it stands: it is explained once in a tree. */
  readonly entry?: Entry;
  readonly below?: () => readonly Reason[];
}

/** Entries and states of one branch up to a moment, as explanations ask for them. */
export interface Evidence {
  readonly branch: Branch;
  /** The last seq that counts. */
  readonly moment: number;
  /** The entry of a seq, 1 to the head of the branch. */
  entry(seq: number): Entry;
  /** The state after a seq. */
  state(seq: number): State;
  /** The stimulus and all events of the step that the entry is of. */
  step(entry: Entry): readonly Entry[];
  /** Entries with `from <= seq <= to`, in order; the first few thousand. */
  between(from: number, to: number): readonly Entry[];
  /** Entries under a key of `history/touch.ts` with `from < seq <= until`, newest first. */
  newest(key: string, until: number, from?: number): Iterable<Entry>;
  /** The stores that left `[pa, pa + size)` as it is at `until`, newest first; one for each step. */
  stores(pa: number, size: number, until: number): readonly Entry[];
  /** The stores into `[pa, pa + size)` with `from < seq <= until` that changed something, oldest first. */
  storesSince(pa: number, size: number, from: number, until: number): readonly Entry[];
  /** Where an address of an SMMU lies in the machine's memory: that of a VM sees guest physical addresses. */
  place(smmu: string, address: number, seq: number): number;
  /** The last change of a register up to `until`. */
  register(smmu: string, name: string, until: number): Entry | undefined;
  /** The entry as a reason, with what its type's row says below it. */
  because(role: string, seq: number): readonly Reason[];
  /** The change of a register as a reason; its value after reset where it never changed. */
  setTo(role: string, smmu: string, name: string, until: number): readonly Reason[];
}

/** How entries of one type are explained. */
export interface Row<E = Entry> {
  readonly cite?: string;
  below(entry: E, evidence: Evidence): readonly Reason[];
}
export type Rows = { readonly [T in EntryType]?: Row<EntryOf<T>> };

/** A fact of the state after `seq`, with nothing below it. */
export function fact(seq: number, role: string, what: string, cite?: string): Reason {
  return cite === undefined ? { seq, role, what } : { seq, role, what, cite };
}

export const hex = (value: number | bigint): string => `0x${value.toString(16)}`;
