/**
 * Chunks: many small records in one value of about 16 KiB, so that LMDB, its pages and LZ4 meet few
 * large things. A record's id is its chunk's number and its place in it. A chunk is checked against
 * its hash when it is read; ids are never given twice.
 */
import { createHash } from 'node:crypto';
import { ByteReader, ByteWriter } from './bytes.ts';
import { CACHE_TAG, type CacheFile } from './cache-file.ts';
import { storeKey } from './lmdb.ts';
import { HASH_BYTES, sameBytes } from './segment.ts';
import { StoreError } from './store-error.ts';

/** Four pages of LMDB less their head. */
const CHUNK_BYTES = 4 * 4096 - 24 - 64;
/** Records of a chunk, at most: places in ids. */
const PLACES = 1024;
/** Chunks kept unpacked for reading. */
const MEMO_CHUNKS = 64;

export function chunkKey(chunk: number): Uint8Array {
  return storeKey(CACHE_TAG.chunk, 0, chunk);
}

export function chunkOf(id: number): number {
  return Math.floor(id / PLACES);
}

function hashOf(key: Uint8Array, content: Uint8Array): Uint8Array {
  const digest = createHash('sha256').update(key).update(content).digest();
  return Uint8Array.from(digest.subarray(0, HASH_BYTES));
}

/** Gathers records; its chunks are put into the transaction of their snapshot. */
export class ChunkWriter {
  readonly #chunks: { readonly key: Uint8Array; readonly value: Uint8Array }[] = [];
  readonly #records = new ByteWriter(2 * CHUNK_BYTES);
  #lengths: number[] = [];
  #next: number;
  #bytes = 0;

  /** @param next number of the first chunk. */
  constructor(next: number) {
    this.#next = next;
  }

  /** Number after the last chunk, once `finish` was called. */
  get next(): number {
    return this.#next;
  }

  /** Bytes of the finished chunks. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Takes a record and returns its id. */
  add(record: Uint8Array): number {
    const most = CHUNK_BYTES - HASH_BYTES - 2 * this.#lengths.length;
    if (this.#lengths.length === PLACES || this.#records.length + record.length > most) this.#close();
    this.#records.raw(record);
    return this.#next * PLACES + this.#lengths.push(record.length) - 1;
  }

  finish(): readonly { readonly key: Uint8Array; readonly value: Uint8Array }[] {
    this.#close();
    return this.#chunks;
  }

  #close(): void {
    if (this.#lengths.length === 0) return;
    const out = new ByteWriter(CHUNK_BYTES);
    out.raw(new Uint8Array(HASH_BYTES));
    out.varint(this.#lengths.length);
    for (const length of this.#lengths) out.varint(length);
    out.raw(this.#records.view());
    const value = out.view().slice();
    const key = chunkKey(this.#next);
    value.set(hashOf(key, value.subarray(HASH_BYTES)));
    this.#chunks.push({ key, value });
    this.#bytes += value.length;
    this.#next += 1;
    this.#lengths = [];
    this.#records.reset();
  }
}

interface OpenChunk {
  readonly offsets: Uint32Array;
  readonly records: Uint8Array;
}

/** Reads records by id. */
export class ChunkReader {
  readonly #cache: CacheFile;
  readonly #memo = new Map<number, OpenChunk>();

  constructor(cache: CacheFile) {
    this.#cache = cache;
  }

  /** A view of a record; StoreError when its chunk is missing or damaged. */
  record(id: number): Uint8Array {
    const { offsets, records } = this.#open(chunkOf(id));
    const start = offsets[id % PLACES];
    const end = offsets[(id % PLACES) + 1];
    if (start === undefined || end === undefined) throw new StoreError(`record ${id} is missing`);
    return records.subarray(start, end);
  }

  #open(chunk: number): OpenChunk {
    const known = this.#memo.get(chunk);
    if (known !== undefined) return known;
    const made = this.#unpack(chunk);
    this.#memo.set(chunk, made);
    if (this.#memo.size > MEMO_CHUNKS) {
      for (const oldest of this.#memo.keys()) {
        this.#memo.delete(oldest);
        break;
      }
    }
    return made;
  }

  #unpack(chunk: number): OpenChunk {
    const key = chunkKey(chunk);
    const value = this.#cache.environment?.get(key);
    if (value === undefined) throw new StoreError(`chunk ${chunk} of the cache is missing`);
    if (!sameBytes(hashOf(key, value.subarray(HASH_BYTES)), value.subarray(0, HASH_BYTES)))
      throw new StoreError(`chunk ${chunk} of the cache is damaged`);
    const reader = new ByteReader(value.subarray(HASH_BYTES));
    const count = reader.count(PLACES);
    const offsets = new Uint32Array(count + 1);
    for (let at = 0; at < count; at += 1) offsets[at + 1] = (offsets[at] ?? 0) + reader.varint();
    return { offsets, records: reader.raw(reader.left) };
  }
}
