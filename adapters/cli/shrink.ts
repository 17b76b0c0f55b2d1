/** `shrink`: from a history that shows a finding to a small scenario file that shows the same. */
import { existsSync } from 'node:fs';
import { shrinkLines } from '../shrink/shrink.ts';
import { fileStory, historyStory, type Story } from '../shrink/story.ts';
import { fileLines } from '../shrink/text.ts';
import type { Shown } from '../shrink/trial.ts';
import { openWhole } from '../whole-file.ts';
import { type ExitCode, exitCodes, wrap } from './io.ts';
import { withStore } from './open.ts';
import { showPosition } from './position.ts';
import { startProgress } from './progress.ts';
import { counted } from './run-text.ts';
import { textOption, type Verb, type VerbContext } from './verb.ts';

export const verb: Verb = {
  define(command) {
    command
      .argument('[what]', 'a scenario file, or a position; the current branch when left out')
      .option('--summary <text>', 'the finding with this SUMMARY; else the one at the position, or the first')
      .option('-o, --output <file>', 'write this file; else standard output');
  },
  async run(context, [what], options) {
    const summary = textOption(options, 'summary');
    const named = what !== undefined && isFile(what);
    const { source, story } = named
      ? { source: what, story: await fileStory(what, context.io.stdin, summary) }
      : await storeStory(context, what, summary);
    return shrink(context, source, story, textOption(options, 'output'));
  },
};

/** By its name, so that a mistyped file is no mistyped position. */
function isFile(what: string): boolean {
  return /\.(jsonl|[cm]?[tj]s)$/.test(what) || existsSync(what);
}

function storeStory(
  context: VerbContext,
  text: string | undefined,
  summary: string | undefined,
): Promise<{ readonly source: string; readonly story: Story }> {
  return withStore(context, async ({ session: { log }, position }) => {
    const { branch, seq } = position(text);
    const where = showPosition({ branch, seq });
    return {
      source: `${where} of ${branch.source}`,
      story: historyStory(log, branch, seq, { summary, where }),
    };
  });
}

async function shrink(
  { io, json }: VerbContext,
  source: string,
  { lines, target }: Story,
  file: string | undefined,
): Promise<ExitCode> {
  // A file that cannot be written is told before the work.
  const whole = file === undefined ? undefined : openWhole(file);
  const progress = startProgress(io, 'shrink', lines.length);
  let best: Shown | undefined;
  let trials = 0;
  let stopped = false;
  for (const state of shrinkLines(lines, target)) {
    best = state.best;
    trials = state.trials;
    progress.at(lines.length - best.lines.length);
    if (trials % LOOK_EVERY !== 0) continue;
    // Ctrl-C is heard between two turns of the loop only.
    await io.drain();
    stopped = io.interrupted;
    if (stopped || io.outClosed) break;
  }
  progress.stop();
  if (best === undefined) {
    whole?.drop();
    io.err(`backwalk: ${source}: the finding is not there when its lines run again`);
    return exitCodes.cannotJudge;
  }
  const text = fileLines(best, { source, from: lines.length, stopped });
  for (const line of text) whole?.put(line);
  whole?.keep();
  const said = { summary: target.summary, from: lines.length, lines: best.lines.length, trials, stopped };
  if (json) io.out(JSON.stringify({ ...said, file: file ?? null, scenario: best.lines }));
  // What was asked for is said even when Ctrl-C was pressed.
  else if (file === undefined) for (const line of text) io.out(line);
  else {
    const words = `${best.lines.length} of ${counted(lines.length, 'line')}, ${trials} trials, ${target.summary}`;
    for (const line of wrap(file, '', words, io.width)) io.out(line);
  }
  if (stopped) io.err('backwalk: interrupted; what was the smallest then is kept');
  return stopped ? exitCodes.interrupted : exitCodes.clean;
}

/** Trials between two looks at the outside. */
const LOOK_EVERY = 16;
