/**
 * The kinds of field of a hardware structure. Bit numbers are absolute in the structure, as the
 * specification prints them. A structure is a row of 32-bit little-endian words: bit 0 is bit 0 of
 * word 0. Fields up to 32 bits are numbers; an address keeps its place inside its 64-bit doubleword
 * and is a number too (at most 53 significant bits, so exact); a full 64-bit value is a bigint.
 */
import { assert } from '../assert.ts';
import { pow2 } from '../pow2.ts';

/** 32-bit words, least significant first. */
export type Words = ArrayLike<number>;
export type MutableWords = { readonly length: number; [index: number]: number };

export type FieldKind = 'flag' | 'uint' | 'addr' | 'u64' | 'oneOf';

export interface Field<T = unknown> {
  readonly kind: FieldKind;
  readonly hi: number;
  readonly lo: number;
  /** Names of the values of a `oneOf`. */
  readonly names?: Readonly<Record<string, number>>;
  read(words: Words): T;
  write(words: MutableWords, value: T): void;
  /** The value for people: names for `oneOf`, hex for addresses and wide values. */
  show(words: Words): string;
}

const TWO32 = 0x1_0000_0000;

/** Bits [hi:lo] as an unsigned number; at most 32 of them. */
export function readBits(words: Words, hi: number, lo: number): number {
  const width = hi - lo + 1;
  const index = lo >>> 5;
  const shift = lo & 31;
  let value = (words[index] ?? 0) >>> shift;
  if (shift + width > 32) value |= (words[index + 1] ?? 0) << (32 - shift);
  return width === 32 ? value >>> 0 : (value & ((1 << width) - 1)) >>> 0;
}

/** Sets bits [hi:lo], at most 32 of them, to `value`. */
export function writeBits(words: MutableWords, hi: number, lo: number, value: number): void {
  const width = hi - lo + 1;
  // The text of what is wrong costs more than the store.
  if (!(value >= 0 && value < pow2(width))) assert(false, `${value} does not fit bits [${hi}:${lo}]`);
  let left = width;
  let at = lo;
  let rest = value >>> 0;
  while (left > 0) {
    const index = at >>> 5;
    const shift = at & 31;
    const take = Math.min(left, 32 - shift);
    const ones = take === 32 ? 0xffffffff : ((1 << take) - 1) >>> 0;
    words[index] = (((words[index] ?? 0) & ~(ones << shift)) | ((rest & ones) << shift)) >>> 0;
    rest = take === 32 ? 0 : rest >>> take;
    at += take;
    left -= take;
  }
}

/** One bit. */
export function flag(bit: number): Field<boolean> {
  return {
    kind: 'flag',
    hi: bit,
    lo: bit,
    read: (words) => (((words[bit >>> 5] ?? 0) >>> (bit & 31)) & 1) === 1,
    write: (words, value) => writeBits(words, bit, bit, value ? 1 : 0),
    show: (words) => String(readBits(words, bit, bit)),
  };
}

/** An unsigned number of at most 32 bits. */
export function uint(hi: number, lo: number): Field<number> {
  assert(hi >= lo && hi - lo < 32, `uint [${hi}:${lo}] is at most 32 bits`);
  return {
    kind: 'uint',
    hi,
    lo,
    read: (words) => readBits(words, hi, lo),
    write: (words, value) => writeBits(words, hi, lo, value),
    show: (words) => {
      const value = readBits(words, hi, lo);
      return value < 10 ? String(value) : `0x${value.toString(16)}`;
    },
  };
}

/**
 * An address that keeps its place inside its doubleword: field [55:6] reads as the address itself.
 * At most 53 significant bits.
 */
export function addr(hi: number, lo: number): Field<number> {
  assert(
    hi >>> 6 === lo >>> 6 && hi - lo < 53,
    `addr [${hi}:${lo}] lies in one doubleword, 53 bits or fewer`,
  );
  const low = (lo >>> 6) * 2;
  const bottom = lo & 63;
  const top = hi & 63;
  const lowBits = Math.min(top, 31);
  const highFrom = Math.max(bottom, 32);
  const read = (words: Words): number => {
    const lowPart = bottom < 32 ? readBits(words, low * 32 + lowBits, low * 32 + bottom) * pow2(bottom) : 0;
    const highPart =
      top >= 32 ? readBits(words, low * 32 + top, low * 32 + highFrom) * pow2(highFrom - 32) : 0;
    return highPart * TWO32 + lowPart;
  };
  return {
    kind: 'addr',
    hi,
    lo,
    read,
    write: (words, value) => {
      assert(
        value >= 0 && value % pow2(bottom) === 0 && value < pow2(top + 1),
        `0x${value.toString(16)} does not fit addr [${hi}:${lo}]`,
      );
      if (bottom < 32) {
        const part = Math.floor((value % TWO32) / pow2(bottom));
        writeBits(words, low * 32 + lowBits, low * 32 + bottom, part % pow2(lowBits - bottom + 1));
      }
      if (top >= 32) {
        const part = Math.floor(value / TWO32 / pow2(highFrom - 32));
        writeBits(words, low * 32 + top, low * 32 + highFrom, part);
      }
    },
    show: (words) => `0x${read(words).toString(16)}`,
  };
}

/** A whole doubleword, or a part of one wider than `addr` can hold; like there, the bits keep their place in it. */
export function u64(hi: number, lo: number): Field<bigint> {
  assert(hi >>> 6 === lo >>> 6, `u64 [${hi}:${lo}] lies in one doubleword`);
  const low = (lo >>> 6) * 2;
  const ones = ((1n << BigInt(hi - lo + 1)) - 1n) << BigInt(lo & 63);
  const read = (words: Words): bigint => {
    const raw = (BigInt((words[low + 1] ?? 0) >>> 0) << 32n) | BigInt((words[low] ?? 0) >>> 0);
    return raw & ones;
  };
  return {
    kind: 'u64',
    hi,
    lo,
    read,
    write: (words, value) => {
      assert((value & ~ones) === 0n, `0x${value.toString(16)} does not fit u64 [${hi}:${lo}]`);
      const raw = (BigInt((words[low + 1] ?? 0) >>> 0) << 32n) | BigInt((words[low] ?? 0) >>> 0);
      const next = (raw & ~ones) | value;
      words[low] = Number(next & 0xffffffffn);
      words[low + 1] = Number(next >> 32n);
    },
    show: (words) => `0x${read(words).toString(16)}`,
  };
}

/** A choice among named values; a value without a name decodes as 'RESERVED'. */
export function oneOf<const N extends Readonly<Record<string, number>>>(
  hi: number,
  lo: number,
  names: N,
): Field<(keyof N & string) | 'RESERVED'> {
  const byValue = new Map<number, keyof N & string>();
  for (const [name, value] of Object.entries(names)) {
    assert(
      !byValue.has(value) && value < 2 ** (hi - lo + 1),
      `${name}=${value} is free and fits [${hi}:${lo}]`,
    );
    byValue.set(value, name);
  }
  return {
    kind: 'oneOf',
    hi,
    lo,
    names,
    read: (words) => byValue.get(readBits(words, hi, lo)) ?? 'RESERVED',
    write: (words, name) => {
      const value = names[name];
      assert(value !== undefined, `${name} is a name of [${hi}:${lo}]`);
      writeBits(words, hi, lo, value);
    },
    show: (words) => {
      const value = readBits(words, hi, lo);
      return byValue.get(value) ?? `RESERVED(${value})`;
    },
  };
}
