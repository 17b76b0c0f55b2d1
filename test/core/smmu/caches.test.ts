/**
 * What the caches hold and for how long (IHI 0070 3.17, 3.21, 4.3, 4.4, 8; Arm ARM D8.16): capacities and
 * replacement, which accesses rest on which fill, what is stale until which command, who shares what.
 */
import { describe, expect, it } from 'vitest';
import type { SmmuConfig } from '../../../core/config.ts';
import type { Stimulus } from '../../../core/stimulus.ts';
import {
  ASID,
  at,
  bringUp,
  cd,
  command,
  dma,
  issue,
  machine,
  map,
  PAGE_RW,
  SID,
  ste,
  store,
  storeWords,
  tables,
  unmap,
} from '../../support/build.ts';
import { type Given, on } from '../../support/given.ts';
import { table } from '../../support/tables.ts';

const page = (index: number): number => (index + 1) * 0x1000;
const mapped = (count: number): Stimulus[] =>
  Array.from({ length: count }, (_, index) => map(page(index), at.data + page(index)));
const GLOBAL = PAGE_RW & ~(1n << 11n);

function machineWith(caches: Partial<SmmuConfig['caches']>, smmu: Partial<SmmuConfig> = {}): Given {
  const all = { ste: 'unbounded', cd: 'unbounded', tlb: 'unbounded', walk: 'unbounded', ...caches } as const;
  const endpoint = { smmu: 'smmu0', ats: false, pri: false, ssidBits: 0, atc: 0 } as const;
  const endpoints = [
    { ...endpoint, name: 'dev0', streamId: SID },
    { ...endpoint, name: 'dev1', streamId: SID + 1 },
  ];
  return on(machine({ endpoints }, { caches: all, ...smmu })).given(bringUp(), tables(), mapped(8));
}

/** A second stream, with a CD of its own at `cdPa`. */
const second = (fields: Parameters<typeof cd>[0], cdPa = at.cd + 0x100): Stimulus[] => [
  storeWords(at.strtab + (SID + 1) * 64, ste({ S1ContextPtr: cdPa })),
  storeWords(cdPa, cd(fields)),
];
const dev1 = (iova: number): Stimulus => ({ ...dma(iova), endpoint: 'dev1' }) as Stimulus;

describe('capacity', () => {
  it('0 takes nothing: every access fetches and walks, and rests on no fill', () => {
    const story = machineWith({ ste: 0, cd: 0, tlb: 0, walk: 0 }).when(dma(page(0)), dma(page(0)));
    story.thenNo('config.filled', 'tlb.filled', 'cache.evicted');
    expect(story.of('structure.fetched').map(({ structure }) => structure)).toEqual([
      'STE',
      'CD',
      'STE',
      'CD',
    ]);
    expect(story.of('descriptor.fetched')).toHaveLength(8);
    expect(story.of('access.completed').map(({ via, ste: s, cd: c, tlb }) => [via, s, c, tlb])).toEqual([
      ['walk', 0, 0, 0],
      ['walk', 0, 0, 0],
    ]);
  });

  it('2, oldest first', () => {
    const story = machineWith({ tlb: 2, walk: 0 }).when(
      dma(page(0)),
      dma(page(1)),
      dma(page(0)),
      dma(page(2)),
    );
    const [first] = story.of('tlb.filled');
    story.then({ type: 'cache.evicted', cache: 'tlb', why: 'full: oldest', removed: [first!.seq] });
    // Use does not make an entry young: page 1 stays, page 0 is gone.
    story.when(dma(page(1))).then({ type: 'access.completed', iova: BigInt(page(1)), via: 'hit' });
    expect(
      story
        .when(dma(page(0)))
        .of('access.completed')
        .at(-1)?.via,
    ).toBe('walk');
    expect(story.state.smmus['smmu0']!.caches.tlb.size).toBe(2);
  });

  it('2, all flushed', () => {
    const story = machineWith({ tlb: 2, walk: 0 }, { replacement: 'flush-all' }).when(
      dma(page(0)),
      dma(page(1)),
      dma(page(2)),
    );
    const removed = story
      .of('tlb.filled')
      .slice(0, 2)
      .map(({ seq }) => seq);
    story.then({ type: 'cache.evicted', cache: 'tlb', why: 'full: flushed', removed });
    expect(story.state.smmus['smmu0']!.caches.tlb.size).toBe(1);
  });

  it('1 for configuration: two streams take it from each other', () => {
    const story = machineWith({ ste: 1, cd: 1 })
      .given(second({ ASID: 6 }))
      .when(dma(page(0)), dev1(page(0)), dma(page(0)));
    expect(story.of('cache.evicted').map(({ cache }) => cache)).toEqual(['ste', 'cd', 'ste', 'cd']);
    expect(story.of('access.completed').map(({ via }) => via)).toEqual(['walk', 'walk', 'hit']);
  });

  it('is changed by a setting, and holds from the next fill on', () => {
    const story = machineWith({ walk: 0 }).given([0, 1, 2, 3].map((index) => dma(page(index))));
    const shrunk = story.when({ type: 'set', path: 'smmu0.caches.tlb', value: 2 }, dma(page(4)));
    expect(shrunk.state.smmus['smmu0']!.caches.tlb.size).toBe(2);
  });
});

