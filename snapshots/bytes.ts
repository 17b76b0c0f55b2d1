/**
 * Reading and writing bytes one after another. Numbers are varints (7 bits a byte, low first, up to
 * 2^53 - 1), fixed-width integers are little-endian. A reader never leaves its bytes: what ends too
 * early or counts too much is a StoreError, because only damage can make it so.
 */
import { StoreError } from './store-error.ts';

const utf8 = new TextEncoder();
const fromUtf8 = new TextDecoder();

export class ByteWriter {
  #bytes: Uint8Array;
  #length = 0;

  /** @param capacity bytes to begin with; it grows as needed. */
  constructor(capacity = 1024) {
    this.#bytes = new Uint8Array(capacity);
  }

  get length(): number {
    return this.#length;
  }

  reset(): void {
    this.#length = 0;
  }

  /** A view of what was written, good until the next write. */
  view(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  u8(value: number): void {
    this.#reserve(1);
    this.#bytes[this.#length] = value;
    this.#length += 1;
  }

  varint(value: number): void {
    this.#reserve(8);
    const bytes = this.#bytes;
    let at = this.#length;
    let rest = value;
    while (rest >= 0x80) {
      // Above 2^31 the shift operators would stop.
      bytes[at] = (rest < 0x80000000 ? rest & 0x7f : rest % 0x80) | 0x80;
      rest = rest < 0x80000000 ? rest >>> 7 : Math.floor(rest / 0x80);
      at += 1;
    }
    bytes[at] = rest;
    this.#length = at + 1;
  }

  /** The low 48 bits, 6 bytes. */
  u48(value: number): void {
    this.#reserve(6);
    for (let at = 0; at < 6; at += 1) this.#bytes[this.#length + at] = Math.floor(value / 256 ** at) % 256;
    this.#length += 6;
  }

  raw(data: Uint8Array): void {
    this.#reserve(data.length);
    this.#bytes.set(data, this.#length);
    this.#length += data.length;
  }

  /** Length, then the bytes. */
  block(data: Uint8Array): void {
    this.varint(data.length);
    this.raw(data);
  }

  text(value: string): void {
    this.block(utf8.encode(value));
  }

  /** Appends `count` fields of `width` bits (1 to 53), low bits first, and fills the last byte with 0. */
  bits(values: Float64Array, count: number, width: number, base: number): void {
    this.#reserve(Math.ceil((count * width) / 8) + 8);
    const bytes = this.#bytes;
    let at = this.#length;
    let pending = 0;
    let pendingBits = 0;
    const lastBits = ((width - 1) % 24) + 1;
    for (let index = 0; index < count; index += 1) {
      let rest = (values[index] as number) - base;
      // Pieces of 24 bits, so that a piece and 7 waiting bits fit the 32 of the operators.
      for (let left = width; left > 24; left -= 24) {
        pending |= (rest % 0x1000000) << pendingBits;
        rest = Math.floor(rest / 0x1000000);
        for (let bits = 0; bits < 24; bits += 8) {
          bytes[at] = pending;
          at += 1;
          pending >>>= 8;
        }
      }
      pending |= rest << pendingBits;
      pendingBits += lastBits;
      while (pendingBits >= 8) {
        bytes[at] = pending;
        at += 1;
        pending >>>= 8;
        pendingBits -= 8;
      }
    }
    if (pendingBits > 0) {
      bytes[at] = pending;
      at += 1;
    }
    this.#length = at;
  }

  #reserve(more: number): void {
    if (this.#length + more <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(this.#length + more, this.#bytes.length * 2));
    grown.set(this.view());
    this.#bytes = grown;
  }
}

export class ByteReader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  u8(): number {
    const value = this.#bytes[this.#at];
    if (value === undefined) throw new StoreError('the bytes end too early');
    this.#at += 1;
    return value;
  }

  varint(): number {
    let value = this.u8();
    if (value < 0x80) return value;
    value &= 0x7f;
    for (let scale = 0x80; scale <= 2 ** 49; scale *= 0x80) {
      const next = this.u8();
      value += (next & 0x7f) * scale;
      if (next < 0x80) return value;
    }
    throw new StoreError('a number has too many bytes');
  }

  /** A varint that counts things of which each takes a place; `most` bounds it against damage. */
  count(most: number): number {
    const value = this.varint();
    if (value > most) throw new StoreError(`a count of ${value} where at most ${most} can be`);
    return value;
  }

  u48(): number {
    let value = 0;
    for (let at = 0; at < 6; at += 1) value += this.u8() * 256 ** at;
    return value;
  }

  /** A view of the next `length` bytes. */
  raw(length: number): Uint8Array {
    if (length > this.left) throw new StoreError('the bytes end too early');
    const out = this.#bytes.subarray(this.#at, this.#at + length);
    this.#at += length;
    return out;
  }

  block(): Uint8Array {
    return this.raw(this.varint());
  }

  text(): string {
    return fromUtf8.decode(this.block());
  }

  /** The inverse of `ByteWriter.bits`. */
  bits(count: number, width: number, base: number): number[] {
    const bytes = this.raw(Math.ceil((count * width) / 8));
    const out: number[] = new Array(count);
    let at = 0;
    let pending = 0;
    let pendingBits = 0;
    for (let index = 0; index < count; index += 1) {
      let value = base;
      let scale = 1;
      for (let left = width; left > 0; left -= 24) {
        const take = Math.min(24, left);
        while (pendingBits < take) {
          pending |= (bytes[at] as number) << pendingBits;
          at += 1;
          pendingBits += 8;
        }
        value += (pending & ((1 << take) - 1)) * scale;
        pending >>>= take;
        pendingBits -= take;
        scale *= 0x1000000;
      }
      out[index] = value;
    }
    return out;
  }
}
