/**
 * Dirty state of a stage 1 domain (linux: io-pgtable-arm.c, arm_lpae_read_and_clear_dirty): a leaf that
 * hardware made writable was written through.
 */
import type { Context } from '../machine.ts';
import type { State } from '../state.ts';
import { addressOf, cleaned, isDirty, isLeaf, LAST_LEVEL } from './descriptors.ts';
import { findPaging } from './domains.ts';
import { portOf } from './port.ts';
import type { DriverState } from './state.ts';
import { indexAt, levelLog2, type TableShape } from './table-shape.ts';
import { openBuffer } from './write-buffer.ts';

interface Leaf {
  readonly iova: number;
  readonly bytes: number;
  /** Where its descriptor stands; 0 where nothing is mapped. */
  readonly slot: number;
  readonly descriptor: bigint;
}

/** The leaf that maps an address, or the hole it lies in. */
export function leafAt(state: State, driver: DriverState, shape: TableShape, iova: number): Leaf {
  let table = shape.root;
  for (let level = shape.startLevel; ; level += 1) {
    const slot = table + indexAt(shape, level, iova) * 8;
    const descriptor = portOf(driver).load64(state, slot, driver);
    const bytes = 2 ** levelLog2(shape, level);
    const start = iova - (iova % bytes);
    if (descriptor !== 0n && isLeaf(descriptor, level)) return { iova: start, bytes, slot, descriptor };
    if (descriptor === 0n || level === LAST_LEVEL) return { iova: start, bytes, slot: 0, descriptor: 0n };
    table = addressOf(descriptor, shape);
  }
}

/** What an address is mapped to; undefined where it is not (linux: arm_lpae_iova_to_phys). */
export function physicalOf(state: State, domain: number, iova: number): number | undefined {
  const { driver, domain: paging } = findPaging(state, domain);
  const leaf = leafAt(state, driver, paging.table, iova);
  if (leaf.slot === 0) return undefined;
  const base = addressOf(leaf.descriptor, paging.table);
  return base - (base % leaf.bytes) + (iova - leaf.iova);
}

/**
 * Pages of a range that were written, by their number from its start, ascending; a larger leaf counts for all
 * pages it covers.
 * @param clear they count as clean from now on
 */
export function dirtyPages(
  context: Context,
  domain: number,
  { iova, size, pageSize }: { readonly iova: number; readonly size: number; readonly pageSize: number },
  clear: boolean,
): readonly number[] {
  const { driver, domain: paging } = findPaging(context.state, domain);
  const buffer = openBuffer(context, driver);
  const pages: number[] = [];
  for (let at = iova; at < iova + size; ) {
    const leaf = leafAt(context.state, driver, paging.table, at);
    const end = Math.min(iova + size, leaf.iova + leaf.bytes);
    if (leaf.slot !== 0 && isDirty(leaf.descriptor)) {
      const first = Math.floor((at - iova) / pageSize);
      const last = Math.floor((end - 1 - iova) / pageSize);
      for (let page = first; page <= last; page += 1) if (pages.at(-1) !== page) pages.push(page);
      if (clear) buffer.put(leaf.slot, cleaned(leaf.descriptor));
    }
    at = end;
  }
  buffer.flush();
  return pages;
}
