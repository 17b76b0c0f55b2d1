/**
 * Lines of a scenario run on a machine in memory, without a store: what came of them, and which line each
 * stimulus was. For tools that ask "what if the file said this".
 */
import type { MachineConfig } from '../../core/config.ts';
import type { Entry } from '../../core/event.ts';
import { Simulation } from '../../core/simulation.ts';
import { resetRegisters } from '../../core/smmu/regs.ts';
import { initialState } from '../../core/state.ts';
import type { Place } from '../input-error.ts';
import { type LineResult, ScenarioRunner } from './runner.ts';

export interface Player {
  /** Runs a line; an InputError says that nothing of it has happened. */
  play(raw: unknown, place: Place): LineResult;
  /** Once the first line has run. */
  readonly machine: MachineConfig | undefined;
  readonly simulation: Simulation | undefined;
}

/** A player that hands on the entries of each step. Labels are taken and forgotten. */
export function openPlayer(onEntries: (entries: readonly Entry[]) => void): Player {
  let machine: MachineConfig | undefined;
  const runner = new ScenarioRunner({
    begin: (config) => {
      machine = config;
      const simulation = new Simulation(initialState(config, resetRegisters));
      simulation.entries$.subscribe(onEntries);
      return simulation;
    },
    label: () => ({ position: 'main@' }),
  });
  return {
    play(raw, place) {
      const result = runner.run(raw, place);
      runner.boot();
      return result;
    },
    get machine() {
      return machine;
    },
    get simulation() {
      return runner.simulation;
    },
  };
}
