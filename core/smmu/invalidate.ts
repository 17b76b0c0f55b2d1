/**
 * Scope: what an invalidation covers. Every CMD_CFGI_* and CMD_TLBI_* is a way to write one (4.3,
 * 4.4); `covers` says whether an entry falls in it, for the caches and for the rules alike, and
 * `coveredFills` finds the entries without going through the whole cache.
 */
import { pow2 } from '../pow2.ts';
import type { Cache } from './cache.ts';
import type { CacheName, Regime } from './events.ts';
import { entrySpans } from './granule.ts';
import { contextKey, spanCode, vaKey } from './keys.ts';
import type { ConfigEntry, TlbEntry } from './state.ts';

/** log2 of the smallest entry, whose keys come first. */
const SMALLEST = 12;

export interface TlbScope {
  readonly kind: 'tlb';
  readonly regimes: readonly Regime[];
  /** 1, 2, 12 (combined). */
  readonly stages: readonly number[];
  /** Absent: any. */
  readonly vmid?: number;
  /** Low bits of the VMID that do not count (CR0.VMW); none when absent. */
  readonly wildcard?: number;
  /** Absent: any. */
  readonly asid?: number;
  /** Broadcast by ASID: entries with ASET=1 are left alone (3.17). */
  readonly sharedOnly?: boolean;
  /** With an ASID: whether global entries are hit too (by-address forms hit them, by-ASID does not). */
  readonly globals: boolean;
  /** Addresses [start, end) in bits [55:0]; absent: all. */
  readonly range?: { readonly start: bigint; readonly end: bigint };
  /** Only entries of this granule (log2) need be hit; absent: any. */
  readonly granuleLog2?: number;
  /** TTL: only leaf entries of this level need be hit; absent: any. */
  readonly level?: number;
  /** Table entries are left alone. */
  readonly leafOnly: boolean;
}

export interface ConfigScope {
  readonly kind: 'config';
  readonly caches: readonly CacheName[];
  /** StreamIDs, both inclusive. */
  readonly first: number;
  readonly last: number;
  /** Absent: every SubstreamID. */
  readonly substreamId?: number;
}

export type Scope = TlbScope | ConfigScope;

/** The parts of a TLB or walk-cache entry that an invalidation looks at. */
export type TlbTags = Pick<
  TlbEntry,
  | 'regime'
  | 'stage'
  | 'vmid'
  | 'asid'
  | 'aset'
  | 'global'
  | 'va'
  | 'sizeLog2'
  | 'blockLog2'
  | 'granuleLog2'
  | 'level'
  | 'leaf'
>;
/** The parts of a configuration entry that an invalidation looks at. */
export type ConfigTags = Pick<ConfigEntry, 'cache' | 'streamId' | 'substreamId' | 'span'>;

/** Whether a TLB or walk-cache entry must go (4.4; 4.4.1.1 for granule and level hint). */
export function coversTlb(scope: TlbScope, entry: TlbTags): boolean {
  return tlbMismatch(scope, entry) === undefined;
}

/** The first field by which the scope misses the entry, or undefined when it covers it. */
export function tlbMismatch(scope: TlbScope, entry: TlbTags): string | undefined {
  if (!scope.regimes.includes(entry.regime)) return 'regime';
  if (!scope.stages.includes(entry.stage)) return 'stage';
  if (scope.vmid !== undefined && (scope.vmid ^ entry.vmid) >>> (scope.wildcard ?? 0) !== 0) return 'vmid';
  if (scope.sharedOnly === true && entry.aset === true) return 'aset';
  if (scope.asid !== undefined) {
    if (entry.global ? !scope.globals : scope.asid !== entry.asid) return 'asid';
  }
  if (scope.range !== undefined) {
    const { start, end } = scope.range;
    // Commands and entries are compared in VA[55:12]; an entry of the upper half has ones above (4.4.2).
    // A fragment goes with any address of its block (Arm ARM D8.17).
    const sizeLog2 = BigInt(entry.blockLog2 ?? entry.sizeLog2);
    const va = (BigInt.asUintN(56, entry.va) >> sizeLog2) << sizeLog2;
    if (va >= end || va + (1n << sizeLog2) <= start) return 'address';
  }
  if (scope.granuleLog2 !== undefined && scope.granuleLog2 !== entry.granuleLog2) return 'granule';
  if (!entry.leaf) {
    if (scope.leafOnly) return 'leaf';
    // With a level hint, tables of the levels above it.
    return scope.level !== undefined && entry.level >= scope.level ? 'level' : undefined;
  }
  return scope.level !== undefined && entry.level !== scope.level ? 'level' : undefined;
}