describe('an access rests on', () => {
  it('the fills it used, the same for a walk and the hits after it', () => {
    const story = machineWith({}).when(dma(page(0)), dma(page(0) + 8));
    const [walked, hit] = story.of('access.completed');
    const tlb = story.of('tlb.filled').find((fill) => fill.leaf);
    expect(walked).toMatchObject({ via: 'walk', tlb: tlb!.seq, pa: at.data + page(0) });
    expect(hit).toMatchObject({
      via: 'hit',
      tlb: tlb!.seq,
      ste: walked!.ste,
      cd: walked!.cd,
      pa: at.data + page(0) + 8,
    });
    expect([walked!.ste, walked!.cd]).toEqual(story.of('config.filled').map(({ seq }) => seq));
  });

  it('walk-cache entries: each leaf names the table entry above it', () => {
    const story = machineWith({}).when(dma(page(0)), dma(page(1)));
    const fills = story.of('tlb.filled');
    expect(fills.map(({ cache, level }) => [cache, level])).toEqual([
      ['walk', 0],
      ['walk', 1],
      ['walk', 2],
      ['tlb', 3],
      ['tlb', 3],
    ]);
    expect(fills.map(({ parent }) => parent)).toEqual([
      0,
      fills[0]!.seq,
      fills[1]!.seq,
      fills[2]!.seq,
      fills[2]!.seq,
    ]);
    expect(story.of('descriptor.fetched').map(({ level }) => level)).toEqual([0, 1, 2, 3, 3]);
  });
});

