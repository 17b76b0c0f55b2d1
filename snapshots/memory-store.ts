/** The in-memory twins of the stores: the same promises, kept for as long as the process lives. */
import { assert } from '../core/assert.ts';
import type { MachineConfig } from '../core/config.ts';
import type { Entry } from '../core/event.ts';
import { lineage, ownerOf } from '../core/history/branch.ts';
import {
  type Appended,
  type Bookmark,
  type Branch,
  ConflictError,
  type IndexStore,
  type Keys,
  type LogStore,
  type Memo,
  type MemoKind,
  type MemoStore,
  MODEL,
  type SeqRange,
  type SnapshotStore,
} from '../core/history/store.ts';
import { touchKeys } from '../core/history/touch.ts';
import type { State } from '../core/state.ts';
import { StoreError } from './store-error.ts';

export class MemoryLog implements LogStore {
  readonly #branches = new Map<number, Branch>();
  readonly #entries = new Map<number, Entry[]>();
  #bookmarks: readonly Bookmark[] = [];
  #current: number | undefined;
  #next = 1;

  branches(): readonly Branch[] {
    return [...this.#branches.values()];
  }

  createRoot(name: string, machine: MachineConfig, source: string): Branch {
    return this.#add({ name, machine, source, model: MODEL });
  }

  fork(name: string, parent: number, at: number): Branch {
    const { machine, model } = this.#get(parent);
    const head = this.head(parent);
    if (!Number.isSafeInteger(at) || at < 0 || at > head)
      throw new StoreError(`branch ${parent} has no position ${at}: its last is ${head}`);
    return this.#add({ name, parent: { branch: parent, at }, machine, source: 'fork', model });
  }

  removeBranch(id: number): void {
    this.#get(id);
    const child = this.branches().find((branch) => branch.parent?.branch === id);
    if (child !== undefined) throw new StoreError(`branch ${id} is the parent of ${child.name}`);
    this.#branches.delete(id);
    this.#entries.delete(id);
    this.#bookmarks = this.#bookmarks.filter((bookmark) => bookmark.branch !== id);
    if (this.#current === id) this.#current = undefined;
  }

  head(branch: number): number {
    const { parent } = this.#get(branch);
    return this.#own(branch).at(-1)?.seq ?? parent?.at ?? 0;
  }

  append(branch: number, expected: number, entries: readonly Entry[]): Appended {
    const head = this.head(branch);
    if (head !== expected)
      throw new ConflictError(`branch ${branch} is at ${head}, not at ${expected}: nothing was written`);
    entries.forEach(({ seq }, index) => {
      assert(seq === expected + 1 + index, `entry ${seq} stands where ${expected + 1 + index} is due`);
    });
    const own = this.#own(branch);
    for (const entry of entries) own.push(entry);
    return { first: expected + 1, last: expected + entries.length, durable: Promise.resolve() };
  }

  *read(branch: number, from: number, to: number): Iterable<Entry> {
    const last = Math.min(to, this.head(branch));
    for (let seq = Math.max(from, 1); seq <= last; seq += 1) yield this.#at(branch, seq);
  }

  *readBack(branch: number, from: number, to: number): Iterable<Entry> {
    for (let seq = Math.min(to, this.head(branch)); seq >= Math.max(from, 1); seq -= 1)
      yield this.#at(branch, seq);
  }

  bookmarks(): readonly Bookmark[] {
    return this.#bookmarks;
  }

  setBookmark(bookmark: Bookmark): void {
    const head = this.head(bookmark.branch);
    if (bookmark.seq < 0 || bookmark.seq > head)
      throw new StoreError(`branch ${bookmark.branch} has no position ${bookmark.seq}: its last is ${head}`);
    this.#bookmarks = [...this.#bookmarks.filter((other) => other.name !== bookmark.name), bookmark];
  }

  current(): number | undefined {
    return this.#current;
  }

  setCurrent(branch: number): void {
    this.#get(branch);
    this.#current = branch;
  }

  async flush(): Promise<void> {}

  async close(): Promise<void> {}

  #add(made: Omit<Branch, 'id'>): Branch {
    if (made.name === '') throw new StoreError('a branch needs a name');
    if (this.branches().some((branch) => branch.name === made.name))
      throw new StoreError(`there is a branch ${made.name} already`);
    const branch: Branch = { ...made, id: this.#next };
    this.#next += 1;
    this.#branches.set(branch.id, branch);
    this.#entries.set(branch.id, []);
    return branch;
  }

  #get(id: number): Branch {
    const found = this.#branches.get(id);
    if (found === undefined) throw new StoreError(`there is no branch ${id}`);
    return found;
  }

  #own(id: number): Entry[] {
    return this.#entries.get(id) ?? [];
  }

