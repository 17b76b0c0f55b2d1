/**
 * The codec of segments: up to 1024 entries as columns in one self-checking value.
 *
 *     hash 16 | hash of the segment before 16 | body
 *     body = version, first seq, count, types (fingerprint, rows), texts,
 *            columns type tick cause actor, then a block of columns for each type
 *
 * The hash is SHA-256, cut to 16 bytes, over everything after it, so segments form a chain.
 */
import { createHash } from 'node:crypto';
import type { Entry } from '../core/event.ts';
import { ByteReader, ByteWriter } from './bytes.ts';
import { ColumnWriter, Dictionary, readColumn, textOf } from './column.ts';
import { readNumbers, writeNumbers } from './numbers.ts';
import type { SchemaBook, TypeShape } from './schema-book.ts';
import { messageOf, StoreError } from './store-error.ts';

/** Most entries of a segment. */
export const SEGMENT_ENTRIES = 1024;
export const HASH_BYTES = 16;
const SEGMENT_VERSION = 1;
const PREFIX_BYTES = 2 * HASH_BYTES;

export interface Segment {
  readonly hash: Uint8Array;
  readonly value: Uint8Array;
}

interface TypeWriter {
  /** Its number in the open segment. */
  number: number;
  readonly shape: TypeShape;
  readonly names: readonly string[];
  /** Beside the names. */
  readonly columns: readonly ColumnWriter[];
  rows: number;
}

/** What every entry has, a row each. */
function newHeads(): Record<'types' | 'ticks' | 'causes' | 'actors', Float64Array> {
  const column = (): Float64Array => new Float64Array(SEGMENT_ENTRIES);
  return { types: column(), ticks: column(), causes: column(), actors: column() };
}

/** Encoding is synchronous: one pair serves all. */
const buffers = { out: new ByteWriter(65536), block: new ByteWriter(65536) };

/** The open segment: takes entries into columns and keeps none of them. */
export class SegmentWriter {
  readonly #book: SchemaBook;
  readonly #known = new Map<string, TypeWriter>();
  readonly #used: TypeWriter[] = [];
  readonly #dictionary = new Dictionary();
  readonly #heads = newHeads();
  #count = 0;
  #first = 0;
  #lastActor: string | undefined;
  #lastActorId = 0;

  constructor(book: SchemaBook) {
    this.#book = book;
  }

  get count(): number {
    return this.#count;
  }

  get full(): boolean {
    return this.count === SEGMENT_ENTRIES;
  }

  /** seq of the first entry, once there is one. */
  get first(): number {
    return this.#first;
  }

