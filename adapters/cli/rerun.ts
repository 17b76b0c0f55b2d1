/** `rerun`: what if. Forks at the earliest edit and decides the rest of the history anew. */
import type { Entry } from '../../core/event.ts';
import { type Comparison, openComparison, stepsOf, stimulusOf } from '../../core/history/rerun.ts';
import type { Branch } from '../../core/history/store.ts';
import { settingProblem } from '../../core/settings.ts';
import { Simulation } from '../../core/simulation.ts';
import { InputError, type Place } from '../input-error.ts';
import { settingValue } from '../scenario/ops.ts';
import { readScenario } from '../scenario/reader.ts';
import { type LineResult, ScenarioRunner } from '../scenario/runner.ts';
import { differenceJson, differenceLines } from './diff.ts';
import { type Edits, editsOf, joinPairs } from './edits.ts';
import { type ExitCode, exitCodes, type Io, wrap } from './io.ts';
import { checkNewName, type Opened, withStore } from './open.ts';
import { showPosition } from './position.ts';
import { startProgress } from './progress.ts';
import { counted } from './run-text.ts';
import { gather, textOption, type Verb, type VerbContext } from './verb.ts';

export const verb: Verb = {
  define(command) {
    command
      .argument('<position>', 'the history to rerun, and where --set takes hold')
      .option('--set <path=value>', 'change a value from the position on; may be given again', gather)
      .option('--quirk <name>', 'a fault of a driver from the position on; NAME=off ends one', gather)
      .option('--drop <seq>', 'leave out a stimulus; may be given again', gather)
      .option(
        '--insert <seq> <file>',
        'put the lines of a scenario after an entry; may be given again',
        gather,
      )
      .option('--as <name>', 'name of the new branch');
  },
  prepare: joinPairs,
  run(context, [text = ''], options) {
    return withStore(context, async (opened) => {
      const edits = editsOf(opened, text, options);
      return new Rerun(context, opened, edits, nameOf(opened, edits.branch, textOption(options, 'as'))).run();
    });
  },
};

function nameOf({ session: { log } }: Opened, branch: Branch, as: string | undefined): string {
  const taken = log.branches().map((each) => each.name);
  if (as !== undefined) {
    checkNewName(as, taken);
    return as;
  }
  for (let number = 1; ; number += 1) {
    const name = `${branch.name}-rerun${number === 1 ? '' : `-${number}`}`;
    if (!taken.includes(name)) return name;
  }
}

class Rerun {
  readonly #context: VerbContext;
  readonly #opened: Opened;
  readonly #edits: Edits;
  readonly #name: string;
  readonly #simulation: Simulation;
  readonly #comparison: Comparison;
  /** Entries of the group that is being rerun. */
  #recorded: Entry[] = [];
  #fresh: Entry[] = [];
  /** What inserted lines expected and did not find. */
  readonly #failed: string[] = [];

