/**
 * Bad stories of the seeded simulation: hundreds of stimuli shrink to about what people write by hand, and what is
 * left is needed. `npm run shrink-seeds` does it for many more.
 */
import { describe, expect, it } from 'vitest';
import { summaryOf } from '../../../projections/summary.ts';
import { badStoryOf, canLose, handMadeLines, shrunkTo } from '../../support/shrinking.ts';

const ACTIONS = 400;
// Seeds with a stale use of each structure, and with a broken rule of order.
const seeds: readonly (readonly [seed: number, kind: RegExp])[] = [
  [1000, /used-stale table/],
  [1007, /used-stale leaf/],
  [1008, /used-stale CD/],
  [1011, /used-stale STE/],
  [1011, /used-stale L1STD/],
  [1011, / protocol /],
];

describe.each(seeds)('seed %i', (seed, kind) => {
  it(`shrinks to a small story of ${kind.source}`, { timeout: 120_000 }, () => {
    const story = badStoryOf(seed, ACTIONS);
    const finding = story.findings.find((each) => kind.test(summaryOf(each)));
    if (finding === undefined) throw new Error(`seed ${seed} has no ${kind.source}`);
    const { from, shown, trials } = shrunkTo(story, finding);
    // A trial of the whole is some 30 ms, of what is left 2; `npm run shrink-seeds` looks at the clock.
    expect(trials).toBeLessThan(1_500);
    expect(from).toBeGreaterThan(300);
    expect(summaryOf(shown.finding)).toBe(summaryOf(finding));
    expect(shown.lines.length).toBeLessThanOrEqual(1.5 * handMadeLines(summaryOf(finding)));
    for (let at = 1; at < shown.lines.length; at += 1) expect(canLose(shown.lines, at, finding)).toBe(false);
  });
});
