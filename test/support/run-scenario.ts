/** A file of `test/scenario/` run in memory: its machine and all entries. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { ScenarioRunner } from '../../adapters/scenario/runner.ts';
import type { MachineConfig } from '../../core/config.ts';
import type { Entry } from '../../core/event.ts';
import { Simulation } from '../../core/simulation.ts';
import { resetRegisters } from '../../core/smmu/regs.ts';
import { initialState } from '../../core/state.ts';

/**
 * @param name a file of JSON lines.
 * @param change what is made of each line first.
 * @param more lines after the last.
 */
export function runScenario(
  name: string,
  change: (line: Readonly<Record<string, unknown>>) => unknown = (line) => line,
  more: readonly object[] = [],
): { readonly machine: MachineConfig; readonly entries: Entry[] } {
  const entries: Entry[] = [];
  const machines: MachineConfig[] = [];
  const runner = new ScenarioRunner({
    begin(config) {
      machines.push(config);
      const simulation = new Simulation(initialState(config, resetRegisters));
      simulation.entries$.subscribe((step) => entries.push(...step));
      return simulation;
    },
    label: (label) => ({ position: label }),
  });
  const file = fileURLToPath(new URL(`../scenario/${name}`, import.meta.url));
  for (const [at, text] of readFileSync(file, 'utf8').split('\n').entries()) {
    if (text.trim() === '' || text.startsWith('//')) continue;
    runner.run(change(JSON.parse(text)), { file: name, line: at + 1 });
    runner.boot();
  }
  for (const [at, line] of more.entries()) runner.run(line, { file: 'more', line: at + 1 });
  const [machine] = machines;
  if (machine === undefined) throw new Error(`${name} has a machine`);
  return { machine, entries };
}
