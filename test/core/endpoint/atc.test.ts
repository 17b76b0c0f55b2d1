/**
 * Address translation caches: capacity, CMD_ATC_INV and what it covers, refusals and time-outs with
 * CERROR_ATC_INV_SYNC, ATS turned off, function reset. IHI 0070 3.9.1.4, 3.9.1.5, 4.5.1, 4.7.3, 7.1.
 */
import { describe, expect, it } from 'vitest';
import { openSession } from '../../../core/machine.ts';
import { resolvePath } from '../../../core/path.ts';
import { assemble, dismantle } from '../../../core/state.ts';
import type { Stimulus } from '../../../core/stimulus.ts';
import {
  at,
  cd,
  command,
  issue,
  map,
  read,
  SID,
  ste,
  store,
  storeWords,
  tables,
  unmap,
  write,
} from '../../support/build.ts';
import {
  atsMachine,
  CHECKED,
  enable,
  endpointSet,
  FAR_SID,
  type Parts,
  pageRequest,
  translate,
  translated,
  UNCHECKED,
} from '../../support/endpoints.ts';
import { type Asked, type Given, on, turn, updated } from '../../support/given.ts';
import { pairs, table } from '../../support/tables.ts';

const SYNC = command('CMD_SYNC');
const SET_MANUAL: Stimulus = { type: 'set', path: 'schedule', value: 'manual' };
const page = (n: number): Stimulus => map(n * 0x1000, at.data + n * 0x1000);

/** Pages 0 to 15 mapped, contexts for no SubstreamID and for 0 to 3. */
function world(change: Asked = [], parts: Parts = {}, cr0 = CHECKED): Given {
  const pages = Array.from({ length: 16 }, (_, n) => page(n));
  const contexts = [0, 1, 2, 3].map((n) => storeWords(at.cd + n * 64, cd()));
  const stream = storeWords(at.strtab + SID * 64, ste({ EATS: 'FULL', S1CDMax: 2, S1DSS: 'SUBSTREAM0' }));
  return on(atsMachine(parts)).given(tables(), pages, contexts, enable({ cr0 }), stream, change);
}

const inv = (fields: Parameters<typeof command<'CMD_ATC_INV'>>[1]): Uint32Array =>
  command('CMD_ATC_INV', { StreamID: SID, ...fields });

describe('capacity', () => {
  const ask = [0, 1, 2, 3].map((n) => translate(n * 0x1000));

  it('0 keeps nothing', () => {
    world([], { atc: 0 })
      .when(ask)
      .thenNo('atc.filled', 'atc.evicted')
      .thenOutcome({ result: 'ok', perms: 'rw' });
  });

  it('n keeps the youngest', () => {
    const story = world([], { atc: 2 }).when(ask);
    const seqs = story.of('atc.filled').map(({ seq }) => seq);
    expect(story.of('atc.evicted').map(({ removed, why }) => [why, removed])).toEqual([
      ['full: oldest', [seqs[0]]],
      ['full: oldest', [seqs[1]]],
    ]);
    expect([...(story.state.endpoints['dev0']?.atc.fills.range() ?? [])].map(([id]) => id)).toEqual(
      seqs.slice(2),
    );
  });

  it('takes the answer to the same question in place of the old one', () => {
    const story = world([], { atc: 1 }).when(ask[1]!, page(1), ask[1]!);
    story.then({ type: 'atc.evicted', why: 'replaced' }, { type: 'atc.filled' });
    expect(story.state.endpoints['dev0']?.atc.size).toBe(1);
  });
});

