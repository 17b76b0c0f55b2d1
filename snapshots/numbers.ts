/**
 * A column of numbers takes the smallest of four forms: one constant; the distance from the least, in
 * as few bits as the largest needs; or the differences from row to row (zigzag), as varints or in bits.
 */
import type { ByteReader, ByteWriter } from './bytes.ts';
import { StoreError } from './store-error.ts';

const CONSTANT = 0;
const PLAIN_BITS = 1;
const DELTA_VARINT = 2;
const DELTA_BITS = 3;
/** A difference beyond this has no exact zigzag form in a double. */
const DELTA_MAX = 2 ** 51;

function bitsFor(value: number): number {
  return value < 0x80000000 ? 32 - Math.clz32(value) : 64 - Math.clz32(Math.floor(value / 2 ** 32));
}

function varintBytes(value: number): number {
  return value < 0x80 ? 1 : Math.ceil(bitsFor(value) / 7);
}

const scratch = { zigzag: new Float64Array(1024) };

/** Appends `count` safe integers from 0 on. */
export function writeNumbers(out: ByteWriter, values: Float64Array, count: number): void {
  if (count === 0) return;
  if (scratch.zigzag.length < count) scratch.zigzag = new Float64Array(count * 2);
  const zigzag = scratch.zigzag;
  const first = values[0] as number;
  // Most columns of most segments are constant: they are worth a loop of their own.
  let same = 1;
  while (same < count && values[same] === first) same += 1;
  if (same === count) {
    out.u8(CONSTANT);
    out.varint(first);
    return;
  }
  let least = first;
  let most = first;
  let widest = 0;
  let varints = 0;
  let before = first;
  for (let index = 1; index < count; index += 1) {
    const value = values[index] as number;
    if (value < least) least = value;
    if (value > most) most = value;
    const delta = value - before;
    const folded = delta < 0 ? -2 * delta - 1 : 2 * delta;
    zigzag[index - 1] = folded;
    if (folded > widest) widest = folded;
    varints += folded < 0x80 ? 1 : folded < 0x4000 ? 2 : varintBytes(folded);
    before = value;
  }
  const plainWidth = bitsFor(most - least);
  const plain = (count * plainWidth) / 8;
  const deltaWidth = bitsFor(widest);
  if (widest > DELTA_MAX) varints = Number.POSITIVE_INFINITY;
  const deltas = widest > DELTA_MAX ? Number.POSITIVE_INFINITY : ((count - 1) * deltaWidth) / 8;
  if (plain <= deltas && plain <= varints) {
    out.u8(PLAIN_BITS);
    out.varint(least);
    out.u8(plainWidth);
    out.bits(values, count, plainWidth, least);
  } else if (deltas <= varints) {
    out.u8(DELTA_BITS);
    out.varint(first);
    out.u8(deltaWidth);
    out.bits(zigzag, count - 1, deltaWidth, 0);
  } else {
    out.u8(DELTA_VARINT);
    out.varint(first);
    for (let index = 0; index < count - 1; index += 1) out.varint(zigzag[index] as number);
  }
}

function width(input: ByteReader): number {
  const value = input.u8();
  if (value < 1 || value > 53) throw new StoreError(`a column of ${value} bits`);
  return value;
}

/** Reads `count` numbers that `writeNumbers` wrote. */
export function readNumbers(input: ByteReader, count: number): number[] {
  if (count === 0) return [];
  const tag = input.u8();
  const first = input.varint();
  if (tag === CONSTANT) return new Array(count).fill(first);
  if (tag === PLAIN_BITS) return input.bits(count, width(input), first);
  if (tag !== DELTA_BITS && tag !== DELTA_VARINT) throw new StoreError(`a column of form ${tag}`);
  const folded = tag === DELTA_BITS ? input.bits(count - 1, width(input), 0) : undefined;
  const out: number[] = new Array(count);
  let value = first;
  out[0] = value;
  for (let index = 1; index < count; index += 1) {
    const zigzag = folded === undefined ? input.varint() : (folded[index - 1] as number);
    value += zigzag % 2 === 0 ? zigzag / 2 : -(zigzag + 1) / 2;
    out[index] = value;
  }
  return out;
}
