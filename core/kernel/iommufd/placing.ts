/**
 * Where in an IOAS a new area may lie: the checks of a fixed IOVA, and the choice of an automatic one.
 * linux: iommufd/io_pagetable.c, iopt_check_iova and iopt_alloc_iova.
 */
import type { Errno, Failed } from '../errno.ts';
import { HUGE_BYTES, PAGE_BYTES } from '../process/state.ts';
import { areaBelow, type Areas, areasIn, firstAreaIn, IOVA_LAST, meets } from './areas.ts';
import type { Ioas, NoFit, Span } from './state.ts';

const PAGE = BigInt(PAGE_BYTES);
/** Largest alignment that is asked for: a huge page of the CPU. */
const ALIGNMENT_MAX = BigInt(HUGE_BYTES);
const LENGTH_MAX = 2n ** 63n - 1n;
/** What is searched without a list of allowed ranges. */
const ANYWHERE: Span = { start: PAGE, last: IOVA_LAST - PAGE };

type Search = Omit<NoFit, 'from'>;
/** The place, and what was searched for where it was chosen. */
export type Place = Failed | { readonly iova: bigint; readonly searched?: Search };

/** @param address of the memory: its offset in the page is kept, and its alignment where that helps. */
export function place(
  ioas: Ioas,
  areas: Areas | undefined,
  length: bigint,
  address: bigint,
  fixed: bigint | undefined,
): Place {
  if (length === 0n || length % BigInt(ioas.alignment) !== 0n) return { errno: 'EINVAL' };
  if (fixed === undefined) return choose(ioas, areas, length, address);
  const errno = checkFixed(ioas, areas, fixed, length);
  return errno === undefined ? { iova: fixed } : { errno };
}

function checkFixed(ioas: Ioas, areas: Areas | undefined, iova: bigint, length: bigint): Errno | undefined {
  if (iova % BigInt(ioas.alignment) !== 0n) return 'EINVAL';
  const span = { start: iova, last: iova + length - 1n };
  if (span.last > IOVA_LAST) return 'EOVERFLOW';
  if (ioas.reserved.some((each) => meets(each, span))) return 'EINVAL';
  return firstAreaIn(areas, span) === undefined ? undefined : 'EEXIST';
}

function choose(ioas: Ioas, areas: Areas | undefined, length: bigint, address: bigint): Place {
  if (length >= LENGTH_MAX) return { errno: 'EOVERFLOW' };
  const alignment = alignmentFor(length, address);
  if (alignment < BigInt(ioas.alignment)) return { errno: 'EINVAL' };
  const searched: Search = { length, alignment, offset: address % PAGE };
  const from = ioas.noFits.find((each) => isSame(each, searched))?.from ?? 0n;
  const spans = ioas.allowed.length === 0 ? [ANYWHERE] : joined(ioas.allowed);
  for (const span of spans) {
    const iova = firstFit(ioas.reserved, areas, span, searched, from);
    if (iova !== undefined) return { iova, searched };
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

function isSame(one: Search, other: Search): boolean {
  return one.length === other.length && one.alignment === other.alignment && one.offset === other.offset;
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
function fit({ start, last }: Span, { length, alignment, offset }: Search): bigint | undefined {
  if (last < start || last - start < length - 1n) return undefined;
  const iova = ((start + alignment - 1n) & -alignment) | offset;
  return iova > last || last - iova < length - 1n ? undefined : iova;
}

/** The lowest place in a span; `from`: there is none below. */
function firstFit(
  reserved: readonly Span[],
  areas: Areas | undefined,
  span: Span,
  search: Search,
  from: bigint,
): bigint | undefined {
  const start = fit(span, search);
  if (start === undefined) return undefined;
  // A hole is tried from its beginning, wherever the search takes up again.
  const below = from > start ? areaBelow(areas, from) : undefined;
  const first = below !== undefined && below.last >= start ? below.iova : start;
  for (const hole of holes(reserved, areas, { start: first < start ? start : first, last: span.last })) {
    const found = fit(hole, search);
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
