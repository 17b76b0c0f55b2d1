/**
 * Caches do not matter to the good, with both stages: a correct guest and a correct host see the same
 * accesses, records and data on every machine as on its twin without caches, whatever is combined,
 * prefetched, replaced or over-invalidated.
 */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  MOVABLES,
  type NestedAction,
  type NestedStory,
  PAGES,
  playNested,
} from '../support/nested-driver.ts';

const page = fc.nat({ max: PAGES - 1 });
const context = fc.nat({ max: 1 });
const access = fc.record({
  do: fc.constant('dma' as const),
  device: fc.nat({ max: 2 }),
  page,
  write: fc.boolean(),
  privileged: fc.boolean(),
});
const action: fc.Arbitrary<NestedAction> = fc.oneof(
  { weight: 14, arbitrary: access },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('map' as const),
      context,
      page,
      frame: page,
      bits: fc.constantFrom('rw', 'ro', 'priv', 'old', 'clean', 'global'),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('unmap' as const),
      context,
      page,
      by: fc.constantFrom('VA', 'ASID', 'ALL', 'VMALL'),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('block' as const), context }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('move' as const),
      which: fc.nat({ max: MOVABLES - 1 }),
      by: fc.constantFrom('ALL', 'VAA', 'NSNH'),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('s2block' as const) }) },
);
const capacity = fc.constantFrom(0, 1, 3, 'unbounded' as const);
const machines = fc.record({
  caches: fc.record({ ste: capacity, cd: capacity, tlb: capacity, walk: capacity }),
  invalidation: fc.constantFrom('literal' as const, 'generous' as const),
  replacement: fc.constantFrom('oldest' as const, 'flush-all' as const),
  choices: fc.record({
    combinedEntries: fc.boolean(),
    prefetchTranslations: fc.boolean(),
    prefetchConfiguration: fc.boolean(),
    cacheRefusedLeaf: fc.boolean(),
  }),
});
const stories: fc.Arbitrary<NestedStory> = fc.record({
  smmu: machines,
  schedule: fc.constantFrom('eager' as const, 'seeded' as const),
  seed: fc.nat(),
  actions: fc.array(action, { minLength: 30, maxLength: 120, size: 'max' }),
});

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
      fc.property(stories, (story) => {
        expect(playNested(story).seen).toEqual(playNested(withoutCaches(story)).seen);
      }),
      { numRuns: runs },
    );
  });

  it('would see the caches if they forgot to invalidate', () => {
    const differ = fc.sample(stories, { numRuns: 40, seed: 7 }).filter((story) => {
      const careless = { ...story, careless: true };
      return playNested(careless).seen.join() !== playNested(withoutCaches(careless)).seen.join();
    });
    expect(differ.length).toBeGreaterThan(10);
  });
});
