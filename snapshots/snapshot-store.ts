/**
 * Snapshots of states on disk. The record of one names the roots of its maps and holds its control
 * state; it is bound to the history it was made of by the log's fingerprint, so a state is never
 * given out for another past. What is missing, damaged or of another version is passed over.
 *
 * Old snapshots are thinned, and chunks that no snapshot reaches any more removed, when the store is
 * opened: later, states in use may still have to load from them.
 */
import { Packr } from 'msgpackr';
import { FORMAT, MODEL, type SnapshotStore } from '../core/history/store.ts';
import type { Radix } from '../core/memory/radix.ts';
import { assemble, dismantle, type State } from '../core/state.ts';
import { CACHE_TAG, type CacheFile } from './cache-file.ts';
import { ChunkReader, ChunkWriter, chunkKey, chunkOf } from './chunk.ts';
import { keyParts, storeKey } from './lmdb.ts';
import { type MapRoot, namedBy, Persister } from './persist.ts';
import { isDue, keepers } from './policy.ts';
import { sealRecord } from './records.ts';
import { messageOf, StoreError } from './store-error.ts';

const COUNTER_KEY = storeKey(CACHE_TAG.counter, 0, 0);

interface SnapshotRecord {
  readonly model: number;
  readonly format: number;
  /** The log's fingerprint of the history up to here. */
  readonly history: string;
  readonly control: Uint8Array;
  readonly maps: readonly { readonly name: string; readonly root: MapRoot }[];
}

const packr = new Packr({ useRecords: false, useBigIntExtension: true, moreTypes: true });

function snapshotKey(branch: number, seq: number): Uint8Array {
  return storeKey(CACHE_TAG.snapshot, branch, seq);
}

export class DiskSnapshots implements SnapshotStore {
  readonly #cache: CacheFile;
  readonly #reader: ChunkReader;
  readonly #persister: Persister;
  /** Ascending seqs of the snapshots of each branch. */
  readonly #seqs = new Map<number, number[]>();
  /** Snapshots whose history was compared, or that were made here. */
  readonly #trusted = new Set<string>();
  readonly #spacing: (seq: number, last: number) => boolean;

  /** @param spacing whether a state is worth keeping; for tests. */
  constructor(cache: CacheFile, spacing: (seq: number, last: number) => boolean = isDue) {
    this.#cache = cache;
    this.#spacing = spacing;
    this.#reader = new ChunkReader(cache);
    this.#persister = new Persister((id) => this.#readRecord(id));
    this.#list();
    if (cache.writable) this.#tidy();
  }

  nearest(branch: number, at: number): { branch: number; seq: number; state: State } | undefined {
    for (const span of this.#cache.log.lineage(branch, at).reverse()) {
      const seqs = this.#seqs.get(span.branch) ?? [];
      for (let index = countUpTo(seqs, span.last) - 1; index >= 0; index -= 1) {
        const seq = seqs[index] ?? 0;
        if (seq < span.from) break;
        const state = this.#load(span.branch, seq);
        if (state !== undefined) return { branch: span.branch, seq, state };
        this.#drop(span.branch, seq);
      }
    }
    return undefined;
  }

  put(branch: number, seq: number, state: State): void {
    if (!this.#cache.writable || seq < 1) return;
    const { log } = this.#cache;
    if (!this.#spacing(seq, this.#lastBefore(branch, seq))) return;
    const history = log.fingerprint(branch, seq);
    if (history !== undefined) this.#write(log.ownerOf(branch, seq), seq, state, history);
  }

  async flush(): Promise<void> {}

  /** Closes nothing but itself: the file is the cache's. */
  async close(): Promise<void> {}

  /** seq of the newest snapshot that a state at `seq` could be folded from; 0 for none. */
  #lastBefore(branch: number, seq: number): number {
    for (const span of this.#cache.log.lineage(branch, seq).reverse()) {
      const seqs = this.#seqs.get(span.branch) ?? [];
      const found = seqs[countUpTo(seqs, span.last) - 1];
      if (found !== undefined && found >= span.from) return found;
    }
    return 0;
  }

  #write(branch: number, seq: number, state: State, history: string): void {
    const { control, parts } = dismantle(state);
    const out = new ChunkWriter(this.#nextChunk());
    const given: object[] = [];
    const maps = Object.entries(parts).map(([name, map]) => {
      if (map.open) throw new Error(`invariant: ${name} is sealed before it is kept`);
      return { name, root: this.#persister.save(map, out, given) };
    });
    const record: SnapshotRecord = {
      model: MODEL,
      format: FORMAT,
      history,
      control: packr.pack(control),
      maps,
    };
    const key = snapshotKey(branch, seq);
    const sealed = sealRecord(key, record);
    const chunks = out.finish();
    const written = this.#cache.write(out.bytes + sealed.length + 4096, (put) => {
      for (const chunk of chunks) put(chunk.key, chunk.value);
      put(key, sealed);
      put(COUNTER_KEY, sealRecord(COUNTER_KEY, out.next));
    });
    if (!written) {
      this.#persister.forget(given);
      return;
    }
    this.#trusted.add(`${branch}@${seq}`);
    const seqs = (this.#seqs.get(branch) ?? []).filter((other) => other !== seq);
    seqs.splice(countUpTo(seqs, seq), 0, seq);
    this.#seqs.set(branch, seqs);
  }

  /** The counter is read each time: another process may have written, too. */
  #nextChunk(): number {
    this.#cache.environment?.refresh();
    const counted = this.#cache.record(COUNTER_KEY);
    if (typeof counted === 'number') return counted;
    // Lost: begin behind the last chunk.
    const last = this.#cache.environment?.floorKey(chunkKey(2 ** 48));
    const parts = last === undefined ? undefined : keyParts(last);
    return parts?.tag === CACHE_TAG.chunk ? parts.number + 1 : 1;
  }

