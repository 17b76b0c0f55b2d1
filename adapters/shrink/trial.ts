/**
 * One trial: do these lines still show the finding? They are run on a machine in memory, with the rules that
 * can find it. A line that is refused (what it names is gone) is left out, as is all behind the finding.
 */
import type { MachineConfig } from '../../core/config.ts';
import { seqOf } from '../../projections/check.ts';
import type { Finding } from '../../projections/finding.ts';
import { openPass, type Pass, type Projection } from '../../projections/projection.ts';
import { rules } from '../../projections/rules.ts';
import { summaryOf } from '../../projections/summary.ts';
import { InputError } from '../input-error.ts';
import { openPlayer } from '../scenario/played.ts';
import type { ScenarioLine } from '../scenario/scenario.ts';

/** What is looked for. */
export interface Target {
  readonly rule: string;
  readonly summary: string;
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
  const { ran, ends, findings } = playLines(lines, [target.rule]);
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
export function playLines(lines: readonly ScenarioLine[], wanted: readonly string[]): PlayedLines {
  let pass: Pass<readonly Projection<readonly Finding[]>[]> | undefined;
  let seq = 0;
  const player = openPlayer((step) => {
    if (pass === undefined && player.machine !== undefined) pass = openRules(wanted, player.machine);
    for (const entry of step) pass?.take(entry);
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
  const findings = (pass?.answers() ?? []).flatMap((found) =>
    found.filter(({ rule }) => wanted.includes(rule)),
  );
  return { ran, ends, findings: findings.sort((a, b) => seqOf(a) - seqOf(b)) };
}

function openRules(
  wanted: readonly string[],
  machine: MachineConfig,
): Pass<readonly Projection<readonly Finding[]>[]> {
  const asked = rules.filter(({ id }) => wanted.includes(id)).map(({ projection }) => projection);
  return openPass([...new Set(asked)].map((projection) => projection(machine, 'main')));
}