/** Whether a configuration entry must go (4.3). */
export function coversConfig(scope: ConfigScope, entry: ConfigTags): boolean {
  return configMismatch(scope, entry) === undefined;
}

/** The first field by which the scope misses the entry, or undefined when it covers it. */
export function configMismatch(scope: ConfigScope, entry: ConfigTags): string | undefined {
  if (!scope.caches.includes(entry.cache)) return 'structure';
  const streams = entry.cache === 'l1std' ? entry.span : 1;
  if (entry.streamId > scope.last || entry.streamId + streams <= scope.first) return 'streamId';
  if (scope.substreamId !== undefined && (entry.cache === 'cd' || entry.cache === 'l1cd')) {
    if (scope.substreamId < entry.substreamId || scope.substreamId >= entry.substreamId + entry.span)
      return 'substreamId';
  }
  return undefined;
}

/**
 * The fills in a TLB or walk cache that the scope covers, oldest keys first.
 * @param fragmented sizes (log2) of blocks that may stand in fragments.
 */
export function coveredTlbFills(
  cache: Cache<TlbEntry>,
  scope: TlbScope,
  fragmented: readonly number[] = [],
): readonly TlbEntry[] {
  const found = new Map<number, TlbEntry>();
  for (const regime of scope.regimes) {
    for (const stage of scope.stages) {
      for (const [from, end] of contextRanges(scope, regime, stage)) {
        for (const [, inner] of cache.index.range(from, end)) {
          for (const id of candidates(inner, scope, fragmented)) {
            const entry = cache.fills.get(id);
            if (entry !== undefined && coversTlb(scope, entry)) found.set(id, entry);
          }
        }
      }
    }
  }
  return [...found.values()];
}

/** The fills in a configuration cache that the scope covers. */
export function coveredConfigFills(cache: Cache<ConfigEntry>, scope: ConfigScope): readonly ConfigEntry[] {
  const found: ConfigEntry[] = [];
  // A level 1 descriptor covers up to 2^10 StreamIDs and stands under the first of them.
  for (const [, inner] of cache.index.range(Math.max(0, scope.first - 1023), scope.last + 1)) {
    for (const [, id] of inner.range()) {
      const entry = cache.fills.get(id);
      if (entry !== undefined && coversConfig(scope, entry)) found.push(entry);
    }
  }
  return found;
}

/** Ranges of context keys that can hold covered entries. */
function contextRanges(
  scope: TlbScope,
  regime: Regime,
  stage: number,
): readonly (readonly [number, number])[] {
  const { vmid, asid } = scope;
  const last = contextKey(regime, stage, 0xffff, 0, true) + 1;
  if (vmid === undefined) return [[contextKey(regime, stage, 0, 0, false), last]];
  const count = pow2(scope.wildcard ?? 0);
  const first = vmid - (vmid % count);
  if (asid === undefined)
    return [
      [contextKey(regime, stage, first, 0, false), contextKey(regime, stage, first + count - 1, 0, true) + 1],
    ];
  const ranges: (readonly [number, number])[] = [];
  for (let each = first; each < first + count; each += 1) {
    const own = contextKey(regime, stage, each, asid, false);
    ranges.push([own, own + 1]);
    if (!scope.globals) continue;
    const global = contextKey(regime, stage, each, 0, true, true);
    ranges.push([global, contextKey(regime, stage, each, 0, true) + 1]);
  }
  return ranges;
}

/** Fills of one context that may lie in the scope's addresses. */
function* candidates(
  inner: Cache<TlbEntry>['index'] extends { get(key: number): infer R | undefined } ? R : never,
  scope: TlbScope,
  fragmented: readonly number[],
): Generator<number> {
  if (scope.range === undefined) {
    for (const [, id] of inner.range()) yield id;
    return;
  }
  const { start, end } = scope.range;
  for (const blockLog2 of fragmented) {
    // Every entry of the blocks that the range touches: the fragments are among them.
    const size = BigInt(blockLog2);
    const from = vaKey((start >> size) << size, SMALLEST);
    const to = vaKey((((end - 1n) >> size) + 1n) << size, SMALLEST);
    for (const [, id] of inner.range(from, to === 0 ? Number.POSITIVE_INFINITY : to)) yield id;
  }
  for (const sizeLog2 of entrySpans) {
    const size = 1n << BigInt(sizeLog2);
    const first = start - (start % size);
    // Few places to look: ask for each. Many: go through what is there.
    if ((end - first) / size <= BigInt(inner.size)) {
      for (let va = first; va < end; va += size) {
        const id = inner.get(vaKey(va, sizeLog2));
        if (id !== undefined) yield id;
      }
    } else {
      const code = spanCode(sizeLog2);
      for (const [key, id] of inner.range()) if (key % 16 === code) yield id;
    }
  }
}
