/**
 * Turns: which units are ready, whose turn it is under each schedule, when all is quiet; and the live
 * simulation that gives them and tells its listeners.
 */
import { describe, expect, it } from 'vitest';
import type { Entry } from '../../core/event.ts';
import { openSession } from '../../core/machine.ts';
import { draw, nextRandom } from '../../core/random.ts';
import { nextUnit, readyUnits, runTurns } from '../../core/run.ts';
import { Simulation } from '../../core/simulation.ts';
import type { State } from '../../core/state.ts';
import type { Stimulus } from '../../core/stimulus.ts';
import { bringUp, command, dma, issue, machine, reset, tables, write } from '../support/build.ts';
import { on, turn } from '../support/given.ts';

const busy: readonly Stimulus[] = [
  ...bringUp(),
  ...tables(),
  ...issue(0, command('CMD_TLBI_NH_ALL'), command('CMD_SYNC')),
  dma(0x1000),
  dma(0x2000),
];

/** A machine on which everything waits at once. */
function waiting(schedule: 'manual' | 'seeded', seed = 1): State {
  const simulation = new Simulation(reset(machine({ seed })));
  for (const each of [...bringUp(), ...tables()]) simulation.dispatch(each);
  simulation.dispatch({ type: 'set', path: 'schedule', value: 'manual' });
  const more = [
    ...issue(0, command('CMD_TLBI_NH_ALL'), command('CMD_SYNC')),
    dma(0x1000),
    write('IRQ_CTRL', 0),
  ];
  for (const each of more) simulation.dispatch(each);
  if (schedule === 'seeded') {
    const session = openSession(simulation.state);
    session.step({ type: 'set', path: 'schedule', value: 'seeded' });
    return session.publish();
  }
  return simulation.state;
}

describe('turns', () => {
  it('are for the units that have something to do, in a fixed order', () => {
    expect(readyUnits(waiting('manual'))).toEqual(['smmu0.acknowledge', 'smmu0.evtq', 'smmu0.cmdq']);
    expect(nextUnit(waiting('manual'))).toBe('smmu0.acknowledge');
    expect(readyUnits(reset(machine()))).toEqual([]);
  });

  it('that find nothing to do pass, as do those of units that are not there', () => {
    for (const unit of ['cmdq', 'evtq', 'consume', 'perform', 'acknowledge', 'nothing'])
      on(machine({ schedule: 'manual' }))
        .when(turn(unit))
        .then({ type: 'turn.passed', unit: `smmu0.${unit}` })
        .thenOutcome({ moved: false });
    on(machine()).when({ type: 'turn', unit: 'smmu9.cmdq' }).then({ type: 'turn.passed' });
  });

  it('are given until all is quiet, and no more than asked for', () => {
    const session = openSession(waiting('manual'));
    const seen: Entry[] = [];
    expect(runTurns(session, (entries) => seen.push(...entries), 2)).toEqual({ turns: 2, quiet: false });
    const rest = runTurns(session, (entries) => seen.push(...entries));
    expect(rest.quiet).toBe(true);
    expect(seen.filter(({ type }) => type === 'turn')).toHaveLength(2 + rest.turns);
    expect(readyUnits(session.state)).toEqual([]);
    expect(runTurns(session, () => {}, 0)).toEqual({ turns: 0, quiet: true });
  });

  it('a schedule from a seed takes another way to the same end', () => {
    const orders = new Set<string>();
    const ends = new Set<string>();
    for (let seed = 1; seed <= 20; seed += 1) {
      const session = openSession({ ...waiting('seeded', seed), random: seed });
      const units: string[] = [];
      runTurns(session, (entries) =>
        units.push(...entries.map((entry) => (entry.type === 'turn' ? entry.unit : ''))),
      );
      orders.add(units.filter((unit) => unit !== '').join(' '));
      ends.add(JSON.stringify(session.state.smmus['smmu0']?.regs));
    }
    expect(orders.size).toBeGreaterThan(3);
    expect(ends.size).toBe(1);
  });

  it('the same seed takes the same way', () => {
    const run = (seed: number) => on(machine({ schedule: 'seeded', seed })).when(...busy).entries;
    expect(run(7)).toEqual(run(7));
  });
});

describe('the generator', () => {
  it('draws within bounds, evenly enough, and does not move by looking', () => {
    const counts = [0, 0, 0];
    let state = 42;
    for (let step = 0; step < 3000; step += 1) {
      expect(draw(state, 3)).toBe(draw(state, 3));
      counts[draw(state, 3)] = (counts[draw(state, 3)] ?? 0) + 1;
      state = nextRandom(state);
      expect(state >>> 0).toBe(state);
    }
    for (const count of counts) expect(count).toBeGreaterThan(850);
  });
});

describe('the simulation', () => {
  it('tells each step once, the stimulus first, and a state for each dispatch', () => {
    const simulation = new Simulation(reset(machine()));
    const steps: (readonly Entry[])[] = [];
    const states: State[] = [];
    simulation.entries$.subscribe((entries) => steps.push(entries));
    simulation.state$.subscribe((state) => states.push(state));
    for (const each of busy) simulation.dispatch(each);
    expect(steps.flat().map(({ seq }) => seq)).toEqual(steps.flat().map((_, index) => index + 1));
    expect(steps.every(([first]) => first?.type === 'turn' || first?.cause === 0)).toBe(true);
    expect(states).toHaveLength(busy.length);
    expect(states.at(-1)).toBe(simulation.state);
  });

  it('tells one state for a batch', () => {
    const simulation = new Simulation(reset(machine()));
    let states = 0;
    simulation.state$.subscribe(() => {
      states += 1;
    });
    simulation.batch(() => {
      simulation.batch(() => simulation.dispatch(write('CR0', 8)));
      for (const each of tables()) simulation.dispatch(each);
    });
    expect(states).toBe(1);
  });

  it('gives no turns by itself under a manual schedule, but does when asked', () => {
    const simulation = new Simulation(reset(machine({ schedule: 'manual' })));
    simulation.dispatch(write('CR0', 8));
    expect(simulation.state.smmus['smmu0']?.regs['CR0ACK']).toBe(0);
    expect(simulation.run()).toEqual({ turns: 1, quiet: true });
    expect(simulation.state.smmus['smmu0']?.regs['CR0ACK']).toBe(8);
    expect(simulation.glance.seq).toBe(simulation.state.seq);
  });

  it('answers with the entries of the step alone, not of the turns', () => {
    const simulation = new Simulation(reset(machine()));
    expect(simulation.dispatch(write('CR0', 8)).entries.map(({ type }) => type)).toEqual([
      'mmio.write',
      'register.written',
    ]);
  });
});
