/**
 * One long run, made by one seed. First a careless driver disturbs, by probabilities that the seed draws
 * too, and what must always hold is checked as it goes (safety). Then the driver stops, takes the SMMU
 * down and brings it up again as after a crash, and everything must drain and work (liveness).
 */
import * as fc from 'fast-check';
import { assert } from '../../core/assert.ts';
import { type Entry, isStimulus } from '../../core/event.ts';
import { fold } from '../../core/fold.ts';
import { openSession } from '../../core/machine.ts';
import { Simulation } from '../../core/simulation.ts';
import { activeErrors, reg } from '../../core/smmu/regs.ts';
import { cacheNames, limits, type SmmuState } from '../../core/smmu/state.ts';
import type { Stimulus } from '../../core/stimulus.ts';
import { at, command, PAGE_RW, read, reset, store, storeWords, write } from '../support/build.ts';
import { logText, stateText } from '../support/content.ts';
import { openDriver } from '../support/drivers.ts';
import { carelessActionOf, type Story, setups } from '../support/stories.ts';
import { boot, framePa, iovaOf, leafPaOf, type Setup, worldConfig } from '../support/world.ts';

export interface Summary {
  readonly entries: number;
  readonly accesses: number;
}

/** The careless story of a seed. @param actionsMax its length; half of that at least. */
export function storyOfSeed(seed: number, actionsMax: number): Story {
  const weight = fc.integer({ min: 0, max: 10 });
  const mixes = fc.record({
    correct: fc.integer({ min: 1, max: 10 }),
    slipped: weight,
    raw: weight,
    command: weight,
    run: weight,
    acknowledge: weight,
  });
  const stories = fc.tuple(setups, mixes).chain(([setup, mix]) =>
    fc.record({
      setup: fc.constant(setup),
      actions: fc.array(carelessActionOf(mix), {
        minLength: actionsMax / 2,
        maxLength: actionsMax,
        size: 'max',
      }),
    }),
  );
  const [story] = fc.sample(stories, { seed, numRuns: 1 });
  assert(story !== undefined, 'a seed makes a story');
  return story;
}

/** Runs the seed; throws when something does not hold. @param actionsMax of the first phase. */
export function simulate(seed: number, actionsMax: number): Summary {
  const story = storyOfSeed(seed, actionsMax);
  const simulation = new Simulation(reset(worldConfig(story.setup)));
  const entries: Entry[] = [];
  simulation.entries$.subscribe((step) => entries.push(...step));
  const driver = openDriver(simulation, story.setup);
  for (const action of story.actions) {
    driver.act(action);
    checkSafety(simulation);
  }
  recover(simulation, story.setup);
  checkLiveness(simulation);
  checkHistory(simulation, story.setup, entries);
  return { entries: entries.length, accesses: driver.accesses.length };
}

function smmuOf(simulation: Simulation): SmmuState {
  const smmu = simulation.glance.smmus['smmu0'];
  assert(smmu !== undefined, 'the world has an SMMU');
  return smmu;
}

/** What holds whatever software does. */
function checkSafety(simulation: Simulation): void {
  const { seq } = simulation.glance;
  const smmu = smmuOf(simulation);
  assert(smmu.inFlight.length <= limits.inFlight, 'commands in flight are bounded');
  assert(smmu.records.length <= limits.pendingRecords, 'waiting records are bounded');
  for (const cache of cacheNames) {
    const { fills, index } = smmu.caches[cache];
    let indexed = 0;
    for (const [, inner] of index.range()) {
      for (const [, id] of inner.range()) {
        assert(fills.get(id)?.id === id, `${cache}: an index entry leads to its fill`);
        indexed += 1;
      }
    }
    assert(indexed === fills.size, `${cache}: every fill can be found`);
    for (const [id] of fills.range()) assert(id <= seq, `${cache}: fills are in the past`);
  }
}

/** Down and up again, with new tables, as a driver does that trusts nothing. */
function recover(simulation: Simulation, setup: Setup): void {
  const put = (...stimuli: Stimulus[]): void => {
    for (const stimulus of stimuli) {
      simulation.dispatch(stimulus);
      simulation.run();
    }
  };
  put(write('CR0', 0), write('IRQ_CTRL', 0));
  const { value } = simulation.dispatch(read('GERROR')).outcome as { value: bigint };
  put(write('GERRORN', value), ...['CMDQ_PROD', 'CMDQ_CONS', 'EVENTQ_PROD', 'EVENTQ_CONS'].map(zero));
  put(...boot(setup));
  for (const space of [0, 1, 2]) {
    put(store(leafPaOf({ space, upper: false, page: 0 }), BigInt(framePa(space)) | PAGE_RW));
  }
  const everything = [
    command('CMD_CFGI_STE_RANGE', { Range: 31 }),
    command('CMD_TLBI_NSNH_ALL', {}),
    command('CMD_SYNC', {}),
  ];
  everything.forEach((words, index) => {
    put(storeWords(at.cmdq + index * 16, words));
  });
  put(write('CMDQ_PROD', everything.length));
}

function zero(name: string): Stimulus {
  return write(name as Parameters<typeof write>[0], 0);
}

/** Everything drained, nothing is wrong, and devices get through. */
function checkLiveness(simulation: Simulation): void {
  assert(simulation.run(1000).quiet, 'the machine comes to rest');
  const smmu = smmuOf(simulation);
  assert(reg(smmu, 'CMDQ_CONS') === reg(smmu, 'CMDQ_PROD'), 'the command queue drains');
  assert(activeErrors(smmu) === 0, 'no error is active');
  assert(smmu.inFlight.length === 0 && smmu.records.length === 0, 'nothing is under way');
  for (const space of [0, 1, 2]) {
    const iova = iovaOf({ space, upper: false, page: 0 });
    const endpoint = space === 0 ? 'dev0' : 'dev1';
    const dma = { type: 'dma', endpoint, iova, size: 8, access: 'write' } as const;
    const { outcome } = simulation.dispatch(space === 2 ? { ...dma, ssid: 1 } : dma);
    assert(
      outcome['pa'] === framePa(space),
      `space ${space} is mapped anew: ${JSON.stringify(outcome['result'])}`,
    );
  }
}

/** The log tells the same story folded and rerun. */
function checkHistory(simulation: Simulation, setup: Setup, entries: readonly Entry[]): void {
  const initial = reset(worldConfig(setup));
  assert(stateText(fold(initial, entries)) === stateText(simulation.state), 'the fold is the live state');
  const session = openSession(initial);
  const again: Entry[] = [];
  for (const { seq: _seq, tick: _tick, cause: _cause, ...payload } of entries) {
    if (isStimulus(payload)) again.push(...session.step(payload as unknown as Stimulus));
  }
  assert(logText(again) === logText(entries), 'the rerun is the log');
}
