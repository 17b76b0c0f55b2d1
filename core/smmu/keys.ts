/**
 * The integer keys under which TLB and walk-cache entries are found: the translation context
 * (3.17: regime, stage, VMID, ASID or global), and within it the first page and the span.
 */
import { present } from '../assert.ts';
import type { Regime } from './events.ts';
import { entrySpans } from './granule.ts';

const regimes: Readonly<Record<Regime, number>> = { EL1: 0, EL2: 1, EL2_E2H: 2 };
const stages: Readonly<Record<number, number>> = { 1: 0, 2: 1, 12: 2 };
const spanCodes = new Map(entrySpans.map((sizeLog2, code) => [sizeLog2, code]));

/** All contexts of a regime, stage and VMID stand together, the global one last. */
export function contextKey(
  regime: Regime,
  stage: number,
  vmid: number,
  asid: number,
  global: boolean,
): number {
  const context = (regimes[regime] * 4 + (stages[stage] ?? 3)) * 0x10000 + vmid;
  return context * 0x20000 + (global ? 0x1ffff : asid);
}

export function spanCode(sizeLog2: number): number {
  return present(spanCodes.get(sizeLog2), `entry span 2^${sizeLog2}`);
}

/** Address bits [55:12] and the span. Entries of one page and different spans stand side by side. */
export function vaKey(va: bigint, sizeLog2: number): number {
  return Number((va >> 12n) & 0xfffffffffffn) * 16 + spanCode(sizeLog2);
}
