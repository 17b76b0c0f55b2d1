/**
 * The log on disk: one LMDB file that holds the truth. Records by the first byte of their key:
 * header, schemas, branches, heads, segments, and notes (bookmarks, the current branch).
 *
 * Appends are gathered into groups, and a group is one synchronous transaction that first compares
 * the branch's head in the file with the writer's idea of it. What a transaction wrote is durable
 * when it returns. Everything that reads writes the waiting group first.
 */
import { createHash } from 'node:crypto';
import type { MachineConfig } from '../core/config.ts';
import { type Entry, schemas } from '../core/event.ts';
import { ownerOf, type Span } from '../core/history/branch.ts';
import type { Appended, Bookmark, Branch, LogStore } from '../core/history/store.ts';
import { BranchTable, branchKey } from './branch-table.ts';
import { type Header, openHeader } from './header.ts';
import { Environment, storeKey } from './lmdb.ts';
import { LogReader, segmentKey } from './log-reader.ts';
import { type Head, headKey, LogWriter, readHead } from './log-writer.ts';
import { TAG } from './records.ts';
import { SchemaBook } from './schema-book.ts';
import { HASH_BYTES, SegmentWriter } from './segment.ts';
import { StoreError } from './store-error.ts';

export interface LogOptions {
  readonly readOnly?: boolean;
}

/** One own segment of a branch as it is kept. */
export interface StoredSegment {
  readonly branch: number;
  readonly first: number;
  readonly entries: readonly Entry[];
}

/**
 * Opens the log at `path`, or makes it. StoreError when it is damaged, of a newer format, not a
 * store, or may not be used as asked.
 */
export function openLogStore(path: string, options: LogOptions = {}): DiskLog {
  const environment = new Environment(path, options);
  try {
    return new DiskLog(environment, openHeader(environment));
  } catch (error) {
    void environment.close();
    throw error;
  }
}

export class DiskLog implements LogStore {
  readonly header: Header;
  readonly environment: Environment;
  readonly book: SchemaBook;
  readonly #branches: BranchTable;
  readonly #reader: LogReader;
  readonly #writer: LogWriter;

