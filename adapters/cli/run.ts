/** `run`: puts a scenario to the machine and into the store. What it prints is durable. */
import { statSync } from 'node:fs';
import { ConflictError } from '../../core/history/store.ts';
import { InputError } from '../input-error.ts';
import { readScenario } from '../scenario/reader.ts';
import { type ExitCode, exitCodes, type Io } from './io.ts';
import { type Progress, startProgress } from './progress.ts';
import { failureLines, resultJson, resultLine, summaryLines } from './run-text.ts';
import { type RanLine, ScenarioRun } from './scenario-run.ts';
import { textOption, type Verb, type VerbContext } from './verb.ts';

/** Entries, and answers, of a group that is committed and printed together. */
const GROUP_ENTRIES = 8_192;
const GROUP_LINES = 2_048;

export const verb: Verb = {
  define(command) {
    command
      .argument('<file>', 'a .jsonl or .ts scenario; - reads standard input and answers each line at once')
      .option('--as <name>', 'name of the new history (main, run-2, ...)')
      .option('--on <branch>', 'go on at the head of this branch; there is no machine line then')
      .option('-v, --verbose', 'print every line that ran');
  },
  async run(context, [file = ''], options) {
    const [as, on] = [textOption(options, 'as'), textOption(options, 'on')];
    if (as !== undefined && on !== undefined)
      throw new InputError('--as, --on: expected one of them, found both');
    const run = new ScenarioRun(context, { file: file === '-' ? '<stdin>' : file, as, on });
    const progress = startProgress(context.io, file, sizeOf(file));
    try {
      return await runAll(
        { context, run, file, verbose: options['verbose'] === true || file === '-', results: [] },
        progress,
      );
    } finally {
      progress.stop();
      await run.close();
    }
  },
};

interface Running {
  readonly context: VerbContext;
  readonly run: ScenarioRun;
  readonly file: string;
  readonly verbose: boolean;
  /** Lines that ran and are not acknowledged yet. */
  results: RanLine[];
}

async function runAll(running: Running, progress: Progress): Promise<ExitCode> {
  const { context, run, file } = running;
  const { io, json } = context;
  try {
    await run.start();
    await runLines(running, progress);
    if (run.linesRun === 0 && !isStopping(io)) {
      throw new InputError(
        `${file === '-' ? '<stdin>' : file}: expected {"op":"machine",...} first, found no line at all`,
      );
    }
    await acknowledge(running);
    await run.finish();
  } catch (error) {
    if (!(error instanceof ConflictError)) await acknowledge(running);
    if (!io.interrupted) throw explained(error, run);
  }
  if (isStopping(io)) return stopped(io, run);
  const summary = await run.summary();
  if (json) io.out(JSON.stringify({ summary }));
  else for (const line of summaryLines(file, run.linesRun, summary, io.width)) io.out(line);
  return summary.findings > 0 || summary.checksFailed > 0 ? exitCodes.found : exitCodes.clean;
}

async function runLines(running: Running, progress: Progress): Promise<void> {
  const { context, run, file } = running;
  const { io } = context;
  let size = 0;
  for await (const chunk of readScenario(file, io.stdin)) {
    for (const line of chunk.lines) {
      const result = await run.line(line);
      running.results.push(result);
      chunk.answer?.(result.outcome);
      if (run.waiting >= GROUP_ENTRIES || running.results.length >= GROUP_LINES) await acknowledge(running);
      if (isStopping(io)) return;
    }
    // Who writes line by line waits for the answer before the next.
    if (file === '-') await acknowledge(running);
    size += chunk.size;
    progress.at(size);
  }
}

/** Makes what ran durable, and then says so. */
async function acknowledge(running: Running): Promise<void> {
  const { context, run, file, verbose } = running;
  const { io, json } = context;
  const results = running.results;
  running.results = [];
  await run.commit();
  for (const result of results) {
    const position = run.position(result.seq);
    if (json) io.out(JSON.stringify(resultJson(result, position)));
    else {
      if (verbose) io.out(resultLine(result, position, io.width));
      for (const line of failureLines(result, position, file, io.width)) io.out(line);
    }
  }
  if (results.length > 0) await io.drain();
}

function isStopping({ interrupted, outClosed }: Io): boolean {
  return interrupted || outClosed;
}

/** Says how far it came: all of that is stored. */
function stopped(io: Io, run: ScenarioRun): ExitCode {
  io.err(
    `backwalk: ${io.interrupted ? 'interrupted' : 'nobody reads the output any more'}; ${run.storedText()}`,
  );
  return io.interrupted ? exitCodes.interrupted : exitCodes.cannotJudge;
}

function explained(error: unknown, run: ScenarioRun): unknown {
  if (error instanceof ConflictError)
    return new InputError(
      `somebody else wrote to this branch meanwhile; ${run.storedText()} (${error.message})`,
    );
  if (!(error instanceof InputError) || run.linesRun === 0) return error;
  return new InputError(`${error.message}\nbackwalk: ${run.storedText()}`);
}

function sizeOf(file: string): number | undefined {
  return /\.[cm]?[tj]s$/.test(file) || file === '-'
    ? undefined
    : statSync(file, { throwIfNoEntry: false })?.size;
}
