/** `shrink`: small files that show the same, from files and from histories; stopped half-way it keeps the best. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Finding } from '../../../projections/finding.ts';
import { dma, jsonl, map, register, story, unmap } from '../story.ts';
import { openShell } from './backwalk.ts';

const shell = openShell();
const SUMMARY = 'stale-translation-used I3 used-stale leaf by outside: TLBI_NH_VA';
const CONTEXT = 'stale-cd-used I8 used-stale CD by outside: CFGI_CD';
const small = join(shell.folder, 'small.jsonl');
const noise = Array.from({ length: 30 }, (_, at) => ({
  op: 'mem.write',
  pa: 0x4020_0000 + at * 8,
  u64: [at],
}));
const lines = [...story(), ...noise, map, dma, { ...unmap, pa: '0x40020000' }, dma, register('IRQ_CTRL', 0)];
const file = shell.file('story.jsonl', jsonl(lines));

beforeAll(async () => {
  await shell.backwalk('run', file);
}, 60_000);

/** What `check` says of a shrunk file that is run into a store of its own. */
async function findingsOf(path: string): Promise<readonly (string | undefined)[]> {
  const store = join(shell.folder, `${Math.floor(performance.now() * 1000)}.bw`);
  await shell.backwalk('run', path, '-s', store);
  const { out } = await shell.backwalk('check', '--json', '-s', store);
  return out.map((line) => (JSON.parse(line) as Finding).summary);
}

const linesOf = (path: string): readonly string[] =>
  readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('//'));

describe('shrink', () => {
  it('makes a small file of a file, with the same SUMMARY', { timeout: 60_000 }, async () => {
    const { code, out, err } = await shell.backwalk('shrink', file, '-o', small);
    expect([code, err]).toEqual([0, []]);
    expect(out.join(' ')).toMatch(/small\.jsonl .*\d+ of 55 lines, \d+ trials/);
    expect(linesOf(small).length).toBeLessThan(16);
    expect(await findingsOf(small)).toEqual([SUMMARY]);
    const text = readFileSync(small, 'utf8');
    for (const word of [
      '// SUMMARY: ',
      '// This is to blame.\n{"op":"mem.write","pa":"0x40005008"',
      '// What should be gone is used.\n{"op":"dma"',
    ])
      expect(text).toContain(word);
  });

  it('says the same for the same lines, on standard output', { timeout: 60_000 }, async () => {
    const { code, out } = await shell.backwalk('shrink', file);
    expect(code).toBe(0);
    expect(`${out.join('\n')}\n`).toBe(readFileSync(small, 'utf8'));
  });

  it('takes a history, and the finding with a SUMMARY', { timeout: 60_000 }, async () => {
    const { code, out } = await shell.backwalk('shrink', '--summary', CONTEXT, '-o', small, '--json');
    const said = JSON.parse(out[0] ?? '{}') as Record<string, unknown>;
    expect(code).toBe(0);
    expect(said).toMatchObject({ summary: CONTEXT, stopped: false, file: small });
    expect(await findingsOf(small)).toEqual([CONTEXT]);
    expect(said['lines']).toBe(linesOf(small).length);
  });

  it('takes the finding at a position', { timeout: 60_000 }, async () => {
    const checked = await shell.backwalk('check', '--json');
    const last = JSON.parse(checked.out.at(-1) ?? '{}') as Finding;
    const { out } = await shell.backwalk('shrink', last.position, '--json');
    expect(JSON.parse(out[0] ?? '{}')).toMatchObject({ summary: last.summary, file: null });
  });

  it('keeps the best so far when it is stopped', { timeout: 60_000 }, async () => {
    const { code, err } = await shell.stopped(1, 'shrink', file, '-o', small);
    expect(code).toBe(130);
    expect(err).toEqual(['backwalk: interrupted; what was the smallest then is kept']);
    expect(readFileSync(small, 'utf8')).toContain('; stopped before the end.');
    expect(await findingsOf(small)).toContain(SUMMARY);
  });

  // biome-ignore format: a table
  const rubbish: readonly (readonly [args: readonly string[], message: RegExp])[] = [
    [['shrink', 'none.jsonl'],                     /no file none\.jsonl/],
    [['shrink', 'nowhere'],                        /expected a branch/],
    [['shrink', 'main@3'],                         /main@3: expected a history with a finding, found none/],
    [['shrink', '--summary', 'x'],                 /--summary: expected one of "stale-translation-used .*found "x"/],
    [['shrink', file, '-o', '/no/such/folder/x'],  /cannot write \/no\/such\/folder\/x/],
    [['shrink', shell.file('bad.jsonl', '{"op":"machine"}\n{"op":"dmb"}\n')], /bad\.jsonl:2: op: expected one of/],
    [['shrink', shell.file('empty.jsonl', '')],    /empty\.jsonl: expected a history with a finding, found none/],
  ];
  it.each(rubbish)('refuses %o', { timeout: 60_000 }, async (args, message) => {
    const { code, err } = await shell.backwalk(...args);
    expect(code).toBe(2);
    expect(err.join('\n')).toMatch(message);
    expect(existsSync('/no/such/folder')).toBe(false);
  });
});
