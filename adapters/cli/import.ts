/** `import`: brings a foreign trace in. Each kind has an importer of its own. */
import type { Branch } from '../../core/history/store.ts';
import { Simulation } from '../../core/simulation.ts';
import { resetRegisters } from '../../core/smmu/regs.ts';
import { initialState } from '../../core/state.ts';
import { InputError } from '../input-error.ts';
import { importQemuTrace } from '../qemu-trace/import.ts';
import { importState, type ResumePoint, sameFile } from '../qemu-trace/resume.ts';
import { identify } from '../qemu-trace/source.ts';
import { summaryLines } from '../qemu-trace/summary.ts';
import type { ImportResult } from '../qemu-trace/tally.ts';
import type { Recorder, Session } from '../session.ts';
import { clip, type ExitCode, exitCodes } from './io.ts';
import { newRoot, openIfThere, openOrMake } from './open.ts';
import { showPosition } from './position.ts';
import { type Progress, startProgress } from './progress.ts';
import { textOption, type Verb, type VerbContext } from './verb.ts';

const KINDS: readonly string[] = ['qemu-trace'];

export const verb: Verb = {
  define(command) {
    command
      .argument('<kind>', KINDS.join(', '))
      .argument('<file>', 'the trace; .gz too')
      .option('--observe', "take the trace's events as they are and decide nothing")
      .option('--as <name>', 'name of the new history');
  },
  async run(context, [kind = '', file = ''], options) {
    if (!KINDS.includes(kind))
      throw new InputError(`expected a kind of trace (${KINDS.join(', ')}), found "${kind}"`);
    const run = new ImportRun(context, {
      file,
      as: textOption(options, 'as'),
      observe: options['observe'] === true,
    });
    try {
      return await run.run();
    } finally {
      await run.close();
    }
  },
};

interface Target {
  readonly file: string;
  readonly as: string | undefined;
  readonly observe: boolean;
}

/** An import of the same file that did not come to its end. */
interface Unfinished {
  readonly branch: Branch;
  readonly point: ResumePoint;
  readonly head: number;
}

class ImportRun {
  readonly #context: VerbContext;
  readonly #target: Target;
  #session: Session | undefined;
  #branch: Branch | undefined;
  #recorder: Recorder | undefined;
  #progress: Progress | undefined;
  #told = 0;

  constructor(context: VerbContext, target: Target) {
    this.#context = context;
    this.#target = target;
  }

  async run(): Promise<ExitCode> {
    const { io } = this.#context;
    const unfinished = this.#target.as === undefined ? await this.#findUnfinished() : undefined;
    if (unfinished !== undefined) {
      const at = showPosition({ branch: unfinished.branch, seq: unfinished.head });
      io.err(
        `backwalk: an import of this file stopped at ${at} (line ${unfinished.point.line} or later); going on`,
      );
    }
    const result = await importQemuTrace({
      file: this.#target.file,
      observe: this.#target.observe,
      begin: (machine) => (unfinished === undefined ? this.#begin(machine) : this.#resume(unfinished)),
      between: () => this.#between(),
      stopped: () => io.interrupted || io.outClosed,
      onProgress: ({ phase, bytes, bytesTotal }) => {
        // The file is read twice: for the machine it needs, and for what happened.
        this.#progress ??= startProgress(io, this.#target.file, bytesTotal * 2);
        this.#progress.at(phase === 'survey' ? bytes : bytesTotal + bytes);
      },
      ...(unfinished === undefined
        ? {}
        : { resume: { point: unfinished.point, head: unfinished.head, caughtUp: () => this.#caughtUp() } }),
    });
    this.#progress?.stop();
    await this.#recorder?.finish();
    return this.#report(result);
  }

  async close(): Promise<void> {
    this.#progress?.stop();
    await this.#session?.close();
  }

  #simulation: Simulation | undefined;

  async #begin(machine: Branch['machine']): Promise<Simulation> {
    this.#session ??= await openOrMake(this.#context);
    this.#branch = newRoot(this.#context, this.#session, machine, this.#target);
    const simulation = new Simulation(initialState(machine, resetRegisters));
    this.#recorder = this.#session.appendFrom(simulation, this.#branch);
    return simulation;
  }

  /** Entries up to the head are made once more and not kept twice: the recorder starts when they are. */
  #resume({ branch, point }: Unfinished): Simulation {
    const session = this.#session;
    if (session === undefined) throw new Error('invariant: an unfinished import was found in a session');
    this.#branch = branch;
    this.#simulation = new Simulation(session.seek(branch, point.seq));
    return this.#simulation;
  }

  #caughtUp(): void {
    if (this.#session === undefined || this.#branch === undefined || this.#simulation === undefined) return;
    const [now, head] = [this.#simulation.glance.seq, this.#session.log.head(this.#branch.id)];
    if (now !== head) {
      throw new InputError(
        `${this.#branch.name} ends within a line of the trace and cannot go on; --as NAME imports anew`,
      );
    }
    this.#recorder = this.#session.appendFrom(this.#simulation, this.#branch);
  }

  async #between(): Promise<void> {
    // A failure is said by the wait for room, or by the end.
    this.#recorder?.commit().catch(() => {});
    await this.#recorder?.room();
    this.#tellAcknowledged();
  }

  /** With --json, how far all is durable: whoever drives an import may rely on it whatever happens next. */
  #tellAcknowledged(): void {
    const { io, json } = this.#context;
    const seq = this.#recorder?.acknowledged ?? 0;
    if (!json || this.#branch === undefined || seq === this.#told) return;
    this.#told = seq;
    io.out(JSON.stringify({ acknowledged: showPosition({ branch: this.#branch, seq }) }));
  }

  async #findUnfinished(): Promise<Unfinished | undefined> {
    const session = await openIfThere(this.#context);
    if (session === undefined) return undefined;
    this.#session = session;
    const identity = await identify(this.#target.file);
    const { log } = session;
    for (const branch of log.branches()) {
      const head = log.head(branch.id);
      const [first] = log.read(branch.id, 1, 1);
      const found =
        branch.parent === undefined ? importState(log.readBack(branch.id, 1, head), first) : undefined;
      if (found?.resume === undefined || found.done) continue;
      if (sameFile(found.begun, identity) && found.begun.observe === this.#target.observe) {
        return { branch, point: found.resume, head };
      }
    }
    return undefined;
  }

  #report(result: ImportResult): ExitCode {
    const { io, json } = this.#context;
    const branch = this.#branch;
    if (branch === undefined) throw new Error('invariant: an import that ended has a branch');
    const head = showPosition({ branch, seq: result.head });
    if (result.stopped) {
      io.err(
        `backwalk: stopped after line ${result.lines}; all up to ${head} is stored, and the same command goes on from there`,
      );
      return io.interrupted ? exitCodes.interrupted : exitCodes.cannotJudge;
    }
    if (json) io.out(JSON.stringify({ summary: summaryOf(result, head) }));
    else
      for (const line of [clip(`${head}  ${this.#target.file}`, io.width), ...summaryLines(result)])
        io.out(line);
    if (result.damage !== undefined) {
      io.err(`backwalk: ${this.#target.file}: ${result.damage}; what could be read up to there is stored`);
      return exitCodes.badInput;
    }
    return Object.values(result.differences).some((count) => count > 0) ? exitCodes.found : exitCodes.clean;
  }
}

/** The summary as programs read it. */
function summaryOf(result: ImportResult, head: string): Record<string, unknown> {
  const { lines, understood, ignored, unknown, entries, compared, differences, deviations } = result;
  return { lines, understood, ignored, unknown, entries, compared, differences, deviations, head };
}
