/**
 * Caches do not matter to the good: a correct driver sees the same accesses, event records and memory
 * on every machine as on its twin without caches. Capacities 0, 1, 3 and unbounded, both replacements,
 * both ways of invalidation, all schedules. The careless driver is the counter-proof: now and then it
 * must see a difference, or the comparison would be blind.
 */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { at } from '../support/build.ts';
import { correctAction, correctStories, play, type Story, setups } from '../support/stories.ts';
import { EVTQ_LOG2, FRAMES, framePa } from '../support/world.ts';

const NONE = { ste: 0, cd: 0, tlb: 0, walk: 0 } as const;
const FULL = { ste: 'unbounded', cd: 'unbounded', tlb: 'unbounded', walk: 'unbounded' } as const;

/** What software and devices can tell apart. */
function seen(story: Story): readonly string[] {
  const { driver, simulation } = play(story);
  const { memory } = simulation.state;
  const frames = Array.from({ length: FRAMES }, (_, frame) => memory.readBytes(framePa(frame), 4096).join());
  const records = memory.readBytes(at.evtq, 32 * 2 ** EVTQ_LOG2).join();
  return [...driver.accesses, records, ...frames];
}

function withoutCaches(story: Story): Story {
  return { ...story, setup: { ...story.setup, caches: NONE } };
}

describe('a correct driver', () => {
  it('sees on every machine what it sees on the twin without caches', () => {
    fc.assert(
      fc.property(correctStories, (story) => {
        expect(seen(story)).toEqual(seen(withoutCaches(story)));
      }),
      { numRuns: Number(process.env['TWIN_RUNS'] ?? 200) },
    );
  });

  for (const capacity of [1, 3, 'unbounded'] as const) {
    for (const replacement of ['oldest', 'flush-all'] as const) {
      it(`sees no caches of ${capacity} with ${replacement}, literal or generous`, () => {
        const caches = { ste: capacity, cd: capacity, tlb: capacity, walk: capacity };
        fc.assert(
          fc.property(correctStories, (story) => {
            const setup = { ...story.setup, caches, replacement };
            expect(seen({ ...story, setup })).toEqual(seen(withoutCaches(story)));
          }),
          { numRuns: 25 },
        );
      });
    }
  }

  it('sees the same under every schedule', () => {
    fc.assert(
      fc.property(correctStories, fc.nat(), (story, seed) => {
        const under = (schedule: 'eager' | 'seeded' | 'manual'): readonly string[] =>
          seen({ ...story, setup: { ...story.setup, schedule, seed } });
        expect(under('seeded')).toEqual(under('eager'));
        expect(under('manual')).toEqual(under('eager'));
      }),
      { numRuns: 40 },
    );
  });
});

describe('a careless driver', () => {
  it('sees the caches in some story, when it forgets its invalidations', () => {
    const forgetful = fc.record({
      setup: setups.map((setup) => ({ ...setup, caches: FULL, invalidation: 'literal' as const })),
      actions: fc.array(
        correctAction.map((action) => ({ ...action, slip: 'nothing' as const })),
        { minLength: 60, maxLength: 100 },
      ),
    });
    const stories = fc.sample(forgetful, { numRuns: 40, seed: 1 });
    const differ = stories.filter((story) => seen(story).join() !== seen(withoutCaches(story)).join());
    expect(differ.length).toBeGreaterThan(10);
  });
});
