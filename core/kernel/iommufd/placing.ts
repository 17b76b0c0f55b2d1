/**
 * Where in an IOAS a new area may lie: the checks of a fixed IOVA, and the choice of an automatic one.
 * linux: iommufd/io_pagetable.c, iopt_check_iova and iopt_alloc_iova.
 */
import type { Errno, Failed } from '../errno.ts';
import { HUGE_BYTES, PAGE_BYTES } from '../process/state.ts';
import { type Areas, areasIn, firstAreaIn, IOVA_LAST, meets, overlapOf } from './areas.ts';
import { type Gaps, gapAt, gapsFrom, sizeLog2 } from './gaps.ts';
import type { Ioas, Span } from './state.ts';

const PAGE = BigInt(PAGE_BYTES);
/** Largest alignment that is asked for: a huge page of the CPU. */
const ALIGNMENT_MAX = BigInt(HUGE_BYTES);
const LENGTH_MAX = 2n ** 63n - 1n;
/** What is searched without a list of allowed ranges. */
const ANYWHERE: Span = { start: PAGE, last: IOVA_LAST - PAGE };

/** A range that a place is looked for. */
interface Search {
  readonly length: bigint;
  readonly alignment: bigint;
  /** In a page. */
  readonly offset: bigint;
}

export type Place = Failed | { readonly iova: bigint };

/** What an IOAS holds. */
export interface Held {
  readonly areas: Areas | undefined;
  readonly gaps: Gaps;
}

/** @param address of the memory: its offset in the page is kept, and its alignment where that helps. */
export function place(
  ioas: Ioas,
  held: Held,
  length: bigint,
  address: bigint,
  fixed: bigint | undefined,
): Place {
  if (length === 0n || length % BigInt(ioas.alignment) !== 0n) return { errno: 'EINVAL' };
  if (fixed === undefined) return choose(ioas, held, length, address);
  const errno = checkFixed(ioas, held.areas, fixed, length);
  return errno === undefined ? { iova: fixed } : { errno };
}

function checkFixed(ioas: Ioas, areas: Areas | undefined, iova: bigint, length: bigint): Errno | undefined {
  if (iova % BigInt(ioas.alignment) !== 0n) return 'EINVAL';
  const span = { start: iova, last: iova + length - 1n };
  if (span.last > IOVA_LAST) return 'EOVERFLOW';
  if (ioas.reserved.some((each) => meets(each, span))) return 'EINVAL';
  return firstAreaIn(areas, span) === undefined ? undefined : 'EEXIST';
}

function choose(ioas: Ioas, held: Held, length: bigint, address: bigint): Place {
  if (length >= LENGTH_MAX) return { errno: 'EOVERFLOW' };
  const alignment = alignmentFor(length, address);
  if (alignment < BigInt(ioas.alignment)) return { errno: 'EINVAL' };
  const search: Search = { length, alignment, offset: address % PAGE };
  const spans = ioas.allowed.length === 0 ? [ANYWHERE] : joined(ioas.allowed);
  for (const span of spans) {
    const iova = firstFit(ioas, held, span, search);
    if (iova !== undefined) return { iova };
  }
  return { errno: 'ENOSPC' };
}

/** Neighbouring ranges as one. */
function joined(spans: readonly Span[]): readonly Span[] {
  const out: Span[] = [];
  for (const span of spans) {
    const before = out.at(-1);
    if (before !== undefined && before.last + 1n === span.start)
      out[out.length - 1] = { start: before.start, last: span.last };
    else out.push(span);
  }
  return out;
}

/** The largest alignment that the memory's own allows a large page to profit from. */
function alignmentFor(length: bigint, address: bigint): bigint {
  let alignment = 1n << BigInt((length - 1n).toString(2).length);
  if (length === 1n) alignment = 1n;
  const ofAddress = address & -address;
  if (address !== 0n && ofAddress < alignment) alignment = ofAddress;
  return alignment < ALIGNMENT_MAX ? alignment : ALIGNMENT_MAX;
}

/** The first place in a span or hole for the range, if it has one. */
function placeIn({ start, last }: Span, { length, alignment, offset }: Search): bigint | undefined {
  if (last < start || last - start < length - 1n) return undefined;
  const iova = ((start + alignment - 1n) & -alignment) | offset;
  return iova > last || last - iova < length - 1n ? undefined : iova;
}

/** The lowest place in a span: in the gap that it begins in, or in the lowest one of some size. */
function firstFit(
  { id, reserved }: Ioas,
  { areas, gaps }: Held,
  span: Span,
  search: Search,
): bigint | undefined {
  const start = placeIn(span, search);
  if (start === undefined) return undefined;
  const inside = { start, last: span.last };
  const first = gapAt(areas, start);
  let best = first && placeInGap(reserved, overlapOf(first, inside), search);
  if (best !== undefined) return best;
  for (let size = sizeLog2(search.length); size < 64; size += 1) {
    for (const gap of gapsFrom(gaps, id, size, start)) {
      if (gap.start > span.last || (best !== undefined && gap.start >= best)) break;
      const found = placeInGap(reserved, overlapOf(gap, inside), search);
      if (found === undefined) continue;
      if (best === undefined || found < best) best = found;
      break;
    }
  }
  return best;
}

/** The lowest place in a gap that is not reserved. */
function placeInGap(reserved: readonly Span[], gap: Span, search: Search): bigint | undefined {
  for (const hole of holes(reserved, undefined, gap)) {
    const found = placeIn(hole, search);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** What of a span is neither reserved nor mapped, ascending. */
export function* holes(
  reserved: readonly Span[],
  areas: Areas | undefined,
  { start, last }: Span,
): Generator<Span> {
  let from = start;
  for (const used of usedSpans(reserved, areas, { start, last })) {
    if (used.start > from) yield { start: from, last: used.start - 1n };
    if (used.last >= from) from = used.last + 1n;
    if (from > last) return;
  }
  if (from <= last) yield { start: from, last };
}

/** Reserved ranges and areas that meet a span, by their start. */
function* usedSpans(reserved: readonly Span[], areas: Areas | undefined, span: Span): Generator<Span> {
  const waiting = reserved.filter((each) => meets(each, span));
  for (const { iova, last } of areasIn(areas, span)) {
    while (waiting[0] !== undefined && waiting[0].start <= iova) yield waiting.shift() as Span;
    yield { start: iova, last };
  }
  yield* waiting;
}
