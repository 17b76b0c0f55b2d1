/**
 * The stimuli decide everything: put to a new machine, they give the same entries again, byte for
 * byte, and no schedule is asked. The seed decides what the schedule chose.
 */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Entry, isStimulus } from '../../core/event.ts';
import { openSession } from '../../core/machine.ts';
import type { Stimulus } from '../../core/stimulus.ts';
import { reset } from '../support/build.ts';
import { logText, stateText } from '../support/content.ts';
import { carelessStories, play, type Story } from '../support/stories.ts';
import { worldConfig } from '../support/world.ts';

describe('the stimuli of a log', () => {
  it('give the same entries again, turns included', () => {
    fc.assert(
      fc.property(carelessStories, (story) => {
        const { entries, simulation } = play(story);
        const session = openSession(reset(worldConfig(story.setup)));
        const again: Entry[] = [];
        for (const entry of entries) if (isStimulus(entry)) again.push(...session.step(stimulusOf(entry)));
        expect(logText(again) === logText(entries), firstDifference(again, entries)).toBe(true);
        expect(stateText(session.publish()) === stateText(simulation.state)).toBe(true);
      }),
    );
  });

  it('give the same entries whether the session goes on or is opened anew at each stimulus', () => {
    fc.assert(
      fc.property(carelessStories, (story) => {
        const { entries } = play(story);
        let state = reset(worldConfig(story.setup));
        const again: Entry[] = [];
        for (const entry of entries) {
          if (!isStimulus(entry)) continue;
          const session = openSession(state);
          again.push(...session.step(stimulusOf(entry)));
          state = session.publish();
        }
        expect(logText(again) === logText(entries), firstDifference(again, entries)).toBe(true);
      }),
      { numRuns: 20 },
    );
  });
});

describe('the seeded schedule', () => {
  const seeded = ({ setup, ...story }: Story): Story => ({
    ...story,
    setup: { ...setup, schedule: 'seeded' },
  });

  it('gives the same log for the same seed', () => {
    fc.assert(
      fc.property(carelessStories.map(seeded), (story) => {
        const [first, second] = [play(story).entries, play(story).entries];
        expect(logText(first) === logText(second), firstDifference(first, second)).toBe(true);
      }),
      { numRuns: 40 },
    );
  });

  it('gives the same accesses to a story that needs no luck, whatever the seed', () => {
    const quiet: Story = {
      setup: {
        caches: { ste: 0, cd: 0, tlb: 0, walk: 0 },
        invalidation: 'literal',
        replacement: 'oldest',
        schedule: 'seeded',
        seed: 0,
        twoLevel: false,
      },
      actions: [
        { do: 'stream', sid: 8, config: 'ABORT', leaf: true },
        { do: 'context', space: 1, change: 'asid' },
      ],
    };
    fc.assert(
      fc.property(fc.nat(), (seed) => {
        const { driver } = play({ ...quiet, setup: { ...quiet.setup, seed } });
        expect(driver.accesses).toEqual(play(quiet).driver.accesses);
      }),
      { numRuns: 20 },
    );
  });
});

/** The entry as it was asked: without its place in the log. */
function stimulusOf(entry: Entry): Stimulus {
  const { seq: _seq, tick: _tick, cause: _cause, ...stimulus } = entry;
  return stimulus as unknown as Stimulus;
}

function firstDifference(actual: readonly Entry[], wanted: readonly Entry[]): string {
  const at = wanted.findIndex((entry, index) => logText([entry]) !== logText(actual.slice(index, index + 1)));
  return `e${at + 1}: ${logText(actual.slice(at, at + 1))} instead of ${logText(wanted.slice(at, at + 1))}`;
}
