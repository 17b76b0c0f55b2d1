/**
 * The integer keys under which TLB and walk-cache entries are found: the translation context
 * (3.17: regime, stage, VMID, ASID or global), and within it the first page and the span.
 */
import { present } from '../assert.ts';
import { below, pow2 } from '../pow2.ts';
import type { Regime } from './events.ts';
import { entrySpans } from './granule.ts';

const regimes: Readonly<Record<Regime, number>> = { EL1: 0, EL2: 1, EL2_E2H: 2 };
const stages: Readonly<Record<number, number>> = { 1: 0, 2: 1, 12: 2 };
/** Code of each span by its log2. */
const spanCodes: readonly (number | undefined)[] = Array.from({ length: 64 }, (_, sizeLog2) =>
  entrySpans.includes(sizeLog2) ? entrySpans.indexOf(sizeLog2) : undefined,
);

const GLOBAL = 0x1ffff;
/** Global entries of CDs with ASET=1: a global entry is for contexts of its own ASET alone (3.17). */
const GLOBAL_ASET = 0x1fffe;

/** All contexts of a regime, stage and VMID stand together, the global ones last. */
export function contextKey(
  regime: Regime,
  stage: number,
  vmid: number,
  asid: number,
  global: boolean,
  aset = false,
): number {
  const context = (regimes[regime] * 4 + (stages[stage] ?? 3)) * 0x10000 + vmid;
  return context * 0x20000 + (global ? (aset ? GLOBAL_ASET : GLOBAL) : asid);
}

/** Address bits [55:12] as a number. */
export function pageOf(va: bigint): number {
  return Number(BigInt.asUintN(44, va >> 12n));
}

export function spanCode(sizeLog2: number): number {
  return present(spanCodes[sizeLog2], 'a span that entries have');
}

/** The first page of the span that holds `page`. */
export function spanStart(page: number, sizeLog2: number): number {
  return page - below(page, pow2(sizeLog2 - 12));
}

/** Key of the entry of that span that holds `page`. Entries of one page and different spans stand side by side. */
export function pageKey(page: number, sizeLog2: number): number {
  return spanStart(page, sizeLog2) * 16 + spanCode(sizeLog2);
}

/** The same for an address at the start of the span. */
export function vaKey(va: bigint, sizeLog2: number): number {
  return pageOf(va) * 16 + spanCode(sizeLog2);
}

/** What a tag is made of, besides stage and page. */
export type TagPart = 'ASID' | 'VMID' | 'StreamWorld';

/** Whether two context keys are of one stage and differ in that part of the tag alone. */
export function differOnlyIn(part: TagPart, a: number, b: number): boolean {
  const [x, y] = [partsOf(a), partsOf(b)];
  return (
    x.stage === y.stage &&
    (part === 'ASID' || x.asid === y.asid) &&
    (part === 'VMID' || x.vmid === y.vmid) &&
    (part === 'StreamWorld' || x.regime === y.regime)
  );
}

function partsOf(key: number): Record<'asid' | 'vmid' | 'stage' | 'regime', number> {
  const context = Math.floor(key / 0x20000);
  const world = Math.floor(context / 0x10000);
  return { asid: key % 0x20000, vmid: context % 0x10000, stage: world % 4, regime: Math.floor(world / 4) };
}
