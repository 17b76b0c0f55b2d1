/** Which keys the entries of some segments touch, as sorted hashes: the contents of an index. */
import { type Entry, schemas } from '../core/event.ts';
import { touchKeys } from '../core/history/touch.ts';

/** Hashes in ascending order, and beside each the number of its segment. */
export interface Postings {
  readonly hashes: Uint32Array;
  readonly segments: Uint8Array;
}

/** The keys of an entry; of a type that is no longer known only its name. */
export function keysOf(entry: Entry): readonly string[] {
  return entry.type in schemas ? touchKeys(entry) : [`type:${(entry as Entry).type}`];
}

/** FNV-1a over the UTF-16 units, 32 bits. */
export function hashKey(key: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < key.length; at += 1) hash = Math.imul(hash ^ key.charCodeAt(at), 0x01000193);
  return hash >>> 0;
}

/** The distinct hashes of one segment's keys, ascending. */
export function hashesOf(entries: Iterable<Entry>): Uint32Array {
  const keys = new Set<string>();
  for (const entry of entries) for (const key of keysOf(entry)) keys.add(key);
  const hashes = new Set<number>();
  for (const key of keys) hashes.add(hashKey(key));
  return Uint32Array.from(hashes).sort();
}

/** Joins the hashes of up to 256 segments. */
export function joinPostings(parts: readonly Uint32Array[]): Postings {
  const count = parts.reduce((sum, part) => sum + part.length, 0);
  // One number for both sorts by hash, then by segment.
  const joined = new Float64Array(count);
  let at = 0;
  parts.forEach((part, segment) => {
    for (const hash of part) {
      joined[at] = hash * 256 + segment;
      at += 1;
    }
  });
  joined.sort();
  const hashes = new Uint32Array(count);
  const segments = new Uint8Array(count);
  joined.forEach((both, index) => {
    hashes[index] = Math.floor(both / 256);
    segments[index] = both % 256;
  });
  return { hashes, segments };
}

/** Numbers of the segments that may touch the key, ascending. */
function segmentsWith({ hashes, segments }: Postings, hash: number): number[] {
  const found: number[] = [];
  for (let at = lowerBound(hashes, hash); hashes[at] === hash; at += 1) found.push(segments[at] ?? 0);
  return found;
}

/** Numbers of the segments that may touch one key of every group, ascending. */
export function segmentsWithAll(run: Postings, groups: readonly (readonly number[])[]): number[] {
  let left: Set<number> | undefined;
  for (const keys of groups) {
    const any = new Set(keys.flatMap((hash) => segmentsWith(run, hash)));
    left = left === undefined ? any : new Set([...left].filter((segment) => any.has(segment)));
  }
  return [...(left ?? [])].sort((a, b) => a - b);
}

export function contains(hashes: Uint32Array, hash: number): boolean {
  return hashes[lowerBound(hashes, hash)] === hash;
}

function lowerBound(hashes: Uint32Array, hash: number): number {
  let low = 0;
  let high = hashes.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((hashes[middle] ?? 0) < hash) low = middle + 1;
    else high = middle;
  }
  return low;
}
