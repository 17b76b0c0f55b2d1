/**
 * Caches do not matter to the good, with both stages: a correct guest and a correct host see the same
 * accesses, records and data on every machine as on its twin without caches, whatever is combined,
 * prefetched, replaced or over-invalidated.
 */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type NestedStory, playNested } from '../support/nested-driver.ts';
import { nestedStories } from '../support/nested-stories.ts';

const NONE = { ste: 0, cd: 0, tlb: 0, walk: 0 } as const;
const withoutCaches = (story: NestedStory): NestedStory => ({
  ...story,
  schedule: 'eager',
  smmu: { caches: NONE, choices: {} },
});
const runs = Number(process.env['TWIN_RUNS'] ?? 120);

describe('a correct guest on a correct host', () => {
  it('see on every machine what they see on the twin without caches', () => {
    fc.assert(
      fc.property(nestedStories, (story) => {
        expect(playNested(story).seen).toEqual(playNested(withoutCaches(story)).seen);
      }),
      { numRuns: runs },
    );
  });

  it('would see the caches if they forgot to invalidate', () => {
    const differ = fc.sample(nestedStories, { numRuns: 40, seed: 7 }).filter((story) => {
      const careless = { ...story, careless: true };
      return playNested(careless).seen.join() !== playNested(withoutCaches(careless)).seen.join();
    });
    expect(differ.length).toBeGreaterThan(10);
  });
});
