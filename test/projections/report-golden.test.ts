/**
 * The reports of findings as golden text: what people paste into mails must not change unseen. Each row of
 * `report-cases.ts` is a file under `test/golden/reports`, and each file there has its row.
 */
import { readdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { Finding } from '../../projections/finding.ts';
import { report } from '../../projections/report.ts';
import { rules } from '../../projections/rules.ts';
import { summaryOf } from '../../projections/summary.ts';
import { tellMore } from '../../projections/told.ts';
import { findingsOf, type Recorded } from '../support/entries.ts';
import { hasKernel, reportCases } from './report-cases.ts';

const FOLDER = 'test/golden/reports';

function told(log: Recorded): readonly Finding[] {
  const read = (from: number, to: number) => log.entries.slice(from - 1, to);
  return tellMore(findingsOf(log), read, hasKernel(log));
}

describe.each(reportCases)('$name', ({ name, rule, verdict, log }) => {
  it(`is told as ${rule} ${verdict}`, async () => {
    const found = told(await log()).find((each) => each.rule === rule && each.verdict === verdict);
    if (found === undefined) throw new Error(`expected a finding of ${rule}, ${verdict}`);
    const text = report(found);
    for (const line of text.split('\n')) {
      // A key is never folded.
      if (!line.startsWith('SUMMARY: ')) expect(line.length).toBeLessThanOrEqual(80);
      expect(line).toBe(line.trimEnd());
    }
    expect(text.split('\n').filter((line) => line.startsWith('SUMMARY: '))).toEqual([
      `SUMMARY: ${summaryOf(found)}`,
    ]);
    await expect(text).toMatchFileSnapshot(`../golden/reports/${name}.txt`);
  });
});

describe('the golden reports', () => {
  it('all have a row, and the row a rule of the table with that verdict', () => {
    const names = reportCases.map(({ name }) => `${name}.txt`);
    expect(readdirSync(FOLDER).sort()).toEqual([...names].sort());
    for (const { rule, verdict } of reportCases)
      expect(rules.find(({ id }) => id === rule)?.verdicts).toContain(verdict);
  });
});
