/** Branches, reruns and bookmarks: nothing that is recorded ever changes. */
import { existsSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { dma, invalidate, jsonl, story, unmap } from '../story.ts';
import { openShell } from './backwalk.ts';

const shell = openShell();
let file = '';

beforeAll(async () => {
  file = shell.file('story.jsonl', jsonl(story()));
  await shell.backwalk('run', file);
});

describe('run', () => {
  it('makes a branch of its own in a store that holds something', async () => {
    const said = await shell.backwalk('run', file);
    expect(said.err).toEqual([
      'backwalk: the store holds main already; this run is run-2, now the current branch',
    ]);
    expect(said.out.join(' ')).toContain('run-2@66');
    expect((await shell.backwalk('show', 'run-2@{mapped}', '--json', 'schedule')).out).toEqual([
      '{"position":"run-2@22","path":"schedule","value":"eager"}',
    ]);
    await shell.backwalk('branch', 'main');
  });

  it('goes on at the head of a branch', async () => {
    await shell.backwalk('fork', 'more', '@22');
    const said = await shell.backwalk(
      'run',
      '--on',
      'more',
      '--json',
      shell.file('more.jsonl', jsonl([dma, unmap])),
    );
    expect(said.code).toBe(0);
    expect(said.out.map((line) => JSON.parse(line)).at(-1).summary).toEqual({
      entries: 14,
      turns: 0,
      findings: 0,
      checksFailed: 0,
      head: 'more@36',
    });
    expect((await shell.backwalk('log', 'more', '-n', '1')).out[0]).toContain('more@36');
    expect((await shell.backwalk('log', 'main', '-n', '1')).out[0]).toContain('main@66');
  });
});

describe('fork and branch', () => {
  it('lists where branches left', async () => {
    await shell.backwalk('fork', 'aside', 'main@34');
    const rows = (await shell.backwalk('branch', '--json')).out.map((line) => JSON.parse(line));
    expect(rows.find(({ name }) => name === 'aside')).toEqual({
      position: 'aside@34',
      name: 'aside',
      head: 34,
      parent: 'main@34',
      source: 'fork',
      current: false,
    });
    expect(rows.find(({ name }) => name === 'main')).toMatchObject({
      current: true,
      parent: null,
      source: file,
    });
  });

  it('removes a branch, but none that another left', async () => {
    await shell.backwalk('fork', 'first', 'main@34');
    await shell.backwalk('fork', 'second', 'first@20');
    const refused = await shell.backwalk('branch', '-d', 'first');
    expect(refused).toMatchObject({
      code: 2,
      err: ['backwalk: expected a branch that no other left, found first, which second left'],
    });
    expect((await shell.backwalk('branch', '-d', 'second')).code).toBe(0);
    expect((await shell.backwalk('branch', '-d', 'first')).code).toBe(0);
  });

  it('forks within a step, and the rest of it is another history', async () => {
    await shell.backwalk('fork', 'within', 'main@30');
    expect((await shell.backwalk('verify', '--rerun', 'within')).code).toBe(0);
    await shell.backwalk('run', '--on', 'within', shell.file('w.jsonl', jsonl([dma])));
    expect((await shell.backwalk('verify', '--rerun', 'within')).code).toBe(0);
  });
});

describe('rerun', () => {
  const rerun = async (...args: string[]) => {
    const said = await shell.backwalk('rerun', '--json', ...args);
    return { code: said.code, err: said.err, ...JSON.parse(said.out[0] ?? '{}') };
  };

  it('is the same when nothing is edited', async () => {
    const said = await rerun('main@20', '--as', 'same');
    expect(said).toMatchObject({
      code: 0,
      position: 'same@66',
      forked: 'main@20',
      entries: 46,
      difference: null,
    });
    expect((await shell.backwalk('diff', 'main...same')).code).toBe(0);
  });

  it('drops a stimulus and names what follows from it first', async () => {
    const said = await rerun('main', '--drop', '35', '--as', 'kept');
    expect(said).toMatchObject({ code: 1, position: 'kept@60', forked: 'main@34', dropped: 1 });
    expect(said.difference.recorded).toMatchObject({ position: 'main@60', value: '0x0' });
    expect(said.difference.rerun).toMatchObject({ position: 'kept@58', value: '0x60000040100f43' });
    expect((await shell.backwalk('check', 'kept')).code).toBe(0);
  });

  it('inserts the missing invalidation, which makes the history clean', async () => {
    const fix = shell.file('fix.jsonl', jsonl(invalidate()));
    const said = await rerun('main', '--insert', '36', fix, '--as', 'fixed');
    expect(said).toMatchObject({ code: 1, forked: 'main@36', inserted: 1 });
    expect(said.difference).toMatchObject({
      recorded: { position: 'main@38', type: 'access.completed' },
      rerun: { type: 'descriptor.fetched' },
    });
    expect((await shell.backwalk('check', 'fixed')).code).toBe(0);
    expect((await shell.backwalk('check', 'main')).code).toBe(1);
  });

  it('sets a value from a position on', async () => {
    const said = await rerun('main@22', '--set', 'smmu0.caches.tlb=0', '--as', 'uncached');
    expect(said.difference.recorded).toMatchObject({ position: 'main@33', type: 'tlb.filled' });
    expect((await shell.backwalk('show', 'uncached', '--json', 'smmu0.caches.tlb')).out[0]).toContain(
      '"value":0',
    );
  });

  it('refuses what is no stimulus, no setting, or no file, and makes no branch', async () => {
    const before = (await shell.backwalk('branch')).out;
    const refusals = [
      [
        ['main', '--drop', '36'],
        'backwalk: --drop: expected a stimulus, found memory.written at 36, which follows from 35',
      ],
      [['main', '--drop', '19'], 'backwalk: --drop: expected a stimulus from outside, found a turn at 19'],
      [
        ['main', '--set', 'smmu0.caches.tlb=x'],
        'backwalk: --set: expected a count or "unbounded", found "smmu0.caches.tlb=x"',
      ],
      [
        ['main', '--insert', '12', shell.file('bad.jsonl', '{"op":"dma"}\n')],
        `backwalk: ${shell.folder}/bad.jsonl:1: dma: endpoint: expected a name (letters, digits, _ and -), found nothing`,
      ],
      [['main', '--insert', '12'], 'backwalk: --insert: expected SEQ FILE, found "12"'],
    ] as const;
    for (const [args, message] of refusals) {
      expect(await shell.backwalk('rerun', ...args)).toEqual({ code: 2, out: [], err: [message] });
    }
    expect((await shell.backwalk('branch')).out).toEqual(before);
  });
});

describe('bookmark', () => {
  it('names a position once', async () => {
    expect((await shell.backwalk('bookmark', 'the break', 'main@36')).out).toEqual([
      'main@36              @{the break}',
    ]);
    expect((await shell.backwalk('bookmark', 'the break')).code).toBe(2);
    expect((await shell.backwalk('log', '@{the break}', '-n', '1')).out[0]).toContain('main@36');
  });
});

describe('verify', () => {
  it('finds no damage, and the same entries again', async () => {
    const said = await shell.backwalk('verify', 'main', '--rerun');
    expect(said.code).toBe(0);
    expect(said.out.at(-1)).toBe('main@66  rerun gives the same 66 entries');
  });
});

it('makes no store for a scenario whose first line is bad', async () => {
  const other = `${shell.folder}/none.bw`;
  const bad = shell.file('bad.jsonl', jsonl([{ op: 'machine', ram: 7 }]));
  expect((await shell.backwalk('run', '-s', other, bad)).code).toBe(2);
  expect(existsSync(other)).toBe(false);
});
