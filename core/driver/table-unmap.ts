/**
 * Unmapping (linux: iommu_unmap, arm_lpae_unmap_pages, iommu_iotlb_gather_add_page): leaves are cleared and
 * gathered, to be invalidated together; another leaf size, or a gap, invalidates what was gathered so far. A
 * block is never split: a part of it stays as it is. A table under a range that is unmapped whole is cut off,
 * invalidated, and only then given back.
 */

import { changed } from '../changed.ts';
import type { Context } from '../machine.ts';
import { pow2 } from '../pow2.ts';
import type { State } from '../state.ts';
import type { Frame, FrameRow } from '../tasks/task.ts';
import { addressOf, isLeaf, LAST_LEVEL } from './descriptors.ts';
import { findPaging } from './domains.ts';
import { driverOf, loadDoublewords, portOf, storeDoublewords, tell } from './port.ts';
import type { DriverState } from './state.ts';
import { freeTable } from './table-free.ts';
import { indexAt, levelLog2, nextPiece, type TableShape, tableBytes } from './table-shape.ts';

/** What was cleared and is not invalidated yet. */
interface Gather {
  readonly start: number;
  readonly end: number;
  /** Size of its leaves; 0 for nothing gathered. */
  readonly leaf: number;
}

export interface UnmapFrame extends Frame {
  readonly do: 'unmap.go';
  readonly domain: number;
  readonly iova: number;
  readonly end: number;
  readonly gather: Gather;
  /** Entries of the next piece that were tables, and are cut off already. */
  readonly cut: number;
  /** Leaves are not invalidated: a flush of all will come. */
  readonly queued?: boolean;
}

/** An invalidation of a range of a domain, by its invalidation array as it then is. */
export interface RangeFrame extends Frame {
  readonly do: 'invs.range';
  readonly domain: number;
  readonly iova: number;
  readonly size: number;
  /** Bytes of its leaves; of the smallest pages for tables. */
  readonly granule: number;
  readonly leaf: boolean;
  /** ATCs are left alone (a fault on purpose). */
  readonly noAtc?: boolean;
}

const NOTHING: Gather = { start: 0, end: 0, leaf: 0 };

/**
 * Clears a range, as far as nothing has to be waited for, and gives what is left to do.
 * @param queued leaves are left to a flush queue; tables are not
 */
export function unmapFrames(
  context: Context,
  domain: number,
  iova: number,
  size: number,
  queued = false,
): readonly Frame[] {
  const lazy = queued ? { queued } : {};
  return goOn(context, { do: 'unmap.go', domain, iova, end: iova + size, gather: NOTHING, cut: 0, ...lazy });
}

export const unmapRow: FrameRow<UnmapFrame> = { run: goOn };

function goOn(context: Context, frame: UnmapFrame): readonly Frame[] {
  const { driver, domain } = findPaging(context.state, frame.domain);
  const shape = domain.table;
  let { iova, gather, cut } = frame;
  while (iova < frame.end) {
    const { bytes, count } = nextPiece(shape.pageSizes, iova, iova, frame.end - iova);
    const found = findEntries(context.state, driver, shape, iova, bytes, count);
    if (typeof found !== 'object') {
      tell(context, driver, 'unmap of what is not mapped so', `0x${iova.toString(16)}`);
      if (found === 'empty' && answersAtHole(context, driver, frame, iova, bytes * count)) return LOST;
      break;
    }
    const { slot, level, descriptors } = found;
    const table = descriptors.findIndex((each, at) => at >= cut && each !== 0n && !isLeaf(each, level));
    const hole = descriptors.findIndex((each, at) => at >= cut && each === 0n);
    if (table >= 0 && (hole < 0 || table < hole)) {
      const at = iova + table * bytes;
      const steps = cutTable(context, driver, frame.domain, {
        slot: slot + table * 8,
        level,
        iova: at,
        size: bytes,
      });
      return [...steps, changed(frame, { iova, gather, cut: table + 1 })];
    }
    const entries = hole < 0 ? descriptors.length : hole;
    if (entries === 0) {
      if (answersAtHole(context, driver, frame, iova, bytes * count)) return LOST;
      break;
    }
    const kept = driver.quirks['keep-last-leaf'] === true && entries > 1 ? 1 : 0;
    clear(context, driver, slot, descriptors.slice(0, entries - kept));
    const start = iova;
    const end = start + entries * bytes;
    iova = end;
    cut = 0;
    if (frame.queued === true) continue;
    const apart = gather.leaf !== 0 && (gather.leaf !== bytes || start > gather.end || end < gather.start);
    const before = apart ? sync(frame.domain, gather) : [];
    gather = gather.leaf === 0 || apart ? { start, end, leaf: bytes } : { ...gather, end };
    if (before.length > 0) return [...before, changed(frame, { iova, gather, cut })];
  }
  return sync(frame.domain, gather);
}

