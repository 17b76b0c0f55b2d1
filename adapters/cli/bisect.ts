/** `bisect`: the first position at which a predicate holds, or the first kernel whose rerun has it. */
import { InputError } from '../input-error.ts';
import { entryJson } from './entry-text.ts';
import { firstTrue } from './first-true.ts';
import { type ExitCode, exitCodes, type Io, wrap } from './io.ts';
import { bisectKernels } from './kernel-range.ts';
import { entryLine } from './log.ts';
import { changesOf, checkOperands, checkPaths, lookupAt, marksOf } from './moments.ts';
import { type Opened, withStore } from './open.ts';
import { type Position, type Range, showPosition } from './position.ts';
import { holds, type Predicate, parsePredicate } from './predicate.ts';
import { startProgress } from './progress.ts';
import { textOption, type Verb, type VerbContext } from './verb.ts';

/** Further places looked at on each side of the answer. */
const SAMPLES = 16;

export const verb: Verb = {
  define(command) {
    command
      .argument('[range]', 'positions A..B; all of the current branch when left out')
      .requiredOption('--when <expr>', 'what holds from some position on: see help questions')
      .option('--every', 'look at every change of what the expression names: no assumption')
      .option('--kernels <range>', 'kernel profiles A..B: the first whose rerun holds it at its end');
  },
  run(context, [text], options) {
    const source = textOption(options, 'when') ?? '';
    const predicate = parsePredicate(source);
    checkOperands(predicate);
    return withStore(context, async (opened) => {
      const range = opened.range(text);
      const kernels = textOption(options, 'kernels');
      if (range.from.branch.id !== range.to.branch.id)
        throw new InputError('bisect: expected a range of one branch, found two');
      if (kernels !== undefined) return bisectKernels(context, opened, range, { kernels, source, predicate });
      if (options['every'] === true) return everyChange(context, opened, range, predicate, source);
      return halve(context, opened, range, predicate, source);
    });
  },
};

async function findFindings() {
  return (await import('../../projections/check.ts')).checkHistory;
}

async function halve(
  context: VerbContext,
  { session }: Opened,
  { from, to }: Range,
  predicate: Predicate,
  source: string,
): Promise<ExitCode> {
  const { io } = context;
  checkPaths(predicate, [session.seek(to.branch, to.seq), session.seek(from.branch, from.seq)]);
  const marks = marksOf(predicate, session, to, await findFindings());
  const progress = startProgress(io, 'bisect', Math.ceil(Math.log2(to.seq - from.seq + 1)) + 2 * SAMPLES);
  let looked = 0;
  const found = await firstTrue(from.seq, to.seq, SAMPLES, async (seq) => {
    progress.at(looked);
    looked += 1;
    await io.drain();
    return io.interrupted ? undefined : holds(predicate, lookupAt(session, { ...to, seq }, marks));
  });
  progress.stop();
  if (found === 'stopped') return exitCodes.interrupted;
  if (found === 'holds at the start')
    return told(context, from, `${source} holds at the start already`, looked);
  if (found === 'does not hold at the end') {
    cannotJudge(context, to, `${source} does not hold at the end of the range: halving tells nothing`);
    return exitCodes.cannotJudge;
  }
  const at = { ...to, seq: found.first };
  if (found.against === undefined) return tellEntry(context, { session }, at, source, found.looked);
  const other = showPosition({ branch: to.branch, seq: found.against });
  const how =
    found.against < found.first ? `holds at ${other} already` : `does not hold at ${other} any more`;
  cannotJudge(context, at, `${source} becomes true here, but ${how}: use --every`);
  return exitCodes.cannotJudge;
}

/** All places at which the expression can change, in order: the first at which it holds, whatever comes after. */
async function everyChange(
  context: VerbContext,
  { session }: Opened,
  { from, to }: Range,
  predicate: Predicate,
  source: string,
): Promise<ExitCode> {
  const { io } = context;
  const marks = marksOf(predicate, session, to, await findFindings());
  const holdsAt = (seq: number): boolean => holds(predicate, lookupAt(session, { ...to, seq }, marks));
  if (holdsAt(from.seq)) return told(context, from, `${source} holds at the start already`, 1);
  const places = changesOf(predicate, session, to, from.seq, marks);
  for (const [at, seq] of places.entries()) {
    if (at % 64 === 0) await io.drain();
    if (io.interrupted) return exitCodes.interrupted;
    if (holdsAt(seq)) return tellEntry(context, { session }, { ...to, seq }, source, at + 2);
  }
  cannotJudge(context, to, `${source} holds nowhere in the range`);
  return exitCodes.cannotJudge;
}

function told({ io, json }: VerbContext, at: Position, what: string, looked: number): ExitCode {
  const position = showPosition(at);
  if (json) io.out(JSON.stringify({ position, why: what, looked }));
  else for (const line of wrap(position, '', what, io.width)) io.out(line);
  return exitCodes.clean;
}

function tellEntry(
  { io, json }: VerbContext,
  { session }: Pick<Opened, 'session'>,
  at: Position,
  source: string,
  looked: number,
): ExitCode {
  const position = showPosition(at);
  const [entry] = session.log.read(at.branch.id, at.seq, at.seq);
  if (json) {
    const shown = entry === undefined ? null : entryJson(entry, at.branch.name);
    io.out(JSON.stringify({ position, when: source, looked, entry: shown }));
    return exitCodes.clean;
  }
  for (const line of wrap(position, 'first:', `${source}  (${looked} moments looked at)`, io.width))
    io.out(line);
  if (entry !== undefined) io.out(entryLine(entry, at, io.width));
  return exitCodes.clean;
}

/** Says on standard output, for people and programs, why there is no answer. */
export function cannotJudge(
  { io, json }: { readonly io: Io; readonly json: boolean },
  at: Position,
  why: string,
): void {
  const position = showPosition(at);
  if (json) io.out(JSON.stringify({ position: null, near: position, why }));
  else for (const line of wrap(position, 'cannot judge:', why, io.width)) io.out(line);
}
