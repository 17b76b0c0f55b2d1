/** A line of the bench table, and how its figures are taken. */

export interface Row {
  readonly measure: string;
  readonly ours: string;
  readonly against: string;
  readonly ratio: string;
  readonly wanted: string;
  readonly met: boolean;
}

/** The middle of the measured values. */
export function median(values: readonly number[]): number {
  return percentile(values, 0.5);
}

/** The value below which `share` (0 to 1) of the values lie. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

/** Milliseconds that `work` takes. */
export async function timed(work: () => unknown): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

export interface Pair {
  readonly ours: number;
  readonly against: number;
  /** Median of the quotients ours / against. */
  readonly ratio: number;
}

/** Two variants in turn, so that what disturbs one disturbs both. Each gives its figure. */
export async function paired(
  rounds: number,
  ours: () => number | Promise<number>,
  against: () => number | Promise<number>,
): Promise<Pair> {
  const pairs: [number, number][] = [];
  for (let round = 0; round < rounds; round += 1) pairs.push([await ours(), await against()]);
  return {
    ours: median(pairs.map(([a]) => a)),
    against: median(pairs.map(([, b]) => b)),
    ratio: median(pairs.map(([a, b]) => a / b)),
  };
}

/** A rate for people. @param rate events a second. */
export function perSecond(rate: number): string {
  if (rate >= 1e6) return `${(rate / 1e6).toFixed(2)}M/s`;
  return rate >= 1e3 ? `${(rate / 1e3).toFixed(0)}k/s` : `${rate.toFixed(1)}/s`;
}
