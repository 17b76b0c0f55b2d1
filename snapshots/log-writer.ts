/**
 * Writing the log: entries go into the open segment of their branch, and a group of appends becomes
 * one transaction. The open segment is written again under its key until it is full, so a log
 * written one entry at a time ends as dense as an imported one.
 */
import type { Entry } from '../core/event.ts';
import { type Appended, ConflictError } from '../core/history/store.ts';
import { type Environment, type Put, storeKey } from './lmdb.ts';
import { segmentKey } from './log-reader.ts';
import { readRecord, sealRecord, TAG } from './records.ts';
import type { SchemaBook } from './schema-book.ts';
import { decodeSegment, SEGMENT_ENTRIES, SegmentWriter, sameBytes, segmentHead } from './segment.ts';
import { StoreError } from './store-error.ts';

/** A group is written when its full segments have this many bytes, or after so many milliseconds. */
const GROUP_BYTES = 256 * 1024;
const GROUP_MS = 3;
/** A segment written with this many bytes takes no more entries: a tail must stay cheap to rewrite. */
const TAIL_BYTES = 128 * 1024;
/** Tails kept open without anything to write. */
const IDLE_TAILS = 16;

/** The end of a branch's own entries, as it is kept. */
export interface Head {
  /** seq of the last entry, or the fork point while there is none. */
  readonly seq: number;
  /** First seq of the last segment; 0 while there is none. */
  readonly tail: number;
  /** Hash of the last segment, or of the branch record. */
  readonly hash: Uint8Array;
}

interface Waiting {
  readonly promise: Promise<void>;
  resolve(): void;
  reject(error: Error): void;
}

interface Tail {
  readonly branch: number;
  readonly open: SegmentWriter;
  /** Full segments of the group, not yet written. */
  readonly full: { readonly first: number; readonly value: Uint8Array; readonly hash: Uint8Array }[];
  /** The head's record as this writer knows it; undefined before the first entry. */
  written: Uint8Array | undefined;
  /** seq of the last entry taken. */
  head: number;
  /** Hash of the segment before the open one. */
  before: Uint8Array;
  waiting: Waiting | undefined;
}

export function headKey(branch: number): Uint8Array {
  return storeKey(TAG.head, branch, 0);
}

/** The head of a branch; `fork` is the position it begins after, `genesis` the hash of its record. */
export function readHead(environment: Environment, branch: number, fork: number, genesis: Uint8Array): Head {
  const found = readRecord(environment, headKey(branch)) as Head | undefined;
  if (found === undefined) return { seq: fork, tail: 0, hash: genesis };
  return { ...found, hash: Uint8Array.from(found.hash) };
}

export class LogWriter {
  readonly #environment: Environment;
  readonly #book: SchemaBook;
  readonly #headOf: (branch: number) => Head;
  readonly #tails = new Map<number, Tail>();
  readonly #shapes = new Set<number>();
  #bytes = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #failure: Error | undefined;

  /** @param headOf what the file says now; throws when there is no such branch. */
  constructor(environment: Environment, book: SchemaBook, headOf: (branch: number) => Head) {
    this.#environment = environment;
    this.#book = book;
    this.#headOf = headOf;
  }

  /** seq of the last entry taken of a branch that has some not yet written. */
  pendingHead(branch: number): number | undefined {
    const tail = this.#tails.get(branch);
    return tail?.waiting === undefined ? undefined : tail.head;
  }

  /** As `LogStore.append`. Writes at once when the group is full, so a caller in a loop is held back. */
  append(branch: number, expected: number, entries: readonly Entry[]): Appended {
    const tail = this.#tail(branch);
    if (tail.head !== expected)
      throw new ConflictError(`branch ${branch} is at ${tail.head}, not at ${expected}: nothing was written`);
    const first = expected + 1;
    const last = expected + entries.length;
    if (entries.length === 0) return { first, last, durable: tail.waiting?.promise ?? Promise.resolve() };
    checkNumbers(entries, first);
    tail.waiting ??= waiting();
    const { promise } = tail.waiting;
    try {
      this.#take(tail, entries);
    } catch (error) {
      // Half an entry may stand in the columns: nothing of this tail can be kept.
      this.#fail(tail, error instanceof Error ? error : new Error(String(error)));
      throw error;
    }
    if (this.#bytes >= GROUP_BYTES) this.#commitQuietly();
    else this.#timer ??= setTimeout(() => this.#commitQuietly(), GROUP_MS);
    return { first, last, durable: promise };
  }

  /** Writes the group; throws what an append since the last call failed with. */
  commit(): void {
    this.#commitQuietly();
    const failure = this.#failure;
    this.#failure = undefined;
    if (failure !== undefined) throw failure;
  }

  /** Forgets an open tail, for a branch that is removed. */
  drop(branch: number): void {
    this.#tails.delete(branch);
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #commitQuietly(): void {
    this.stop();
    this.#bytes = 0;
    const tails = [...this.#tails.values()].filter((tail) => tail.waiting !== undefined);
    if (tails.length === 0) return;
    const conflicts = new Map<Tail, ConflictError>();
    try {
      const groups = tails.map((tail) => this.#group(tail));
      const bytes = groups.reduce((sum, group) => sum + group.bytes, 0);
      this.#environment.write(bytes, (put) => {
        for (const group of groups) {
          if (this.#isCurrent(group.tail)) this.#putGroup(put, group);
          else conflicts.set(group.tail, this.#conflictOf(group.tail));
        }
      });
      for (const group of groups) if (!conflicts.has(group.tail)) this.#settle(group);
    } catch (error) {
      const failure = error instanceof Error ? error : new StoreError(String(error));
      for (const tail of tails) this.#fail(tail, failure);
    }
    for (const [tail, conflict] of conflicts) this.#fail(tail, conflict);
    this.#forgetIdle();
  }

  /** What one branch has to write: its full segments, and its open one as it is. */
  #group(tail: Tail): Group {
    const segments = [...tail.full];
    if (tail.open.count > 0) segments.push({ first: tail.open.first, ...tail.open.encode(tail.before) });
    const end = segments.at(-1);
    if (end === undefined) throw new Error('invariant: a waiting tail has something to write');
    const head = sealRecord(headKey(tail.branch), { seq: tail.head, tail: end.first, hash: end.hash });
    const bytes = segments.reduce((sum, segment) => sum + segment.value.length, 4096);
    return { tail, segments, head, bytes };
  }

  #putGroup(put: Put, { tail, segments, head }: Group): void {
    for (const { fingerprint, text } of tail.open.shapesEver) {
      if (this.#shapes.has(fingerprint)) continue;
      put(storeKey(TAG.schema, 0, fingerprint), new TextEncoder().encode(text));
    }
    for (const { first, value } of segments) put(segmentKey(tail.branch, first), value);
    put(headKey(tail.branch), head);
  }

  #settle({ tail, segments, head }: Group): void {
    for (const { fingerprint } of tail.open.shapesEver) this.#shapes.add(fingerprint);
    tail.written = head;
    tail.full.length = 0;
    const end = segments.at(-1);
    if (tail.open.count > 0 && end !== undefined && end.value.length >= TAIL_BYTES) {
      tail.before = end.hash;
      tail.open.reset();
    }
    const done = tail.waiting;
    tail.waiting = undefined;
    done?.resolve();
  }

  /** What was not written is gone; the next append begins from what the file says. */
  #fail(tail: Tail, error: Error): void {
    this.#tails.delete(tail.branch);
    this.#failure ??= error;
    tail.waiting?.reject(error);
  }

