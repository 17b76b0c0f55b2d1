/**
 * Which words of memory are structures, and a memory of our own to see them in. A region is watched
 * from the moment hardware can reach it. Content that was there before is read once, when the
 * region is added; after that each store is told as the change of one structure.
 */

import { changed } from '../../core/changed.ts';
import type { Words } from '../../core/layout/field.ts';
import { Memory, type RamRange } from '../../core/memory/memory.ts';
import type { Change, Output } from './obligation.ts';

/** An array of structures of 8 or 64 bytes each. */
export interface Region {
  readonly start: number;
  readonly end: number;
  readonly unitBytes: 8 | 64;
  /** Tick at which it became reachable. */
  readonly since: number;
  readonly smmu: string;
  /** What it holds: `translation table`, `table of CDs`, ... */
  readonly as: string;
  /** Whether hardware may read it now, or may have it cached: in words, or undefined. */
  held(): string | undefined;
  /** A finding names it. */
  told?(): void;
  /** The structure at `index` changed from `before` to `after`. */
  changed(index: number, before: Words, after: Words, change: Change): void;
  gone: boolean;
}

/** When things happened, for all who watch. */
export interface Clock {
  tick: number;
  /** Tick of the last thing an SMMU did. */
  hardwareTick: number;
}

export interface Watch {
  /** Of a VM, as its windows show it: another one when they move. */
  memory: Memory;
  readonly pages: Map<number, Region[]>;
  /** Regions of so many pages that they are not entered in `pages`. */
  readonly large: Set<Region>;
  readonly clock: Clock;
}

const PAGE = 4096;
const LARGE_PAGES = 1024;

/** A memory of zeros with nothing watched. */
export function newWatch(ram: readonly RamRange[], clock: Clock = { tick: 0, hardwareTick: 0 }): Watch {
  return { memory: new Memory(ram), pages: new Map(), large: new Set(), clock };
}

/** Begins to watch; stores to the region are told from now on. */
export function addRegion(watch: Watch, region: Region): void {
  const [first, last] = pagesOf(region);
  if (last - first > LARGE_PAGES) {
    watch.large.add(region);
    return;
  }
  for (let page = first; page <= last; page += 1) {
    const present = watch.pages.get(page);
    if (present === undefined) watch.pages.set(page, [region]);
    else present.push(region);
  }
}

/** Stops watching, even while a store is being told. */
export function removeRegion(watch: Watch, region: Region): void {
  region.gone = true;
  if (watch.large.delete(region)) return;
  const [first, last] = pagesOf(region);
  for (let page = first; page <= last; page += 1) {
    const left = (watch.pages.get(page) ?? []).filter((each) => each !== region);
    if (left.length === 0) watch.pages.delete(page);
    else watch.pages.set(page, left);
  }
}

function pagesOf({ start, end }: Region): readonly [number, number] {
  return [Math.floor(start / PAGE), Math.floor((end - 1) / PAGE)];
}

/** Every structure of `[start, end)` that is not all zero. Memory never written costs nothing. */
export function* nonZeroUnits(
  memory: Memory,
  start: number,
  end: number,
  unitBytes: 8 | 64,
): Generator<readonly [index: number, words: Uint32Array]> {
  const words = unitBytes / 4;
  for (const [line] of memory.lines.range(Math.floor(start / 512), Math.ceil(end / 512))) {
    const from = Math.max(start, line * 512);
    const until = Math.min(end, line * 512 + 512);
    for (let pa = from - ((from - start) % unitBytes); pa < until; pa += unitBytes) {
      if (pa < from) continue;
      const unit = memory.readWords(pa, words);
      if (unit.some((word) => word !== 0)) yield [(pa - start) / unitBytes, unit];
    }
  }
}

/** The region as what a pointer leads to: its size is a power of two. */
export function wholeRegion({ start, end }: Region): Output {
  return { pa: start, sizeLog2: Math.ceil(Math.log2(end - start)) };
}

/** The structures that lie in `[pa, pa + bytes)`. */
export function regionsIn({ pages, large }: Watch, pa: number, bytes: number): readonly Region[] {
  const found = new Set<Region>();
  const [first, last] = [Math.floor(pa / PAGE), Math.floor((pa + bytes - 1) / PAGE)];
  const add = (region: Region): void => {
    if (region.start < pa + bytes && region.end > pa) found.add(region);
  };
  for (const region of large) add(region);
  if (last - first > pages.size) {
    for (const listed of pages.values()) listed.forEach(add);
  } else {
    for (let page = first; page <= last; page += 1) pages.get(page)?.forEach(add);
  }
  return [...found];
}

