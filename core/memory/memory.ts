/**
 * Sparse physical memory. Bytes live here and nowhere else in the state. Lines of 512 bytes hang in
 * a persistent map; a line is copied before its first change by the open owner, so the past never
 * changes. What was never written reads as zero. Memory is a class so that immer leaves it alone.
 */
import { assert } from '../assert.ts';
import { type Owner, Radix } from './radix.ts';

export const LINE_BYTES = 512;
const LINE_WORDS = LINE_BYTES / 4;
/** Few enough that a slab with one line still in use wastes little. */
const SLAB_LINES = 16;
/** Lines that are remembered, less one. */
const RECENT_MASK = 63;
const NO_SLAB = new Uint32Array(0);

/** 512 bytes as 32-bit little-endian words. */
export interface Line {
  owner: Owner | undefined;
  readonly words: Uint32Array;
}

export interface RamRange {
  readonly base: number;
  readonly size: number;
}

export class Memory {
  readonly #lines: Radix<Line>;
  readonly #owner: Owner;
  readonly ram: readonly RamRange[];
  // Lines touched lately, by the low bits of their key: queues stay in one line, walks go round in a few.
  readonly #recentKeys: number[] = [];
  readonly #recent: (Line | undefined)[] = [];
  #slab = NO_SLAB;
  #slabUsed = SLAB_LINES;

  constructor(ram: readonly RamRange[], lines?: Radix<Line>, owner: Owner = {}) {
    this.ram = ram;
    this.#owner = owner;
    this.#lines = lines ?? new Radix<Line>(undefined, owner);
  }

  /** The lines, for snapshots and digests. */
  get lines(): Radix<Line> {
    return this.#lines;
  }

  get open(): boolean {
    return this.#lines.open;
  }

  /** An open memory with the same content; this one is sealed. */
  fork(): Memory {
    const owner: Owner = {};
    const open = new Memory(this.ram, this.#lines.fork(owner), owner);
    // The rest of the slab goes along: a sealed memory makes no lines, and nobody else may have it.
    open.#slab = this.#slab;
    open.#slabUsed = this.#slabUsed;
    this.#slab = NO_SLAB;
    this.#slabUsed = SLAB_LINES;
    return open;
  }

  seal(): void {
    this.#lines.seal();
  }

  /** Whether all of `[pa, pa + size)` is RAM. */
  isRam(pa: number, size: number): boolean {
    for (const range of this.ram) {
      if (pa >= range.base && pa + size <= range.base + range.size) return true;
    }
    return false;
  }

  /** The aligned 32-bit word at `pa`. */
  read32(pa: number): number {
    const key = Math.floor(pa / LINE_BYTES);
    const line = this.#line(key);
    return line === undefined ? 0 : (line.words[(pa - key * LINE_BYTES) >>> 2] ?? 0);
  }

  /** The aligned doubleword at `pa`. */
  read64(pa: number): bigint {
    const low = this.read32(pa);
    const high = this.read32(pa + 4);
    return high === 0 ? BigInt(low) : (BigInt(high) << 32n) | BigInt(low);
  }

  /** `count` aligned 32-bit words from `pa` on. */
  readWords(pa: number, count: number): Uint32Array {
    const out = new Uint32Array(count);
    for (let at = 0; at < count; at += 1) out[at] = this.read32(pa + at * 4);
    return out;
  }

  readBytes(pa: number, size: number): Uint8Array {
    const out = new Uint8Array(size);
    for (let at = 0; at < size; ) {
      const byte = pa + at;
      const first = byte % 4;
      let word = this.read32(byte - first) >>> (first * 8);
      for (const end = Math.min(size, at + 4 - first); at < end; at += 1) {
        out[at] = word;
        word >>>= 8;
      }
    }
    return out;
  }

  /** Stores the doubleword at aligned `pa`. */
  write64(pa: number, value: bigint): void {
    if (pa % 8 !== 0) assert(false, `0x${pa.toString(16)} is aligned to 8`);
    const words = this.#writable(Math.floor(pa / LINE_BYTES)).words;
    const at = (pa % LINE_BYTES) >>> 2;
    words[at] = Number(value & 0xffffffffn);
    words[at + 1] = Number(value >> 32n);
  }

  writeBytes(pa: number, data: Uint8Array): void {
    for (let at = 0; at < data.length; ) {
      const { words } = this.#writable(Math.floor((pa + at) / LINE_BYTES));
      const from = (pa + at) % LINE_BYTES;
      const count = Math.min(data.length - at, LINE_BYTES - from);
      putBytes(words, from, data, at, count);
      at += count;
    }
  }

  /** A zero line. Typed arrays are dear to allocate and collect one by one: they are cut from slabs. */
  #newLine(): Uint32Array {
    if (this.#slabUsed === SLAB_LINES) {
      this.#slab = new Uint32Array(SLAB_LINES * LINE_WORDS);
      this.#slabUsed = 0;
    }
    const from = this.#slabUsed * LINE_WORDS;
    this.#slabUsed += 1;
    return this.#slab.subarray(from, from + LINE_WORDS);
  }

  #line(key: number): Line | undefined {
    const slot = key & RECENT_MASK;
    if (this.#recentKeys[slot] === key) return this.#recent[slot];
    const line = this.#lines.get(key);
    this.#recentKeys[slot] = key;
    this.#recent[slot] = line;
    return line;
  }

  #writable(key: number): Line {
    const line = this.#line(key);
    if (line !== undefined && line.owner === this.#owner && this.#lines.open) return line;
    const words = this.#newLine();
    if (line !== undefined) words.set(line.words);
    const fresh: Line = { owner: this.#owner, words };
    this.#lines.set(key, fresh);
    const slot = key & RECENT_MASK;
    this.#recentKeys[slot] = key;
    this.#recent[slot] = fresh;
    return fresh;
  }
}

/** Whether words are all 0. */
export function isZero(words: Uint32Array): boolean {
  for (let at = 0; at < words.length; at += 1) if (words[at] !== 0) return false;
  return true;
}

/** Stores `count` bytes of `data` from `at` on into words, from byte `to` on: whole words at once where they are. */
function putBytes(words: Uint32Array, to: number, data: Uint8Array, at: number, count: number): void {
  for (let done = 0; done < count; ) {
    const index = (to + done) >>> 2;
    const next = at + done;
    if (((to + done) & 3) === 0 && count - done >= 4) {
      const [low = 0, second = 0, third = 0, high = 0] = [
        data[next],
        data[next + 1],
        data[next + 2],
        data[next + 3],
      ];
      words[index] = low | (second << 8) | (third << 16) | (high << 24);
      done += 4;
      continue;
    }
    const shift = ((to + done) & 3) * 8;
    words[index] = ((words[index] ?? 0) & ~(0xff << shift)) | ((data[next] ?? 0) << shift);
    done += 1;
  }
}
