/**
 * One run of a scenario into a store: the runner, the branch it fills, and what is stored already.
 * The store is opened when the first line has proved good, so that a bad file makes no store.
 */
import type { MachineConfig } from '../../core/config.ts';
import { type Entry, isStimulus } from '../../core/event.ts';
import type { Branch } from '../../core/history/store.ts';
import { Simulation } from '../../core/simulation.ts';
import { resetRegisters } from '../../core/smmu/regs.ts';
import { initialState } from '../../core/state.ts';
import type { SourceLine } from '../scenario/reader.ts';
import { type LineResult, ScenarioRunner } from '../scenario/runner.ts';
import type { Recorder, Session } from '../session.ts';
import { newRoot, openExisting, openOrMake, sourceOf } from './open.ts';
import { bookmarkNameProblem, parsePosition, showPosition } from './position.ts';
import { counted } from './run-text.ts';
import type { VerbContext } from './verb.ts';

/** A line that ran, and the last entry it gave. */
export interface RanLine extends LineResult {
  readonly seq: number;
}

export interface RunSummary {
  readonly entries: number;
  readonly turns: number;
  readonly findings: number;
  readonly checksFailed: number;
  readonly head: string;
}

interface Stored {
  readonly session: Session;
  readonly branch: Branch;
  readonly recorder: Recorder;
}

export interface RunTarget {
  readonly file: string;
  /** Name of a new history. */
  readonly as: string | undefined;
  /** An existing branch to go on with. */
  readonly on: string | undefined;
}

export class ScenarioRun {
  readonly #context: VerbContext;
  readonly #target: RunTarget;
  #runner: ScenarioRunner;
  #begun: { readonly machine: MachineConfig; readonly simulation: Simulation } | undefined;
  #stored: Stored | undefined;
  #entries = 0;
  #turns = 0;
  #checksFailed = 0;
  #lines = 0;

  constructor(context: VerbContext, target: RunTarget) {
    this.#context = context;
    this.#target = target;
    this.#runner = new ScenarioRunner(this.#host());
  }

  /** Opens the branch to go on with, when there is one. */
  async start(): Promise<void> {
    const { on } = this.#target;
    if (on === undefined) return;
    const session = await openExisting(this.#context);
    const { branch, seq } = parsePosition(`${on}@`, sourceOf(session));
    const simulation = new Simulation(session.seek(branch, seq));
    this.#runner = new ScenarioRunner(this.#host(), simulation);
    this.#follow(session, branch, simulation);
  }

  /** Runs one line; an InputError says that nothing of it has happened. */
  async line(source: SourceLine): Promise<RanLine> {
    const result = this.#runner.run(source.read(), source.place);
    if (this.#stored === undefined && this.#begun !== undefined) {
      await this.#createRoot(this.#begun.machine, this.#begun.simulation);
      this.#runner.boot();
    }
    this.#lines += 1;
    this.#checksFailed += result.failed.length;
    return { ...result, seq: this.#stored?.recorder.head ?? 0 };
  }

  get linesRun(): number {
    return this.#lines;
  }

  /** Entries that the next commit will append. */
  get waiting(): number {
    return this.#stored?.recorder.waiting ?? 0;
  }

  /** What ran so far is durable when this settles. */
  async commit(): Promise<void> {
    await this.#stored?.recorder.commit();
  }

  async finish(): Promise<void> {
    await this.#stored?.recorder.finish();
    await this.#stored?.session.log.flush();
  }

  position(seq: number): string {
    return this.#stored === undefined ? '-' : showPosition({ branch: this.#stored.branch, seq });
  }

  /** How far everything is stored. */
  storedText(): string {
    const stored = this.#stored;
    if (stored === undefined) return 'nothing was stored';
    return `${counted(this.#lines, 'line')} ran; all up to ${this.position(stored.session.log.head(stored.branch.id))} is stored`;
  }

  async summary(): Promise<RunSummary> {
    return {
      entries: this.#entries,
      turns: this.#turns,
      findings: await this.#findings(),
      checksFailed: this.#checksFailed,
      head: this.position(this.#stored?.recorder.head ?? 0),
    };
  }

  async close(): Promise<void> {
    await this.#stored?.session.close();
  }

  #host() {
    return {
      begin: (machine: MachineConfig) => {
        const simulation = new Simulation(initialState(machine, resetRegisters));
        this.#begun = { machine, simulation };
        return simulation;
      },
      label: (name: string) => this.#label(name),
    };
  }

  async #createRoot(machine: MachineConfig, simulation: Simulation): Promise<void> {
    const session = await openOrMake(this.#context);
    try {
      this.#follow(session, newRoot(this.#context, session, machine, this.#target), simulation);
    } catch (error) {
      await session.close();
      throw error;
    }
  }

  #follow(session: Session, branch: Branch, simulation: Simulation): void {
    simulation.entries$.subscribe((entries) => this.#count(entries));
    this.#stored = { session, branch, recorder: session.appendFrom(simulation, branch) };
  }

  #count(entries: readonly Entry[]): void {
    this.#entries += entries.length;
    const first = entries[0];
    if (first !== undefined && isStimulus(first) && first.type === 'turn') this.#turns += 1;
  }

  #label(name: string): { readonly position: string } | { readonly problem: string } {
    if (this.#stored === undefined) return { problem: 'expected a machine first' };
    const { session, branch, recorder } = this.#stored;
    const problem = bookmarkNameProblem(name, sourceOf(session));
    if (problem !== undefined) return { problem };
    // Another run's label keeps its meaning: this one is then BRANCH/NAME, and BRANCH@{NAME} finds it.
    const taken = session.log.bookmarks();
    const free = [name, `${branch.name}/${name}`].find((each) => !taken.some((mark) => mark.name === each));
    if (free === undefined || taken.some((mark) => mark.name === name && mark.branch === branch.id)) {
      return { problem: `expected a name of its own, found "${name}", which an earlier line has` };
    }
    // What goes wrong with it is said by the next commit that is waited for.
    recorder.commit().catch(() => {});
    session.log.setBookmark({ name: free, branch: branch.id, seq: recorder.head });
    return { position: showPosition({ branch, seq: recorder.head }) };
  }

  async #findings(): Promise<number> {
    if (this.#stored === undefined || this.#entries === 0) return 0;
    const { session, branch } = this.#stored;
    const { checkAndKeep } = await import('../caps-links.ts');
    const found = checkAndKeep(session, { branch, seq: session.log.head(branch.id) });
    return found.filter(({ verdict }) => verdict !== 'excess').length;
  }
}