describe('CMD_ATC_INV removes', () => {
  // Entries: pages 0 to 3 without a PASID, pages 0 and 1 of PASID 1, page 0 of PASID 2 (privileged), a 2 MiB block.
  const BLOCK = store(at.table + 0x2000 + 8, 0x4000_0000n | 0xf41n);
  const held = [
    ...[0, 1, 2, 3].map((n) => translate(n * 0x1000)),
    translate(0, { ssid: 1 }),
    translate(0x1000, { ssid: 1 }),
    translate(0, { ssid: 2, privileged: true }),
    translate(0x20_0000),
  ];
  const names = ['n0', 'n1', 'n2', 'n3', 'a0', 'a1', 'b0', 'block'];
  const rows = table<'fields' | 'removed' | 'note'>(`
    fields                           | removed                      | note
    Address=0                        | n0 a0 b0                     |
    Address=0x1000                   | n1 a1                        |
    Address=0x2000 Size=1            | n2 n3                        |
    Address=0x3000 Size=1            | n2 n3                        | the address is aligned down
    Address=0x3000 Size=2            | n0 n1 n2 n3 a0 a1 b0         |
    Address=0x8000                   |                              |
    Address=0x213000                 | block                        | a part of an entry takes it whole
    Address=0x200000 Size=9          | block                        |
    Size=52                          | n0 n1 n2 n3 a0 a1 b0 block   |
    Address=0xfff000 Size=52         | n0 n1 n2 n3 a0 a1 b0 block   |
    SSV=1 SubstreamID=1              | a0                           |
    SSV=1 SubstreamID=1 Size=52      | a0 a1                        |
    SSV=1 SubstreamID=2 Size=52      | b0                           | privileged entries too
    SSV=1 SubstreamID=0 Size=52      |                              | not those without a PASID, S1DSS=2
    SSV=1 SubstreamID=3 Size=52      |                              |
    SSV=1 SubstreamID=3 G=1 Size=52  | a0 a1 b0                     | all PASIDs
    SSV=1 SubstreamID=3 G=1          | a0 b0                        |
    SubstreamID=1 G=1 Address=0x1000 | n1 a1                        | both IGNORED without SSV
  `);
  it.each(rows)('$fields: $removed $note', ({ fields, removed }) => {
    const numbers = pairs(fields).map(([name, value]) => [
      name,
      name === 'SSV' || name === 'G' ? true : Number(value),
    ]);
    const before = world([BLOCK]).when(held);
    const filled = before.of('atc.filled').map(({ seq }) => seq);
    const story = before.when(issue(0, inv(Object.fromEntries(numbers)), SYNC));
    const [answered] = story.of('atc.invalidated');
    expect(answered?.removed.map((id) => names[filled.indexOf(id)])).toEqual(
      removed.split(' ').filter((name) => name !== ''),
    );
    story.then({ type: 'atc.invalidated' }, { type: 'command.performed' }, { type: 'sync.completed' });
    expect(story.state.endpoints['dev0']?.atc.size).toBe(8 - (answered?.removed.length ?? 0));
  });

  it('a span of STU at least; smaller ones are rounded up or refused: roundSmallAtcInv', () => {
    const wide = (choices: Record<string, boolean>): Given => {
      const leaves = Array.from({ length: 4 }, (_, n) => BigInt(at.data + n * 0x4000) | 0xf43n);
      // 25 bits of input: the walk starts at level 3.
      const table16 = store(at.table, ...leaves);
      const context = storeWords(at.cd, cd({ TG0: '16KB', T0SZ: 39 }));
      const parts = { idr: 'GRAN4K=0', smmu: { choices } };
      return world([table16, context, translate(0x4000)], parts);
    };
    const rounded = wide({}).when(issue(0, inv({ Address: 0x7000 }), SYNC));
    expect(rounded.of('atc.invalidated')[0]?.removed).toHaveLength(1);
    const refused = wide({ roundSmallAtcInv: false }).when(issue(0, inv({ Address: 0x7000 }), SYNC));
    refused
      .thenNo('atc.invalidated')
      .then({ type: 'misuse.noted', rule: 'atc-inv-refused' }, { type: 'sync.completed' });
  });
});

