/**
 * IOVAs: taken and given back by a CPU (linux: iommu_dma_alloc_iova, alloc_iova_fast, free_iova_fast). Below 4 GiB
 * first, then up to what the endpoint reaches; from what the CPU keeps first, then a new place, then once more when
 * nobody keeps anything.
 */

import type { Context } from '../machine.ts';
import { type DmaDriver, dmaDomainOf } from './drivers.ts';

import { isKept, keptPlace, roundedPages } from './iova-cache.ts';
import { findPlace } from './iova-tree.ts';
import { PAGE_BYTES, PFN_4G } from './state.ts';

/** Where an IOVA belongs. */
export interface Place {
  readonly driver: string;
  readonly domain: number;
  readonly cpu: number;
}

/** Takes a range of whole pages; its first page, or undefined when there is none. */
export function takeIova(
  context: Context,
  driver: DmaDriver,
  place: Place,
  bytes: number,
): number | undefined {
  const pages = roundedPages(bytes / PAGE_BYTES);
  const { limit, lowFirst } = dmaDomainOf(context.state, place);
  if (limit >= PFN_4G && lowFirst) {
    const low = takeUpTo(context, driver, place, pages, PFN_4G - 1);
    if (low !== undefined) return low;
    exhausted(context, driver, place, pages, true);
  }
  const found = takeUpTo(context, driver, place, pages, limit);
  if (found !== undefined) return found;
  context.emit(driver.setup.actor, { type: 'iova.emptied', driver: place.driver, domain: place.domain });
  const again = takeUpTo(context, driver, place, pages, limit);
  if (again === undefined) exhausted(context, driver, place, pages, false);
  return again;
}

function takeUpTo(
  context: Context,
  { setup }: DmaDriver,
  place: Place,
  pages: number,
  limit: number,
): number | undefined {
  const of = dmaDomainOf(context.state, place);
  const kept = keptPlace(of, place.cpu, pages, limit);
  const pfn = kept ?? findPlace(of, pages, limit);
  if (pfn === undefined) return undefined;
  const from = kept === undefined ? 'tree' : 'cache';
  context.emit(setup.actor, { type: 'iova.taken', ...place, iova: BigInt(pfn * PAGE_BYTES), pages, from });
  return pfn;
}

function exhausted(
  { emit }: Context,
  { setup }: DmaDriver,
  place: Place,
  pages: number,
  below4G: boolean,
): void {
  const { driver, domain } = place;
  emit(setup.actor, { type: 'iova.exhausted', driver, domain, pages, below4G });
}

/** Gives a range back: the CPU keeps it where it can. @param fixed at an address that was asked for, as long as asked */
export function free(
  { emit }: Context,
  { setup }: DmaDriver,
  place: Place,
  pfn: number,
  bytes: number,
  fixed: boolean,
): void {
  const asked = bytes / PAGE_BYTES;
  const pages = fixed ? asked : roundedPages(asked);
  const to = !fixed && isKept(pages) ? 'cache' : 'tree';
  emit(setup.actor, { type: 'iova.freed', ...place, iova: BigInt(pfn * PAGE_BYTES), pages, to });
}
