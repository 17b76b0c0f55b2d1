/**
 * Software's accesses to memory, and settings: what each says in the log and what it answers.
 */
import { describe, expect, it } from 'vitest';
import { settingProblem } from '../../core/settings.ts';
import type { Stimulus } from '../../core/stimulus.ts';
import { at, bringUp, dma, machine, map, reset, tables } from '../support/build.ts';
import { given, on } from '../support/given.ts';
import { table } from '../support/tables.ts';

const RAM = [
  { base: 0x1000, size: 0x1000 },
  { base: 0x8000, size: 0x1000 },
];
const small = machine({ ram: RAM });
const put = (pa: number, ...bytes: number[]): Stimulus => ({
  type: 'mem.write',
  pa,
  bytes: new Uint8Array(bytes),
  actor: 'cpu1',
});
const get = (pa: number, size: number): Stimulus => ({ type: 'mem.read', pa, size });

describe('a store', () => {
  it('in one doubleword says the whole doubleword before and after', () => {
    on(small)
      .given(put(0x1000, 1, 2, 3, 4, 5, 6, 7, 8))
      .when(put(0x1002, 0xaa, 0xbb))
      .then({
        type: 'memory.written',
        pa: 0x1000,
        old: 0x0807_0605_0403_0201n,
        value: 0x0807_0605_bbaa_0201n,
        actor: 'cpu1',
      });
  });

  it('across doublewords says its bytes', () => {
    const story = on(small).when(put(0x1007, 1, 2));
    story.then({ type: 'memory.loaded', pa: 0x1007 }).thenNo('memory.written');
    story.when(get(0x1006, 4)).thenOutcome({ hex: '00010200' });
  });

  it('of nothing says nothing', () => {
    expect(on(small).when(put(0x1000)).entries).toHaveLength(1);
  });

  it.each([0xff8, 0xfff, 0x2000, 0x1fff, 0x7fff, 0x9000])(
    'to 0x%x, not all RAM, aborts and changes nothing',
    (pa) => {
      const story = on(small).when(put(pa, 1, 2));
      story.then({ type: 'memory.aborted', pa, size: 2 }).thenNo('memory.written', 'memory.loaded');
      expect(story.state.memory.lines.size).toBe(0);
    },
  );

  it('keeps a copy of its bytes', () => {
    const bytes = new Uint8Array(16).fill(5);
    const story = on(small).when({ type: 'mem.write', pa: 0x1000, bytes });
    bytes.fill(9);
    expect(story.state.memory.read64(0x1000)).toBe(0x0505_0505_0505_0505n);
  });
});

describe('a load', () => {
  it('answers the bytes in memory order, zero where nothing was written', () => {
    on(small)
      .given(put(0x8000, 1, 2, 3))
      .when(get(0x8000, 4))
      .then({ type: 'memory.read' })
      .thenOutcome({ hex: '01020300' });
  });

  it('outside RAM answers a bus error', () => {
    on(small).when(get(0x1fff, 2)).then({ type: 'memory.aborted' }).thenOutcome({ result: 'bus-error' });
  });
});

describe('a DMA', () => {
  it('writes where its translation leads, page by page', () => {
    const data = new Uint8Array(0x1010).map((_, index) => index);
    const story = given(bringUp(), tables(), map(0x1000, at.data + 0x5000), map(0x2000, at.data)).when({
      type: 'dma',
      endpoint: 'dev0',
      iova: 0x1ff8n,
      size: 16,
      access: 'write',
      data: data.subarray(0, 16),
    });
    expect(story.of('access.completed').map(({ iova, pa, size }) => [iova, pa, size])).toEqual([
      [0x1ff8n, at.data + 0x5ff8, 8],
      [0x2000n, at.data, 8],
    ]);
    story.when(get(at.data, 8)).thenOutcome({ hex: '08090a0b0c0d0e0f' });
    story.when(dma(0x1ff8, 'read', 16)).thenOutcome({ hex: '000102030405060708090a0b0c0d0e0f' });
  });

  it('to a place that is not RAM is a bus error without a record', () => {
    given(bringUp(), tables(), map(0x1000, 0x1_0000_0000))
      .when(dma(0x1000))
      .then({ type: 'access.terminated', result: 'bus-error' })
      .thenNo('record.raised')
      .thenOutcome({ result: 'bus-error' });
  });

  it('goes round the top of the address space', () => {
    const story = given().when(dma(0xffff_ffff_ffff_fffcn, 'read', 8));
    expect(story.of('access.terminated').map(({ iova, size }) => [iova, size])).toEqual([
      [0xffff_ffff_ffff_fffcn, 4],
    ]);
  });

  it('of an endpoint that is not there does nothing', () => {
    expect(given().when({ ...dma(0), endpoint: 'nobody' } as Stimulus).entries).toHaveLength(1);
  });
});

describe('a setting', () => {
  const rows = table<'path' | 'good' | 'bad'>(`
    path                          | good        | bad
    schedule                      | "manual"    | "slow"
    smmu0.caches.ste              | 3           | -1
    smmu0.caches.cd               | "unbounded" | "many"
    smmu0.caches.tlb              | 0           | 1.5
    smmu0.caches.walk             | 1           | null
    smmu0.invalidation            | "generous"  | "none"
    smmu0.replacement             | "flush-all" | 1
    smmu0.choices.checkAccessFlag | false       | "no"
    dev0.ats                      | true        | 1
    dev0.pri                      | true        | "true"
  `);
  const config = machine({}, { choices: { checkAccessFlag: true } });

  it.each(rows)('$path takes $good and not $bad', ({ path, good, bad }) => {
    const [yes, no] = [JSON.parse(good) as unknown, JSON.parse(bad) as unknown];
    const fresh = reset(config);
    expect([settingProblem(fresh, path, yes), settingProblem(fresh, path, no)]).toEqual([
      undefined,
      expect.any(String),
    ]);
    const story = on(config).when({ type: 'set', path, value: no }).thenNo('value.set');
    story
      .when({ type: 'set', path, value: yes }, { type: 'set', path, value: yes })
      .then({ type: 'value.set', path, value: yes }, { type: 'value.set', old: yes });
  });

  it.each([
    '',
    'smmu0',
    'smmu0.caches',
    'smmu0.caches.l1std',
    'smmu0.choices.unknown',
    'smmu1.invalidation',
    'dev0.ats.x',
    'dev0.config',
    'seq',
  ])('is not at "%s"', (path) => {
    expect(settingProblem(reset(config), path, 1)).toContain('expected');
    on(config).when({ type: 'set', path, value: 1 }).thenNo('value.set');
  });

  it('of an endpoint comes with endpoint.set too', () => {
    on(config)
      .when({ type: 'endpoint.set', endpoint: 'dev0', set: { ats: true, pri: true } })
      .then(
        { type: 'value.set', path: 'dev0.ats', value: true, old: false },
        { type: 'value.set', path: 'dev0.pri' },
      );
  });
});
