/** `new`: the library of scenarios, listed and copied out. */
import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { openShell } from './backwalk.ts';

const shell = openShell();

describe('new', () => {
  it('lists every scenario with its first comment', async () => {
    const rows = (await shell.backwalk('--json', 'new')).out.map(
      (line) => JSON.parse(line) as { name: string; about: string },
    );
    expect(rows.length).toBeGreaterThan(30);
    expect(rows.filter(({ about }) => about === '')).toEqual([]);
  });

  it('copies one out, which runs, and never writes over a file', async () => {
    const file = `${shell.folder}/mine.jsonl`;
    expect(await shell.backwalk('new', file, '--from', 'good-vm-nested-boot')).toMatchObject({ code: 0 });
    expect(readFileSync(file, 'utf8')).toBe(readFileSync('test/scenario/good-vm-nested-boot.jsonl', 'utf8'));
    expect((await shell.backwalk('run', file)).code).toBe(0);
    const again = await shell.backwalk('new', file, '--from', 'good-vm-emulated-boot');
    expect(again.code).toBe(2);
    expect(again.err.join(' ')).toContain('which there is already');
  });

  it('says what a mistyped name may have meant', async () => {
    const said = await shell.backwalk('new', `${shell.folder}/other.jsonl`, '--from', 'good-vm-nested-bot');
    expect(said.code).toBe(2);
    expect(said.err.join(' ')).toContain('did you mean good-vm-nested-boot');
    expect(existsSync(`${shell.folder}/other.jsonl`)).toBe(false);
  });
});
