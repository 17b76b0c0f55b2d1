/**
 * The shape of a page table: granule, levels, start level and size of the root, by the sizes of addresses
 * (linux: io-pgtable-arm.c, arm_lpae_alloc_pgtable and its two users). Stage 2 roots are concatenated where
 * that saves a level or the architecture demands it.
 */

import { halves } from '../layout/words.ts';
import { pow2 } from '../pow2.ts';
import type { DriverFeatures, Platform } from './features.ts';

export interface TableShape {
  readonly stage: 1 | 2;
  readonly granuleLog2: number;
  /** Bits of a granule's index: 9, 11 or 13. */
  readonly bits: number;
  readonly startLevel: number;
  /** log2 of the bytes of the root. */
  readonly rootLog2: number;
  /** Bits of input and output addresses. */
  readonly ias: number;
  readonly oas: number;
  /** Page and block sizes, a bit each. */
  readonly pageSizes: bigint;
  /** Physical address of the root. */
  readonly root: number;
  /** Stage 2 of a nesting parent with S2FWB. */
  readonly fwb: boolean;
  /** Stage 1 with hardware dirty state. */
  readonly dirty: boolean;
}
export type UnplacedShape = Omit<TableShape, 'root'>;

const LEVELS = 4;
const CONCATENATED_MAX_LOG2 = 4;
/** Levels with blocks, from each granule's log2: sizes (log2) in use. */
const SIZES: Readonly<Record<number, readonly number[]>> = {
  12: [12, 21, 30],
  14: [14, 25],
  16: [16, 29, 42],
};

/** The granule of a domain: the CPUs' page, else the largest smaller one, else the smallest larger one. */
export function granuleOf(pageSizes: bigint, pageLog2: number): number {
  const offered = [12, 14, 16].filter((log2) => (pageSizes >> BigInt(log2)) & 1n);
  const smaller = offered.filter((log2) => log2 <= pageLog2);
  return smaller.at(-1) ?? offered[0] ?? 12;
}

/** The shape of a stage 1 or stage 2 table of this driver, or of who else has such features. */
export function shapeOf(
  features: Pick<DriverFeatures, 'pageSizes' | 'vax' | 'oas' | 'fwb'>,
  platform: Platform,
  { stage, nestParent = false, dirty = false }: { stage: 1 | 2; nestParent?: boolean; dirty?: boolean },
): UnplacedShape {
  const granuleLog2 = granuleOf(features.pageSizes, platform.pageLog2);
  const addressMax = granuleLog2 === 16 ? 52 : 48;
  const wanted = stage === 1 ? Math.min(features.vax ? 52 : 48, platform.vaBits) : features.oas;
  const ias = Math.min(wanted, addressMax);
  const oas = Math.min(features.oas, addressMax);
  const sizes = SIZES[granuleLog2] ?? [];
  const pageSizes = sizes.reduce((mask, log2) => mask | (features.pageSizes & (1n << BigInt(log2))), 0n);
  const bits = granuleLog2 - 3;
  const levels = Math.ceil((ias - granuleLog2) / bits);
  const rootBits = ias - granuleLog2 - bits * (levels - 1);
  const plain = { startLevel: LEVELS - levels, rootBits };
  const { startLevel, rootBits: used } = stage === 2 ? concatenate(plain, granuleLog2, ias, oas) : plain;
  const fwb = stage === 2 && nestParent && features.fwb;
  return {
    stage,
    granuleLog2,
    bits,
    startLevel,
    rootLog2: used + 3,
    ias,
    oas,
    pageSizes,
    fwb,
    dirty,
  };
}

/** Up to 16 concatenated tables in place of a level 0, and where the Arm ARM allows nothing else. */
function concatenate(
  { startLevel, rootBits }: { startLevel: number; rootBits: number },
  granuleLog2: number,
  ias: number,
  oas: number,
): { startLevel: number; rootBits: number } {
  const bits = granuleLog2 - 3;
  const saves = startLevel === 0 && rootBits <= CONCATENATED_MAX_LOG2;
  const demanded =
    (granuleLog2 === 14 && startLevel === 0 && (oas === 48 || ias === 48)) ||
    (granuleLog2 === 12 && startLevel === 0 && (oas === 40 || oas === 42)) ||
    (granuleLog2 === 14 && startLevel === 1 && oas === 40);
  return saves || demanded
    ? { startLevel: startLevel + 1, rootBits: rootBits + bits }
    : { startLevel, rootBits };
}

/** log2 of what an entry of a level maps. */
export function levelLog2({ bits }: UnplacedShape, level: number): number {
  return (LEVELS - level) * bits + 3;
}

/** Index of an input address at a level; the root of a concatenated table has more bits. */
export function indexAt(shape: UnplacedShape, level: number, iova: number): number {
  const entries = pow2(level === shape.startLevel ? shape.rootLog2 - 3 : shape.bits);
  return Math.floor(iova / pow2(levelLog2(shape, level))) % entries;
}

/** Bytes of a table of a level. */
export function tableBytes(shape: UnplacedShape, level: number): number {
  return level === shape.startLevel ? pow2(shape.rootLog2) : pow2(shape.granuleLog2);
}

/**
 * The size of the next piece of a range and how many of it fit (linux: iommu_pgsize): the largest page size
 * that both addresses are aligned to, up to where a larger one could be used.
 */
export function nextPiece(
  pageSizes: bigint,
  iova: number,
  pa: number,
  size: number,
): { readonly bytes: number; readonly count: number } {
  const log2s = bitsOf(pageSizes);
  const aligned = log2s.filter((log2) => pow2(log2) <= size && (iova % pow2(log2)) + (pa % pow2(log2)) === 0);
  const log2 = aligned.at(-1) ?? log2s[0] ?? 12;
  const bytes = pow2(log2);
  const above = log2s.find((each) => each > log2);
  let span = size;
  if (above !== undefined && (iova - pa) % pow2(above) === 0) {
    // Where both addresses reach the larger size together, it takes over from there.
    const offset = pow2(above) - (iova % pow2(above));
    if (offset + pow2(above) <= size) span = offset;
  }
  return { bytes, count: Math.floor(span / bytes) };
}

function bitsOf(mask: bigint): number[] {
  const [low, high] = halves(mask);
  const out: number[] = [];
  for (let log2 = 0; log2 < 64; log2 += 1)
    if ((((log2 < 32 ? low : high) >>> (log2 & 31)) & 1) === 1) out.push(log2);
  return out;
}
