/**
 * Runs checked lines on a machine, one after the other. It knows nothing of files, stores and
 * screens: its host makes the machine and keeps what follows.
 */
import type { MachineConfig } from '../../core/config.ts';
import type { Simulation } from '../../core/simulation.ts';
import { InputError, type Place } from '../input-error.ts';
import { plain, same } from './compare.ts';
import { machineConfig } from './machine.ts';
import { type Answer, defined, type OpContext } from './op.ts';
import { ops } from './ops.ts';
import { parseLine, refuse } from './parse.ts';
import type { Line } from './vocabulary.ts';

export interface RunnerHost {
  /** Makes the machine that the first line describes. */
  begin(machine: MachineConfig): Simulation;
  /** Bookmarks the last entry; its position, or why the name cannot be taken. */
  label(name: string): { readonly position: string } | { readonly problem: string };
}

/** A field of an outcome, or a check, that was not what the line expected. */
export interface Failure {
  readonly field: string;
  readonly expected: unknown;
  readonly actual: unknown;
}

export interface LineResult {
  readonly line: number | undefined;
  readonly op: string;
  readonly outcome: Answer;
  readonly failed: readonly Failure[];
}

export class ScenarioRunner {
  readonly #host: RunnerHost;
  readonly #saved = new Map<string, unknown>();
  #simulation: Simulation | undefined;
  /** The machine line of a kernel that has not booted. */
  #starting: Place | undefined;

  /** `simulation`: an existing machine that the lines go on with; then there is no machine line. */
  constructor(host: RunnerHost, simulation?: Simulation) {
    this.#host = host;
    this.#simulation = simulation;
  }

  get simulation(): Simulation | undefined {
    return this.#simulation;
  }

  /**
   * Starts the kernel that the machine line asked for, whatever the schedule; nothing to do without one. A host
   * that has to get ready after `begin` calls it when it is; else the next line does.
   */
  boot(): void {
    const { line } = this.#starting ?? {};
    if (this.#starting === undefined || this.#simulation === undefined) return;
    this.#starting = undefined;
    this.#simulation.dispatch({ type: 'kernel.boot', ...(line === undefined ? {} : { line }) });
    this.#simulation.run();
  }

  /** Does what one line asks. Throws InputError before anything has happened when the line is bad. */
  run(raw: unknown, place: Place): LineResult {
    const line = parseLine(this.#substitute(raw, place), place);
    this.boot();
    const outcome = plain(this.#act(line, place)) as Answer;
    const failed = [...failures(line, outcome), ...this.#save(line, outcome)];
    return { line: place.line, op: line.op, outcome, failed };
  }

  #act(line: Line, place: Place): Answer {
    if (line.op === 'machine') {
      if (this.#simulation !== undefined) {
        throw new InputError('machine: expected on the first line only, found where a machine runs', place);
      }
      const machine = machineConfig(line);
      if ('message' in machine) throw refuse(place, line.op, machine.field, machine.message);
      this.#simulation = this.#host.begin(machine);
      if (machine.kernel) this.#starting = place;
      return {};
    }
    if (this.#simulation === undefined) {
      throw new InputError(`expected {"op":"machine",...} first, found "${line.op}"`, place);
    }
    const context: OpContext = {
      simulation: this.#simulation,
      place,
      origin: defined({ actor: line.actor, cpu: line.cpu, pc: line.pc }),
      label: (name) => this.#host.label(name),
    };
    return (ops[line.op] as (line: Line, context: OpContext) => Answer)(line, context);
  }

  /** The line with the saved value in place of each text "$name"; the same object when there is none. */
  #substitute(raw: unknown, place: Place): unknown {
    if (typeof raw === 'string') return raw.startsWith('$') ? this.#savedValue(raw, place) : raw;
    if (typeof raw !== 'object' || raw === null) return raw;
    let copy: Record<string, unknown> | undefined;
    for (const [field, value] of Object.entries(raw)) {
      const replaced = this.#substitute(value, place);
      if (replaced === value) continue;
      copy ??= (Array.isArray(raw) ? [...raw] : { ...raw }) as Record<string, unknown>;
      copy[field] = replaced;
    }
    return copy ?? raw;
  }

  #savedValue(text: string, place: Place): unknown {
    const name = text.slice(1);
    if (this.#saved.has(name)) return this.#saved.get(name);
    const known = [...this.#saved.keys()].map((each) => `$${each}`).join(', ');
    throw new InputError(
      `expected a name that an earlier line saved (${known || 'none yet'}), found "${text}"`,
      place,
    );
  }

  #save(line: Line, outcome: Answer): Failure[] {
    const failed: Failure[] = [];
    for (const [name, path] of Object.entries(line.save ?? {})) {
      const value = lookUp(outcome, path);
      if (value === undefined)
        failed.push({ field: `save.${name}`, expected: path, actual: Object.keys(outcome) });
      else this.#saved.set(name, value);
    }
    return failed;
  }
}

function failures(line: Line, outcome: Answer): Failure[] {
  const failed: Failure[] = [];
  if (line.op === 'check' && outcome['pass'] !== true) {
    const { path, equals, notEquals, contains, size, present } = line;
    const expected = equals?.value ?? notEquals?.value ?? contains?.value ?? size ?? present ?? null;
    failed.push({ field: path, expected: plain(expected), actual: outcome['actual'] });
  }
  for (const [field, expected] of Object.entries(line.expect ?? {})) {
    const actual = outcome[field] ?? null;
    if (!sameOutcome(field, actual, expected.value))
      failed.push({ field, expected: plain(expected.value), actual });
  }
  return failed;
}

function sameOutcome(field: string, actual: unknown, expected: unknown): boolean {
  return same({ [field]: actual }, { [field]: expected }, true);
}

/** A field of a field: `out.out_ioas_id`. */
function lookUp(outcome: Answer, path: string): unknown {
  let value: unknown = outcome;
  for (const step of path.split('.')) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, step)) return undefined;
    value = (value as Record<string, unknown>)[step];
  }
  return value;
}
