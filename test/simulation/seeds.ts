/**
 * Seeds that are always run: every seed that ever failed, with what it showed. None is removed when
 * its bug is mended.
 */
export interface NamedSeed {
  readonly seed: number;
  readonly name: string;
}

export const seeds: readonly NamedSeed[] = [
  { seed: 1, name: 'the first' },
  { seed: 0xffff_ffff, name: 'the last' },
];
