/**
 * How one column of a segment stands in bytes. Every column ends up as columns of numbers, and each
 * of those takes the smallest of four forms: one constant; the distance from the least, in as few
 * bits as the largest needs; or the differences from row to row (zigzag), as varints or in bits.
 */
import { Packr } from 'msgpackr';
import type { Column } from '../core/schema.ts';
import { ByteReader, ByteWriter } from './bytes.ts';
import type { FieldShape } from './schema-book.ts';
import { StoreError } from './store-error.ts';

const CONSTANT = 0;
const PLAIN_BITS = 1;
const DELTA_VARINT = 2;
const DELTA_BITS = 3;
/** A difference beyond this has no exact zigzag form in a double. */
const DELTA_MAX = 2 ** 51;
/** Byte strings of one length up to this, divisible by 4, are kept as columns of words. */
const WORDS_BYTES_MAX = 64;

/** Records are written out in each block, so that a segment needs nothing but itself. */
const packr = new Packr({ useRecords: true, useBigIntExtension: true, moreTypes: true });

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
  if (least === most) {
    out.u8(CONSTANT);
    out.varint(first);
    return;
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

/** Texts of one segment, each kept once. */
export class Dictionary {
  readonly #ids = new Map<string, number>();
  readonly texts: string[] = [];

  idOf(text: string): number {
    const known = this.#ids.get(text);
    if (known !== undefined) return known;
    const id = this.texts.length;
    this.texts.push(text);
    this.#ids.set(text, id);
    return id;
  }

  reset(): void {
    this.#ids.clear();
    this.texts.length = 0;
  }
}

/** Gathers one column, row by row, without keeping what the values came from (json excepted). */
export interface ColumnWriter {
  push(value: unknown): void;
  write(out: ByteWriter): void;
  reset(): void;
}

/** Safe integers from 0 on. */
export class NumberColumn implements ColumnWriter {
  #values = new Float64Array(64);
  #count = 0;

  get count(): number {
    return this.#count;
  }

  push(value: unknown): void {
    if (this.#count === this.#values.length) {
      const grown = new Float64Array(this.#count * 2);
      grown.set(this.#values);
      this.#values = grown;
    }
    this.#values[this.#count] = value as number;
    this.#count += 1;
  }

  write(out: ByteWriter): void {
    writeNumbers(out, this.#values, this.#count);
  }

  reset(): void {
    this.#count = 0;
  }
}

class IntegerColumn extends NumberColumn {
  readonly #name: string;
  constructor(name: string) {
    super();
    this.#name = name;
  }
  override push(value: unknown): void {
    if (!Number.isSafeInteger(value) || (value as number) < 0)
      throw new Error(`invariant: ${this.#name}, ${String(value)}, is an integer from 0 on`);
    super.push(value);
  }
}

class FlagColumn extends NumberColumn {
  override push(value: unknown): void {
    super.push(value ? 1 : 0);
  }
}

class TextColumn extends NumberColumn {
  readonly #dictionary: Dictionary;
  constructor(dictionary: Dictionary) {
    super();
    this.#dictionary = dictionary;
  }
  override push(value: unknown): void {
    super.push(this.#dictionary.idOf(value as string));
  }
}

/** 64-bit values as two columns of 32 bits: low, high. */
class WideColumn implements ColumnWriter {
  #values = new BigUint64Array(64);
  #count = 0;

  push(value: unknown): void {
    if (this.#count === this.#values.length) {
      const grown = new BigUint64Array(this.#count * 2);
      grown.set(this.#values);
      this.#values = grown;
    }
    this.#values[this.#count] = value as bigint;
    this.#count += 1;
  }

  write(out: ByteWriter): void {
    const words = new Uint32Array(this.#values.buffer, 0, this.#count * 2);
    writeWords(out, words, this.#count, 2);
  }

  reset(): void {
    this.#count = 0;
  }
}

let wordScratch = new Float64Array(1024);

/** `rows` rows of `perRow` 32-bit words, as `perRow` columns. */
function writeWords(out: ByteWriter, words: Uint32Array, rows: number, perRow: number): void {
  if (wordScratch.length < rows) wordScratch = new Float64Array(rows * 2);
  for (let word = 0; word < perRow; word += 1) {
    for (let row = 0; row < rows; row += 1) wordScratch[row] = words[row * perRow + word] as number;
    writeNumbers(out, wordScratch, rows);
  }
}

/** Lengths, then the bytes: as columns of words where that can pay, else one after another. */
class BytesColumn implements ColumnWriter {
  readonly #lengths = new NumberColumn();
  readonly #data = new ByteWriter();
  #common = -1;

  push(value: unknown): void {
    const data = value as Uint8Array;
    this.#common = this.#lengths.count === 0 || this.#common === data.length ? data.length : -1;
    this.#lengths.push(data.length);
    this.#data.raw(data);
  }

  write(out: ByteWriter): void {
    this.#lengths.write(out);
    if (inWords(this.#common)) {
      const words = new Uint32Array(this.#data.view().slice().buffer);
      writeWords(out, words, this.#lengths.count, this.#common / 4);
    } else {
      out.block(this.#data.view());
    }
  }

  reset(): void {
    this.#lengths.reset();
    this.#data.reset();
    this.#common = -1;
  }
}

function inWords(length: number): boolean {
  return length > 0 && length % 4 === 0 && length <= WORDS_BYTES_MAX;
}

/** Irregular values, one msgpack block for all rows. */
class JsonColumn implements ColumnWriter {
  readonly #values: unknown[] = [];

  push(value: unknown): void {
    this.#values.push(value);
  }

  write(out: ByteWriter): void {
    if (this.#values.length > 0) out.block(packr.pack(this.#values));
  }

  reset(): void {
    this.#values.length = 0;
  }
}

/** A presence column, then the values that are there. */
class OptionalColumn implements ColumnWriter {
  readonly #present = new FlagColumn();
  readonly #inner: ColumnWriter;

  constructor(inner: ColumnWriter) {
    this.#inner = inner;
  }

  push(value: unknown): void {
    this.#present.push(value !== undefined);
    if (value !== undefined) this.#inner.push(value);
  }

  write(out: ByteWriter): void {
    this.#present.write(out);
    this.#inner.write(out);
  }

  reset(): void {
    this.#present.reset();
    this.#inner.reset();
  }
}

export function columnWriter(
  { name, column, optional }: FieldShape,
  dictionary: Dictionary,
): ColumnWriter {
  const inner = plainWriter(name, column, dictionary);
  return optional ? new OptionalColumn(inner) : inner;
}

function plainWriter(name: string, column: Column, dictionary: Dictionary): ColumnWriter {
  switch (column) {
    case 'int':
      return new IntegerColumn(name);
    case 'u64':
      return new WideColumn();
    case 'flag':
      return new FlagColumn();
    case 'text':
      return new TextColumn(dictionary);
    case 'bytes':
      return new BytesColumn();
    case 'json':
      return new JsonColumn();
  }
}

/** Reads a column of `count` rows; rows without a value are undefined. */
export function readColumn(
  input: ByteReader,
  { column, optional }: { readonly column: Column; readonly optional: boolean },
  count: number,
  texts: readonly string[],
): readonly unknown[] {
  if (!optional) return readPlain(input, column, count, texts);
  const present = readNumbers(input, count);
  let there = 0;
  for (const flag of present) there += flag;
  if (there > count) throw new StoreError('a presence column holds more than 0 and 1');
  const values = readPlain(input, column, there, texts);
  if (there === count) return values;
  let next = 0;
  return present.map((flag) => (flag === 0 ? undefined : values[next++]));
}

function readPlain(
  input: ByteReader,
  column: Column,
  count: number,
  texts: readonly string[],
): readonly unknown[] {
  switch (column) {
    case 'int':
      return readNumbers(input, count);
    case 'u64':
      return readWide(input, count);
    case 'flag':
      return readNumbers(input, count).map((value) => value === 1);
    case 'text':
      return readNumbers(input, count).map((id) => textOf(texts, id));
    case 'bytes':
      return readBytes(input, count);
    case 'json':
      return readJson(input, count);
  }
}

export function textOf(texts: readonly string[], id: number): string {
  const text = texts[id];
  if (text === undefined) throw new StoreError(`text ${id} where ${texts.length} are`);
  return text;
}

function readWide(input: ByteReader, count: number): bigint[] {
  const low = readNumbers(input, count);
  const high = readNumbers(input, count);
  const words = new Uint32Array(count * 2);
  for (let row = 0; row < count; row += 1) {
    words[row * 2] = low[row] as number;
    words[row * 2 + 1] = high[row] as number;
  }
  return Array.from(new BigUint64Array(words.buffer));
}

function readBytes(input: ByteReader, count: number): Uint8Array[] {
  const lengths = readNumbers(input, count);
  const common = lengths[0] ?? 0;
  if (inWords(common) && lengths.every((length) => length === common)) {
    const perRow = common / 4;
    const words = new Uint32Array(count * perRow);
    for (let word = 0; word < perRow; word += 1) {
      const values = readNumbers(input, count);
      for (let row = 0; row < count; row += 1) words[row * perRow + word] = values[row] as number;
    }
    return lengths.map((length, row) => new Uint8Array(words.buffer, row * length, length));
  }
  const data = new ByteReader(input.block().slice());
  return lengths.map((length) => data.raw(length));
}

function readJson(input: ByteReader, count: number): readonly unknown[] {
  if (count === 0) return [];
  const values: unknown = packr.unpack(input.block().slice());
  if (!Array.isArray(values) || values.length !== count) throw new StoreError('a json column of another length');
  return values;
}
