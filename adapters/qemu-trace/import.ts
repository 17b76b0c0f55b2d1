/**
 * Imports a trace of the emulator: surveys the file for the machine it needs, then drives a simulation
 * of it line by line. Who keeps the history is the caller's affair.
 */
import type { MachineConfig } from '../../core/config.ts';
import type { Simulation } from '../../core/simulation.ts';
import { InputError } from '../input-error.ts';
import type { TraceLine } from './events.ts';
import { eachLine, eachLineOf, type LineCounts, noLines } from './lines.ts';
import { machineOf } from './machine.ts';
import { Observer } from './observe.ts';
import { Reenactor } from './reenact.ts';
import { BEGUN, begunNote, DONE, PROGRESS, type Progress, type ResumePoint } from './resume.ts';
import { type FileIdentity, identify, readText, type SourceEnd } from './source.ts';
import type { StaleState } from './stale.ts';
import { Surveyor } from './survey.ts';
import { type ImportResult, Tally } from './tally.ts';

export interface ImportProgress {
  readonly phase: 'survey' | 'import';
  readonly lines: number;
  /** Bytes of the file read in this phase, of `bytesTotal`. */
  readonly bytes: number;
  readonly bytesTotal: number;
}

export interface ImportOptions {
  readonly file: string;
  /** The trace's facts are taken as they are; nothing is decided or compared. */
  readonly observe?: boolean;
  /** Makes the machine's simulation; with `resume`, in the state after `resume.seq`. */
  begin(machine: MachineConfig): Simulation | Promise<Simulation>;
  /** Called between batches of lines: the place to append, and to wait for room. */
  between?(): Promise<void> | void;
  onProgress?(progress: ImportProgress): void;
  /** Asked between batches; true stops the import there. */
  stopped?(): boolean;
  /**
   * Goes on after an interrupted import of the same file. Entries up to `head`, which the history holds
   * already, are made once more; `caughtUp` is called when the simulation stands at `head`.
   */
  readonly resume?: { readonly point: ResumePoint; readonly head: number; caughtUp(): void };
}

/** Lines between two notes of progress. */
const PROGRESS_LINES = 16_384;

/** The two ways to import. */
interface Importer {
  readonly idle: boolean;
  feed(line: TraceLine): void;
  finish(): void;
  state(): StaleState;
  recall(on: boolean, state?: StaleState): void;
}

/** Imports the file. Throws InputError for what is no trace, or cannot be imported this way. */
export async function importQemuTrace(options: ImportOptions): Promise<ImportResult> {
  const { file, observe = false, resume } = options;
  const identity = await identify(file);
  const machine = await survey(options, identity);
  const simulation = await options.begin(machine);
  const tally = new Tally();
  const importer: Importer = observe ? new Observer(simulation, tally) : new Reenactor(simulation, tally);
  const started = simulation.state.seq;
  if (resume === undefined) {
    simulation.dispatch({ type: 'note', kind: BEGUN, text: begunNote(file, identity, observe) });
  }
  const run = new Run(options, simulation, importer, tally);
  const end: SourceEnd = {};
  let halted = false;
  for await (const { text, bytes } of readText(file, end)) {
    simulation.batch(() => run.block(text));
    options.onProgress?.({ phase: 'import', lines: run.counts.lines, bytes, bytesTotal: identity.bytes });
    await options.between?.();
    halted = options.stopped?.() ?? false;
    if (halted) break;
  }
  simulation.batch(() => run.end(halted));
  await options.between?.();
  const result = tally.result(
    run.counts,
    simulation.state.seq - (resume === undefined ? started : 0),
    simulation.state.seq,
  );
  return {
    ...result,
    ...(end.damage === undefined ? {} : { damage: end.damage }),
    ...(halted ? { stopped: true } : {}),
  };
}

/** Finds out what the machine must be. */
async function survey(options: ImportOptions, { bytes: bytesTotal }: FileIdentity): Promise<MachineConfig> {
  const { file, observe = false, onProgress } = options;
  const surveyor = new Surveyor();
  await eachLineOf(
    file,
    (line) => surveyor.take(line),
    ({ lines }, bytes) => onProgress?.({ phase: 'survey', lines, bytes, bytesTotal }),
  );
  const found = surveyor.done();
  if (!observe && !found.hasMemory) {
    throw new InputError(
      'the trace has no memory lines (cap_store, cap_page), so nothing can be re-enacted; --observe takes its events as they are',
      { file },
    );
  }
  return machineOf(found, observe ? 'manual' : 'eager');
}

/** One run over the file's lines. */
class Run {
  readonly counts: LineCounts = noLines();
  readonly #options: ImportOptions;
  readonly #simulation: Simulation;
  readonly #importer: Importer;
  readonly #tally: Tally;
  #noted = 0;
  #recalling: boolean;

  constructor(options: ImportOptions, simulation: Simulation, importer: Importer, tally: Tally) {
    this.#options = options;
    this.#simulation = simulation;
    this.#importer = importer;
    this.#tally = tally;
    this.#recalling = options.resume !== undefined;
    if (this.#recalling) importer.recall(true);
    if (options.resume !== undefined)
      followUntil(simulation, options.resume.head, () => options.resume?.caughtUp());
  }

  block(text: string): void {
    eachLine(text, this.counts, (line) => {
      // A place between two lines: only here may the importer stop and go on.
      this.#place(line.line - 1);
      this.#importer.feed(line);
    });
  }

  /** The file is through, or the import was stopped. */
  end(halted: boolean): void {
    if (halted) return;
    this.#importer.finish();
    this.#simulation.dispatch({ type: 'note', kind: DONE, text: `${this.counts.lines} lines` });
  }

  #place(line: number): void {
    const point = this.#options.resume?.point;
    if (this.#recalling && point !== undefined && line >= point.line) {
      this.#recalling = false;
      this.#noted = point.line;
      this.#importer.recall(false, point.stale);
      this.#tally.restore(point.tally);
    }
    if (this.#recalling || line - this.#noted < PROGRESS_LINES || !this.#importer.idle) return;
    this.#noted = line;
    const progress: Progress = { line, tally: this.#tally.state(), stale: this.#importer.state() };
    this.#simulation.dispatch({ type: 'note', kind: PROGRESS, text: JSON.stringify(progress), line });
  }
}

/** Calls `reached` once, when the simulation has said entry `head`; at once when it stands there. */
function followUntil(simulation: Simulation, head: number, reached: () => void): void {
  if (simulation.state.seq >= head) return reached();
  const subscription = simulation.entries$.subscribe((entries) => {
    if ((entries.at(-1)?.seq ?? 0) < head) return;
    subscription.unsubscribe();
    reached();
  });
}