  #take(tail: Tail, entries: readonly Entry[]): void {
    for (const entry of entries) {
      tail.open.push(entry);
      tail.head = entry.seq;
      if (tail.open.full) this.#seal(tail);
    }
  }

  #seal(tail: Tail): void {
    const first = tail.open.first;
    const segment = tail.open.encode(tail.before);
    tail.full.push({ first, ...segment });
    tail.before = segment.hash;
    tail.open.reset();
    this.#bytes += segment.value.length;
  }

  #tail(branch: number): Tail {
    const known = this.#tails.get(branch);
    if (known?.waiting !== undefined) return known;
    if (known !== undefined && this.#isCurrent(known)) return known;
    const made = this.#openTail(branch);
    this.#tails.set(branch, made);
    return made;
  }

  /** Whether the file's head is still what this writer last wrote or read. */
  #isCurrent({ branch, written }: Tail): boolean {
    const found = this.#environment.get(headKey(branch));
    if (written === undefined || found === undefined) return written === found && this.#hasBranch(branch);
    return sameBytes(written, found);
  }

  #hasBranch(branch: number): boolean {
    return this.#environment.has(storeKey(TAG.branch, branch, 0));
  }

  #conflictOf({ branch, head }: Tail): ConflictError {
    const now = this.#hasBranch(branch) ? `is at ${this.#headOf(branch).seq}` : 'was removed';
    return new ConflictError(
      `branch ${branch} ${now}, not on the way to ${head}: another process wrote it; nothing was written`,
    );
  }

  #openTail(branch: number): Tail {
    const written = this.#headOf(branch);
    const open = new SegmentWriter(this.#book);
    const tail = {
      branch,
      open,
      full: [],
      written: this.#environment.get(headKey(branch)),
      head: written.seq,
      before: written.hash,
      waiting: undefined,
    };
    if (written.tail === 0) return tail;
    const value = this.#environment.get(segmentKey(branch, written.tail));
    const head = value === undefined ? undefined : segmentHead(value);
    const end = head === undefined ? 0 : head.first + head.count - 1;
    if (
      value === undefined ||
      head === undefined ||
      end !== written.seq ||
      !sameBytes(head.hash, written.hash)
    )
      throw new StoreError(
        `${this.#environment.path} is damaged at ${branch}@${written.seq}: head and tail differ`,
      );
    const entries = decodeSegment(value, this.#book);
    if (head.count === SEGMENT_ENTRIES || value.length >= TAIL_BYTES) return tail;
    for (const entry of entries) open.push(entry);
    return { ...tail, before: head.before };
  }

  #forgetIdle(): void {
    for (const [branch, tail] of this.#tails) {
      if (this.#tails.size <= IDLE_TAILS) return;
      if (tail.waiting === undefined) this.#tails.delete(branch);
    }
  }
}

interface Group {
  readonly tail: Tail;
  readonly segments: readonly {
    readonly first: number;
    readonly value: Uint8Array;
    readonly hash: Uint8Array;
  }[];
  /** The head's new record. */
  readonly head: Uint8Array;
  readonly bytes: number;
}

function checkNumbers(entries: readonly Entry[], first: number): void {
  for (let index = 0; index < entries.length; index += 1) {
    const seq = entries[index]?.seq;
    if (seq !== first + index)
      throw new Error(`invariant: entry ${seq} stands where ${first + index} is due`);
  }
}

function waiting(): Waiting {
  let resolve: () => void = () => {};
  let reject: (error: Error) => void = () => {};
  const promise = new Promise<void>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  // Who does not wait for it is told by flush().
  promise.catch(() => {});
  return { promise, resolve, reject };
}
