/** Doublewords as pairs of 32-bit words, without arithmetic on bigints. */

const pair = new DataView(new ArrayBuffer(8));

/** The doubleword of two 32-bit words. */
export function wide(hi: number, lo: number): bigint {
  pair.setUint32(0, hi);
  pair.setUint32(4, lo);
  return pair.getBigUint64(0);
}

/** The bytes of a word in the other order. */
export function swap(word: number): number {
  return (((word & 0xff) << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | (word >>> 24)) >>> 0;
}