/** Whoever called is gone. */
const LOST: readonly Frame[] = [{ do: 'task.lost' }];

/** -ENOENT in a size_t. */
const ENOENT_AS_SIZE = 2n ** 64n - 2n;

/**
 * What the helper answers where nothing is mapped: 0, and the caller stops; or an errno that is taken for a size
 * (linux: __arm_lpae_unmap, __iommu_unmap). The caller adds it to its address, finds that no page size fits there, and
 * does not come to its flush. Returns whether it was lost so.
 */
function answersAtHole(
  context: Context,
  driver: DriverState,
  { domain }: UnmapFrame,
  iova: number,
  asked: number,
): boolean {
  const lost = driver.quirks['errno-as-size'] === true;
  const answered = lost ? ENOENT_AS_SIZE : 0n;
  const about = { driver: driver.name, domain, iova: BigInt(iova), asked };
  context.emit(driver.setup.actor, { type: 'unmap.stopped', ...about, answered });
  if (lost) {
    const next = BigInt.asUintN(64, BigInt(iova) + answered);
    tell(context, driver, 'BUG: no page size fits', `0x${next.toString(16)}`);
  }
  return lost;
}

function sync(domain: number, { start, end, leaf }: Gather): readonly RangeFrame[] {
  if (leaf === 0) return [];
  return [{ do: 'invs.range', domain, iova: start, size: end - start, granule: leaf, leaf: true }];
}

interface Entries {
  readonly slot: number;
  readonly level: number;
  readonly descriptors: readonly bigint[];
}

/**
 * The entries that map pieces of a size from `iova` on, as many as are side by side in one table page; or that there is
 * no table of them, because there is nothing, or a larger leaf.
 */
export function findEntries(
  state: State,
  driver: DriverState,
  shape: TableShape,
  iova: number,
  bytes: number,
  count: number,
): Entries | 'empty' | 'larger' {
  let table = shape.root;
  for (let level = shape.startLevel; level <= LAST_LEVEL; level += 1) {
    const index = indexAt(shape, level, iova);
    const slot = table + index * 8;
    if (pow2(levelLog2(shape, level)) === bytes) {
      const perPage = pow2(shape.bits);
      const room = Math.min(tableBytes(shape, level) / 8 - index, perPage - (index % perPage));
      return { slot, level, descriptors: loadDoublewords(state, driver, slot, Math.min(count, room)) };
    }
    const descriptor = portOf(driver).load64(state, slot, driver);
    if (descriptor === 0n) return 'empty';
    // A part of a larger leaf is not unmapped.
    if (isLeaf(descriptor, level)) return 'larger';
    table = addressOf(descriptor, shape);
  }
  return 'empty';
}

/** One store over all that is not clear already. */
export function clear(
  context: Context,
  driver: DriverState,
  slot: number,
  descriptors: readonly bigint[],
): void {
  const first = descriptors.findIndex((each) => each !== 0n);
  if (first < 0) return;
  const last = descriptors.findLastIndex((each) => each !== 0n);
  const zeros = new Array<bigint>(last - first + 1).fill(0n);
  storeDoublewords(context, driver, slot + first * 8, zeros);
}

export interface TableFrame extends Frame {
  readonly do: 'table.free';
  readonly driver: string;
  readonly domain: number;
  readonly level: number;
  readonly pa: number;
}

export const tableRow: FrameRow<TableFrame> = {
  run: (context, { driver: name, domain, level, pa }) => {
    const shape = findPaging(context.state, domain).domain.table;
    freeTable(context, driverOf(context.state, name), shape, level, pa);
  },
};

/** Takes a table out of its place; its invalidation and its freeing follow. */
export function cutTable(
  context: Context,
  driver: DriverState,
  domain: number,
  {
    slot,
    level,
    iova,
    size,
  }: { readonly slot: number; readonly level: number; readonly iova: number; readonly size: number },
): readonly Frame[] {
  const shape = findPaging(context.state, domain).domain.table;
  const pa = addressOf(portOf(driver).load64(context.state, slot, driver), shape);
  storeDoublewords(context, driver, slot, [0n]);
  const granule = pow2(shape.granuleLog2);
  const leaf = driver.quirks['leaf-only'] === true;
  const flush: RangeFrame = { do: 'invs.range', domain, iova, size, granule, leaf };
  const free: TableFrame = { do: 'table.free', driver: driver.name, domain, level: level + 1, pa };
  return driver.quirks['skip-walk-flush'] === true ? [free] : [flush, free];
}