/** Whether a store to `pa` may change a structure: nearly no store does. */
export function isWatched({ pages, large }: Watch, pa: number): boolean {
  return large.size > 0 || pages.has(Math.floor(pa / PAGE));
}

/** One aligned doubleword was stored. */
export function stored(watch: Watch, pa: number, value: bigint, change: Change): void {
  const { memory } = watch;
  const hit = regionsAt(watch, pa);
  if (hit === undefined) {
    memory.write64(pa, value);
    return;
  }
  const before = hit.map((region) => unitAt(memory, region, pa));
  memory.write64(pa, value);
  for (const [at, region] of hit.entries()) {
    if (region.gone) continue;
    const index = Math.floor((pa - region.start) / region.unitBytes);
    region.changed(index, before[at] ?? [], unitAt(memory, region, pa), change);
  }
}

/** The watched regions that hold `pa`. */
function regionsAt(watch: Watch, pa: number): readonly Region[] | undefined {
  const listed = watch.pages.get(Math.floor(pa / PAGE));
  if (listed === undefined && watch.large.size === 0) return undefined;
  const all = watch.large.size === 0 ? listed : [...(listed ?? []), ...watch.large];
  const hit = all?.filter((region) => pa >= region.start && pa < region.end) ?? [];
  return hit.length === 0 ? undefined : hit;
}

function unitAt(memory: Memory, region: Region, pa: number): Words {
  const base = pa - ((pa - region.start) % region.unitBytes);
  if (region.unitBytes === 8) return [memory.read32(base), memory.read32(base + 4)];
  return memory.readWords(base, 16);
}

/** Many bytes were stored at once. */
export function loaded(
  watch: Watch,
  pa: number,
  bytes: Uint8Array,
  origin: () => Omit<Change, 'pa' | 'before' | 'after'>,
): void {
  const { memory } = watch;
  const touched = touchesNothing(watch, pa, bytes.length) ? [] : touchedUnits(watch, pa, bytes.length);
  memory.writeBytes(pa, bytes);
  for (const { region, index, base, before } of touched) {
    if (region.gone) continue;
    const after = unitAt(memory, region, base);
    const word = firstDifference(before, after);
    if (word < 0) continue;
    const initial = bytes.length >= PAGE && region.since > watch.clock.hardwareTick;
    const at = word - (word % 2);
    const detail: Change = changed(origin(), {
      pa: base + at * 4,
      before: doubleword(before, at),
      after: doubleword(after, at),
      ...(initial ? { initial } : {}),
    });
    region.changed(index, before, after, detail);
  }
}

/** Queue entries and data lie in one page, and nearly always in one that nobody watches. */
function touchesNothing(watch: Watch, pa: number, size: number): boolean {
  const page = Math.floor(pa / PAGE);
  return page === Math.floor((pa + size - 1) / PAGE) && watch.large.size === 0 && !watch.pages.has(page);
}

interface Touched {
  readonly region: Region;
  readonly index: number;
  readonly base: number;
  readonly before: Words;
}

function touchedUnits(watch: Watch, pa: number, size: number): readonly Touched[] {
  const regions = new Set<Region>(watch.large);
  for (let page = Math.floor(pa / PAGE); page * PAGE < pa + size; page += 1) {
    for (const region of watch.pages.get(page) ?? []) regions.add(region);
  }
  const touched: Touched[] = [];
  for (const region of regions) {
    const from = Math.max(pa, region.start);
    const until = Math.min(pa + size, region.end);
    for (let at = from - ((from - region.start) % region.unitBytes); at < until; at += region.unitBytes) {
      const index = (at - region.start) / region.unitBytes;
      touched.push({ region, index, base: at, before: unitAt(watch.memory, region, at) });
    }
  }
  return touched;
}

function firstDifference(before: Words, after: Words): number {
  for (let at = 0; at < after.length; at += 1) if (before[at] !== after[at]) return at;
  return -1;
}

function doubleword(words: Words, at: number): bigint {
  return (BigInt((words[at + 1] ?? 0) >>> 0) << 32n) | BigInt((words[at] ?? 0) >>> 0);
}