describe('CMD_ATC_INV without effect', () => {
  it('is IGNORED while SMMUEN is 0', () => {
    world(translate(0))
      .when(write('CR0', 0x1c), issue(0, inv({ Size: 52 }), SYNC))
      .thenNo('atc.invalidated', 'misuse.noted')
      .then({ type: 'sync.completed' });
  });

  it('has none with SSV=1 and no substreams, which is noted', () => {
    const parts = { idr: 'SSIDSIZE=0' };
    world([storeWords(at.strtab + SID * 64, ste({ EATS: 'FULL' })), translate(0)], parts)
      .when(issue(0, inv({ SSV: true, Size: 52 }), SYNC))
      .thenNo('atc.invalidated')
      .then({ type: 'misuse.noted', rule: 'command-no-substreams' }, { type: 'sync.completed' });
  });

  it.each([
    ['ATS is off at the endpoint', [endpointSet({ ats: false })], SID],
    ['there is no such endpoint', [], 0x77],
  ] as const)('completes when it is refused: %s', (why, change, StreamID) => {
    world([...change])
      .when(issue(0, inv({ StreamID, Size: 52 }), SYNC))
      .then(
        {
          type: 'misuse.noted',
          rule: 'atc-inv-refused',
          detail: `StreamID 0x${StreamID.toString(16)}: ${why}`,
        },
        { type: 'command.performed' },
        { type: 'sync.completed' },
      );
  });
});

describe('an endpoint that does not answer', () => {
  const silent = endpointSet({ silent: true });

  it('lets the next CMD_SYNC fail, once: CERROR_ATC_INV_SYNC', () => {
    const story = world([translate(0), silent]).when(issue(0, inv({ Size: 52 }), SYNC, SYNC));
    story.then(
      { type: 'command.consumed', command: 'CMD_ATC_INV' },
      { type: 'atc.timedout', endpoint: 'dev0' },
      { type: 'command.rejected', command: 'CMD_SYNC', error: 'CERROR_ATC_INV_SYNC' },
      updated('CMDQ_CONS', 1 | (3 << 24)),
      updated('GERROR', 1),
      { type: 'interrupt.raised', source: 'GERROR' },
    );
    story.thenNo('sync.completed', 'atc.invalidated', 'command.performed');
    expect(story.state.smmus['smmu0']).toMatchObject({ atcLost: {}, inFlight: [] });
    // The entry is still there, and still used.
    story.when(translated(0)).thenOutcome({ result: 'ok' });
    const acknowledged = story.when(write('GERRORN', 1));
    expect(acknowledged.of('sync.completed').map(({ index }) => index)).toEqual([1, 2]);
    acknowledged.when(read('CMDQ_CONS')).thenOutcome({ value: 3n });
  });

  it('does not stop what is queued before the CMD_SYNC', () => {
    const many = Array.from({ length: 40 }, () => inv({ Size: 52 }));
    const story = world(silent).when(issue(0, ...many, command('CMD_TLBI_NSNH_ALL'), SYNC));
    expect(story.of('atc.timedout')).toHaveLength(40);
    story.then({ type: 'command.performed', command: 'CMD_TLBI_NSNH_ALL' }, { type: 'command.rejected' });
  });

  it('is one among others: the CMD_SYNC fails for all', () => {
    const story = world([translate(0), endpointSet({ silent: false })])
      .given({ type: 'endpoint.set', endpoint: 'far', set: { silent: true } })
      .when(issue(0, inv({ StreamID: FAR_SID, Size: 52 }), inv({ Size: 52 }), SYNC));
    story.then({ type: 'atc.timedout', endpoint: 'far' }, { type: 'atc.invalidated', endpoint: 'dev0' });
    story.then({ type: 'command.rejected', error: 'CERROR_ATC_INV_SYNC' });
  });

  it('an illegal CMD_SYNC is illegal first, and the time-out stays', () => {
    const bad = command('CMD_SYNC', {});
    bad[0] = (bad[0] ?? 0) | (3 << 12);
    const story = world(silent).when(issue(0, inv({ Size: 52 }), bad));
    story.then({ type: 'command.rejected', error: 'CERROR_ILL' });
    story
      .when(storeWords(at.cmdq + 16, SYNC), write('GERRORN', 1))
      .then({ type: 'command.rejected', error: 'CERROR_ATC_INV_SYNC' });
  });
});

