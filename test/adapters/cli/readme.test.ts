/** Every `npx backwalk` line of the README's examples is typed as it stands there. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { openShell } from './backwalk.ts';

const readme = readFileSync('README.md', 'utf8');
const blocks = [...readme.matchAll(/```sh\n(.*?)```/gs)].map(([, text]) => text ?? '');

/** The words of a line as a shell splits them, without its comment. */
function wordsOf(line: string): readonly string[] {
  return [...line.matchAll(/'([^']*)'|(#.*)|(\S+)/g)].flatMap(([, quoted, , bare]) => quoted ?? bare ?? []);
}

describe('the examples of the README', () => {
  for (const block of blocks) {
    const lines = block.split('\n').filter((line) => line.startsWith('npx backwalk'));
    if (lines.length === 0) continue;
    const shell = openShell();
    for (const line of lines)
      it(line, { timeout: 120_000 }, async () => {
        const args = wordsOf(line).slice(2);
        const placed = args.map((arg) => (arg.endsWith('.bw') ? `${shell.folder}/${arg}` : arg));
        const said = await shell.backwalk(...placed);
        expect(said.err.filter((each) => each.startsWith('error'))).toEqual([]);
        expect(said.code).toBe(line.includes('exit 1') ? 1 : 0);
        expect(said.out.length).toBeGreaterThan(0);
      });
  }
});
