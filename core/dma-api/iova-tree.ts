/**
 * Where a new range of IOVAs goes (linux: __alloc_and_insert_iova_range): at the highest place below the last one
 * given, aligned to its size rounded up to a power of two; when the end is reached, once more from the top.
 */
import { openMap } from '../parts.ts';
import { ANCHOR, type DmaDomain, PFN_4G } from './state.ts';

/** Page 0 is never given. */
const FIRST_PFN = 1;

interface Node {
  readonly low: number;
  readonly high: number;
}

const anchor: Node = { low: ANCHOR, high: ANCHOR };

/** The first page of `pages` free ones up to `limit`; undefined when there is no such place. */
export function findPlace(of: DmaDomain, pages: number, limit: number): number | undefined {
  const end = limit + 1;
  if (end <= PFN_4G && pages >= of.max32) return undefined;
  const start = nodeAt(of, end <= PFN_4G ? of.cached32 : of.cached);
  const found = search(of, pages, start, end, FIRST_PFN);
  if (found !== undefined || start.high >= end) return found;
  return search(of, pages, firstFrom(of, end), end, start.high + 1);
}

function search(of: DmaDomain, pages: number, start: Node, end: number, lowest: number): number | undefined {
  const align = 2 ** Math.ceil(Math.log2(pages));
  let high = end;
  let node: Node | undefined = start;
  // Each turn goes to the node below: as many as stand between, and no more than there are.
  for (;;) {
    high = Math.min(high, node.low);
    const place = Math.floor((high - pages) / align) * align;
    node = below(of, node.low);
    const collides = node !== undefined && place <= node.high;
    if (place < lowest) return undefined;
    if (!collides || node === undefined) return place;
  }
}

function nodeAt({ taken }: DmaDomain, low: number): Node {
  const high = low === ANCHOR ? undefined : taken.get(low);
  return high === undefined ? anchor : { low, high };
}

function below({ taken }: DmaDomain, low: number): Node | undefined {
  const found = taken.before(low);
  return found === undefined ? undefined : { low: found[0], high: found[1] };
}

/** The lowest node from a page on. */
function firstFrom({ taken }: DmaDomain, pfn: number): Node {
  for (const [low, high] of taken.range(pfn)) return { low, high };
  return anchor;
}

/** Whether pages overlap a taken range. */
export function isTaken(of: DmaDomain, pfn: number, pages: number): boolean {
  const found = below(of, pfn + pages);
  return found !== undefined && found.high >= pfn;
}

/** Evolves the tree: the range is taken, and the next search begins there. */
export function insert(of: DmaDomain, pfn: number, pages: number, fixed: boolean): void {
  const high = pfn + pages - 1;
  openMap(of, 'taken').set(pfn, high);
  if (fixed) return;
  if (high < PFN_4G) of.cached32 = pfn;
  else of.cached = pfn;
}

/** Evolves the tree: the range is free. */
export function remove(of: DmaDomain, pfn: number): void {
  const high = of.taken.get(pfn) ?? pfn;
  const next = firstFrom(of, pfn + 1).low;
  if (pfn === of.cached32 || (high < PFN_4G && pfn >= of.cached32)) of.cached32 = next;
  if (pfn < PFN_4G) of.max32 = PFN_4G;
  if (pfn >= of.cached) of.cached = next;
  openMap(of, 'taken').delete(pfn);
}
