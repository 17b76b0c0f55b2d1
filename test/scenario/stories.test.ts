/**
 * The stories told in scenario files. A `good-` story ends clean and all it expects comes true; its
 * `bad-` twin differs by what the driver forgot, and the findings name that.
 */
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import type { Finding } from '../../projections/finding.ts';
import { openShell } from '../adapters/cli/backwalk.ts';

const here = fileURLToPath(new URL('.', import.meta.url));
const files = readdirSync(here).filter((name) => name.endsWith('.jsonl'));

/** What each bad story must be found to be: verdict, and what is missing. */
const expected: Readonly<
  Record<string, { readonly verdict: string; readonly needed: RegExp; readonly blamed: RegExp }>
> = {
  'bad-unmap-without-tlbi.jsonl': {
    verdict: 'used-stale',
    needed: /^CMD_TLBI_NH_VA .*Address=0x4000/,
    blamed: /0x103020/,
  },
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
    const wanted = expected[file];
    if (wanted === undefined) {
      expect(file).toMatch(/^good-/);
      expect(findings).toEqual([]);
      return;
    }
    expect(findings.map(({ verdict }) => verdict)).toEqual([wanted.verdict]);
    expect(findings[0]?.missing.needed).toMatch(wanted.needed);
    expect(findings[0]?.blame.what).toMatch(wanted.blamed);
  });
});
