/**
 * Areas of an IOAS, and other ranges that are kept alike: found by address, listed in order. They are
 * disjoint, and kept by the page of their first IOVA, so that looking one up costs the same for ten and for a
 * million.
 */
import type { Radix } from '../../memory/radix.ts';
import { PAGE_BYTES } from '../process/state.ts';
import type { Area, Context, Ioas, Span } from './state.ts';

export type Areas<A extends Addressed = Area> = Radix<readonly A[]>;

/** What can be kept so: a range of addresses with an inclusive end. */
export interface Addressed {
  readonly iova: bigint;
  readonly last: bigint;
}

export const IOVA_LAST = 2n ** 64n - 1n;

/** Number of the page that an IOVA is in. */
export function pageOf(iova: bigint): number {
  return Number(iova >> 12n);
}

/** The areas of an IOAS; undefined while it never had one. */
export function areasOf({ areas }: Context, { id }: Ioas): Areas | undefined {
  return areas.get(id);
}

/** What is needed to find a place in an IOAS. */
export function heldBy(
  context: Context,
  ioas: Ioas,
): { readonly areas: Areas | undefined; readonly gaps: Context['gaps'] } {
  return { areas: areasOf(context, ioas), gaps: context.gaps };
}

/** Areas that meet `[start, last]`, in order. */
export function* areasIn<A extends Addressed>(
  areas: Areas<A> | undefined,
  { start, last }: Span,
): Generator<A> {
  if (areas === undefined) return;
  const before = areas.before(pageOf(start))?.[1].at(-1);
  if (before !== undefined && before.last >= start) yield before;
  for (const [, list] of areas.range(pageOf(start), pageOf(last) + 1)) {
    for (const area of list) if (area.last >= start && area.iova <= last) yield area;
  }
}

/** The first area that meets `[start, last]`. */
export function firstAreaIn<A extends Addressed>(areas: Areas<A> | undefined, span: Span): A | undefined {
  for (const area of areasIn(areas, span)) return area;
  return undefined;
}

/** The last area that begins at or below the address. */
export function areaBelow(areas: Areas | undefined, iova: bigint): Area | undefined {
  const [page, list] = areas?.before(pageOf(iova) + 1) ?? [];
  if (list === undefined || page === undefined) return undefined;
  const below = list.findLast((area) => area.iova <= iova);
  return below ?? areas?.before(page)?.[1].at(-1);
}

/** Puts an area into an open map; it meets none that is there. */
export function insertArea<A extends Addressed>(areas: Areas<A>, area: A): void {
  const page = pageOf(area.iova);
  const list = areas.get(page) ?? [];
  const at = list.findIndex((each) => each.iova > area.iova);
  putAreas(areas, page, at < 0 ? [...list, area] : list.toSpliced(at, 0, area));
}

/** Puts the areas that begin in a page in the place of those that did. */
export function putAreas<A extends Addressed>(areas: Areas<A>, page: number, list: readonly A[]): void {
  if (list.length === 0) areas.delete(page);
  else areas.set(page, list);
}

/** Removes the areas that lie in `[start, last]` whole. Returns how many they were. */
export function removeAreas<A extends Addressed>(areas: Areas<A>, { start, last }: Span): number {
  const lists = [...areas.range(pageOf(start), pageOf(last) + 1)];
  let removed = 0;
  for (const [page, list] of lists) {
    const left = list.filter((area) => area.iova < start || area.last > last);
    removed += list.length - left.length;
    putAreas(areas, page, left);
  }
  return removed;
}

/** Bytes of a span. */
export function lengthOf({ iova, last }: Addressed): bigint {
  return last - iova + 1n;
}

/** Whether two spans have an address in common. */
export function meets(one: Span, other: Span): boolean {
  return one.start <= other.last && other.start <= one.last;
}

/** What two spans that meet have in common. */
export function overlapOf(one: Span, other: Span): Span {
  let { start, last } = one;
  if (other.start > start) start = other.start;
  if (other.last < last) last = other.last;
  return { start, last };
}

/** Whether an area's ends and its place in the page are multiples of `alignment`. */
export function isAligned(area: Area, alignment: number): boolean {
  const mask = BigInt(alignment) - 1n;
  return ((area.iova | lengthOf(area) | (area.address % BigInt(PAGE_BYTES))) & mask) === 0n;
}
