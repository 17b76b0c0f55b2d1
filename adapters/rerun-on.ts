/** A history once more on another machine, in memory: from the stimuli of its log, or from its scenario. */
import { existsSync } from 'node:fs';
import { Readable } from 'node:stream';
import type { MachineConfig } from '../core/config.ts';
import type { Entry } from '../core/event.ts';
import { stepsOf, stimulusOf } from '../core/history/rerun.ts';
import { isSame } from '../core/history/same.ts';
import { Simulation } from '../core/simulation.ts';
import { resetRegisters } from '../core/smmu/regs.ts';
import { initialState, type State } from '../core/state.ts';
import { InputError, type Place } from './input-error.ts';
import { readScenario } from './scenario/reader.ts';
import { ScenarioRunner } from './scenario/runner.ts';

export interface Rerun {
  readonly entries: readonly Entry[];
  readonly state: State;
}

/**
 * The recorded stimuli. Turns are given anew unless somebody outside gives them all.
 * @param entries a whole history from its first entry.
 */
export function rerunOn(machine: MachineConfig, entries: Iterable<Entry>): Rerun {
  const simulation = new Simulation(initialState(machine, resetRegisters));
  const made: Entry[] = [];
  simulation.entries$.subscribe((step) => made.push(...step));
  for (const [first] of stepsOf(entries)) {
    if (first === undefined) continue;
    if (first.type === 'turn' && simulation.glance.schedule !== 'manual') continue;
    simulation.dispatch(stimulusOf(first));
  }
  return { entries: made, state: simulation.state };
}

/**
 * The scenario in `file` on another kernel. Lines that need what an earlier one did not give there are left
 * out. Undefined where the file is not the one that `machine` came from.
 */
export async function rerunFile(
  file: string,
  machine: MachineConfig,
  profile: string,
): Promise<Rerun | undefined> {
  if (!file.endsWith('.jsonl') || !existsSync(file)) return undefined;
  const made: Entry[] = [];
  let same = false;
  const begin = (config: MachineConfig): Simulation => {
    same = isSame(config, machine);
    const kernel = { ...config.kernel, profile };
    const simulation = new Simulation(initialState({ ...config, kernel }, resetRegisters));
    simulation.entries$.subscribe((step) => made.push(...step));
    return simulation;
  };
  const runner = new ScenarioRunner({ begin, label: (name) => ({ position: name }) });
  for await (const { lines } of readScenario(file, Readable.from([]))) {
    for (const { place, read } of lines) {
      if (runLine(runner, read, place)) runner.boot();
      if (!same) return undefined;
    }
  }
  return runner.simulation === undefined ? undefined : { entries: made, state: runner.simulation.state };
}

function runLine(runner: ScenarioRunner, read: () => unknown, place: Place): boolean {
  try {
    runner.run(read(), place);
    return true;
  } catch (error) {
    if (error instanceof InputError) return false;
    throw error;
  }
}