  constructor(context: VerbContext, opened: Opened, edits: Edits, name: string) {
    this.#context = context;
    this.#opened = opened;
    this.#edits = edits;
    this.#name = name;
    this.#simulation = new Simulation(opened.session.seek(edits.branch, edits.fork));
    this.#comparison = openComparison(edits.fork);
    this.#simulation.entries$.subscribe((entries) => {
      if (this.#comparison.first() === undefined) this.#fresh.push(...entries);
    });
  }

  async run(): Promise<ExitCode> {
    const { session } = this.#opened;
    const { branch, fork } = this.#edits;
    const insertions = await this.#readInsertions();
    const made = session.log.fork(this.#name, branch.id, fork);
    try {
      return await this.#rerun(made, insertions);
    } catch (error) {
      session.log.removeBranch(made.id);
      throw error;
    }
  }

  async #rerun(made: Branch, insertions: ReadonlyMap<number, readonly (() => void)[]>): Promise<ExitCode> {
    const { session } = this.#opened;
    const { branch, fork } = this.#edits;
    const { io } = this.#context;
    const recorder = session.appendFrom(this.#simulation, made);
    const head = session.log.head(branch.id);
    const progress = startProgress(io, 'rerun', head - fork);
    let breath = fork;
    this.#insert(insertions.get(fork));
    // The fork may lie between turns: what was due then is due now.
    if (this.#simulation.glance.schedule !== 'manual') this.#simulation.run();
    for (const step of stepsOf(session.log.read(branch.id, fork + 1, head))) {
      this.#step(step);
      const last = step.at(-1)?.seq ?? fork;
      this.#insert(insertions.get(last));
      if (recorder.waiting > COMMIT_ENTRIES) {
        void recorder.commit().catch(() => {});
        await recorder.room();
        progress.at(last - fork);
      }
      if (last - breath > BREATH_ENTRIES) {
        breath = last;
        await io.drain();
      }
      if (io.interrupted) break;
    }
    this.#compare();
    await recorder.finish();
    progress.stop();
    // Half of a what-if answers nothing.
    if (io.interrupted) session.log.removeBranch(made.id);
    await session.log.flush();
    if (io.interrupted) return exitCodes.interrupted;
    return this.#report(made, recorder.head);
  }

  /** One recorded step. Turns are given anew unless somebody outside gives them all. */
  #step(step: readonly Entry[]): void {
    const [first] = step;
    if (first === undefined) return;
    const turn = first.type === 'turn';
    if (!turn) this.#compare();
    if (this.#edits.drop.has(first.seq)) return;
    if (turn && this.#simulation.glance.schedule !== 'manual') {
      if (this.#recorded.length > 0) this.#recorded.push(...step);
      return;
    }
    this.#recorded.push(...step);
    this.#simulation.dispatch(stimulusOf(first));
  }

  /** Ends a group: a stimulus from outside with all that followed. */
  #compare(): void {
    this.#comparison.add(this.#recorded, this.#fresh);
    this.#recorded = [];
    this.#fresh = [];
  }

  #insert(insertions: readonly (() => void)[] | undefined): void {
    if (insertions === undefined) return;
    this.#compare();
    for (const insertion of insertions) insertion();
    // What an edit brings is no difference: the question is what follows from it.
    this.#fresh = [];
  }

  /** Everything that can be wrong with an insertion is found before the branch is made, but for its lines' own state. */
  async #readInsertions(): Promise<Map<number, readonly (() => void)[]>> {
    const read = new Map<number, (() => void)[]>();
    for (const [seq, insertions] of this.#edits.insert) {
      const made = await Promise.all(
        insertions.map((each) => ('set' in each ? this.#setting(each.set) : this.#lines(each.file))),
      );
      read.set(seq, made);
    }
    return read;
  }

  #setting(text: string): () => void {
    const at = text.indexOf('=');
    const path = text.slice(0, Math.max(0, at));
    const value = settingValue(JSON_WORDS[text.slice(at + 1)] ?? text.slice(at + 1));
    const problem = at < 0 ? 'expected PATH=VALUE' : settingProblem(this.#simulation.glance, path, value);
    if (problem !== undefined) throw new InputError(`--set: ${problem}, found "${text}"`);
    return () => this.#simulation.dispatch({ type: 'set', path, value });
  }

  async #lines(file: string): Promise<() => void> {
    const lines: { readonly place: Place; readonly raw: unknown }[] = [];
    for await (const chunk of readScenario(file, this.#context.io.stdin)) {
      for (const { place, read } of chunk.lines) lines.push({ place, raw: read() });
    }
    const refused = { problem: 'expected no label in an insertion' };
    const begin = (): Simulation => this.#simulation;
    return () => {
      const runner = new ScenarioRunner({ begin, label: () => refused }, this.#simulation);
      for (const { place, raw } of lines) this.#failed.push(...failuresOf(runner.run(raw, place), file));
    };
  }

  #report(made: Branch, head: number): ExitCode {
    const { io, json } = this.#context;
    const { branch, fork, drop, insert } = this.#edits;
    const first = this.#comparison.first();
    const position = showPosition({ branch: made, seq: head });
    const from = showPosition({ branch, seq: fork });
    if (json) {
      const edits = { dropped: drop.size, inserted: insertionsOf(insert) };
      io.out(
        JSON.stringify({
          position,
          forked: from,
          entries: head - fork,
          ...edits,
          difference: differenceJson(first, branch, made),
        }),
      );
    } else this.#print(io, position, from, head - fork, made);
    for (const failure of this.#failed) io.err(`backwalk: ${failure}`);
    return this.#failed.length === 0 && first === undefined ? exitCodes.clean : exitCodes.found;
  }

  #print(io: Io, position: string, from: string, entries: number, made: Branch): void {
    const { branch, drop, insert } = this.#edits;
    const first = this.#comparison.first();
    const edits = `${counted(drop.size, 'stimulus').replace('stimuluss', 'stimuli')} dropped, ${counted(insertionsOf(insert), 'insertion')}`;
    const text = `forked from ${from}, ${edits}, ${entries} entries; ${first === undefined ? 'otherwise the same' : 'first difference:'}`;
    for (const line of wrap(position, '', text, io.width)) io.out(line);
    for (const line of differenceLines(first, branch, made, io.width)) io.out(line);
  }
}

const COMMIT_ENTRIES = 8_192;
/** Entries between two looks at whether somebody wants to stop. */
const BREATH_ENTRIES = 4_096;

/** Values on a command line that are no texts. */
const JSON_WORDS: Readonly<Record<string, boolean>> = { true: true, false: false };

function failuresOf({ line, op, failed }: LineResult, file: string): string[] {
  return failed.map(({ field, expected, actual }) => {
    return `${file}:${line ?? '-'}: ${op}: ${field}: expected ${JSON.stringify(expected)}, found ${JSON.stringify(actual)}`;
  });
}

function insertionsOf(insert: Edits['insert']): number {
  return [...insert.values()].reduce((sum, each) => sum + each.length, 0);
}
