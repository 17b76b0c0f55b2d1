/**
 * Translation tables as the specification numbers their bits (Arm ARM D8.3; IHI 0070 5.2, 5.4), for scenarios
 * that are written from it: where the descriptor of an address stands, and what its flags are. Shares nothing
 * with the model.
 */
const bit = (n: number): bigint => 1n << BigInt(n);
export const s1Flags: Readonly<Record<string, bigint>> = {
  AF: bit(10),
  nG: bit(11),
  AP0: 0n,
  AP1: bit(6),
  AP2: bit(7),
  AP3: bit(6) | bit(7),
  DBM: bit(51),
  CONT: bit(52),
  PXN: bit(53),
  UXN: bit(54),
  SH3: 3n << 8n,
  PXNT: bit(59),
  UXNT: bit(60),
  APT1: bit(61),
  APT2: bit(62),
  APT3: bit(61) | bit(62),
};
export const s2Flags: Readonly<Record<string, bigint>> = {
  AF: bit(10),
  S0: 0n,
  S1: bit(6),
  S2: bit(7),
  S3: bit(6) | bit(7),
  DBM: bit(51),
  CONT: bit(52),
  SH3: 3n << 8n,
  X0: 0n,
  X1: bit(53),
  X2: bit(54),
  X3: bit(53) | bit(54),
  MAF: 0xfn << 2n,
  MA1: 1n << 2n,
};
export const S1_DEFAULT = 'AF,AP1,nG';
export const S2_DEFAULT = 'AF,S3,MAF';

/** One stage's tables: how they are shaped. */
export interface Shape {
  readonly root: number;
  readonly granule: number;
  readonly inputBits: number;
  readonly start: number;
  readonly ds: boolean;
}

const granule0 = [12, 16, 14, 12];

/** Start level of a stage 1 walk: the fewest levels that resolve the input (ARM DDI 0487, D8.2). */
function startLevel(inputBits: number, granule: number): number {
  return 4 - Math.ceil((inputBits - granule) / (granule - 3));
}

/** Start level of a stage 2 walk by S2TG, S2SL0 and S2SL0_2 (IHI 0070 5.2, STE.S2SL0). */
function startLevel2(granule: number, sl0: number, sl02: number): number {
  if (granule === 12) return sl02 === 1 ? -1 : ([2, 1, 0, 3][sl0] ?? 0);
  return [3, 2, 1, 0][sl0] ?? 0;
}

export function outputBits(pa: number, shape: Shape): bigint {
  const value = BigInt(pa);
  if (shape.granule === 16) return (value & 0xffff_ffff_0000n) | (((value >> 48n) & 0xfn) << 12n);
  if (shape.ds) return (value & 0x3_ffff_ffff_f000n) | (((value >> 50n) & 3n) << 8n);
  return value & 0xffff_ffff_f000n;
}

const wordBits = (words: Uint32Array, hi: number, lo: number): number =>
  Number(
    ((BigInt(words[lo >> 5] ?? 0) | (BigInt(words[(lo >> 5) + 1] ?? 0) << 32n)) >> BigInt(lo & 31)) &
      ((1n << BigInt(hi - lo + 1)) - 1n),
  );

export function stage1Shape(cd: Uint32Array, root: number): Shape {
  const granule = granule0[wordBits(cd, 7, 6)] ?? 12;
  const inputBits = 64 - wordBits(cd, 5, 0);
  const ds = wordBits(cd, 186, 186) === 1;
  return { root, granule, inputBits, start: startLevel(inputBits, granule), ds };
}

export function stage2Shape(ste: Uint32Array, root: number): Shape {
  const granule = granule0[wordBits(ste, 175, 174)] ?? 12;
  const start = startLevel2(granule, wordBits(ste, 167, 166), wordBits(ste, 194, 194));
  return { root, granule, inputBits: 64 - wordBits(ste, 165, 160), start, ds: wordBits(ste, 195, 195) === 1 };
}

/** The flags of a comma-separated list. */
export function flagsOf(all: Readonly<Record<string, bigint>>, text: string): bigint {
  return text.split(',').reduce((sum, name) => {
    const value = all[name];
    if (value === undefined) throw new Error(`no flag ${name}`);
    return sum | value;
  }, 0n);
}

/** Index of an address in the table of a level; the first may be several tables together. */
export function indexAt({ granule, start, inputBits }: Shape, ia: bigint, level: number): number {
  const shift = granule + (3 - level) * (granule - 3);
  const bits = level === start ? Math.max(0, inputBits - shift) : granule - 3;
  return Number(BigInt.asUintN(bits, ia >> BigInt(shift)));
}
