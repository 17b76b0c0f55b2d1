/**
 * The shape of a stage 2 translation: where a walk starts, how large its first table is, and which
 * sizes go together. IHI 0070 5.2 (S2SL0, S2T0SZ, S2TG, S2TTB, S2DS), which takes the meaning of
 * VTCR_EL2 from the Arm ARM: D8.1 for the levels that an address size permits, D8.2 for concatenation.
 */
import { addressSizes } from './codes.ts';
import type { Features } from './features.ts';
import { type Granule, type GranuleLog2, spanLog2 } from './granule.ts';
import type { Ste } from './ste.ts';

/** Up to 16 first tables may stand side by side: the first index then has up to 4 bits more. */
const CONCATENATED_LOG2_MAX = 4;

/** Start levels by granule and S2SL0. 3 with 4KB needs IDR3.STT, 0 with 16KB needs S2DS. */
// biome-ignore format: a table
const startLevels: Readonly<Record<GranuleLog2, readonly number[]>> = {
  12: [2, 1, 0, 3],
  14: [3, 2, 1, 0],
  16: [3, 2, 1],
};

/** Output address sizes in bits below which a walk may not start at a level (Arm ARM D8.1). */
// biome-ignore format: a table
const oasMin: Readonly<Record<GranuleLog2, Readonly<Record<number, number>>>> = {
  12: { [-1]: 52, 0: 44 },
  14: { 0: 52, 1: 42 },
  16: { 1: 44 },
};

/** Whether S2DS counts: 52-bit addresses with 4KB and 16KB. */
export function effectiveS2ds(ste: Ste, features: Features): boolean {
  return features.ds && ste.S2AA64 && ste.S2DS && ste.S2TG !== '64KB';
}

/** Output size of stage 2 in bits: the smaller of S2PS and OAS; 40 with VMSAv8-32 LPAE. */
export function effectiveS2ps(ste: Ste, features: Features): number {
  return ste.S2AA64 ? Math.min(addressSizes[ste.S2PS] ?? features.oas, features.oas) : 40;
}

/**
 * The level a stage 2 walk starts at, -1 to 3, or undefined where the encoding is reserved.
 * @param S2SL0 0 to 3.
 * @param S2SL0_2 counts with 4KB and `ds` alone.
 * @param ds effective S2DS, see `effectiveS2ds`.
 */
export function stage2StartLevel(
  granule: Granule,
  S2SL0: number,
  S2SL0_2: boolean,
  ds: boolean,
): number | undefined {
  if (granule.pageLog2 === 12 && ds && S2SL0_2) return S2SL0 === 0 ? -1 : undefined;
  if (granule.pageLog2 === 14 && !ds && S2SL0 === 3) return undefined;
  return startLevels[granule.pageLog2][S2SL0];
}

/** Whether this SMMU lets a stage 2 walk start at `level` at all. */
export function isStage2LevelSupported(granule: Granule, level: number, features: Features): boolean {
  if (granule.pageLog2 === 12 && level === 3 && !features.stt) return false;
  return features.oas >= (oasMin[granule.pageLog2][level] ?? 0);
}

/**
 * log2 of the bytes of the first table, or of all concatenated first tables: 8 bytes an entry. S2TTB is
 * aligned down to it (to 16 at least, to 64 when the output has 52 bits).
 * @param inputBits 64 - S2T0SZ.
 */
export function stage2TableLog2(granule: Granule, level: number, inputBits: number): number {
  return inputBits - spanLog2(granule, level) + 3;
}

/** Whether a walk of `inputBits` can start at `level`: one entry bit at least, one stride and 4 bits at most. */
export function isStage2LevelConsistent(granule: Granule, level: number, inputBits: number): boolean {
  const index = inputBits - spanLog2(granule, level);
  return index >= 1 && index <= granule.stride + CONCATENATED_LOG2_MAX;
}

/**
 * Whether S2T0SZ is within its limits, whatever the start level: IHI 0070 5.2 S2T0SZ, v3.1 and later.
 * @param ds effective S2DS, see `effectiveS2ds`.
 */
export function isStage2SizeLegal(
  granule: Granule,
  S2T0SZ: number,
  ds: boolean,
  features: Features,
): boolean {
  const max = features.stt ? (granule.pageLog2 === 16 ? 47 : 48) : 39;
  const min = granule.pageLog2 === 16 || ds ? 12 : 16;
  return S2T0SZ <= max && S2T0SZ >= Math.max(min, 64 - features.ias);
}
