/** Delta debugging on lists: what is left is needed, whatever the test needs, and the same each time. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { reduceList, type Test } from '../../../adapters/shrink/reduce.ts';

function reduced(items: readonly number[], test: Test<number>): { left: readonly number[]; trials: number } {
  let left = items;
  let trials = 0;
  for (const best of reduceList(items, test)) {
    left = best;
    trials += 1;
  }
  return { left, trials };
}

describe('a reduced list', () => {
  it('holds what the test needs and nothing else', () => {
    fc.assert(
      fc.property(fc.nat(200), fc.uniqueArray(fc.nat(200)), (length, wanted) => {
        const needed = wanted.filter((each) => each < length).sort((a, b) => a - b);
        const holds: Test<number> = (list) =>
          needed.every((each) => list.includes(each)) ? list : undefined;
        const items = Array.from({ length }, (_, at) => at);
        expect(reduced(items, holds).left).toEqual(needed);
      }),
      { seed: 1 },
    );
  });

  it('is 1-minimal where what is needed depends on the rest', () => {
    // Three in all, or any two that are neighbours.
    const holds: Test<number> = (list) =>
      list.length >= 3 || list.some((each) => list.includes(each + 1)) ? list : undefined;
    const { left } = reduced([1, 5, 9, 13, 14, 20], holds);
    expect(holds(left)).toEqual(left);
    for (const gone of left) expect(holds(left.filter((each) => each !== gone))).toBeUndefined();
  });

  it('takes what a trial loses by itself', () => {
    const { left } = reduced([1, 2, 3, 4, 5, 6], (list) =>
      list.includes(4) ? list.filter((each) => each <= 4) : undefined,
    );
    expect(left).toEqual([4]);
  });

  it('asks about length times its logarithm where little is needed', () => {
    const items = Array.from({ length: 1024 }, (_, at) => at);
    expect(reduced(items, (list) => (list.includes(700) ? list : undefined)).trials).toBeLessThan(60);
  });
});
