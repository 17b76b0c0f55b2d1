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

const ROWS_AT_FIRST = 64;
const columnNumbers: Readonly<Record<Column, number>> = {
  int: 0,
  u64: 1,
  flag: 2,
  text: 3,
  bytes: 4,
  json: 5,
};

/**
 * Gathers one column, row by row, and keeps nothing of what the values came from (json excepted).
 * One class for all kinds: the loop that fills columns is where ingest spends its time, and a call
 * that always meets the same class is several times as fast as one that meets six.
 */
export class ColumnWriter {
  readonly #kind: number;
  readonly #name: string;
  readonly #optional: boolean;
  readonly #dictionary: Dictionary;
  #rows = 0;
  /** Whether each row has a value; of optional columns only. */
  #present = new Float64Array(0);
  #count = 0;
  /** Values, text ids, or lengths. */
  #numbers = new Float64Array(ROWS_AT_FIRST);
  #wide = new BigUint64Array(0);
  readonly #data = new ByteWriter(0);
  readonly #values: unknown[] = [];
  #lastText = '';
  #lastId = -1;

  /** @param field its name is for messages about values that do not fit. */
  constructor({ name, column, optional }: FieldShape, dictionary: Dictionary) {
    this.#kind = columnNumbers[column];
    this.#name = name;
    this.#optional = optional;
    this.#dictionary = dictionary;
  }

  get count(): number {
    return this.#count;
  }

  push(value: unknown): void {
    if (this.#optional) {
      this.#pushPresence(value !== undefined);
      if (value === undefined) return;
    }
    const at = this.#count;
    if (at === this.#numbers.length) this.#grow();
    this.#count = at + 1;
    switch (this.#kind) {
      case 0:
        this.#checkInteger(value);
        this.#numbers[at] = value as number;
        break;
      case 1:
        if (at >= this.#wide.length) this.#growWide();
        this.#wide[at] = value as bigint;
        break;
      case 2:
        this.#numbers[at] = value ? 1 : 0;
        break;
      case 3:
        if (value !== this.#lastText || this.#lastId < 0) {
          this.#lastText = value as string;
          this.#lastId = this.#dictionary.idOf(value as string);
        }
        this.#numbers[at] = this.#lastId;
        break;
      case 4:
        this.#numbers[at] = (value as Uint8Array).length;
        this.#data.raw(value as Uint8Array);
        break;
      default:
        this.#values.push(value);
    }
  }

  write(out: ByteWriter): void {
    if (this.#optional) writeNumbers(out, this.#present, this.#rows);
    if (this.#kind === columnNumbers.u64) {
      writeWords(out, new Uint32Array(this.#wide.buffer, 0, this.#count * 2), this.#count, 2);
    } else if (this.#kind === columnNumbers.json) {
      if (this.#count > 0) out.block(packr.pack(this.#values));
    } else {
      writeNumbers(out, this.#numbers, this.#count);
      if (this.#kind === columnNumbers.bytes) this.#writeBytes(out);
    }
  }

  reset(): void {
    this.#rows = 0;
    this.#count = 0;
    this.#data.reset();
    this.#values.length = 0;
    this.#lastId = -1;
  }

  /** As columns of words where all have one length and that can pay, else one after another. */
  #writeBytes(out: ByteWriter): void {
    const common = this.#count === 0 ? 0 : (this.#numbers[0] as number);
    if (inWords(common) && this.#numbers.subarray(0, this.#count).every((length) => length === common)) {
      const words = new Uint32Array(this.#data.view().slice().buffer);
      writeWords(out, words, this.#count, common / 4);
    } else {
      out.block(this.#data.view());
    }
  }

  #checkInteger(value: unknown): void {
    if (!Number.isSafeInteger(value) || (value as number) < 0)
      throw new Error(`invariant: ${this.#name}, ${String(value)}, is an integer from 0 on`);
  }

  #pushPresence(present: boolean): void {
    if (this.#rows === this.#present.length) this.#present = grown(this.#present);
    this.#present[this.#rows] = present ? 1 : 0;
    this.#rows += 1;
  }

  #grow(): void {
    this.#numbers = grown(this.#numbers);
  }

  #growWide(): void {
    const more = new BigUint64Array(this.#numbers.length);
    more.set(this.#wide);
    this.#wide = more;
  }
}

function grown(values: Float64Array<ArrayBuffer>): Float64Array<ArrayBuffer> {
  const more = new Float64Array(Math.max(ROWS_AT_FIRST, values.length * 2));
  more.set(values);
  return more;
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

function inWords(length: number): boolean {
  return length > 0 && length % 4 === 0 && length <= WORDS_BYTES_MAX;
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