  /** The shapes this writer ever used, for the log to keep. */
  get shapesEver(): TypeShape[] {
    return Array.from(this.#known.values(), (type) => type.shape);
  }

  /** Takes the next entry, which the segment has room for: its seq follows the one before. */
  push(entry: Entry): void {
    const row = this.#count;
    if (row === 0) this.#first = entry.seq;
    const type = this.#typeFor(entry.type);
    const fields = entry as unknown as Readonly<Record<string, unknown>>;
    const { names, columns } = type;
    for (let at = 0; at < names.length; at += 1)
      (columns[at] as ColumnWriter).push(fields[names[at] as string]);
    type.rows += 1;
    const { seq, tick, cause } = entry;
    if (!Number.isSafeInteger(tick) || tick < 0 || !(cause >= 0 && cause < seq))
      throw new Error(`invariant: entry ${seq} has a tick and an earlier cause (${tick}, ${cause})`);
    const heads = this.#heads;
    heads.types[row] = type.number;
    heads.ticks[row] = tick;
    heads.causes[row] = cause === 0 ? 0 : seq - cause;
    heads.actors[row] = this.#actorId(entry.actor);
    this.#count = row + 1;
  }

  /** The segment as it is now; more may follow. @param before hash of the segment before. */
  encode(before: Uint8Array): Segment {
    const { out, block } = buffers;
    out.reset();
    out.raw(new Uint8Array(HASH_BYTES));
    out.raw(before);
    out.u8(SEGMENT_VERSION);
    out.varint(this.#first);
    out.varint(this.count);
    out.varint(this.#used.length);
    for (const { shape, rows } of this.#used) {
      out.u48(shape.fingerprint);
      out.varint(rows);
    }
    out.varint(this.#dictionary.texts.length);
    for (const text of this.#dictionary.texts) out.text(text);
    const { types, ticks, causes, actors } = this.#heads;
    for (const head of [types, ticks, causes, actors]) writeNumbers(out, head, this.#count);
    for (const { columns } of this.#used) {
      block.reset();
      for (const column of columns) column.write(block);
      out.block(block.view());
    }
    const value = out.view().slice();
    const hash = hashOf(value);
    value.set(hash);
    return { hash, value };
  }

  /** Begins the next segment. */
  reset(): void {
    for (const type of this.#used) {
      type.rows = 0;
      for (const column of type.columns) column.reset();
    }
    this.#used.length = 0;
    this.#dictionary.reset();
    this.#count = 0;
    this.#lastActor = undefined;
  }

  #typeFor(name: string): TypeWriter {
    const known = this.#known.get(name);
    if (known !== undefined) {
      if (known.rows === 0) known.number = this.#used.push(known) - 1;
      return known;
    }
    const shape = this.#book.forType(name);
    const columns = shape.fields.map(
      (field) => new ColumnWriter({ ...field, name: `${name}.${field.name}` }, this.#dictionary),
    );
    const names = shape.fields.map((field) => field.name);
    const made = { number: this.#used.length, shape, names, columns, rows: 0 };
    this.#known.set(name, made);
    this.#used.push(made);
    return made;
  }

  #actorId(actor: string): number {
    if (actor !== this.#lastActor) {
      this.#lastActor = actor;
      this.#lastActorId = this.#dictionary.idOf(actor);
    }
    return this.#lastActorId;
  }
}

/** What a segment says of itself, without its entries. */
export interface SegmentHead {
  readonly first: number;
  readonly count: number;
  readonly hash: Uint8Array;
  readonly before: Uint8Array;
}

function hashOf(value: Uint8Array): Uint8Array {
  const digest = createHash('sha256').update(value.subarray(HASH_BYTES)).digest();
  return Uint8Array.from(digest.subarray(0, HASH_BYTES));
}

export function sameBytes(left: Uint8Array, right: Uint8Array): boolean {
  return left.length === right.length && left.every((byte, at) => byte === right[at]);
}

function openBody(value: Uint8Array): { head: SegmentHead; body: ByteReader } {
  if (value.length <= PREFIX_BYTES) throw new StoreError('the segment is cut short');
  const body = new ByteReader(value.subarray(PREFIX_BYTES));
  const version = body.u8();
  if (version !== SEGMENT_VERSION) throw new StoreError(`segment version ${version}`);
  const first = body.varint();
  const count = body.count(SEGMENT_ENTRIES);
  const hash = value.slice(0, HASH_BYTES);
  return { head: { first, count, hash, before: value.slice(HASH_BYTES, PREFIX_BYTES) }, body };
}

/** The segment's own words, unchecked but for their form. */
export function segmentHead(value: Uint8Array): SegmentHead {
  return openBody(value).head;
}

/** Whether the bytes are those that were written. */
export function isIntact(value: Uint8Array): boolean {
  return value.length > PREFIX_BYTES && sameBytes(hashOf(value), value.subarray(0, HASH_BYTES));
}

/**
 * The entries of a segment, in order; `only` leaves out all other types without decoding them.
 * StoreError when the bytes are not those that were written.
 */
export function decodeSegment(value: Uint8Array, book: SchemaBook, only?: ReadonlySet<string>): Entry[] {
  if (!isIntact(value)) throw new StoreError('the segment does not match its hash');
  try {
    return decodeBody(value, book, only);
  } catch (error) {
    if (error instanceof StoreError) throw error;
    throw new StoreError(`the segment does not decode: ${messageOf(error)}`);
  }
}

interface TypeRows {
  readonly shape: TypeShape;
  readonly columns: readonly (readonly unknown[])[] | undefined;
  next: number;
}

function decodeBody(value: Uint8Array, book: SchemaBook, only?: ReadonlySet<string>): Entry[] {
  const { head, body } = openBody(value);
  const types = Array.from({ length: body.count(head.count) }, () => ({
    shape: book.forFingerprint(body.u48()),
    rows: body.count(head.count),
  }));
  const texts = Array.from({ length: body.count(body.left) }, () => body.text());
  const stream = readNumbers(body, head.count);
  const ticks = readNumbers(body, head.count);
  const causes = readNumbers(body, head.count);
  const actors = readNumbers(body, head.count);
  const rows: TypeRows[] = types.map(({ shape, rows: count }) => {
    const block = body.block();
    if (only !== undefined && !only.has(shape.type)) return { shape, columns: undefined, next: 0 };
    const reader = new ByteReader(block);
    return { shape, columns: shape.fields.map((field) => readColumn(reader, field, count, texts)), next: 0 };
  });
  const entries: Entry[] = [];
  for (let index = 0; index < head.count; index += 1) {
    const type = rows[stream[index] as number];
    if (type === undefined) throw new StoreError('an entry of a type that the segment lacks');
    if (type.columns === undefined) continue;
    const seq = head.first + index;
    const back = causes[index] as number;
    const entry: Record<string, unknown> = {
      seq,
      tick: ticks[index],
      cause: back === 0 ? 0 : seq - back,
      actor: textOf(texts, actors[index] as number),
      type: type.shape.type,
    };
    addFields(entry, type);
    entries.push(entry as unknown as Entry);
  }
  return entries;
}

function addFields(entry: Record<string, unknown>, type: TypeRows): void {
  const { fields } = type.shape;
  const columns = type.columns ?? [];
  for (let at = 0; at < fields.length; at += 1) {
    const value = columns[at]?.[type.next];
    if (value !== undefined) entry[(fields[at] as { name: string }).name] = value;
  }
  type.next += 1;
}
