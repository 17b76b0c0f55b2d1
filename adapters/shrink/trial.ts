/**
 * One trial: do these lines still show the finding? They are run on a machine in memory, with the rules that
 * can find it. A line that is refused (what it names is gone) is left out, as is all behind the finding.
 */
import { type Check, HARM, openCheck, seqOf } from '../../projections/check.ts';
import type { Finding } from '../../projections/finding.ts';
import { type Rule, rules } from '../../projections/rules.ts';
import { summaryOf } from '../../projections/summary.ts';
import { InputError } from '../input-error.ts';
import { openPlayer } from '../scenario/played.ts';
import type { ScenarioLine } from '../scenario/scenario.ts';

/** What is looked for. */
export interface Target {
  readonly summary: string;
  /** The rules that have to look. */
  readonly rules: readonly Rule[];
}

/** What a finding is looked for by. What tells of harm is told whatever the other rules find. */
export function targetOf(finding: Finding): Target {
  const own = rules.filter(({ id }) => id === finding.rule);
  return { summary: summaryOf(finding), rules: HARM.has(finding.verdict) ? own : rules };
}

/** The finding was there. */
export interface Shown {
  /** The lines that led to it: those that ran, up to the one that shows it. */
  readonly lines: readonly ScenarioLine[];
  /** seq of the last entry after each of them. */
  readonly ends: readonly number[];
  readonly finding: Finding;
}

/** The trial of lines that begin with a machine; undefined when they do not show the finding. */
export function tryLines(lines: readonly ScenarioLine[], target: Target): Shown | undefined {
  const { ran, ends, findings } = playLines(lines, target.rules);
  const finding = findings.find((each) => summaryOf(each) === target.summary);
  if (finding === undefined) return undefined;
  const last = ends.findIndex((end) => end >= seqOf(finding));
  return { lines: ran.slice(0, last + 1), ends: ends.slice(0, last + 1), finding };
}

export interface PlayedLines {
  /** Those that were not refused. */
  readonly ran: readonly ScenarioLine[];
  /** seq of the last entry after each of them. */
  readonly ends: readonly number[];
  /** By position. */
  readonly findings: readonly Finding[];
}

/** Runs the lines, and the rules over what comes of them. Without a machine nothing runs. */
export function playLines(lines: readonly ScenarioLine[], wanted: readonly Rule[] = rules): PlayedLines {
  let check: Check | undefined;
  let seq = 0;
  const player = openPlayer((step) => {
    if (player.machine !== undefined) check ??= openCheck(player.machine, 'main', wanted);
    for (const entry of step) check?.take(entry);
    seq = step.at(-1)?.seq ?? seq;
  });
  const ran: ScenarioLine[] = [];
  const ends: number[] = [];
  for (const [at, line] of lines.entries()) {
    try {
      player.play(line, { file: 'shrink', line: at + 1 });
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      if (player.machine === undefined) break;
      continue;
    }
    ran.push(line);
    ends.push(seq);
  }
  return { ran, ends, findings: check?.findings() ?? [] };
}
