/** The short form of `npm run fuzz`: random words everywhere, on a machine that has everything. */
import { expect, it } from 'vitest';
import { fuzz } from '../support/fuzz.ts';

const seeds = process.env['FUZZ_SEED'] === undefined ? [1, 2, 3] : [Number(process.env['FUZZ_SEED'])];

it.each(seeds)('random words end in architecture (seed %i: FUZZ_SEED repeats it)', (seed) => {
  expect(fuzz(seed, 20_000)).toBeGreaterThan(1_000);
});