describe('the order of invalidation (9.5, 4.5.1)', () => {
  it('a request between CMD_ATC_INV and the CMD_SYNC of the TLBI refills from the stale TLB', () => {
    const asid = command('CMD_TLBI_NSNH_ALL');
    const steps = (...turns: string[]): Stimulus[] => turns.map(turn);
    const wrong = world([translate(0), unmap(0), SET_MANUAL])
      .when(issue(0, inv({ Size: 52 }), asid, SYNC))
      .when(steps('cmdq', 'consume', 'perform'))
      // The endpoint asks again: the SMMU answers from its TLB.
      .when(translate(0))
      .thenOutcome({ perms: 'rw' })
      .when(steps('cmdq', 'consume', 'perform', 'cmdq', 'consume'));
    wrong.then({ type: 'sync.completed' });
    wrong.when(translated(0)).thenOutcome({ result: 'ok', pa: at.data });
    const right = world([translate(0), unmap(0), SET_MANUAL])
      .when(issue(0, asid, SYNC, inv({ Size: 52 }), SYNC))
      .when(steps('cmdq', 'consume', 'perform', 'cmdq', 'consume', 'cmdq', 'consume', 'perform'))
      .when(translate(0))
      .thenOutcome({ perms: '' })
      .when(steps('cmdq', 'consume'));
    right.when(translated(0)).thenOutcome({ result: 'ok', pa: 0 });
    expect(right.state.endpoints['dev0']?.atc.size).toBe(0);
  });
});

describe('an ATC is emptied', () => {
  it('when ATS is turned off, by either way of saying so', () => {
    for (const off of [
      endpointSet({ ats: false }),
      { type: 'set', path: 'dev0.ats', value: false } as const,
    ]) {
      const story = world([translate(0), translate(0x1000)]).when(off);
      const [evicted] = story.of('atc.evicted');
      expect(evicted?.why).toBe('ATS was turned off');
      expect(evicted?.removed).toHaveLength(2);
      story
        .when(endpointSet({ ats: true }), translated(0))
        .then({ type: 'access.completed', via: 'translated' });
    }
  });

  it('by a function reset: ATS and PRI off, Page Requests forgotten', () => {
    const waiting = [translate(0), SET_MANUAL, pageRequest(0x9000), pageRequest(0x9000, { endpoint: 'far' })];
    const story = world(waiting, {}, UNCHECKED).when(endpointSet({ reset: true }));
    story.then(
      { type: 'value.set', path: 'dev0.ats', value: false },
      { type: 'value.set', path: 'dev0.pri', value: false },
      { type: 'atc.evicted', why: 'function reset' },
      { type: 'page.dropped', endpoint: 'dev0', why: 'function reset' },
      { type: 'endpoint.reset', endpoint: 'dev0' },
    );
    expect(story.of('page.dropped')).toHaveLength(1);
    expect(story.state.endpoints['dev0']).toMatchObject({ ats: false, pri: false, groups: [] });
    expect(story.state.endpoints['far']).toMatchObject({ ats: true, pri: true, groups: [1] });
    story.when(pageRequest(0x9000)).thenOutcome({ result: 'off' });
    // What is set in the same breath comes after the reset.
    story
      .when(endpointSet({ ats: true, reset: true }))
      .when(translate(0))
      .thenOutcome({ result: 'ok' });
  });
});

describe('the state of an endpoint', () => {
  const held = world([translate(0x1000), translate(0, { ssid: 1 }), SET_MANUAL, pageRequest(0x9000)]);

  it('is in paths', () => {
    const { state } = held.when();
    const value = (path: string): unknown => {
      const found = resolvePath(state, path);
      return 'value' in found ? found.value : found.problem;
    };
    expect(value('dev0.atc.size')).toBe(2);
    expect(value('dev0.atc')).toMatchObject([
      { streamId: '0x8', iova: '0x1000', sizeLog2: 12, pa: '0x1001000', permissions: 'rw' },
      { substreamId: '0x1', iova: '0x0' },
    ]);
    expect(value('dev0.silent')).toBe(false);
    expect(value('dev0.groups')).toEqual([1]);
  });

  it('lives through a snapshot', () => {
    const { state } = held.when();
    const again = openSession(assemble(dismantle(state)));
    const entries = again.step(translated(0x1000));
    expect(entries.map(({ type }) => type)).toContain('access.completed');
    expect(entries.find((entry) => entry.type === 'access.completed')).toMatchObject({ via: 'atc' });
    expect(again.state.endpoints['dev0']?.groups).toEqual([1]);
  });
});
