/**
 * Where things were touched: for every run of 64 segments one record with the hashes of all keys
 * that their entries touch, sorted, and the segment of each. A question looks into the runs from the
 * newest to the oldest, decodes the segments that may hold the key, and gives out exact seqs; so a
 * hash that two keys share costs time and nothing else.
 *
 * A run is written when a branch has 64 more segments that will not change. The complete segments after the
 * last run are its tail: they are kept in a record of their own when the store is closed, and the open segment
 * is looked through when it is asked for. A run is bound to the log by the chained hash of its last segment, and
 * made again when that is another.
 */
import type { Entry } from '../core/event.ts';
import type { IndexStore, Keys, SeqRange } from '../core/history/store.ts';
import { keyTest, typesUnder } from '../core/history/touch.ts';
import { CACHE_TAG, type CacheFile } from './cache-file.ts';
import { keyParts, storeKey } from './lmdb.ts';
import { contains, hashesOf, hashKey, joinPostings, type Postings, segmentsWithAll } from './postings.ts';
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
  /** `next` when the tail was last kept. */
  kept: number;
}

/** The tail as it is kept: the hashes of its segments one behind the other, and how many each has. */
interface Tail {
  readonly start: number;
  readonly firsts: readonly number[];
  readonly ends: readonly number[];
  readonly counts: readonly number[];
  readonly hashes: Uint8Array;
  /** Chained hash of its last segment. */
  readonly hash: Uint8Array;
}

export class DiskIndex implements IndexStore {
  readonly #cache: CacheFile;
  readonly #branches = new Map<number, Indexed>();
  readonly #memo = new Map<string, Run>();

  constructor(cache: CacheFile) {
    this.#cache = cache;
  }

  *touching(branch: number, key: string, before: number): Iterable<number> {
    for (const { seq } of this.matching(branch, [[key]], { from: 0, to: before }, 'newest')) yield seq;
  }

