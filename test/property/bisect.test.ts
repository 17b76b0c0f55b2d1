/**
 * Halving tells what a look at every moment tells: for what goes on holding the same position, and for what
 * does not, never a wrong one without saying so where it was seen. `--every` needs no such luck.
 */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { firstTrue } from '../../adapters/cli/first-true.ts';
import { changesOf, lookupAt, marksOf } from '../../adapters/cli/moments.ts';
import { holds, type Predicate, parsePredicate } from '../../adapters/cli/predicate.ts';
import { checkHistory } from '../../projections/check.ts';
import { type Held, sessionOf } from '../support/memory-session.ts';
import { carelessStories, play } from '../support/stories.ts';
import { worldConfig } from '../support/world.ts';

const expressions = [
  'count(access.*) > 3',
  'count(command.performed) >= 2 and smmu0.regs.CR0.SMMUEN',
  'finding(*)',
  'smmu0.cmdq.size > 0',
  'smmu0.tlb.size > 1',
  'smmu0.evtq.prod != 0 or smmu0.cmdq.cons > 4',
  'not smmu0.ste[8].Config == S1',
  'smmu0.inFlight and count(dma) > 0',
];

interface Truth {
  readonly values: readonly boolean[];
  readonly places: readonly number[];
}

/** The expression at every moment, and where its operands change. */
function truthOf({ session, branch }: Held, predicate: Predicate, head: number): Truth {
  const to = { branch, seq: head };
  const marks = marksOf(predicate, session, to, checkHistory);
  const values = Array.from({ length: head + 1 }, (_, seq) =>
    holds(predicate, lookupAt(session, { branch, seq }, marks)),
  );
  return { values, places: changesOf(predicate, session, to, 0, marks) };
}

async function expectHalved({ values, places }: Truth, head: number): Promise<'sure' | 'unsure' | 'none'> {
  const linear = values.findIndex((there, seq) => there && seq > 0);
  if (values[0] === true) return 'none';
  expect(places.find((seq) => values[seq] === true) ?? -1).toBe(linear);
  const found = await firstTrue(0, head, 4, async (seq) => values[seq] === true);
  if (typeof found === 'string') {
    expect(found).toBe('does not hold at the end');
    expect(values[head]).toBe(false);
    return 'none';
  }
  expect([values[found.first - 1], values[found.first]]).toEqual([false, true]);
  const goesOn = values.slice(linear).every((there) => there);
  if (goesOn) expect(found).toMatchObject({ first: linear, against: undefined });
  if (found.against !== undefined) expect(goesOn).toBe(false);
  return goesOn ? 'sure' : 'unsure';
}

describe('bisect', () => {
  it('equals a look at every moment', async () => {
    const seen = { sure: 0, unsure: 0, none: 0 };
    await fc.assert(
      fc.asyncProperty(carelessStories, async (story) => {
        const { entries } = play(story);
        const held = sessionOf(worldConfig(story.setup), entries);
        for (const text of expressions) {
          const truth = truthOf(held, parsePredicate(text), entries.length);
          seen[await expectHalved(truth, entries.length)] += 1;
        }
      }),
      { numRuns: 8, seed: 21 },
    );
    expect(seen.sure).toBeGreaterThan(5);
    expect(seen.unsure).toBeGreaterThan(2);
  });

  it('equals a linear search over any row of truths', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(300), fc.nat(300), async (length, turn) => {
        const values = Array.from({ length: length + 2 }, (_, at) => at > turn % (length + 1));
        const found = await firstTrue(0, length + 1, 3, async (at) => values[at] === true);
        expect(found).toMatchObject({ first: values.indexOf(true), against: undefined });
        expect((found as { looked: number }).looked).toBeLessThanOrEqual(2 + 10 + 6);
      }),
      { numRuns: 200, seed: 22 },
    );
  });
});
