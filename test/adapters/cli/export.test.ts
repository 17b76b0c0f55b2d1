/** `export scenario`: the file runs again with the same entries, whole or not at all. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { jsonl, story } from '../story.ts';
import { openShell } from './backwalk.ts';

const shell = openShell();
const file = join(shell.folder, 'out.jsonl');

beforeAll(async () => {
  await shell.backwalk('run', shell.file('story.jsonl', jsonl(story())));
}, 60_000);

/** Entries as `log --json` says them, without positions and lines. */
async function logOf(branch: string): Promise<readonly string[]> {
  const { out } = await shell.backwalk('log', branch, '--json');
  return out.map((line) => line.replaceAll(/"(position|line)":("[^"]*"|\d+),?/g, '').replace(/,\}$/, '}'));
}

describe('export scenario', () => {
  it('runs again with the same entries and labels', async () => {
    const { code, out } = await shell.backwalk('export', 'scenario', '-o', file);
    expect([code, out]).toEqual([
      0,
      [expect.stringMatching(/^main@66 .*out\.jsonl {2}19 lines, 66 entries$/)],
    ]);
    expect(readFileSync(file, 'utf8')).toContain('{"op":"label","name":"mapped"}');
    const ran = await shell.backwalk('run', file, '--as', 'again');
    expect(ran.code).toBe(1);
    expect(await logOf('again')).toEqual(await logOf('main'));
  });

  it('says the lines on standard output without -o', async () => {
    const { code, out } = await shell.backwalk('export', 'scenario', 'main');
    expect(code).toBe(0);
    expect(`${out.join('\n')}\n`).toBe(readFileSync(file, 'utf8'));
  });

  it('exports a part', async () => {
    const { code, out } = await shell.backwalk('export', 'scenario', '@{mapped}');
    expect(code).toBe(0);
    expect(out.at(-1)).toBe('{"op":"label","name":"mapped"}');
  });

  it('tells each turn of a branch that was forked between two', async () => {
    const { out } = await shell.backwalk('log', 'main', '--type', 'turn', '--json');
    const turn = (JSON.parse(out[0] ?? '{}') as { position: string }).position;
    await shell.backwalk('fork', 'torn', `${turn}~1`);
    await shell.piped('{"op":"mem.read","pa":"0x40000000","bytes":8}\n', 'run', '-', '--on', 'torn');
    const said = await shell.backwalk('export', 'scenario', 'torn', '-o', file);
    expect([said.code, said.err]).toEqual([0, []]);
    expect(readFileSync(file, 'utf8')).toContain('"schedule":"manual"');
    await shell.backwalk('run', file, '--as', 'torn-again');
    expect(await logOf('torn-again')).toEqual(await logOf('torn'));
  });

  // biome-ignore format: a table
  const rubbish: readonly (readonly [args: string, message: RegExp])[] = [
    ['export',                                 /missing required argument 'kind'/],
    ['export vcd',                             /expected one of scenario, found "vcd"/],
    ['export scenario nowhere',                /expected a branch/],
    ['export scenario -o /no/such/folder/x',   /cannot write \/no\/such\/folder\/x/],
  ];
  it.each(rubbish)('refuses %s', async (args, message) => {
    const { code, err } = await shell.backwalk(...args.split(' '));
    expect(code).toBe(2);
    expect(err.join('\n')).toMatch(message);
  });

  it('leaves nothing behind', () => {
    expect(readdirSync(shell.folder).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });
});
