/** Doublewords as pairs of 32-bit words, without arithmetic on bigints. */

const pair = new DataView(new ArrayBuffer(8));

/** The doubleword of two 32-bit words. */
export function wide(hi: number, lo: number): bigint {
  pair.setUint32(0, hi);
  pair.setUint32(4, lo);
  return pair.getBigUint64(0);
}

/** The two 32-bit words of a doubleword, the lower first. */
export function halves(value: bigint): readonly [lo: number, hi: number] {
  pair.setBigUint64(0, value);
  return [pair.getUint32(4), pair.getUint32(0)];
}

/** The four words of two doublewords: of a command, as it stands in its queue. */
export function quad(lo: bigint, hi: bigint): readonly [number, number, number, number] {
  pair.setBigUint64(0, lo);
  const [second, first] = [pair.getUint32(0), pair.getUint32(4)];
  pair.setBigUint64(0, hi);
  return [first, second, pair.getUint32(4), pair.getUint32(0)];
}

/** The bytes of a word in the other order. */
export function swap(word: number): number {
  return (((word & 0xff) << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | (word >>> 24)) >>> 0;
}

/** The 32-bit word at a byte, the lowest byte first. */
export function wordAt(bytes: Uint8Array, at: number): number {
  const low = (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8);
  return (low | ((bytes[at + 2] ?? 0) << 16) | ((bytes[at + 3] ?? 0) << 24)) >>> 0;
}

/** Stores a 32-bit word, the lowest byte first. A view of the bytes would cost twenty times the store. */
export function putWord(bytes: Uint8Array, at: number, word: number): void {
  bytes[at] = word;
  bytes[at + 1] = word >>> 8;
  bytes[at + 2] = word >>> 16;
  bytes[at + 3] = word >>> 24;
}

/** Stores a doubleword, the lowest byte first. */
export function putDoubleword(bytes: Uint8Array, at: number, value: bigint): void {
  pair.setBigUint64(0, value);
  putWord(bytes, at, pair.getUint32(4));
  putWord(bytes, at + 4, pair.getUint32(0));
}
