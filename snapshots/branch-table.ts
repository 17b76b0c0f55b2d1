/**
 * The branches of a log on disk, and their bookmarks. Read once and kept; a generation number that
 * every change raises tells when another process changed them.
 */
import type { MachineConfig } from '../core/config.ts';
import { lineage, type Span } from '../core/history/branch.ts';
import { type Bookmark, type Branch, MODEL } from '../core/history/store.ts';
import { type Environment, type Put, type Remove, storeKey } from './lmdb.ts';
import { openRecord, readRecord, sealRecord, TAG } from './records.ts';
import { StoreError } from './store-error.ts';

const NOTES_KEY = storeKey(TAG.notes, 0, 0);
const COUNTER_KEY = storeKey(TAG.notes, 0, 1);

/** A branch as it is kept: a fork has neither machine nor model of its own. */
type Kept = Omit<Branch, 'machine' | 'model'> & { readonly machine?: MachineConfig; readonly model?: number };

interface Counter {
  readonly generation: number;
  /** Ids are never given twice, so that what a cache knows of a removed branch stays without meaning. */
  readonly next: number;
}

interface Notes {
  readonly bookmarks: readonly Bookmark[];
  readonly current?: number;
}

export function branchKey(id: number): Uint8Array {
  return storeKey(TAG.branch, id, 0);
}

export class BranchTable {
  readonly #environment: Environment;
  #generation = -1;
  #byId = new Map<number, Branch>();
  #names = new Map<string, number>();
  #list: readonly Branch[] = [];

  constructor(environment: Environment) {
    this.#environment = environment;
  }

  list(): readonly Branch[] {
    this.#reload();
    return this.#list;
  }

  find(id: number): Branch | undefined {
    this.#reload();
    return this.#byId.get(id);
  }

  /** The branch; StoreError when there is none. */
  get(id: number): Branch {
    const found = this.find(id);
    if (found === undefined) throw new StoreError(`${this.#environment.path} has no branch ${id}`);
    return found;
  }

  /** The history of a branch up to `head`, in order. */
  lineage(branch: number, head: number): Span[] {
    this.get(branch);
    return lineage((id) => this.#byId.get(id), branch, head);
  }

  createRoot(name: string, machine: MachineConfig, source: string): Branch {
    return this.#add({ name, machine, source, model: MODEL });
  }

  fork(name: string, parent: number, at: number): Branch {
    return this.#add({ name, parent: { branch: parent, at }, source: 'fork' });
  }

  /** Removes the branch, its bookmarks, and whatever else `more` removes in the same transaction. */
  remove(id: number, more: (remove: Remove) => void): void {
    this.get(id);
    const child = this.#list.find((branch) => branch.parent?.branch === id);
    if (child !== undefined) throw new StoreError(`branch ${id} is the parent of ${child.name}`);
    this.#environment.write(4096, (put, remove) => {
      const notes = this.#notes();
      const kept = notes.bookmarks.filter((bookmark) => bookmark.branch !== id);
      const { current } = notes;
      const next =
        current === undefined || current === id ? { bookmarks: kept } : { bookmarks: kept, current };
      put(NOTES_KEY, sealRecord(NOTES_KEY, next));
      remove(branchKey(id));
      more(remove);
      this.#count(put, 0);
    });
    this.#generation = -1;
  }

  bookmarks(): readonly Bookmark[] {
    return this.#notes().bookmarks;
  }

  /** Sets or moves the bookmark of that name. */
  setBookmark(bookmark: Bookmark): void {
    this.#environment.write(4096, (put) => {
      const notes = this.#notes();
      const others = notes.bookmarks.filter((other) => other.name !== bookmark.name);
      put(NOTES_KEY, sealRecord(NOTES_KEY, { ...notes, bookmarks: [...others, bookmark] }));
    });
  }

  current(): number | undefined {
    return this.#notes().current;
  }

  setCurrent(branch: number): void {
    this.get(branch);
    this.#environment.write(4096, (put) => {
      put(NOTES_KEY, sealRecord(NOTES_KEY, { ...this.#notes(), current: branch }));
    });
  }

  #add(made: Omit<Kept, 'id'>): Branch {
    let kept: Kept | undefined;
    this.#environment.write(4096, (put) => {
      this.#reload();
      if (made.name === '') throw new StoreError('a branch needs a name');
      if (this.#names.has(made.name)) throw new StoreError(`there is a branch ${made.name} already`);
      const id = this.#count(put, 1);
      kept = { ...made, id };
      put(branchKey(id), sealRecord(branchKey(id), kept));
    });
    if (kept === undefined) throw new StoreError('the branch was not written');
    this.#adopt(kept);
    this.#generation += 1;
    this.#list = [...this.#byId.values()];
    return this.get(kept.id);
  }

  /** Raises the generation and hands out `ids` new ids; returns the first. */
  #count(put: Put, ids: number): number {
    const { generation, next } = this.#counter();
    put(COUNTER_KEY, sealRecord(COUNTER_KEY, { generation: generation + 1, next: next + ids }));
    return next;
  }

  #counter(): Counter {
    return (readRecord(this.#environment, COUNTER_KEY) ?? { generation: 0, next: 1 }) as Counter;
  }

  #notes(): Notes {
    return (readRecord(this.#environment, NOTES_KEY) ?? { bookmarks: [] }) as Notes;
  }

  #reload(): void {
    const { generation } = this.#counter();
    if (generation === this.#generation) return;
    this.#byId = new Map();
    this.#names = new Map();
    for (const { key, value } of this.#environment.range(branchKey(0), branchKey(0xffffffff))) {
      this.#adopt(openRecord(key, value) as Kept);
    }
    this.#list = [...this.#byId.values()];
    this.#generation = generation;
  }

  /** Parents come first: ids only grow. */
  #adopt(kept: Kept): void {
    const root = kept.parent === undefined ? undefined : this.#byId.get(kept.parent.branch);
    const machine = kept.machine ?? root?.machine;
    const model = kept.model ?? root?.model;
    if (machine === undefined || model === undefined)
      throw new StoreError(`${this.#environment.path}: branch ${kept.id} has no root`);
    this.#byId.set(kept.id, { ...kept, machine, model });
    this.#names.set(kept.name, kept.id);
  }
}
