/** `check --suppress`, `--baseline`, `--write-baseline`: what they let pass, what they refuse, the exit codes. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Finding } from '../../../projections/finding.ts';
import { dma, jsonl, map, story, unmap } from '../story.ts';
import { openShell } from './backwalk.ts';

const shell = openShell();
const SUMMARY = 'stale-translation-used I3 used-stale leaf by outside: TLBI_NH_VA';

beforeAll(async () => {
  await shell.backwalk('run', shell.file('story.jsonl', jsonl(story())));
}, 60_000);

const suppression = (fields: object): string => shell.file('suppress.jsonl', jsonl([fields]));

describe('a finding', () => {
  it('tells its SUMMARY, its ticks and the smallest change', async () => {
    const { code, out } = await shell.backwalk('check', '--json');
    const [finding] = out.map((line) => JSON.parse(line) as Finding);
    expect(code).toBe(1);
    expect(finding).toMatchObject({ summary: SUMMARY, dirtyTicks: 1 });
    expect(finding?.smallest).toBe(`add CMD_TLBI_NH_VA, CMD_SYNC after ${finding?.blame.position}`);
  });
});

describe('--suppress', () => {
  // biome-ignore format: a table
  const fitting: readonly object[] = [
    { rule: 'I3', place: 'outside',        reason: 'known' },
    { rule: '*',  place: 'nvme0',          reason: 'known' },
    { rule: 'coverage', place: '0x40052008', reason: 'known' },
    { rule: 'I3', place: 'leaf *',         reason: 'known' },
    { rule: 'I3', place: 'line:*',         reason: 'known' },
    { rule: 'I3', place: SUMMARY,          reason: 'known' },
  ];
  it.each(fitting)('leaves out what is meant by %o', async (fields) => {
    const { code, out, err } = await shell.backwalk('check', '--suppress', suppression(fields));
    expect(code).toBe(0);
    expect(out).toEqual(['main@66  0 findings']);
    expect(err).toEqual([expect.stringMatching(/suppress\.jsonl:1: 1 finding suppressed: known$/)]);
  });

  // biome-ignore format: a table
  const others: readonly object[] = [
    { rule: 'I2', place: 'outside', reason: 'another rule' },
    { rule: 'I3', place: 'outsid',  reason: 'another actor' },
    { rule: 'I3', place: 'nvme.',   reason: 'no pattern but the star' },
  ];
  it.each(others)('lets the rest stand, and tells of %o', async (fields) => {
    const { code, err } = await shell.backwalk('check', '--suppress', suppression(fields));
    expect(code).toBe(1);
    expect(err).toEqual([expect.stringMatching(/suppress\.jsonl:1: nothing found to suppress: I\d at/)]);
  });

  // biome-ignore format: a table
  const rubbish: readonly (readonly [text: string, message: string])[] = [
    ['{"rule":"I3","place":"x"}',                            ':1: reason: expected a text, found nothing'],
    ['// why\n\n{"rule":"I99","place":"x","reason":"y"}',    ':3: rule: expected the id or name of a rule (`help rules`), or "*" (did you mean I9?), found "I99"'],
    ['{"rule":"I3","place":"","reason":"y"}',                ':1: place: expected a text, found ""'],
    ['{"rule":"I3","place":"x","reason":"y","until":3}',     ':1: unknown field "until", expected rule, place, reason'],
    ['{"rule":',                                             ':1: expected a JSON object, found what is no JSON'],
    ['[1]',                                                  ':1: expected a JSON object, found [1]'],
  ];
  it.each(rubbish)('refuses %s', async (text, message) => {
    const file = shell.file('rubbish.jsonl', text);
    const { code, out, err } = await shell.backwalk('check', '--suppress', file);
    expect([code, out]).toEqual([2, []]);
    expect(err.join('\n')).toContain(`backwalk: ${file}${message}`);
  });

  it('refuses a file that is not there', async () => {
    const { code, err } = await shell.backwalk('check', '--suppress', join(shell.folder, 'none'));
    expect([code, err[0]]).toEqual([2, expect.stringMatching(/^backwalk: cannot read .*none/)]);
  });
});

describe('--baseline', () => {
  const file = join(shell.folder, 'baseline.jsonl');

  it('is written of all that is found, and then nothing fails', async () => {
    const { code, err } = await shell.backwalk('check', '--write-baseline', file, '--brief');
    expect([code, err]).toEqual([0, [`backwalk: ${file}: 1 known bug written`]]);
    expect(readFileSync(file, 'utf8').split('\n')[1]).toBe(JSON.stringify({ summary: SUMMARY, count: 1 }));
    const again = await shell.backwalk('check', '--baseline', file);
    expect([again.code, again.out]).toEqual([0, ['main@66  0 findings']]);
  });

  it('fails on what is new only', async () => {
    const other = { ...unmap, pa: '0x40020000', u64: [0] };
    await shell.backwalk('run', shell.file('two.jsonl', jsonl([...story(), map, dma, other, dma])));
    const { code, out, err } = await shell.backwalk('check', '--baseline', file, '--json');
    expect([code, err]).toEqual([1, ['backwalk: 1 finding known to the baseline']]);
    expect(out.map((line) => (JSON.parse(line) as Finding).summary)).toEqual([
      'stale-cd-used I8 used-stale CD by outside: CFGI_CD',
    ]);
  });

  it('refuses what it did not write', async () => {
    const wrong = shell.file('wrong.jsonl', '{"summary":7}\n');
    const { code, err } = await shell.backwalk('check', '--baseline', wrong);
    expect([code, err]).toEqual([2, [`backwalk: ${wrong}:1: summary: expected a text, found 7`]]);
  });

  it('leaves nothing behind where it cannot be written', async () => {
    const nowhere = join(shell.folder, 'none', 'baseline.jsonl');
    const { code, err } = await shell.backwalk('check', '--write-baseline', nowhere);
    expect([code, err.at(-1)]).toEqual([2, expect.stringMatching(/^backwalk: cannot write/)]);
    expect(existsSync(nowhere)).toBe(false);
  });
});

describe('a history without entries', () => {
  it('cannot be judged: exit 125', async () => {
    await shell.backwalk('fork', 'empty', 'main@0');
    const { code, err } = await shell.backwalk('check', 'empty');
    expect([code, err]).toEqual([125, ['backwalk: empty holds no entry: there is nothing to judge']]);
  });
});

describe('help findings', () => {
  it('tells the fields of both files and every word of a repair, in 80 columns', async () => {
    const { code, out } = await shell.backwalk('help', 'findings');
    expect(code).toBe(0);
    for (const word of ['rule', 'place', 'reason', 'summary', 'count?', 'clean', 'refused', 'excess'])
      expect(out.some((line) => line.startsWith(`  ${word} `))).toBe(true);
    for (const line of out) expect(line.length).toBeLessThanOrEqual(80);
  });
});