  *matching(branch: number, groups: readonly Keys[], { from, to }: SeqRange, order: Order): Iterable<Entry> {
    const { log } = this.#cache;
    const tests = groups.map((keys) => keys.map(keyTest));
    const wanted = (entry: Entry): boolean => tests.every((any) => any.some((test) => test(entry)));
    const hashes = groups.map((keys) => keys.map(hashKey));
    const only = typesAmong(groups);
    for (const span of inOrder(log.lineage(branch, Math.min(to, log.head(branch))), order)) {
      if (span.last <= from) continue;
      const indexed = this.grow(span.branch);
      const within = { from: Math.max(from, span.from - 1), to: span.last };
      for (const first of this.#candidates(indexed, hashes, within, order)) {
        for (const entry of inOrder(log.segment(span.branch, first, only).entries, order)) {
          if (entry.seq > within.from && entry.seq <= within.to && wanted(entry)) yield entry;
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

  /** Keeps the tails of the branches that were looked at or written, so that the next to open need not make them. */
  keep(): void {
    for (const indexed of this.#branches.values()) {
      const [start, last] = [indexed.loose[0], indexed.loose.at(-1)];
      if (start === undefined || last === undefined || indexed.kept === indexed.next) continue;
      const hash = this.#cache.log.segmentHash(indexed.branch, last.first);
      if (hash === undefined) continue;
      const key = tailKey(indexed.branch);
      const sealed = sealRecord(key, tailOf(indexed.loose, start.first, hash));
      if (this.#cache.write(sealed.length, (put) => put(key, sealed))) indexed.kept = indexed.next;
    }
  }

  /** Takes the kept tail, where it follows the runs and fits the log. */
  #resumeTail(indexed: Indexed): void {
    const tail = this.#cache.record(tailKey(indexed.branch)) as Tail | undefined;
    const last = tail?.firsts.at(-1);
    if (tail === undefined || last === undefined || tail.start !== indexed.next) return;
    const hash = this.#cache.log.segmentHash(indexed.branch, last);
    if (hash === undefined || !sameBytes(hash, tail.hash)) return;
    const hashes = new Uint32Array(Uint8Array.from(tail.hashes).buffer);
    let at = 0;
    for (const [segment, first] of tail.firsts.entries()) {
      const count = tail.counts[segment] ?? 0;
      indexed.loose.push({ first, end: tail.ends[segment] ?? 0, hashes: hashes.slice(at, at + count) });
      at += count;
    }
    indexed.next = indexed.loose.at(-1)?.end ?? indexed.next;
    indexed.kept = indexed.next;
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

  /** First seqs of segments that may hold what is looked for, as they are asked for. */
  *#candidates(
    indexed: Indexed,
    groups: readonly (readonly number[])[],
    { from, to }: SeqRange,
    order: Order,
  ): Generator<number> {
    const { branch, runs, loose, next } = indexed;
    const within = (first: number, end: number): boolean => first <= to && end > from + 1;
    const fromRuns = (): Generator<number> => this.#runCandidates(branch, runs, groups, within, order);
    const fromLoose = (): number[] =>
      loose
        .filter(({ first, end, hashes }) => within(first, end) && holdsAll(hashes, groups))
        .map(({ first }) => first);
    const open = (): number[] =>
      to < next
        ? []
        : Array.from(this.#cache.log.segments(branch, next), ({ first, entries }) =>
            within(first, first + entries.length) ? first : 0,
          ).filter((first) => first > 0);
    if (order === 'oldest') yield* fromRuns();
    yield* inOrder(order === 'oldest' ? fromLoose() : open(), order);
    yield* inOrder(order === 'oldest' ? open() : fromLoose(), order);
    if (order === 'newest') yield* fromRuns();
  }

  *#runCandidates(
    branch: number,
    runs: readonly number[],
    groups: readonly (readonly number[])[],
    within: (first: number, end: number) => boolean,
    order: Order,
  ): Generator<number> {
    for (const [at, start] of inOrder([...runs.entries()], order)) {
      if (!within(start, runs[at + 1] ?? Number.POSITIVE_INFINITY)) continue;
      const run = this.#run(branch, start);
      if (run === undefined) continue;
      for (const segment of inOrder(segmentsWithAll(run, groups), order)) {
        const first = run.firsts[segment];
        if (first !== undefined && within(first, run.firsts[segment + 1] ?? run.end)) yield first;
      }
    }
  }

  /** What the file knows of a branch: its runs one behind the other, as far as they fit the log. */
  #resume(branch: number): Indexed {
    const { log, environment } = this.#cache;
    const fork = log.branches().find(({ id }) => id === branch)?.parent?.at ?? 0;
    const indexed: Indexed = { branch, runs: [], loose: [], next: fork + 1, kept: 0 };
    for (const key of environment?.keys(runKey(branch, 0), runKey(branch + 1, 0)) ?? []) {
      const start = keyParts(key).number;
      const run = start === indexed.next ? this.#run(branch, start) : undefined;
      if (run === undefined) break;
      indexed.runs.push(start);
      indexed.next = run.end;
    }
    this.#resumeTail(indexed);
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

type Order = 'oldest' | 'newest';

/** The fewest types that can stand under some group of keys; undefined: any. */
function typesAmong(groups: readonly Keys[]): ReadonlySet<string> | undefined {
  let fewest: ReadonlySet<string> | undefined;
  for (const keys of groups) {
    const types = new Set<string>();
    if (!keys.every((key) => addTypes(types, key))) continue;
    if (fewest === undefined || types.size < fewest.size) fewest = types;
  }
  return fewest;
}

/** Adds the types that can stand under a key; false where that is any. */
function addTypes(types: Set<string>, key: string): boolean {
  const prefix = key.slice(0, key.indexOf(':'));
  if (prefix === 'type') types.add(key.slice(prefix.length + 1));
  const under = prefix === 'type' ? [] : typesUnder(prefix);
  for (const type of under ?? []) types.add(type);
  return under !== undefined;
}

function holdsAll(hashes: Uint32Array, groups: readonly (readonly number[])[]): boolean {
  return groups.every((keys) => keys.some((hash) => contains(hashes, hash)));
}

/** A list in the order it has, or the other way round. */
function inOrder<T>(list: readonly T[], order: 'oldest' | 'newest'): readonly T[] {
  return order === 'oldest' ? list : list.toReversed();
}

function tailOf(loose: readonly Loose[], start: number, hash: Uint8Array): Tail {
  const hashes = new Uint32Array(loose.reduce((sum, each) => sum + each.hashes.length, 0));
  let at = 0;
  for (const each of loose) {
    hashes.set(each.hashes, at);
    at += each.hashes.length;
  }
  return {
    start,
    firsts: loose.map(({ first }) => first),
    ends: loose.map(({ end }) => end),
    counts: loose.map((each) => each.hashes.length),
    hashes: new Uint8Array(hashes.buffer),
    hash,
  };
}

function tailKey(branch: number): Uint8Array {
  return storeKey(CACHE_TAG.tail, branch, 0);
}

function runKey(branch: number, first: number): Uint8Array {
  return storeKey(CACHE_TAG.index, branch, first);
}
