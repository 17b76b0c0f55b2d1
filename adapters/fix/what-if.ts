/**
 * A what-if that is kept nowhere: a history decided anew from an edit on, in memory, with the rules over what
 * comes of it. `rerun` makes a branch of the same edits; here nothing is written, so nothing has to be removed.
 */
import type { Entry } from '../../core/event.ts';
import { type Step, stepsOf, stimulusOf } from '../../core/history/rerun.ts';
import type { Branch } from '../../core/history/store.ts';
import { Simulation } from '../../core/simulation.ts';
import { openCheck } from '../../projections/check.ts';
import type { Finding } from '../../projections/finding.ts';
import { InputError } from '../input-error.ts';
import { ScenarioRunner } from '../scenario/runner.ts';
import type { ScenarioLine } from '../scenario/scenario.ts';
import type { Session } from '../session.ts';

/** One change of a history. */
export interface Edit {
  /** The last entry that both share: the end of a step. */
  readonly fork: number;
  /** A stimulus that is left out. */
  readonly drop?: number;
  /** seq of the last entry of a step, and the lines that run after it. */
  readonly after: number;
  readonly lines: readonly ScenarioLine[];
}

export interface WhatIf {
  readonly findings: readonly Finding[];
  /** Accesses that nothing was wrong with, and that end otherwise now. */
  readonly differing: number;
}

/** Steps between two looks at the outside. */
const STEPS = 256;

/**
 * Decides the branch anew with the edit made, up to its head; yields now and then. Returns undefined when the
 * machine refuses the lines.
 * @param wrong seqs of the accesses that findings name: they are to change
 */
export function* whatIf(
  { log, seek }: { readonly log: Session['log']; readonly seek: (seq: number) => Simulation['state'] },
  branch: Branch,
  edit: Edit,
  wrong: ReadonlySet<number>,
): Generator<void, WhatIf | undefined> {
  const check = openCheck(branch.machine, branch.name);
  const accesses = new Accesses(wrong);
  for (const step of chunked(log.read(branch.id, 1, edit.fork))) {
    for (const entry of step) check.take(entry);
    yield;
  }
  const simulation = new Simulation(seek(edit.fork));
  simulation.entries$.subscribe((entries) => {
    for (const entry of entries) check.take(entry);
    accesses.rerun(entries);
  });
  const insert = (): boolean => edit.after >= 0 && runLines(simulation, edit.lines);
  if (edit.after === edit.fork && !insert()) return undefined;
  // The fork may lie between turns: what was due then is due now.
  if (simulation.glance.schedule !== 'manual') simulation.run();
  let steps = 0;
  for (const step of stepsOf(log.read(branch.id, edit.fork + 1, log.head(branch.id)))) {
    decide(simulation, step, edit.drop);
    accesses.recorded(step);
    if (step.at(-1)?.seq === edit.after && !insert()) return undefined;
    steps += 1;
    if (steps % STEPS === 0) yield;
  }
  return { findings: check.findings(), differing: accesses.differing };
}

function* chunked(entries: Iterable<Entry>): Generator<readonly Entry[]> {
  let chunk: Entry[] = [];
  for (const entry of entries) {
    chunk.push(entry);
    if (chunk.length < STEPS * 16) continue;
    yield chunk;
    chunk = [];
  }
  yield chunk;
}

/** One recorded step. Turns are given anew unless somebody outside gives them all. */
function decide(simulation: Simulation, [first]: Step, drop: number | undefined): void {
  if (first === undefined || first.seq === drop) return;
  if (first.type === 'turn' && simulation.glance.schedule !== 'manual') return;
  simulation.dispatch(stimulusOf(first));
}

function runLines(simulation: Simulation, lines: readonly ScenarioLine[]): boolean {
  const runner = new ScenarioRunner(
    { begin: () => simulation, label: () => ({ problem: 'no label' }) },
    simulation,
  );
  try {
    for (const line of lines) runner.run(line, { file: 'fix' });
    return true;
  } catch (error) {
    if (error instanceof InputError) return false;
    throw error;
  }
}

/** Accesses of both histories in order, each pair compared when both are there. */
class Accesses {
  readonly #wrong: ReadonlySet<number>;
  #left: Entry[] = [];
  #right: Entry[] = [];
  #differing = 0;

  constructor(wrong: ReadonlySet<number>) {
    this.#wrong = wrong;
  }

  get differing(): number {
    return this.#differing + Math.abs(this.#left.length - this.#right.length);
  }

  recorded(entries: readonly Entry[]): void {
    this.#left.push(...entries.filter(isAccess));
    this.#compare();
  }

  rerun(entries: readonly Entry[]): void {
    this.#right.push(...entries.filter(isAccess));
    this.#compare();
  }

  #compare(): void {
    const pairs = Math.min(this.#left.length, this.#right.length);
    for (let at = 0; at < pairs; at += 1) {
      const [left, right] = [this.#left[at], this.#right[at]];
      if (left !== undefined && !this.#wrong.has(left.seq) && endOf(left) !== endOf(right))
        this.#differing += 1;
    }
    this.#left = this.#left.slice(pairs);
    this.#right = this.#right.slice(pairs);
  }
}

function isAccess({ type }: Entry): boolean {
  return type === 'access.completed' || type === 'access.terminated';
}

function endOf(entry: Entry | undefined): string {
  if (entry?.type === 'access.completed') return `${entry.iova} ${entry.pa}`;
  return entry?.type === 'access.terminated' ? `${entry.iova} ${entry.result}` : '';
}
