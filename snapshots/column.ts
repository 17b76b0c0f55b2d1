/**
 * How one column of a segment stands in bytes. Every kind ends up as columns of numbers (see
 * `numbers.ts`); texts go through a dictionary of the segment, and what is irregular through msgpack.
 */
import { Packr } from 'msgpackr';
import type { Column } from '../core/schema.ts';
import { ByteReader, ByteWriter } from './bytes.ts';
import { readNumbers, writeNumbers } from './numbers.ts';
import type { FieldShape } from './schema-book.ts';
import { StoreError } from './store-error.ts';

/** Byte strings of one length up to this, divisible by 4, are kept as columns of words. */
const WORDS_BYTES_MAX = 64;

/** Records are written out in each block, so that a segment needs nothing but itself. */
const packr = new Packr({ useRecords: true, useBigIntExtension: true, moreTypes: true });

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

export function columnWriter({ name, column, optional }: FieldShape, dictionary: Dictionary): ColumnWriter {
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
  if (!Array.isArray(values) || values.length !== count)
    throw new StoreError('a json column of another length');
  return values;
}
