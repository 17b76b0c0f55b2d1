/**
 * What keeping a history takes: a log of entries in branches, and a cache of states. The store on
 * disk and its in-memory twin implement these, and one contract suite holds both.
 */
import type { MachineConfig } from '../config.ts';
import type { Entry } from '../event.ts';
import type { State } from '../state.ts';

/** Raised whenever entries that were recorded would be read otherwise; new types and new optional fields do not. */
export const FORMAT = 1;
/** Raised whenever the same stimuli give other entries, or the state other fields. */
export const MODEL = 3;

export interface Branch {
  /** 1 is the first branch of the store. */
  readonly id: number;
  readonly name: string;
  /** Where it left its parent: it shares the parent's entries up to and including `at`. */
  readonly parent?: { readonly branch: number; readonly at: number };
  /** The machine at seq 0; a fork has its root's. */
  readonly machine: MachineConfig;
  /** Where the entries came from, for people: a file's name, a verb. */
  readonly source: string;
  /** Model version that wrote the root. */
  readonly model: number;
}

export interface Bookmark {
  readonly name: string;
  readonly branch: number;
  readonly seq: number;
}

/** The answer to an append. */
export interface Appended {
  readonly first: number;
  readonly last: number;
  /** Settles when the entries survive power loss; acknowledge only after this. */
  readonly durable: Promise<void>;
}

/** The writer's idea of the head was not the store's: somebody else appended. Nothing was written. */
export class ConflictError extends Error {
  override readonly name = 'ConflictError';
}

export interface LogStore {
  branches(): readonly Branch[];
  /** A new root history. Names are unique. */
  createRoot(name: string, machine: MachineConfig, source: string): Branch;
  /** O(1): writes the name of a parent and a position, nothing else. `at` is 0 to the head. */
  fork(name: string, parent: number, at: number): Branch;
  removeBranch(id: number): void;
  /** The last seq of the branch; of a fork without entries of its own, its fork point. */
  head(branch: number): number;
  /**
   * Appends entries that carry seq `expected + 1` and on; `expected` must be the head.
   * Throws ConflictError and writes nothing when it is not.
   */
  append(branch: number, expected: number, entries: readonly Entry[]): Appended;
  /** Entries with `from <= seq <= to`, own and inherited, in order, as they are needed. */
  read(branch: number, from: number, to: number): Iterable<Entry>;
  /** The same from high to low. */
  readBack(branch: number, from: number, to: number): Iterable<Entry>;
  bookmarks(): readonly Bookmark[];
  setBookmark(bookmark: Bookmark): void;
  /** The branch that `@seq` means. */
  current(): number | undefined;
  setCurrent(branch: number): void;
  /** Everything appended so far is durable when this settles. */
  flush(): Promise<void>;
  close(): Promise<void>;
}

/** One of these keys. */
export type Keys = readonly string[];

export interface SeqRange {
  readonly from: number;
  readonly to: number;
}

/** What an index is asked: the seqs at which entries touched a key, from high to low. */
export interface IndexStore {
  /** Keys are those of `touch.ts`. Yields seqs `<= before`, newest first, across ancestors. */
  touching(branch: number, key: string, before: number): Iterable<number>;
  /**
   * Entries with `from < seq <= to` that stand under a key of every group (a group is a choice of keys), in
   * the order asked for.
   */
  matching(
    branch: number,
    groups: readonly Keys[],
    range: SeqRange,
    order: 'oldest' | 'newest',
  ): Iterable<Entry>;
}

export interface SnapshotStore {
  /** The newest usable snapshot with `seq <= at` of the branch or its ancestors. */
  nearest(
    branch: number,
    at: number,
  ): { readonly branch: number; readonly seq: number; readonly state: State } | undefined;
  /** Keeps a state; may be skipped by policy. Only what changed since the last is written. */
  put(branch: number, seq: number, state: State): void;
  flush(): Promise<void>;
  close(): Promise<void>;
}

/** What answers are kept of: the ledger of capabilities, and the findings of a whole history. */
export type MemoKind = 'ledger' | 'findings';

/** An answer as it was at a position: plain data, maps and sets among it. */
export interface Memo {
  readonly seq: number;
  readonly value: unknown;
}

/** Answers that are folded from the log, kept so that they need not be again. */
export interface MemoStore {
  /** The newest at or before `at` in the history of the branch, of that version of its maker. */
  nearest(kind: MemoKind, version: number, branch: number, at: number): Memo | undefined;
  /** Keeps one; may be skipped. */
  put(kind: MemoKind, version: number, branch: number, memo: Memo): void;
}
