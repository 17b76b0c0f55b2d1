/**
 * The stories told in scenario files. A `good-` story ends clean and all it expects comes true; its
 * `bad-` twin differs by what the driver forgot, and the findings name that.
 */
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import type { Finding } from '../../projections/finding.ts';
import { openShell } from '../adapters/cli/backwalk.ts';
import { furtherStories } from './further-stories.ts';
import { harmStories, type Wanted } from './harm-stories.ts';
import { protocolStories } from './protocol-stories.ts';
import { svaStories } from './sva-stories.ts';

const here = fileURLToPath(new URL('.', import.meta.url));
const files = readdirSync(here).filter((name) => name.endsWith('.jsonl'));

/** Rules that the surprises of real software break; the others break none. */
const surprises: Readonly<Record<string, readonly string[]>> = {
  'surprise-bad-ste-is-cerror-ill.jsonl': ['I10', 'I10'],
  'surprise-bad-ste-leaves-the-stream-aborting.jsonl': ['I10', 'I10'],
  'surprise-batch-error-loses-what-came-before.jsonl': ['I6'],
  'surprise-dirty-bits-cleared-without-tlbi.jsonl': ['I3'],
  'surprise-host-cerror-is-success-for-the-guest.jsonl': ['I10'],
  'surprise-vm-where-vmms-differ.jsonl': ['I10'],
};

describe.each(files)('%s', (file) => {
  const shell = openShell();

  it('ends as its name says', async () => {
    const ran = await shell.backwalk('run', `${here}${file}`, '--json');
    const { summary } = JSON.parse(ran.out.at(-1) ?? '{}') as {
      summary: { findings: number; checksFailed: number };
    };
    expect(summary.checksFailed).toBe(0);
    const check = await shell.backwalk('check', '--json');
    const findings = check.out.map((line) => JSON.parse(line) as Finding);
    const wanted: Wanted | undefined =
      harmStories[file] ?? protocolStories[file] ?? furtherStories[file] ?? svaStories[file];
    if (wanted === undefined) {
      expect(file).toMatch(/^(good|surprise)-/);
      expect(findings.map(({ rule }) => rule)).toEqual(surprises[file] ?? []);
      return;
    }
    const { first = [], last = [], times = 1 } = wanted;
    const verdicts = [...first, ...Array<string>(times).fill(wanted.verdict), ...last];
    expect(findings.map(({ verdict }) => verdict)).toEqual(verdicts);
    const finding = findings[first.length];
    if (wanted.rule) expect(finding?.rule).toBe(wanted.rule);
    expect(finding?.missing.needed).toMatch(wanted.needed);
    expect(finding?.blame.what).toMatch(wanted.blamed);
    if (wanted.nearest) expect(finding?.missing.nearest.why).toMatch(wanted.nearest);
  });
});