describe('a change in memory is seen', () => {
  // `before` prepares and uses page 0; then memory changes; then the command; then page 0 again.
  const VA = { ASID, Address: page(0) } as const;
  const stale = { result: 'ok', pa: at.data + page(0) } as const;
  const seen = { result: 'abort', event: 'F_TRANSLATION' } as const;
  const changes = {
    leaf: unmap(page(0)),
    table: store(at.table + 0x2000, 0),
    block: store(at.table + 0x2000, 0),
  } as const;
  const commands = {
    none: [],
    'NH_VA Leaf': [command('CMD_TLBI_NH_VA', { ...VA, Leaf: true })],
    NH_VA: [command('CMD_TLBI_NH_VA', VA)],
    'NH_VA elsewhere': [command('CMD_TLBI_NH_VA', { ASID, Address: page(1) })],
    'NH_VA other ASID': [command('CMD_TLBI_NH_VA', { ASID: ASID + 1, Address: page(0) })],
    NH_VAA: [command('CMD_TLBI_NH_VAA', { Address: page(0) })],
    NH_ASID: [command('CMD_TLBI_NH_ASID', { ASID })],
    NH_ALL: [command('CMD_TLBI_NH_ALL')],
    NSNH_ALL: [command('CMD_TLBI_NSNH_ALL')],
    'CFGI only': [command('CMD_CFGI_STE_RANGE', { Range: 31 })],
  } as const;
  const rows = table<'change' | 'after' | 'outcome'>(`
    change | after            | outcome
    leaf   | none             | stale
    leaf   | NH_VA Leaf       | seen
    leaf   | NH_VA            | seen
    leaf   | NH_VA elsewhere  | stale
    leaf   | NH_VA other ASID | stale
    leaf   | NH_VAA           | seen
    leaf   | NH_ASID          | seen
    leaf   | NH_ALL           | seen
    leaf   | NSNH_ALL         | seen
    leaf   | CFGI only        | stale
    table  | none             | stale
    table  | NH_VA Leaf       | walk cache
    table  | NH_VA            | seen
    table  | NH_ASID          | seen
  `);
  it.each(rows)('$change, then $after: $outcome', ({ change, after, outcome }) => {
    const story = machineWith({})
      .given(dma(page(0)), changes[change as 'leaf'])
      .when(issue(0, ...commands[after as 'none'], command('CMD_SYNC')), dma(page(0)));
    story.thenOutcome(outcome === 'seen' ? seen : stale);
    const via = story.of('access.completed')[0]?.via;
    expect(via).toBe(outcome === 'stale' ? 'hit' : outcome === 'walk cache' ? 'walk' : undefined);
  });

  it('at once where nothing was cached: invalid to valid needs no command (8.1)', () => {
    machineWith({})
      .given(unmap(page(0)), dma(page(0)))
      .when(map(page(0), at.data), dma(page(0)))
      .thenOutcome({ result: 'ok' });
  });

  it('a stale entry still refuses what it refused (permissions relaxed)', () => {
    machineWith({})
      .given(map(page(0), at.data, PAGE_RW | (1n << 7n)), dma(page(0), 'write'))
      .when(map(page(0), at.data), dma(page(0), 'write'))
      .thenOutcome({ result: 'abort', event: 'F_PERMISSION' });
  });

  it('unless hardware does not cache what refused (a choice)', () => {
    machineWith({}, { choices: { cacheRefusedLeaf: false } })
      .given(map(page(0), at.data, PAGE_RW | (1n << 7n)), dma(page(0), 'write'))
      .when(map(page(0), at.data), dma(page(0), 'write'))
      .thenOutcome({ result: 'ok' });
  });

  it('generous hardware drops more than it must', () => {
    const both = [dma(page(0)), dma(page(1))];
    const one = issue(0, command('CMD_TLBI_NH_VA', { ASID, Address: page(5), Leaf: true }));
    machineWith({}).given(both).when(one).thenNo('cache.invalidated');
    const story = machineWith({}, { invalidation: 'generous' }).given(both).when(one);
    expect(story.of('cache.invalidated').map(({ cache, removed }) => [cache, removed.length])).toEqual([
      ['walk', 3],
      ['tlb', 2],
    ]);
  });
});

describe('entries are shared by their tags (3.17)', () => {
  it('streams with the same ASID share, others do not', () => {
    machineWith({})
      .given(second({}), dma(page(0)))
      .when(dev1(page(0)))
      .then({ type: 'access.completed', via: 'hit' });
    machineWith({})
      .given(second({ ASID: 6 }), dma(page(0)))
      .when(dev1(page(0)))
      .then({ type: 'access.completed', via: 'walk' });
  });

  it('global pages are found by every ASID, and only the address forms remove them', () => {
    const shared = machineWith({}).given(map(page(0), at.data, GLOBAL), second({ ASID: 6 }), dma(page(0)));
    shared.when(dev1(page(0))).then({ type: 'access.completed', via: 'hit' });
    shared
      .when(issue(0, command('CMD_TLBI_NH_ASID', { ASID })), dma(page(0)))
      .then({ type: 'access.completed', via: 'hit' });
    shared
      .when(issue(1, command('CMD_TLBI_NH_VA', { ASID: 77, Address: page(0) })), dma(page(0)))
      .then({ type: 'access.completed', via: 'walk' });
  });

  it('A, R and S come from the present CD, not from the entry (8.2)', () => {
    const story = machineWith({}, { idr: { ...machine().smmus[0]!.idr, IDR0: 0x0940_101a } })
      .given(
        map(page(0), at.data, PAGE_RW | (1n << 7n)),
        dma(page(0), 'write'),
        storeWords(at.cd, cd({ A: false, R: false })),
      )
      .when(issue(0, command('CMD_CFGI_CD', { StreamID: SID, Leaf: true })), dma(page(0), 'write'));
    story.then({ type: 'access.terminated', result: 'raz-wi' }).thenNo('record.raised', 'descriptor.fetched');
  });
});
