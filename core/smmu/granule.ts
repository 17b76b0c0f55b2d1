/**
 * The shapes of VMSAv8-64 translation tables by granule: Arm ARM D8.2. Everything follows from the
 * page bits and the 8 bytes of a descriptor.
 */

export type GranuleLog2 = 12 | 14 | 16;

export interface Granule {
  readonly name: '4KB' | '16KB' | '64KB';
  /** Bits of a page offset. */
  readonly pageLog2: GranuleLog2;
  /** Input bits that one level resolves. */
  readonly stride: number;
  /** Levels at which a block may stand without 52-bit outputs. */
  readonly blockLevels: readonly number[];
  /** The same with DS, or with 52-bit outputs for 64KB. */
  readonly blockLevelsWide: readonly number[];
}

// biome-ignore format: a table
export const granules: Readonly<Record<GranuleLog2, Granule>> = {
  12: { name: '4KB',  pageLog2: 12, stride: 9,  blockLevels: [1, 2], blockLevelsWide: [0, 1, 2] },
  14: { name: '16KB', pageLog2: 14, stride: 11, blockLevels: [2],    blockLevelsWide: [1, 2] },
  16: { name: '64KB', pageLog2: 16, stride: 13, blockLevels: [2],    blockLevelsWide: [1, 2] },
};

/** CD.TG0, CD.TG1 and TLBI TG names to granules. */
export const granuleByName: Readonly<Record<string, Granule | undefined>> = {
  '4KB': granules[12],
  '16KB': granules[14],
  '64KB': granules[16],
};

/** log2 of the bytes that one entry of `level` stands for. */
export function spanLog2(granule: Granule, level: number): number {
  return granule.pageLog2 + granule.stride * (3 - level);
}

/** The level a stage 1 walk of `inputBits` starts at; -1 to 3. */
export function startLevel(granule: Granule, inputBits: number): number {
  return 3 - Math.floor((inputBits - 1 - granule.pageLog2) / granule.stride);
}

/** Every span an entry can have, smallest first: what a lookup tries. */
export const entrySpans: readonly number[] = [
  ...new Set(
    Object.values(granules).flatMap((granule) => [3, 2, 1, 0].map((level) => spanLog2(granule, level))),
  ),
].sort((a, b) => a - b);