  #at(branch: number, seq: number): Entry {
    const owner = ownerOf((id) => this.#branches.get(id), branch, seq);
    const entry = this.#own(owner)[seq - 1 - (this.#branches.get(owner)?.parent?.at ?? 0)];
    assert(entry !== undefined, `${branch}@${seq} is there`);
    return entry;
  }
}

/** Keeps every state it is given. */
export class MemorySnapshots implements SnapshotStore {
  readonly #log: LogStore;
  readonly #states = new Map<number, { readonly seq: number; readonly state: State }[]>();

  constructor(log: LogStore) {
    this.#log = log;
  }

  nearest(branch: number, at: number): { branch: number; seq: number; state: State } | undefined {
    const spans = lineage(finder(this.#log), branch, at);
    for (const span of spans.reverse()) {
      const kept = this.#states.get(span.branch) ?? [];
      const found = kept.filter(({ seq }) => seq >= span.from && seq <= span.last).at(-1);
      if (found !== undefined) return { branch: span.branch, ...found };
    }
    return undefined;
  }

  put(branch: number, seq: number, state: State): void {
    if (seq === 0) return;
    const owner = ownerOf(finder(this.#log), branch, seq);
    const kept = (this.#states.get(owner) ?? []).filter((other) => other.seq !== seq);
    this.#states.set(
      owner,
      [...kept, { seq, state }].sort((one, other) => one.seq - other.seq),
    );
  }

  async flush(): Promise<void> {}

  async close(): Promise<void> {}
}

/** Keeps every answer it is given, as it is: the giver changes it no more. */
export class MemoryMemos implements MemoStore {
  readonly #log: LogStore;
  readonly #kept = new Map<string, Memo[]>();

  constructor(log: LogStore) {
    this.#log = log;
  }

  nearest(kind: MemoKind, version: number, branch: number, at: number): Memo | undefined {
    for (const span of lineage(finder(this.#log), branch, at).reverse()) {
      const kept = this.#kept.get(`${kind} ${version} ${span.branch}`) ?? [];
      const found = kept.filter(({ seq }) => seq >= span.from && seq <= span.last).at(-1);
      if (found !== undefined) return { seq: found.seq, value: structuredClone(found.value) };
    }
    return undefined;
  }

  put(kind: MemoKind, version: number, branch: number, memo: Memo): void {
    if (memo.seq === 0) return;
    const name = `${kind} ${version} ${ownerOf(finder(this.#log), branch, memo.seq)}`;
    const kept = (this.#kept.get(name) ?? []).filter(({ seq }) => seq !== memo.seq);
    const own = { seq: memo.seq, value: structuredClone(memo.value) };
    this.#kept.set(
      name,
      [...kept, own].sort((one, other) => one.seq - other.seq),
    );
  }
}

/** Answers by looking at every entry. */
export class MemoryIndex implements IndexStore {
  readonly #log: LogStore;

  constructor(log: LogStore) {
    this.#log = log;
  }

  *touching(branch: number, key: string, before: number): Iterable<number> {
    for (const entry of this.#log.readBack(branch, 1, before)) {
      if (touchKeys(entry).includes(key)) yield entry.seq;
    }
  }

  *matching(
    branch: number,
    groups: readonly Keys[],
    { from, to }: SeqRange,
    order: 'oldest' | 'newest',
  ): Iterable<Entry> {
    const last = Math.min(to, this.#log.head(branch));
    const log = this.#log;
    const read = order === 'oldest' ? log.read(branch, from + 1, last) : log.readBack(branch, from + 1, last);
    for (const entry of read) {
      const own = touchKeys(entry);
      if (groups.every((keys) => keys.some((key) => own.includes(key)))) yield entry;
    }
  }
}

function finder(log: LogStore): (id: number) => Branch | undefined {
  const branches = new Map(log.branches().map((branch) => [branch.id, branch]));
  return (id) => branches.get(id);
}
