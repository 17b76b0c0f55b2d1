/**
 * Baselines: the findings that were there when somebody began to look, by their SUMMARY. A check against
 * one fails on what is new only.
 */
import type { Finding } from '../../projections/finding.ts';
import { summaryOf } from '../../projections/summary.ts';
import { count, text } from '../scenario/values.ts';
import { writeWhole } from '../whole-file.ts';
import { readRecords } from './records.ts';

/** Fields of a line of a baseline. */
export const baselineFields = {
  summary: { kind: text, doc: 'the SUMMARY of a finding' },
  count: {
    kind: count(1, Number.MAX_SAFE_INTEGER),
    optional: true,
    doc: 'how often it was found; for people',
  },
} as const;

/** The SUMMARY of each finding that is known. */
export function readBaseline(file: string): ReadonlySet<string> {
  return new Set(readRecords(file, baselineFields).map(({ summary }) => summary));
}

/** Keeps the findings as a baseline; returns how many bugs they are. */
export function writeBaseline(file: string, found: readonly Finding[]): number {
  const counts = new Map<string, number>();
  for (const finding of found) {
    const summary = summaryOf(finding);
    counts.set(summary, (counts.get(summary) ?? 0) + 1);
  }
  const lines = [...counts].sort(([a], [b]) => (a < b ? -1 : 1));
  writeWhole(file, [
    '// Findings that are known: backwalk check --baseline fails on others only.',
    ...lines.map(([summary, times]) => JSON.stringify({ summary, count: times })),
  ]);
  return counts.size;
}
