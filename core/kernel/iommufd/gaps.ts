/**
 * The free ranges between the areas of an IOAS, by size, so that the lowest that is large enough is found
 * without looking at the others. A gap is kept under the power of two that it reaches and the page it begins in;
 * what is reserved or not allowed is no matter of gaps. An IOAS without areas has none here: all is free.
 */
import type { Radix } from '../../memory/radix.ts';
import { openInner } from '../../parts.ts';
import { type Areas, areaBelow, firstAreaIn, IOVA_LAST, pageOf } from './areas.ts';
import type { Area, Span } from './state.ts';

/** By IOAS and size, then by page of the start. */
export type Gaps = Radix<Radix<readonly Span[]>>;

const SIZES = 64;
const WHOLE: Span = { start: 0n, last: IOVA_LAST };

/** The power of two that a length reaches. */
export function sizeLog2(length: bigint): number {
  return length.toString(2).length - 1;
}

/** The gap that an address is in; undefined where it is in an area. */
export function gapAt(areas: Areas | undefined, iova: bigint): Span | undefined {
  const below = areaBelow(areas, iova);
  if (below !== undefined && below.last >= iova) return undefined;
  const above = firstAreaIn(areas, { start: iova, last: IOVA_LAST });
  return {
    start: below === undefined ? 0n : below.last + 1n,
    last: above === undefined ? IOVA_LAST : above.iova - 1n,
  };
}

/** Gaps of a size that begin at or above an address, by their start. */
export function* gapsFrom(gaps: Gaps, ioas: number, size: number, from: bigint): Generator<Span> {
  const bySize = gaps.get(ioas * SIZES + size);
  if (bySize === undefined) return;
  for (const [, list] of bySize.range(pageOf(from))) for (const gap of list) if (gap.start >= from) yield gap;
}

/** Evolves: the area is about to be added to `areas`. */
export function takeGap(gaps: Gaps, ioas: number, areas: Areas | undefined, { iova, last }: Area): void {
  const gap = gapAt(areas, iova) ?? WHOLE;
  drop(gaps, ioas, gap);
  if (gap.start < iova) add(gaps, ioas, { start: gap.start, last: iova - 1n });
  if (gap.last > last) add(gaps, ioas, { start: last + 1n, last: gap.last });
}

/** Evolves: neighbouring areas from `first` to `last` are about to be removed from `areas`. */
export function giveGap(gaps: Gaps, ioas: number, areas: Areas | undefined, removed: readonly Area[]): void {
  const [first, last] = [removed[0], removed.at(-1)];
  if (first === undefined || last === undefined) return;
  const below = first.iova === 0n ? undefined : gapAt(areas, first.iova - 1n);
  const above = last.last === IOVA_LAST ? undefined : gapAt(areas, last.last + 1n);
  if (below !== undefined) drop(gaps, ioas, below);
  if (above !== undefined) drop(gaps, ioas, above);
  for (const [at, area] of removed.entries()) {
    const next = removed[at + 1];
    if (next !== undefined && area.last + 1n < next.iova)
      drop(gaps, ioas, { start: area.last + 1n, last: next.iova - 1n });
  }
  const whole = { start: below?.start ?? first.iova, last: above?.last ?? last.last };
  if (whole.start > 0n || whole.last < IOVA_LAST) add(gaps, ioas, whole);
}

function add(gaps: Gaps, ioas: number, gap: Span): void {
  const bySize = openInner(gaps, keyOf(ioas, gap));
  const list = bySize.get(pageOf(gap.start)) ?? [];
  const at = list.findIndex(({ start }) => start > gap.start);
  bySize.set(pageOf(gap.start), at < 0 ? [...list, gap] : list.toSpliced(at, 0, gap));
}

function drop(gaps: Gaps, ioas: number, gap: Span): void {
  const key = keyOf(ioas, gap);
  if (gaps.get(key) === undefined) return;
  const bySize = openInner(gaps, key);
  const list = (bySize.get(pageOf(gap.start)) ?? []).filter(({ start }) => start !== gap.start);
  if (list.length > 0) bySize.set(pageOf(gap.start), list);
  else bySize.delete(pageOf(gap.start));
  if (bySize.size === 0) gaps.delete(key);
}

function keyOf(ioas: number, { start, last }: Span): number {
  return ioas * SIZES + Math.min(sizeLog2(last - start + 1n), SIZES - 1);
}

/** Evolves: the IOAS is gone. */
export function forgetGaps(gaps: Gaps, ioas: number): void {
  for (let size = 0; size < SIZES; size += 1) gaps.delete(ioas * SIZES + size);
}
