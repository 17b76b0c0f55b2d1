/**
 * The numbers that both stages of the reference walker go by: Arm ARM D8.2 (which bits index a table,
 * which level a walk starts at) and D8.3 (what a descriptor is). Bit positions stand here as tables,
 * addresses are bigints, and nothing comes from `core`.
 */

export type Granule = '4KB' | '16KB' | '64KB';

/** How a stage reads the addresses of its descriptors. */
export interface Format {
  readonly granule: Granule;
  /** CD.DS or STE.S2DS. */
  readonly ds: boolean;
  readonly oasBits: number;
  /** The smaller of OAS and of what CD.IPS or STE.S2PS says, in bits. */
  readonly sizeBits: number;
}

export type Descriptor =
  | { readonly kind: 'invalid' }
  | {
      readonly kind: 'table' | 'leaf';
      readonly out: bigint;
      /** Output beyond the address size. */
      readonly tooLarge: boolean;
    };

/** First and last TxSZ of each start level of stage 1. */
export const START1: Record<Granule, readonly (readonly [first: number, last: number, level: number])[]> = {
  '4KB': [
    [12, 15, -1],
    [16, 24, 0],
    [25, 33, 1],
    [34, 42, 2],
    [43, 48, 3],
  ],
  '16KB': [
    [12, 16, 0],
    [17, 27, 1],
    [28, 38, 2],
    [39, 48, 3],
  ],
  '64KB': [
    [12, 21, 1],
    [22, 34, 2],
    [35, 47, 3],
  ],
};

/** One line of the tables D8-19 to D8-41: what a start level of stage 2 takes. */
export interface Start2 {
  /** S2SL0, and S2SL0_2 above it. */
  readonly sl0: number;
  readonly level: number;
  /** How many tables stand side by side, for which S2T0SZ, and whether that needs 52-bit addresses. */
  readonly first: number;
  readonly last: number;
  readonly tables: number;
  readonly wide: boolean;
}

/** `sl0 | level | S2T0SZ of one table | of 2, 4, 8 and 16 tables`; `*` where 52-bit addresses are needed. */
const START2_TEXT: Record<Granule, string> = {
  '4KB': `
    4 | -1 | 12-15* |      |      |      |
    2 |  0 | 16-24  | 15*  | 14*  | 13*  | 12*
    1 |  1 | 25-33  | 24   | 23   | 22   | 21
    0 |  2 | 34-42  | 33   | 32   | 31   | 30
    3 |  3 | 43-48  | 42   | 41   | 40   | 39
  `,
  '16KB': `
    3 |  0 | 12-16* |      |      |      |
    2 |  1 | 17-27  | 16   | 15*  | 14*  | 13*
    1 |  2 | 28-38  | 27   | 26   | 25   | 24
    0 |  3 | 39-48  | 38   | 37   | 36   | 35
  `,
  '64KB': `
    2 |  1 | 12-15* |      |      |      |
    2 |  1 | 16-21  |      |      |      |
    1 |  2 | 22-34  | 21   | 20   | 19   | 18
    0 |  3 | 35-47  | 34   | 33   | 32   | 31
  `,
};

export const START2: Record<Granule, readonly Start2[]> = {
  '4KB': start2('4KB'),
  '16KB': start2('16KB'),
  '64KB': start2('64KB'),
};

/** Input bits that index the table of a level: high and low. Concatenated tables take what is above too. */
export const INDEX: Record<Granule, Record<number, readonly [hi: number, lo: number]>> = {
  '4KB': { [-1]: [51, 48], 0: [47, 39], 1: [38, 30], 2: [29, 21], 3: [20, 12] },
  '16KB': { 0: [51, 47], 1: [46, 36], 2: [35, 25], 3: [24, 14] },
  '64KB': { 1: [51, 42], 2: [41, 29], 3: [28, 16] },
};

// Levels that may hold a block: plainly, and where 52-bit addresses allow one more.
const BLOCK: Record<Granule, readonly [readonly number[], readonly number[]]> = {
  '4KB': [[1, 2], [0]],
  '16KB': [[2], [1]],
  '64KB': [[2], [1]],
};

const PAGE: Record<Granule, number> = { '4KB': 12, '16KB': 14, '64KB': 16 };

/** Bits `hi` to `lo` of a value, at bit 0. */
export const bits = (value: bigint, hi: number, lo: number): bigint =>
  (value >> BigInt(lo)) & ((1n << BigInt(hi - lo + 1)) - 1n);
export const bit = (value: bigint, at: number): boolean => ((value >> BigInt(at)) & 1n) === 1n;
const place = (value: bigint, lo: number): bigint => value << BigInt(lo);

/** A doubleword with its bytes in the other order. */
export function swapped(value: bigint): bigint {
  let out = 0n;
  for (let at = 0n; at < 64n; at += 8n) out |= ((value >> at) & 0xffn) << (56n - at);
  return out;
}

/** Which descriptor `value` is at a level, and where it leads. */
export function descriptor(value: bigint, level: number, format: Format): Descriptor {
  const { granule, ds, oasBits, sizeBits } = format;
  const small = granule !== '64KB';
  // D8-52, D8-53: 52-bit output addresses need DS, or with 64KB an implementation of 52 bits.
  const wide = small ? ds : oasBits >= 52;
  const blocks = [...BLOCK[granule][0], ...(wide ? BLOCK[granule][1] : [])];
  const table = level < 3 && bit(value, 1);
  if (!bit(value, 0)) return { kind: 'invalid' };
  if (level === 3 && !bit(value, 1)) return { kind: 'invalid' };
  if (level < 3 && !table && !blocks.includes(level)) return { kind: 'invalid' };
  const from = table ? PAGE[granule] : (INDEX[granule][level]?.[1] ?? 0);
  let out = place(bits(value, 47, from), from);
  if (small && wide) out += place(bits(value, 49, 48), 48) + place(bits(value, 9, 8), 50);
  if (!small && wide) out += place(bits(value, 15, 12), 48);
  const limit = small && !ds ? Math.min(sizeBits, 48) : sizeBits;
  return { kind: table ? 'table' : 'leaf', out, tooLarge: out >> BigInt(limit) !== 0n };
}

function start2(granule: Granule): readonly Start2[] {
  const rows: Start2[] = [];
  for (const line of START2_TEXT[granule].split('\n').filter((text) => text.includes('|'))) {
    const [sl0, level, ...ranges] = line.split('|').map((cell) => cell.trim());
    for (const [at, range] of ranges.entries()) {
      if (range === '') continue;
      const [first, last] = range.replace('*', '').split('-').map(Number);
      const wide = range.endsWith('*');
      rows.push({
        sl0: Number(sl0),
        level: Number(level),
        first: first as number,
        last: last ?? (first as number),
        tables: 2 ** at,
        wide,
      });
    }
  }
  return rows;
}
