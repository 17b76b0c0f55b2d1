/**
 * `check --fix`: each candidate repair is tried on the history decided anew in memory; what came of it is told
 * with the command line that does the same by hand. The branch is only read.
 */
import { seqOf } from '../../projections/check.ts';
import type { Finding } from '../../projections/finding.ts';
import { summaryOf } from '../../projections/summary.ts';
import { type Candidate, candidatesFor, type Source } from './candidates.ts';
import { type WhatIf, whatIf } from './what-if.ts';

/** What may come of a repair, the best first. */
export const fixVerdicts = {
  clean: 'no finding is left',
  gone: 'this one is gone; others are left, and none is new',
  other: 'it is gone, but an access that was right ends otherwise, or a finding is new',
  left: 'it is still there',
  refused: 'the machine does not take the lines',
} as const;
export type FixVerdict = keyof typeof fixVerdicts;

export interface Fix {
  readonly verdict: FixVerdict;
  readonly change: string;
  /** Findings of the history with the repair. */
  readonly findings: number;
  /** Does the same by hand; a branch is then made. */
  readonly rerun: string;
}

/** Tries the repairs of a finding, and yields now and then; the best first, among equals the smallest. */
export function* tryFixes(
  finding: Finding,
  all: readonly Finding[],
  source: Source,
): Generator<void, readonly Fix[]> {
  const wrong = new Set(all.map(seqOf));
  const known = new Set(all.map(summaryOf));
  const fixes: Fix[] = [];
  for (const candidate of candidatesFor(finding, source)) {
    yield;
    const found = yield* whatIf(source, source.branch, candidate.edit, wrong);
    fixes.push({
      verdict: verdictOf(found, summaryOf(finding), known),
      change: candidate.change,
      findings: found?.findings.length ?? all.length,
      rerun: rerunOf(candidate, source.branch.name),
    });
  }
  // Sorting is stable: the candidates came smallest first.
  return fixes.sort((a, b) => ORDER.indexOf(a.verdict) - ORDER.indexOf(b.verdict));
}

const ORDER = Object.keys(fixVerdicts);

function verdictOf(found: WhatIf | undefined, summary: string, known: ReadonlySet<string>): FixVerdict {
  if (found === undefined) return 'refused';
  const left = found.findings.map(summaryOf);
  if (left.includes(summary)) return 'left';
  if (found.differing > 0 || left.some((each) => !known.has(each))) return 'other';
  return left.length === 0 ? 'clean' : 'gone';
}

function rerunOf({ edit, set }: Candidate, branch: string): string {
  const { drop, after, lines } = edit;
  if (set !== undefined) return `backwalk rerun ${branch}@${after} --set ${set}`;
  const text = lines.map((line) => `'${JSON.stringify(line)}'`).join(' ');
  const dropped = drop === undefined ? '' : ` --drop ${drop}`;
  return `printf '%s\\n' ${text} | backwalk rerun ${branch}@${after}${dropped} --insert ${after} -`;
}
