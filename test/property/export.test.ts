/**
 * For all stories: whatever was run runs again from its exported file, with the same entries. Careless
 * stories put raw stimuli, broken commands, settings and turns of every schedule between.
 */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Entry } from '../../core/event.ts';
import { Simulation } from '../../core/simulation.ts';
import { reset } from '../support/build.ts';
import { logText } from '../support/content.ts';
import { openDriver } from '../support/drivers.ts';
import { asScenarioSays, entriesOfFile, exported, unlined } from '../support/exported.ts';
import { stored } from '../support/shrinking.ts';
import { carelessStories, type Story } from '../support/stories.ts';
import { worldConfig } from '../support/world.ts';

function recorded({ setup, actions }: Story) {
  const machine = asScenarioSays(worldConfig(setup));
  const simulation = new Simulation(reset(machine));
  const entries: Entry[] = [];
  simulation.entries$.subscribe((step) => entries.push(...step));
  const driver = openDriver(simulation, setup);
  for (const action of actions) driver.act(action);
  return { machine, entries: entries.map(stored) };
}

const textOf = (entries: readonly object[]): string => logText(entries as readonly Entry[]);

describe('an exported history', () => {
  it('runs again with the same entries', () => {
    const ops = new Set<string>();
    fc.assert(
      fc.property(carelessStories, (story) => {
        const { machine, entries } = recorded(story);
        const { lines, problem } = exported(machine, entries);
        expect(problem).toBeUndefined();
        expect(textOf(entriesOfFile(lines))).toBe(textOf(unlined(entries)));
        for (const { op } of lines) ops.add(op);
      }),
      { numRuns: 60, seed: 7 },
    );
    // The stories reach what is said in a way of its own, and what only a raw line can say.
    for (const op of ['dma', 'set', 'turn', 'stimulus', 'command.issue', 'ats.translate'])
      expect([...ops]).toContain(op);
  });

  it('is told to differ where the log does', () => {
    fc.assert(
      fc.property(carelessStories, fc.nat(), (story, nth) => {
        const { machine, entries } = recorded(story);
        const stores = entries.filter(({ type }) => type === 'memory.written' || type === 'memory.loaded');
        const bent = stores[nth % stores.length];
        const entriesBent = entries.map((entry) =>
          entry === bent ? ({ ...entry, pa: (entry as { pa: number }).pa + 8 } as Entry) : entry,
        );
        expect(exported(machine, entriesBent).problem?.recorded.seq).toBe(bent?.seq);
      }),
      { numRuns: 20, seed: 8 },
    );
  });
});