  #load(branch: number, seq: number): State | undefined {
    const record = this.#record(branch, seq);
    if (record === undefined) return undefined;
    const name = `${branch}@${seq}`;
    if (!this.#trusted.has(name)) {
      if (this.#cache.log.fingerprint(branch, seq) !== record.history) return undefined;
      this.#trusted.add(name);
    }
    const parts: Record<string, Radix<unknown>> = {};
    for (const { name: part, root } of record.maps) parts[part] = this.#persister.open(root);
    return assemble({ control: packr.unpack(record.control.slice()), parts });
  }

  #record(branch: number, seq: number): SnapshotRecord | undefined {
    const record = this.#cache.record(snapshotKey(branch, seq)) as SnapshotRecord | undefined;
    return record?.model === MODEL && record.format === FORMAT ? record : undefined;
  }

  #readRecord(id: number): Uint8Array {
    try {
      return this.#reader.record(id);
    } catch (error) {
      this.#seqs.clear();
      throw this.#cache.condemn(messageOf(error));
    }
  }

  /** The snapshots that are there, by branch, ascending. */
  #list(): void {
    for (const key of this.#cache.environment?.keys(snapshotKey(0, 0), snapshotKey(0xffffffff, 0)) ?? []) {
      const { branch, number } = keyParts(key);
      const seqs = this.#seqs.get(branch) ?? [];
      seqs.push(number);
      this.#seqs.set(branch, seqs);
    }
  }

  /** Removes snapshots that are void or too many, and then chunks that none of the others reaches. */
  #tidy(): void {
    const { log } = this.#cache;
    const known = new Set(log.branches().map(({ id }) => id));
    const gone: Uint8Array[] = [];
    let kept = 0;
    for (const [branch, seqs] of this.#seqs) {
      const head = known.has(branch) ? log.durableHead(branch).seq : 0;
      const keep = keepers(
        seqs.filter((seq) => seq <= head),
        head,
      );
      for (const seq of seqs) if (!keep.has(seq)) gone.push(snapshotKey(branch, seq));
      kept += keep.size;
      this.#seqs.set(
        branch,
        seqs.filter((seq) => keep.has(seq)),
      );
    }
    if (gone.length === 0 || !this.#isSound()) return;
    // Reading all nodes takes a while: only when much may come free.
    const unreached = gone.length * 2 > kept ? this.#unreached() : [];
    this.#cache.write(4096, (_put, remove) => {
      for (const key of [...gone, ...unreached]) remove(key);
    });
  }

  #isSound(): boolean {
    try {
      this.#cache.environment?.checkThoroughly();
      return true;
    } catch (error) {
      this.#cache.condemn(messageOf(error));
      return false;
    }
  }

  #unreached(): Uint8Array[] {
    const reached = new Set<number>();
    try {
      for (const [branch, seqs] of this.#seqs) {
        for (const seq of seqs) {
          const roots = this.#record(branch, seq)?.maps.map(({ root }) => root.root) ?? [];
          this.#reach(
            roots.filter((root) => root >= 0),
            reached,
          );
        }
      }
    } catch (error) {
      if (error instanceof StoreError) return [];
      throw error;
    }
    const chunks = new Set(Array.from(reached, chunkOf));
    const found = [...(this.#cache.environment?.keys(chunkKey(0), chunkKey(2 ** 48)) ?? [])];
    return found.filter((key) => !chunks.has(keyParts(key).number));
  }

  /** Adds to `reached` one id of every chunk and every node that the roots lead to. */
  #reach(roots: readonly number[], reached: Set<number>): void {
    const waiting = [...roots];
    for (let id = waiting.pop(); id !== undefined; id = waiting.pop()) {
      if (reached.has(id)) continue;
      reached.add(id);
      const { follow, plain } = namedBy(this.#readRecord(id));
      waiting.push(...follow);
      for (const value of plain) reached.add(value);
    }
  }

  #drop(branch: number, seq: number): void {
    const left = (this.#seqs.get(branch) ?? []).filter((other) => other !== seq);
    this.#seqs.set(branch, left);
  }
}

/** How many of the ascending numbers are not above `most`. */
function countUpTo(numbers: readonly number[], most: number): number {
  let low = 0;
  let high = numbers.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((numbers[middle] ?? 0) <= most) low = middle + 1;
    else high = middle;
  }
  return low;
}
