/** The fields of an STE that tell a stage 2 table (linux: arm_smmu_make_s2_domain_ste, VTCR). */
import type { Ste } from '../smmu/ste.ts';
import type { TableShape } from './table-shape.ts';

const GRANULES = { 12: '4KB', 14: '16KB', 16: '64KB' } as const;
const SIZES: readonly number[] = [32, 36, 40, 42, 44, 48, 52];

/** Name of a granule of CD.TG0 and STE.S2TG. */
export function granuleName(log2: number): '4KB' | '16KB' | '64KB' {
  return GRANULES[log2 as keyof typeof GRANULES];
}

/** Code of an address size, for CD.IPS and STE.S2PS. */
export function sizeCode(bits: number): number {
  return Math.max(0, SIZES.indexOf(bits));
}

/** S2T0SZ to S2PS. */
export function vtcrOf(shape: TableShape): Partial<Ste> {
  // SL0 counts down from the start level; of 4 KiB tables it begins one level further up.
  const level = shape.granuleLog2 === 12 ? shape.startLevel + 1 : shape.startLevel;
  return {
    S2T0SZ: 64 - shape.ias,
    S2SL0: ~level & 3,
    S2IR0: 'WB_RA_WA',
    S2OR0: 'WB_RA_WA',
    S2SH0: 'ISH',
    S2TG: granuleName(shape.granuleLog2),
    S2PS: sizeCode(shape.oas),
  };
}