  constructor(environment: Environment, header: Header) {
    this.environment = environment;
    this.header = header;
    this.#branches = new BranchTable(environment);
    this.book = new SchemaBook(schemas, (fingerprint) => this.#schemaText(fingerprint));
    this.#reader = new LogReader(environment, this.book);
    this.#writer = new LogWriter(environment, this.book, (branch) => this.durableHead(branch));
  }

  get path(): string {
    return this.environment.path;
  }

  branches(): readonly Branch[] {
    return this.#branches.list();
  }

  createRoot(name: string, machine: MachineConfig, source: string): Branch {
    return this.#branches.createRoot(name, machine, source);
  }

  fork(name: string, parent: number, at: number): Branch {
    // The waiting group first: a fork must never outlive the entries it stands on.
    this.#writer.commit();
    const head = this.head(parent);
    if (!Number.isSafeInteger(at) || at < 0 || at > head)
      throw new StoreError(`branch ${parent} has no position ${at}: its last is ${head}`);
    return this.#branches.fork(name, parent, at);
  }

  removeBranch(id: number): void {
    this.#writer.commit();
    this.#writer.drop(id);
    this.environment.checkThoroughly();
    const firsts = [...this.environment.keys(segmentKey(id, 0), segmentKey(id + 1, 0))];
    this.#branches.remove(id, (remove) => {
      for (const key of firsts) remove(key);
      remove(headKey(id));
    });
  }

  head(branch: number): number {
    return this.#writer.pendingHead(branch) ?? this.durableHead(branch).seq;
  }

  /** The head as the file has it. */
  durableHead(branch: number): Head {
    const found = this.#branches.get(branch);
    const record = this.environment.get(branchKey(branch));
    if (record === undefined) throw new StoreError(`${this.path} has no branch ${branch}`);
    return readHead(this.environment, branch, found.parent?.at ?? 0, record.slice(0, HASH_BYTES));
  }

  append(branch: number, expected: number, entries: readonly Entry[]): Appended {
    if (this.environment.readOnly) throw new StoreError(`${this.path} is open for reading only`);
    return this.#writer.append(branch, expected, entries);
  }

  *read(branch: number, from: number, to: number): Iterable<Entry> {
    for (const span of this.#spans(branch, from, to)) yield* this.#reader.up(span);
  }

  *readBack(branch: number, from: number, to: number): Iterable<Entry> {
    for (const span of this.#spans(branch, from, to).reverse()) yield* this.#reader.down(span);
  }

  bookmarks(): readonly Bookmark[] {
    return this.#branches.bookmarks();
  }

  setBookmark(bookmark: Bookmark): void {
    const head = this.head(bookmark.branch);
    if (bookmark.seq < 0 || bookmark.seq > head)
      throw new StoreError(`branch ${bookmark.branch} has no position ${bookmark.seq}: its last is ${head}`);
    this.#writer.commit();
    this.#branches.setBookmark(bookmark);
  }

  current(): number | undefined {
    return this.#branches.current();
  }

  setCurrent(branch: number): void {
    this.#branches.setCurrent(branch);
  }

  async flush(): Promise<void> {
    this.#writer.commit();
  }

  async close(): Promise<void> {
    try {
      this.#writer.commit();
    } finally {
      this.#writer.stop();
      await this.environment.close();
    }
  }

  /** Which branch's own entries the history of `branch` consists of, up to `head`. */
  lineage(branch: number, head: number): Span[] {
    return this.#branches.lineage(branch, head);
  }

  /** The branch that owns `seq` in the history of `branch`. */
  ownerOf(branch: number, seq: number): number {
    return ownerOf((id) => this.#branches.find(id), branch, seq);
  }

  /** Own segments of a branch from the one that holds `seq` on; what waits is written first. */
  *segments(branch: number, seq: number): Generator<StoredSegment> {
    this.#writer.commit();
    const { seq: head, tail } = this.durableHead(branch);
    if (tail === 0 || seq > head) return;
    let first = this.#reader.firstOf(branch, seq) ?? this.#reader.firstOf(branch, head);
    while (first !== undefined && first <= head) {
      const { entries } = this.#reader.load(branch, first);
      yield { branch, first, entries };
      first += entries.length;
    }
  }

  /** The chained hash of the own segment that begins at `first`: it stands for all before it, too. */
  segmentHash(branch: number, first: number): Uint8Array | undefined {
    return this.#reader.value(branch, first)?.slice(0, HASH_BYTES);
  }

  /** The own segment of `branch` that begins at `first`. */
  segment(branch: number, first: number, only?: ReadonlySet<string>): StoredSegment {
    return { branch, ...this.#reader.load(branch, first, only) };
  }

  /**
   * What the history up to `branch@seq` is, as 32 hexadecimal digits: another log, or another past of
   * the same one, has another. Undefined where the history does not reach.
   */
  fingerprint(branch: number, seq: number): string | undefined {
    if (!this.environment.readOnly) this.#writer.commit();
    const digest = createHash('sha256').update(this.header.id);
    const owner = this.ownerOf(branch, seq);
    const first = seq === 0 ? undefined : this.#reader.firstOf(owner, seq);
    if (seq > 0) {
      if (first === undefined) return undefined;
      const { entries } = this.#reader.load(owner, first);
      const upTo = entries.slice(0, seq - first + 1);
      if (upTo.at(-1)?.seq !== seq) return undefined;
      const writer = new SegmentWriter(this.book);
      for (const entry of upTo) writer.push(entry);
      const before = this.#reader.value(owner, first)?.slice(HASH_BYTES, 2 * HASH_BYTES) ?? new Uint8Array();
      digest.update(writer.encode(before).hash);
    }
    const { machine } = this.#branches.get(branch);
    return digest
      .update(JSON.stringify([owner, seq, machine]))
      .digest('hex')
      .slice(0, 32);
  }

  #spans(branch: number, from: number, to: number): Span[] {
    if (!this.environment.readOnly) this.#writer.commit();
    const last = Math.min(to, this.head(branch));
    return this.#branches
      .lineage(branch, last)
      .map((span) => ({ ...span, from: Math.max(span.from, from) }))
      .filter((span) => span.from <= span.last);
  }

  #schemaText(fingerprint: number): string | undefined {
    const text = this.environment.get(storeKey(TAG.schema, 0, fingerprint));
    return text === undefined ? undefined : new TextDecoder().decode(text);
  }
}
