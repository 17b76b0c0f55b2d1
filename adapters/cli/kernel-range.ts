/** `bisect --kernels`: the first kernel of a range whose rerun of the same stimuli holds a predicate at its end. */
import { kernelProfiles } from '../../core/kernel/profiles.ts';
import { meant } from '../../core/path/near.ts';
import { checkHistory } from '../../projections/check.ts';
import { InputError } from '../input-error.ts';
import { rerunFile, rerunOn } from '../rerun-on.ts';
import type { Session } from '../session.ts';
import { firstTrue } from './first-true.ts';
import { type ExitCode, exitCodes, wrap } from './io.ts';
import { counted, madeAt, valueIn } from './moments.ts';
import type { Opened } from './open.ts';
import { type Position, type Range, showPosition } from './position.ts';
import { holds, type Predicate } from './predicate.ts';
import { startProgress } from './progress.ts';
import type { VerbContext } from './verb.ts';

export interface KernelQuestion {
  /** `linux-6.13..linux-7.3`. */
  readonly kernels: string;
  readonly source: string;
  readonly predicate: Predicate;
}

/** Reruns looked at beside those that halving needs. */
const SAMPLES = 4;

/** Halves the kernels between two; says which is the first, and which were looked at. */
export async function bisectKernels(
  { io, json }: VerbContext,
  { session }: Opened,
  { to }: Range,
  question: KernelQuestion,
): Promise<ExitCode> {
  const { source, predicate } = question;
  const names = kernelsOf(question.kernels);
  if (!to.branch.machine.kernel)
    throw new InputError('--kernels: expected a history with a kernel, found none');
  const seen = new Map<string, boolean>();
  let scenario = true;
  const progress = startProgress(io, 'rerun', names.length);
  const found = await firstTrue(0, names.length - 1, SAMPLES, async (at) => {
    await io.drain();
    if (io.interrupted) return undefined;
    const name = names[at] ?? '';
    const { holds: there, again } = await judge(name, predicate, session, to);
    scenario &&= again;
    seen.set(name, there);
    progress.at(seen.size);
    return there;
  });
  progress.stop();
  if (found === 'stopped') return exitCodes.interrupted;
  const first =
    typeof found === 'object' ? names[found.first] : found === 'holds at the start' ? names[0] : undefined;
  const newest = seen.get(names.at(-1) ?? '') === true;
  const judged = first !== undefined && newest && (typeof found === 'string' || found.against === undefined);
  const looked = names.flatMap((kernel) => (seen.has(kernel) ? [{ kernel, holds: seen.get(kernel) }] : []));
  const position = showPosition(to);
  if (json)
    io.out(JSON.stringify({ position, when: source, first: judged ? first : null, scenario, looked }));
  else {
    for (const { kernel, holds: there } of looked)
      io.out(`${position}  ${kernel.padEnd(26)} ${there ? 'holds' : '-'}`);
    const text = judged ? `${first} is the first` : 'cannot judge: it does not hold from one of them on';
    const of = scenario ? 'reruns of the scenario' : 'reruns of the stimuli in the log';
    for (const line of wrap(position, '', `${text}: ${source} (${of})`, io.width)) io.out(line);
  }
  return judged ? exitCodes.clean : exitCodes.cannotJudge;
}

/** The profiles between two, both included: releases, and what the ends name besides. */
function kernelsOf(text: string): readonly string[] {
  const [from = '', to = '', ...more] = text.split('..');
  const all = Object.keys(kernelProfiles);
  const wrong = more.length > 0 ? text : [from, to].find((name) => !all.includes(name));
  if (wrong !== undefined)
    throw new InputError(
      `--kernels: expected A..B of the profiles in help kernels, found "${wrong}"${meant(wrong, all)}`,
    );
  if (all.indexOf(from) >= all.indexOf(to))
    throw new InputError(`--kernels: expected an older kernel before a newer one, found "${text}"`);
  return all
    .slice(all.indexOf(from), all.indexOf(to) + 1)
    .filter((name) => name === from || name === to || /^linux-[\d.]+$/.test(name));
}

interface Judged {
  readonly holds: boolean;
  /** The scenario was read again; else the stimuli of the log were put, whatever ids they hold. */
  readonly again: boolean;
}

async function judge(
  profile: string,
  predicate: Predicate,
  { log }: Session,
  { branch, seq }: Position,
): Promise<Judged> {
  const machine = { ...branch.machine, kernel: { ...branch.machine.kernel, profile } };
  const whole = branch.parent === undefined && seq === log.head(branch.id);
  const again = whole ? await rerunFile(branch.source, branch.machine, profile) : undefined;
  const rerun = again ?? rerunOn(machine, log.read(branch.id, 1, seq));
  const there = holds(predicate, (operand) => {
    if (operand.kind === 'path') return valueIn(rerun.state, operand.path);
    if (operand.kind === 'count') return counted(rerun.entries, operand.types);
    if (operand.kind !== 'finding') return null;
    return madeAt(checkHistory(rerun.entries, machine, branch.name), operand.rule).length > 0;
  });
  return { holds: there, again: again !== undefined };
}
