/** Reading segments back: the one that holds a seq, decoded, with a small memory of the last ones. */
import type { Entry } from '../core/event.ts';
import type { Span } from '../core/history/branch.ts';
import { type Environment, keyParts, storeKey } from './lmdb.ts';
import { TAG } from './records.ts';
import type { SchemaBook } from './schema-book.ts';
import { decodeSegment, SEGMENT_ENTRIES, segmentHead } from './segment.ts';
import { messageOf, StoreError } from './store-error.ts';

/** Decoded segments kept: a full one takes about 200 KB. */
const MEMO_SEGMENTS = 64;

export function segmentKey(branch: number, first: number): Uint8Array {
  return storeKey(TAG.segment, branch, first);
}

export interface Loaded {
  readonly first: number;
  readonly entries: readonly Entry[];
}

export class LogReader {
  readonly #environment: Environment;
  readonly #book: SchemaBook;
  readonly #memo = new Map<string, Loaded>();

  constructor(environment: Environment, book: SchemaBook) {
    this.#environment = environment;
    this.#book = book;
  }

  /** First seq of the own segment that holds `seq`; undefined when the branch has none such. */
  firstOf(branch: number, seq: number): number | undefined {
    const key = this.#environment.floorKey(segmentKey(branch, seq));
    if (key === undefined) return undefined;
    const parts = keyParts(key);
    return parts.tag === TAG.segment && parts.branch === branch ? parts.number : undefined;
  }

  /** Bytes of the own segment that begins at `first`. */
  value(branch: number, first: number): Uint8Array | undefined {
    return this.#environment.get(segmentKey(branch, first));
  }

  /**
   * The own segment of `branch` that begins at `first`; StoreError when it is missing or damaged.
   * @param only types that matter: where it must be decoded for them, others may be left out.
   */
  load(branch: number, first: number, only?: ReadonlySet<string>): Loaded {
    const name = `${branch}:${first}`;
    const known = this.#memo.get(name);
    if (known !== undefined) {
      this.#memo.delete(name);
      this.#memo.set(name, known);
      return known;
    }
    if (only !== undefined) return { first, entries: this.#decode(branch, first, only) };
    const loaded = { first, entries: this.#decode(branch, first) };
    // A shorter one may be the tail, which is written again when it grows.
    if (loaded.entries.length === SEGMENT_ENTRIES) this.#remember(name, loaded);
    return loaded;
  }

  /** Entries of one span, ascending. */
  *up(span: Span): Generator<Entry> {
    let seq = span.from;
    let first = this.#first(span.branch, seq);
    while (seq <= span.last) {
      const { entries } = this.load(span.branch, first);
      const end = first + entries.length;
      if (seq >= end) throw this.#gap(span.branch, seq);
      const stop = Math.min(span.last + 1, end);
      for (; seq < stop; seq += 1) yield entries[seq - first] as Entry;
      first = end;
    }
  }

  /** Entries of one span, descending. */
  *down(span: Span): Generator<Entry> {
    let seq = span.last;
    while (seq >= span.from) {
      const first = this.#first(span.branch, seq);
      const { entries } = this.load(span.branch, first);
      if (seq >= first + entries.length) throw this.#gap(span.branch, seq);
      for (; seq >= Math.max(first, span.from); seq -= 1) yield entries[seq - first] as Entry;
    }
  }

  #first(branch: number, seq: number): number {
    const first = this.firstOf(branch, seq);
    if (first === undefined) throw this.#gap(branch, seq);
    return first;
  }

  #gap(branch: number, seq: number): StoreError {
    return new StoreError(`${this.#environment.path}: entry ${branch}@${seq} is missing`);
  }

  #decode(branch: number, first: number, only?: ReadonlySet<string>): Entry[] {
    const value = this.value(branch, first);
    if (value === undefined) throw this.#gap(branch, first);
    try {
      if (segmentHead(value).first !== first) throw new StoreError('the segment is another one');
      return decodeSegment(value, this.#book, only);
    } catch (error) {
      throw new StoreError(`${this.#environment.path} is damaged at ${branch}@${first}: ${messageOf(error)}`);
    }
  }

  #remember(name: string, loaded: Loaded): void {
    this.#memo.set(name, loaded);
    if (this.#memo.size <= MEMO_SEGMENTS) return;
    for (const oldest of this.#memo.keys()) {
      this.#memo.delete(oldest);
      return;
    }
  }
}
