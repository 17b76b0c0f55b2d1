/** Histories as scenario lines and back, for the tests of export and shrink. */
import { type ExportProblem, exportLines } from '../../adapters/scenario/export.ts';
import { machineConfig } from '../../adapters/scenario/machine.ts';
import { machineLine } from '../../adapters/scenario/machine-line.ts';
import { parseLine } from '../../adapters/scenario/parse.ts';
import { openPlayer } from '../../adapters/scenario/played.ts';
import type { ScenarioLine } from '../../adapters/scenario/scenario.ts';
import type { MachineConfig } from '../../core/config.ts';
import { type Entry, isStimulus } from '../../core/event.ts';

/** The machine as a scenario file says it: with the profile's name, and every choice at its default. */
export function asScenarioSays(machine: MachineConfig): MachineConfig {
  const line = parseLine(machineLine(machine), { file: 'test' });
  if (line.op !== 'machine') throw new Error('a machine line says machine');
  const made = machineConfig(line);
  if ('message' in made) throw new Error(made.message);
  return made;
}

export interface Exported {
  readonly lines: readonly ScenarioLine[];
  readonly problem: ExportProblem | undefined;
}

/** All lines of a history. */
export function exported(machine: MachineConfig, entries: Iterable<Entry>, turns = false): Exported {
  const made = exportLines(machine, entries, { turns });
  const lines: ScenarioLine[] = [];
  for (let next = made.next(); ; next = made.next()) {
    if (next.done === true) return { lines, problem: next.value };
    lines.push(next.value);
  }
}

/** What comes of a file with these lines, without the numbers of its lines. */
export function entriesOfFile(lines: readonly ScenarioLine[]): readonly object[] {
  const entries: Entry[] = [];
  const player = openPlayer((step) => entries.push(...step));
  const file = lines.map((line) => JSON.stringify(line));
  for (const [at, text] of file.entries()) player.play(JSON.parse(text), { file: 'test', line: at + 1 });
  return unlined(entries);
}

/** The entries without the line that a stimulus stood in. */
export function unlined(entries: readonly Entry[]): readonly object[] {
  return entries.map((entry) => {
    if (!isStimulus(entry)) return entry;
    const { line, ...rest } = entry as Entry & { readonly line?: number };
    return rest;
  });
}
