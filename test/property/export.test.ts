/**
 * For all stories: whatever was run runs again from its exported file, with the same entries. Careless
 * stories put raw stimuli, broken commands, settings and turns of every schedule between.
 */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Entry } from '../../core/event.ts';
import { openSession } from '../../core/machine.ts';
import { runTurns } from '../../core/run.ts';
import { Simulation } from '../../core/simulation.ts';
import type { Stimulus } from '../../core/stimulus.ts';
import { at, command, PAGE_RW, reset, store, storeWords, write } from '../support/build.ts';
import { logText } from '../support/content.ts';
import { openDriver } from '../support/drivers.ts';
import { asScenarioSays, entriesOfFile, exported, unlined } from '../support/exported.ts';
import { stored } from '../support/shrinking.ts';
import { carelessStories, type Story } from '../support/stories.ts';
import { boot, framePa, iovaOf, leafPaOf, worldConfig } from '../support/world.ts';

function recorded({ setup, actions }: Story) {
  const machine = asScenarioSays(worldConfig(setup));
  const simulation = new Simulation(reset(machine));
  const entries: Entry[] = [];
  simulation.entries$.subscribe((step) => entries.push(...step));
  const driver = openDriver(simulation, setup);
  for (const action of actions) driver.act(action);
  return { machine, entries: entries.map(stored) };
}

const page = { space: 0, upper: false, page: 0 };
const unmapping: readonly Stimulus[] = [
  store(leafPaOf(page), BigInt(framePa(0)) | PAGE_RW),
  { type: 'dma', endpoint: 'dev0', iova: iovaOf(page), size: 8, access: 'read' },
  store(leafPaOf(page), 0),
  storeWords(at.cmdq, command('CMD_TLBI_NSNH_ALL', {})),
  storeWords(at.cmdq + 16, command('CMD_SYNC', {})),
  write('CMDQ_PROD', 2),
  { type: 'dma', endpoint: 'dev0', iova: iovaOf(page), size: 8, access: 'read' },
];

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

  it('runs again turn by turn, wherever turns were left out', () => {
    let cut = 0;
    const gaps = fc.array(fc.nat(3), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(carelessStories, gaps, ({ setup }, given) => {
        const machine = asScenarioSays(worldConfig(setup));
        const session = openSession(reset(machine));
        const entries: Entry[] = [];
        const take = (step: readonly Entry[]): void => {
          entries.push(...step);
        };
        for (const [nth, stimulus] of [...boot(setup), ...unmapping].entries()) {
          take(session.step(stimulus));
          if (!runTurns(session, take, given[nth % given.length]).quiet) cut += 1;
        }
        const { lines, problem } = exported(machine, entries.map(stored), true);
        expect(problem).toBeUndefined();
        expect(textOf(entriesOfFile(lines))).toBe(textOf(unlined(entries)));
      }),
      { numRuns: 20, seed: 9 },
    );
    expect(cut).toBeGreaterThan(20);
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
