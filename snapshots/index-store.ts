/**
 * Where things were touched: for every run of 64 segments one record with the hashes of all keys
 * that their entries touch, sorted, and the segment of each. A question looks into the runs from the
 * newest to the oldest, decodes the segments that may hold the key, and gives out exact seqs; so a
 * hash that two keys share costs time and nothing else.
 *
 * A run is written when a branch has 64 more segments that will not change; the rest is indexed in
 * memory when it is asked for. A run is bound to the log by the chained hash of its last segment, and
 * made again when that is another.
 */
import type { IndexStore } from '../core/history/store.ts';
import { CACHE_TAG, type CacheFile } from './cache-file.ts';
import { keyParts, storeKey } from './lmdb.ts';
import {
  contains,
  hashesOf,
  hashKey,
  joinPostings,
  keysOf,
  type Postings,
  segmentsWith,
} from './postings.ts';
import { sealRecord } from './records.ts';
import { sameBytes } from './segment.ts';

/** Segments of a run. */
const RUN_SEGMENTS = 64;
/** Runs kept in memory: one takes 20 to 200 KB. */
const MEMO_RUNS = 64;

interface Run extends Postings {
  /** First seqs of its segments. */
  readonly firsts: readonly number[];
  /** seq after its last entry. */
  readonly end: number;
  /** Chained hash of its last segment. */
  readonly hash: Uint8Array;
}

/** A segment behind the last run. */
interface Loose {
  readonly first: number;
  readonly end: number;
  readonly hashes: Uint32Array;
}

interface Indexed {
  readonly branch: number;
  /** First seqs of the runs, ascending. */
  runs: number[];
  /** Complete segments after the runs, ascending. */
  loose: Loose[];
  /** seq of the first entry that is in neither. */
  next: number;
}

export class DiskIndex implements IndexStore {
  readonly #cache: CacheFile;
  readonly #branches = new Map<number, Indexed>();
  readonly #memo = new Map<string, Run>();

  constructor(cache: CacheFile) {
    this.#cache = cache;
  }

  *touching(branch: number, key: string, before: number): Iterable<number> {
    const { log } = this.#cache;
    const hash = hashKey(key);
    const last = Math.min(before, log.head(branch));
    for (const span of log.lineage(branch, last).reverse()) {
      const indexed = this.grow(span.branch);
      for (const first of this.#candidates(indexed, hash, span.last)) {
        const { entries } = log.segment(span.branch, first);
        for (let at = entries.length - 1; at >= 0; at -= 1) {
          const entry = entries[at];
          if (entry !== undefined && entry.seq <= span.last && keysOf(entry).includes(key)) yield entry.seq;
        }
      }
    }
  }

  /** Indexes what a branch has gained. To be called now and then while a log grows; questions do it, too. */
  grow(branch: number): Indexed {
    const { log } = this.#cache;
    const indexed = this.#branches.get(branch) ?? this.#resume(branch);
    this.#branches.set(branch, indexed);
    let before: { first: number; end: number; entries: Parameters<typeof hashesOf>[0] } | undefined;
    for (const { first, entries } of log.segments(branch, indexed.next)) {
      // A segment is complete when another follows.
      if (before !== undefined) this.#add(indexed, before);
      before = { first, end: first + entries.length, entries };
    }
    return indexed;
  }

  #add(
    indexed: Indexed,
    segment: { first: number; end: number; entries: Parameters<typeof hashesOf>[0] },
  ): void {
    const { first, end, entries } = segment;
    indexed.loose.push({ first, end, hashes: hashesOf(entries) });
    indexed.next = end;
    if (indexed.loose.length === RUN_SEGMENTS) this.#writeRun(indexed);
  }

  #writeRun(indexed: Indexed): void {
    const { loose, branch } = indexed;
    const [start, end] = [loose[0], loose.at(-1)];
    const hash = end === undefined ? undefined : this.#cache.log.segmentHash(branch, end.first);
    if (start === undefined || end === undefined || hash === undefined) return;
    const { hashes, segments } = joinPostings(loose.map((one) => one.hashes));
    const run: Run = { firsts: loose.map(({ first }) => first), end: end.end, hash, hashes, segments };
    const key = runKey(branch, start.first);
    const sealed = sealRecord(key, { ...run, hashes: new Uint8Array(hashes.buffer) });
    const kept = this.#cache.write(sealed.length, (put) => put(key, sealed));
    // Without a file the run stays in memory, where the memo must not lose it.
    this.#remember(`${branch}:${start.first}`, run, kept);
    indexed.runs.push(start.first);
    indexed.loose = [];
  }

  /** First seqs of segments up to `last` that may touch the key, newest first. */
  *#candidates(indexed: Indexed, hash: number, last: number): Generator<number> {
    const { branch, runs, loose, next } = indexed;
    const { log } = this.#cache;
    const open = Array.from(last >= next ? log.segments(branch, next) : [], ({ first }) => first);
    yield* open.filter((first) => first <= last).reverse();
    for (const { first, hashes } of loose.toReversed()) {
      if (first <= last && contains(hashes, hash)) yield first;
    }
    for (const start of runs.toReversed()) {
      if (start > last) continue;
      const run = this.#run(branch, start);
      if (run === undefined) continue;
      for (const segment of segmentsWith(run, hash).reverse()) {
        const first = run.firsts[segment];
        if (first !== undefined && first <= last) yield first;
      }
    }
  }

  /** What the file knows of a branch: its runs one behind the other, as far as they fit the log. */
  #resume(branch: number): Indexed {
    const { log, environment } = this.#cache;
    const fork = log.branches().find(({ id }) => id === branch)?.parent?.at ?? 0;
    const indexed: Indexed = { branch, runs: [], loose: [], next: fork + 1 };
    for (const key of environment?.keys(runKey(branch, 0), runKey(branch + 1, 0)) ?? []) {
      const start = keyParts(key).number;
      const run = start === indexed.next ? this.#run(branch, start) : undefined;
      if (run === undefined) break;
      indexed.runs.push(start);
      indexed.next = run.end;
    }
    return indexed;
  }

  #run(branch: number, start: number): Run | undefined {
    const name = `${branch}:${start}`;
    const known = this.#memo.get(name);
    if (known !== undefined) return known;
    const record = this.#cache.record(runKey(branch, start)) as Run | undefined;
    const last = record?.firsts.at(-1);
    if (record === undefined || last === undefined) return undefined;
    const hash = this.#cache.log.segmentHash(branch, last);
    if (hash === undefined || !sameBytes(hash, record.hash)) return undefined;
    const run = { ...record, hashes: new Uint32Array(Uint8Array.from(record.hashes).buffer) };
    this.#remember(name, run, true);
    return run;
  }

  #remember(name: string, run: Run, kept: boolean): void {
    this.#memo.set(name, run);
    if (!kept || this.#memo.size <= MEMO_RUNS || !this.#cache.writable) return;
    for (const oldest of this.#memo.keys()) {
      this.#memo.delete(oldest);
      return;
    }
  }
}

function runKey(branch: number, first: number): Uint8Array {
  return storeKey(CACHE_TAG.index, branch, first);
}
