/**
 * What the DMA API remembers of a default domain (linux: struct iommu_dma_cookie, struct iova_domain): which
 * IOVAs are taken, which of them each CPU keeps for reuse, what is mapped, and what waits for a flush. IOVAs are
 * counted in pages (PFNs) of 4 KiB.
 */
import type { Radix } from '../memory/radix.ts';

export type DmaKind = 'dma' | 'dma-fq';

/** Free IOVAs of one size that a CPU keeps: it takes from and puts to the end of `loaded`. */
export interface CpuCache {
  loaded: number[];
  prev: number[];
}

/** Full magazines of one size that no CPU has, numbered from 0. */
export interface Depot {
  count: number;
  magazines: Radix<readonly number[]>;
}

/** A mapping that is in force, by its first page. */
export interface Mapping {
  readonly bytes: number;
  readonly pa: number;
  /** Its IOVA was asked for by address: it is not the allocator's. */
  readonly fixed: boolean;
  /** Its memory was taken for it, and goes with it. */
  readonly own: boolean;
}

/** A range that is unmapped and waits for a flush. */
export interface Queued {
  readonly pfn: number;
  readonly pages: number;
  /** Flushes that had begun when it came. */
  readonly counter: number;
  /** The IOVA is free already: a fault on purpose. */
  readonly released: boolean;
  /** At an address that was asked for. */
  readonly fixed?: boolean;
}

/** The flush queue of a CPU: a ring of 256 slots, one of which stays empty. */
export interface Ring {
  head: number;
  tail: number;
  entries: Radix<Queued>;
}

export interface DmaDomain {
  readonly domain: number;
  readonly endpoint: string;
  kind: DmaKind;
  /** Last page that the endpoint and the tables reach. */
  readonly limit: number;
  /** IOVAs below 4 GiB are tried first: until that fails once. */
  lowFirst: boolean;
  /** IOVAs of a magazine, and magazines of a depot (0: any number). */
  readonly magazine: number;
  readonly depotMax: number;
  /** Taken ranges: first page to last page; those that CPUs keep too. */
  taken: Radix<number>;
  /** First pages of the nodes where the next search begins, in all and below 4 GiB. */
  cached: number;
  cached32: number;
  /** Ranges of so many pages or more are not to be had below 4 GiB. */
  max32: number;
  /** By CPU, then by log2 of the pages. */
  caches: Record<number, Record<number, CpuCache>>;
  depots: Record<number, Depot>;
  maps: Radix<Mapping>;
  /** By CPU. */
  rings: Record<number, Ring>;
  flushesBegun: number;
  flushesEnded: number;
  /** CPU whose timer runs; absent: none does. */
  timer?: number;
}

/** Page of 4 KiB. */
export const PAGE_BYTES = 0x1000;
/** First page at 4 GiB. */
export const PFN_4G = 2 ** 20;
/** Above all pages. */
export const ANCHOR = 2 ** 52;
