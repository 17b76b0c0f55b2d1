/** Scenarios from pipes and modules. */
import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { jsonLines, readScenario } from '../../../adapters/scenario/reader.ts';
import { openShell } from '../cli/backwalk.ts';
import { jsonl, story } from '../story.ts';

const module = new URL('story.scenario.ts', import.meta.url).pathname;

describe('JSON Lines', () => {
  it('come whole however the stream is cut, with the numbers of their lines', async () => {
    const text = '// first\n{"op":"a"}\r\n\n  {"op":"\u00e9"}\n{"op":"c"}';
    const bytes = Buffer.from(text);
    for (let size = 1; size <= bytes.length; size += 1) {
      const pieces = Array.from({ length: Math.ceil(bytes.length / size) }, (_, at) =>
        bytes.subarray(at * size, at * size + size),
      );
      const read: unknown[] = [];
      for await (const { lines } of jsonLines(Readable.from(pieces), 'test')) {
        for (const line of lines) read.push([line.place.line, line.read()]);
      }
      expect(read, `pieces of ${size}`).toEqual([
        [2, { op: 'a' }],
        [4, { op: '\u00e9' }],
        [5, { op: 'c' }],
      ]);
    }
  });

  it('are a problem only when their turn comes', async () => {
    for await (const { lines } of jsonLines(Readable.from(['{"op":\n']), 'test')) {
      for (const line of lines)
        expect(() => line.read()).toThrow('test:1: expected a JSON object, found what is no JSON');
    }
  });
});

describe('a module', () => {
  it('yields the same objects, and hears the answers', async () => {
    const shell = openShell();
    const said = await shell.backwalk('run', '--json', module);
    expect(said.err).toEqual([]);
    const results = said.out.map((line) => JSON.parse(line));
    expect(results.filter(({ op }) => op === 'dma').map(({ outcome }) => outcome.result)).toEqual([
      'ok',
      'abort',
    ]);
    expect(results.at(-1).summary).toMatchObject({ checksFailed: 0 });
    expect(said.code).toBe(0);
  });

  it('is refused without a scenario in it', async () => {
    const shell = openShell();
    const file = shell.file('none.ts', 'export default 7;\n');
    expect(await shell.backwalk('run', file)).toEqual({
      code: 2,
      out: [],
      err: [`backwalk: ${file}: expected a default export made by scenario()`],
    });
    const broken = shell.file('broken.ts', 'export default (;\n');
    expect((await shell.backwalk('run', broken)).err[0]).toMatch(/^backwalk: cannot load .*broken\.ts: /);
  });

  it('is told apart by its name', async () => {
    const chunks = [];
    for await (const chunk of readScenario(module, Readable.from([]))) {
      chunks.push(chunk);
      if (chunks.length === 2) break;
    }
    expect(chunks).toHaveLength(2);
  });
});

describe('standard input', () => {
  it('is answered line by line', async () => {
    const shell = openShell();
    const said = await shell.piped(jsonl(story()), 'run', '-', '--json');
    expect(said.out).toHaveLength(story().length + 1);
    expect(JSON.parse(said.out[12] ?? '')).toMatchObject({
      line: 13,
      op: 'dma',
      position: 'main@34',
      outcome: { result: 'ok', pa: '0x40100000' },
    });
    expect(said.code).toBe(1);
  });
});
