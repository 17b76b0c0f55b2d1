/** Random stories of a guest and its host, for `nested-driver.ts`. */
import * as fc from 'fast-check';
import { MOVABLES, type NestedAction, type NestedStory, PAGES } from './nested-driver.ts';

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
/** What is taken away is used just before, and tried just after. */
function met(action: NestedAction): readonly NestedAction[] {
  if (action.do !== 'unmap' && action.do !== 'move') return [action];
  const page = action.do === 'unmap' ? action.page : action.which % PAGES;
  const device = action.do === 'unmap' ? action.context : 0;
  const use = { do: 'dma', device, page, write: false, privileged: false } as const;
  return [use, action, use];
}

/** Machines of all kinds, and what a guest and its host do on them. */
export const nestedStories: fc.Arbitrary<NestedStory> = fc.record({
  smmu: machines,
  schedule: fc.constantFrom('eager' as const, 'seeded' as const),
  seed: fc.nat(),
  actions: fc.array(action, { minLength: 20, maxLength: 80, size: 'max' }).map((all) => all.flatMap(met)),
});
