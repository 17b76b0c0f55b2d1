/**
 * `check --fix`: what it calls clean is clean when its command line is typed; it changes nothing, and Ctrl-C
 * leaves nothing behind.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { encodeCommand } from '../../../core/smmu/command-layout.ts';
import type { Finding } from '../../../projections/finding.ts';
import { shellLines } from '../../../projections/shell-lines.ts';
import { guestUnmap, unmapWithQuirk } from '../../support/kernel-story.ts';
import { at, boot, dma, jsonl, machine, map, register, store, unmap } from '../story.ts';
import { openShell, type Shell } from './backwalk.ts';

type Fix = NonNullable<Finding['fixes']>[number];

const tlbi = encodeCommand('CMD_TLBI_NH_VA', { ASID: 7, Address: at.iova, Leaf: true });
const sync = encodeCommand('CMD_SYNC', { CS: 'SIG_NONE' });
const ready = [machine, ...boot(), map];
/** The page becomes a table while its TLB entry may be there. */
const reuse = { op: 'mem.write', pa: '0x40051008', u64: [`0x${(at.page + 3).toString(16)}`] };
const scenario = (name: string): string => readFileSync(`test/scenario/${name}.jsonl`, 'utf8');

interface Case {
  readonly name: string;
  readonly story: string;
  /** What the first repair says. */
  readonly first: RegExp;
  /** All verdicts, in order. */
  readonly verdicts: readonly string[];
}

// biome-ignore format: a table
const cases: readonly Case[] = [
  { name: 'a missing command',     story: jsonl([...ready, dma, unmap, dma]),                        first: /^add after main@\d+: CMD_TLBI_NH_VA .*; CMD_SYNC$/, verdicts: ['clean'] },
  { name: 'a missing CMD_SYNC',    story: jsonl([...ready, dma, unmap, store(at.cmdq, tlbi), register('CMDQ_PROD', 1), reuse]), first: /^add CMD_SYNC after main@\d+$/, verdicts: ['clean', 'clean'] },
  { name: 'a command too early',   story: jsonl([...ready, store(at.cmdq, tlbi), store(at.cmdq + 16, sync), register('CMDQ_PROD', 2), dma, unmap, dma]), first: /^move the command of main@\d+ behind main@\d+$/, verdicts: ['clean'] },
  { name: 'a wrong tag',           story: scenario('bad-asid-of-another'),       first: /^say instead of the command of main@\d+: CMD_TLBI_NH_VA ASID=5 Leaf=1 Address=0x4000$/, verdicts: ['clean', 'clean'] },
  { name: 'a short range',         story: scenario('bad-range-one-page-short'),  first: /^say instead of .* NUM=3 ASID=5/, verdicts: ['clean', 'clean', 'clean'] },
  { name: 'Leaf=1 for a table',    story: scenario('bad-table-unlinked-leaf-1'), first: /^say instead of .*: CMD_TLBI_NH_VA ASID=5 Address=0x4000$/, verdicts: ['clean', 'clean'] },
  { name: 'a quirk of a VMM',      story: jsonl(guestUnmap),                     first: /^set vm0\.quirks\.swallow-invalidations=false at main@\d+$/, verdicts: ['clean', 'clean'] },
  { name: 'a quirk of the driver', story: jsonl(unmapWithQuirk),                 first: /^set smmu0\.quirks\.skip-tlbi=false at main@\d+$/, verdicts: ['clean', 'left'] },
];

async function fixesOf(shell: Shell): Promise<readonly Fix[]> {
  const { code, out, err } = await shell.backwalk('check', '--fix', '--json');
  expect(err).toEqual([]);
  expect(code).toBe(1);
  return (JSON.parse(out[0] ?? '{}') as Finding).fixes ?? [];
}

/** Types the command line of a repair; the lines that `printf` would say come on standard input. */
async function typed(shell: Shell, { rerun }: Fix, name: string): Promise<void> {
  const [said = '', command = said] = rerun.split(' | ');
  const input = [...said.matchAll(/'([^']*)'/g)].map(([, text]) => text).slice(1);
  const words = command.replace(/^backwalk /, '').split(' ');
  const done = await shell.piped(`${input.join('\n')}\n`, ...words, '--as', name);
  // Exit 1: what follows differs; 0: the command itself is all that does.
  expect(done.err).toEqual([]);
  expect(done.code).toBeLessThan(2);
}

describe.each(cases)('$name', ({ story, first, verdicts }) => {
  const shell = openShell();

  it('is repaired, and the commands do it by hand', async () => {
    await shell.backwalk('run', shell.file('story.jsonl', story));
    const fixes = await fixesOf(shell);
    expect(fixes[0]?.change).toMatch(first);
    expect(fixes.map(({ verdict }) => verdict)).toEqual(verdicts);
    for (const [nth, fix] of fixes.entries()) {
      await typed(shell, fix, `fix-${nth}`);
      // The driver releases the IOVA in the very turn that leaves the invalidation out: no command comes between.
      const code = fix.verdict === 'clean' ? 0 : 1;
      expect((await shell.backwalk('check', `fix-${nth}`)).code).toBe(code);
    }
  });
});

describe('repairs', () => {
  it('that change more, or do not help, are told as such', async () => {
    const shell = openShell();
    await shell.backwalk('run', shell.file('story.jsonl', scenario('bad-iommufd-batch-per-block')));
    const fixes = await fixesOf(shell);
    const other = fixes.find(({ change }) => change.includes('batchRule=validate-first'));
    expect(other).toMatchObject({ verdict: 'other', findings: 1 });
    expect(fixes.at(-1)).toMatchObject({ verdict: 'left', findings: 1 });
    const { out } = await shell.backwalk('check', '--fix');
    expect(out.join('\n')).toContain('\nRepairs tried:\n this one gone, 1 left: add after main@');
    for (const line of out) expect(line.length).toBeLessThanOrEqual(80);
  });

  it('change nothing that is stored, not even when Ctrl-C is pressed among them', async () => {
    const shell = openShell();
    await shell.backwalk('run', shell.file('story.jsonl', scenario('bad-range-one-page-short')));
    const seen = async () => [
      (await shell.backwalk('branch', '--json')).out,
      (await shell.backwalk('log', '--json')).out,
    ];
    const before = await seen();
    await shell.backwalk('check', '--fix');
    expect(await seen()).toEqual(before);
    for (const looks of [0, 1, 2, 3]) {
      const { code, out } = await shell.stopped(looks, 'check', '--fix');
      expect([code, out]).toEqual([130, []]);
      expect(await seen()).toEqual(before);
    }
  });
});

describe('a command line in lines', () => {
  const long = JSON.stringify({
    op: 'command.issue',
    words: 'x'.repeat(90),
    fields: { Address: '0x1000', more: 'y'.repeat(40) },
  });

  it('fits 80 columns, and a shell reads it as it was', () => {
    const command = `printf '%s\\n' '${long}' '{"op":"run"}' short`;
    const lines = shellLines(command);
    for (const line of lines) expect(line.length).toBeLessThanOrEqual(80);
    const said = execFileSync('sh', ['-c', lines.join('\n')], { encoding: 'utf8' });
    expect(said).toBe(`${long}\n{"op":"run"}\nshort\n`);
  });
});
