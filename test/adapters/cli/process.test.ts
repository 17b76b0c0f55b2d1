/** What only a process of its own shows: pipes, signals, a reader that goes away. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, expect, it } from 'vitest';
import { boot, dma, jsonl, machine, map, story } from '../story.ts';
import { openShell } from './backwalk.ts';

const main = new URL('../../../adapters/cli/main.ts', import.meta.url).pathname;
const shell = openShell();

function start(...args: string[]): ChildProcessWithoutNullStreams & { readonly errors: () => string } {
  const child = spawn(process.execPath, ['--import', 'tsx', main, ...args], {
    env: { ...process.env, BACKWALK_STORE: shell.store },
  });
  let errors = '';
  child.stderr.on('data', (text) => {
    errors += text;
  });
  return Object.assign(child, { errors: () => errors });
}

const many = () => [machine, ...boot(), map, ...Array.from({ length: 20_000 }, () => dma)];

describe('a process', () => {
  it('answers each line on a pipe before the next is written', async () => {
    const child = start('run', '-', '--json', '--as', 'piped');
    const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    for (const [at, line] of story().entries()) {
      child.stdin.write(`${JSON.stringify(line)}\n`);
      const answer = JSON.parse((await answers.next()).value);
      expect(answer).toMatchObject({ line: at + 1, op: line.op });
    }
    child.stdin.end();
    expect(JSON.parse((await answers.next()).value).summary).toMatchObject({
      head: 'piped@66',
      checksFailed: 0,
    });
    expect(await once(child, 'close')).toEqual([1, null]);
  });

  it('stops at Ctrl-C, and what it acknowledged is stored', async () => {
    const child = start('run', '-', '--json', '--as', 'stopped');
    const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    child.stdin.write(jsonl([machine, ...boot()]));
    let answer = { position: '' };
    for (let lines = 0; lines < 10; lines += 1) answer = JSON.parse((await answers.next()).value);
    child.kill('SIGINT');
    expect(await once(child, 'close')).toEqual([130, null]);
    expect(child.errors()).toContain(
      `backwalk: interrupted; 10 lines ran; all up to ${answer.position} is stored\n`,
    );
    expect((await shell.backwalk('log', 'stopped', '-n', '1')).out[0]).toContain(answer.position);
  });

  it('stops when nobody reads any more, and says how far it came', async () => {
    const child = start('run', '--json', '--as', 'unread', shell.file('many.jsonl', jsonl(many())));
    await once(child.stdout, 'data');
    child.stdout.destroy();
    expect(await once(child, 'close')).toEqual([125, null]);
    expect(child.errors()).toMatch(
      /backwalk: nobody reads the output any more; \d+ lines ran; all up to unread@\d+ is stored\n$/,
    );
    expect((await shell.backwalk('verify', 'unread', '--rerun')).code).toBe(0);
  });

  it('lets a view end early in a pipe without a word', async () => {
    const child = start('log', 'unread');
    await once(child.stdout, 'data');
    child.stdout.destroy();
    expect(await once(child, 'close')).toEqual([0, null]);
    expect(child.errors()).toBe('');
  });

  it('prints no colour and no stack trace, but with BACKWALK_DEBUG=1', async () => {
    process.env['BACKWALK_DEBUG'] = '1';
    const child = start('show', 'main@nowhere');
    delete process.env['BACKWALK_DEBUG'];
    expect(await once(child, 'close')).toEqual([2, null]);
    expect(child.errors()).toContain('    at ');
    expect(child.errors()).not.toContain('\u001b');
  });
});

describe('work that is cut off', () => {
  const file = shell.file('long.jsonl', jsonl([...story(), ...many().slice(1)]));
  const target = join(shell.folder, 'target.jsonl');
  const linesOf = () =>
    readFileSync(target, 'utf8')
      .split('\n')
      .filter((line) => line !== '');

  it('leaves no half file when an export is killed', { timeout: 60_000 }, async () => {
    await shell.backwalk('run', file, '--as', 'long');
    for (const wait of [400, 700, 1000]) {
      const child = start('export', 'scenario', 'long', '-o', target);
      const timer = setTimeout(() => child.kill('SIGKILL'), wait);
      await once(child, 'close');
      clearTimeout(timer);
      if (existsSync(target)) expect(linesOf().length).toBeGreaterThan(20_000);
    }
    expect((await shell.backwalk('verify')).code).toBe(0);
  });

  it('keeps the smallest so far when Ctrl-C stops a shrink', { timeout: 60_000 }, async () => {
    const child = start('shrink', file, '-o', target);
    setTimeout(() => child.kill('SIGINT'), 2_500);
    const [code] = (await once(child, 'close')) as [number];
    // On a fast machine it may be done before.
    expect([0, 130]).toContain(code);
    expect(linesOf()[1]).toMatch(/^\/\/ SUMMARY: stale-translation-used/);
    expect(child.errors()).toBe(
      code === 130 ? 'backwalk: interrupted; what was the smallest then is kept\n' : '',
    );
  });
});
