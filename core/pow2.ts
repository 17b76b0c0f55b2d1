/** Powers of two up to 2^63, and what lies below one: addresses are numbers of more than 32 bits. */

/** The operator computes a power anew each time, and walks ask for many. */
const powers: readonly number[] = Array.from({ length: 64 }, (_, exponent) => 2 ** exponent);

/** 2^exponent, 0 to 63. */
export function pow2(exponent: number): number {
  return powers[exponent] ?? 2 ** exponent;
}

/** `value` modulo `size`, a power of two: the remainder operator is slow beyond 31 bits. */
export function below(value: number, size: number): number {
  return value - Math.floor(value / size) * size;
}
