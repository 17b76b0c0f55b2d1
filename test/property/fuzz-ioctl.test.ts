/** The short form of `npm run fuzz ioctl`: random bytes as ioctl structs, in every kernel. */
import { expect, it } from 'vitest';
import { fuzzIoctls } from '../support/fuzz-ioctl.ts';

const seeds = process.env['FUZZ_SEED'] === undefined ? [1, 2, 3] : [Number(process.env['FUZZ_SEED'])];

it.each(seeds)(
  'random structs end in an errno or succeed (seed %i: FUZZ_SEED repeats it)',
  (seed) => {
    const { answers, compared } = fuzzIoctls(seed, 2_000);
    // It is deep enough to mean something.
    expect(answers['ok']).toBeGreaterThan(100);
    expect(Object.keys(answers).length).toBeGreaterThan(8);
    expect(compared).toBeGreaterThan(0);
  },
  30_000,
);
