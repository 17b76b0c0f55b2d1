/** One line of the benchmark's table. */
export interface Row {
  readonly measure: string;
  /** What Backwalk reaches, in `unit`. */
  readonly ours: number;
  /** What it is held against, in the same unit. */
  readonly ceiling: number;
  /** `ours / ceiling`. */
  readonly ratio: number;
  readonly unit: string;
  /** What the performance notes ask for, in words. */
  readonly wanted: string;
  readonly note: string;
}
