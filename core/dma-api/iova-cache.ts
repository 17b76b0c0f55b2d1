/**
 * What CPUs keep of free IOVAs (linux: iova_rcache, iova_magazine): by log2 of the pages two magazines for each
 * CPU, and a depot of full ones for all. What came last goes first. Left out: the depot's worker, which gives
 * magazines back after a while.
 */
import { openMap, sealedMap } from '../parts.ts';
import { remove } from './iova-tree.ts';
import type { CpuCache, Depot, DmaDomain } from './state.ts';

/** Ranges of 2^0 to 2^5 pages are kept. */
const CLASSES = 6;

/** Pages that are really taken for so many: what can be kept is a power of two. */
export function roundedPages(pages: number): number {
  return pages < 2 ** (CLASSES - 1) ? 2 ** classOf(pages) : pages;
}

function classOf(pages: number): number {
  return Math.ceil(Math.log2(pages));
}

/** Whether ranges of so many pages are kept by CPUs. */
export function isKept(pages: number): boolean {
  return classOf(pages) < CLASSES;
}

/** The range that a CPU would take of what it keeps: its first page. @param limit last page of the range at most */
export function keptPlace(of: DmaDomain, cpu: number, pages: number, limit: number): number | undefined {
  if (!isKept(pages)) return undefined;
  const magazine = magazineToTake(of, cpu, classOf(pages));
  return magazine?.findLast((pfn) => pfn <= limit + 1 - pages);
}

/** The magazine to take from: the loaded one, the other, one of the depot. */
function magazineToTake(of: DmaDomain, cpu: number, log2: number): readonly number[] | undefined {
  const cache = of.caches[cpu]?.[log2];
  if (cache !== undefined && cache.loaded.length > 0) return cache.loaded;
  if (cache !== undefined && cache.prev.length > 0) return cache.prev;
  const depot = of.depots[log2];
  return depot === undefined || depot.count === 0 ? undefined : depot.magazines.get(depot.count - 1);
}

/** Evolves the caches: the CPU took a range. */
export function takeKept(of: DmaDomain, cpu: number, pfn: number, pages: number): void {
  const log2 = classOf(pages);
  const cache = cacheOf(of, cpu, log2);
  if (cache.loaded.length === 0) {
    const depot = of.depots[log2];
    if (cache.prev.length > 0) [cache.loaded, cache.prev] = [cache.prev, cache.loaded];
    else if (depot !== undefined && depot.count > 0) {
      depot.count -= 1;
      cache.loaded = [...(depot.magazines.get(depot.count) ?? [])];
      openMap(depot, 'magazines').delete(depot.count);
    }
  }
  const at = cache.loaded.lastIndexOf(pfn);
  const last = cache.loaded.pop();
  // The last one takes its place.
  if (last !== undefined && at < cache.loaded.length) cache.loaded[at] = last;
}

/** Evolves the caches: the CPU keeps a range; a full magazine goes to the depot, or its ranges to everybody. */
export function keep(of: DmaDomain, cpu: number, pfn: number, pages: number): void {
  const log2 = classOf(pages);
  const cache = cacheOf(of, cpu, log2);
  if (cache.loaded.length >= of.magazine) {
    if (cache.prev.length < of.magazine) [cache.loaded, cache.prev] = [cache.prev, cache.loaded];
    else {
      store(of, log2, cache.loaded);
      cache.loaded = [];
    }
  }
  cache.loaded.push(pfn);
}

function store(of: DmaDomain, log2: number, magazine: readonly number[]): void {
  const depot: Depot = of.depots[log2] ?? { count: 0, magazines: sealedMap() };
  of.depots[log2] = depot;
  if (of.depotMax > 0 && depot.count >= of.depotMax) for (const pfn of magazine) remove(of, pfn);
  else {
    openMap(depot, 'magazines').set(depot.count, [...magazine]);
    depot.count += 1;
  }
}

/** Evolves the caches: nobody keeps anything. */
export function emptyCaches(of: DmaDomain): void {
  for (const caches of Object.values(of.caches))
    for (const { loaded, prev } of Object.values(caches))
      for (const pfn of [...loaded, ...prev]) remove(of, pfn);
  for (const { magazines } of Object.values(of.depots))
    for (const [, magazine] of magazines.range()) for (const pfn of magazine) remove(of, pfn);
  of.caches = {};
  of.depots = {};
}

function cacheOf(of: DmaDomain, cpu: number, log2: number): CpuCache {
  const caches = of.caches[cpu] ?? {};
  of.caches[cpu] = caches;
  const cache = caches[log2] ?? { loaded: [], prev: [] };
  caches[log2] = cache;
  return cache;
}
