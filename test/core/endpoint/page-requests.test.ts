/**
 * Page Requests and the PRI queue (IHI 0070 8, 6.3.36): what is written, what is lost and who is answered,
 * overflow, aborts, interrupts, and CMD_PRI_RESP.
 */
import { describe, expect, it } from 'vitest';
import { decode } from '../../../core/layout/layout.ts';
import { PRI_ENTRY } from '../../../core/smmu/event-record.ts';
import type { Stimulus } from '../../../core/stimulus.ts';
import { at, cd, command, issue, SID, ste, storeWords, tables, write } from '../../support/build.ts';
import {
  atsMachine,
  type Enables,
  enable,
  endpointSet,
  FAR_SID,
  type Parts,
  PRIQ,
  pageRequest,
  UNCHECKED,
  WITH_PRIQ,
} from '../../support/endpoints.ts';
import { type Asked, type Given, on, turn, updated } from '../../support/given.ts';
import { table } from '../../support/tables.ts';

const OVFLG = 0x8000_0000;
const SET_MANUAL: Stimulus = { type: 'set', path: 'schedule', value: 'manual' };
const stream = (PPAR = false, V = true): Stimulus =>
  storeWords(at.strtab + SID * 64, ste({ EATS: 'FULL', S1CDMax: 2, PPAR, V }));

function world(enables: Enables = {}, change: Asked = [], parts: Parts = {}): Given {
  const context = storeWords(at.cd, cd());
  return on(atsMachine(parts)).given(
    tables(),
    context,
    enable({ cr0: WITH_PRIQ, ...enables }),
    stream(),
    change,
  );
}

describe('an entry of the queue', () => {
  const rows = table<'asked' | 'entry' | 'wants'>(`
    asked                      | entry                      | wants
    access=read                | R                          | r
    access=write               | W                          | w
    access=read-write          | R W                        | rw
    access=none                |                            |
    access=read exec priv      | R                          | r
    access=read ssid           | R SSV                      | r
    access=write ssid exec     | W SSV X                    | wx
    access=read ssid exec priv | R SSV X Priv               | rxp
    access=read last           | R Last                     | r
    access=none ssid last      | SSV Last                   |
  `);
  it.each(rows)('$asked: $entry', ({ asked, entry, wants }) => {
    const [access = '', ...flags] = asked.split(' ');
    const story = world().when(
      pageRequest(0x12_3456, {
        access: access.slice(7) as 'read',
        prgIndex: 0x1ff,
        last: flags.includes('last'),
        exec: flags.includes('exec'),
        privileged: flags.includes('priv'),
        ...(flags.includes('ssid') ? { ssid: 3 } : {}),
      }),
    );
    story
      .thenOutcome({})
      .then({ type: 'page.requested', wants }, { type: 'page.queued', index: 0, pa: PRIQ });
    const fields = decode(PRI_ENTRY, story.state.memory.readWords(PRIQ, 4));
    const set = Object.entries(fields).flatMap(([name, value]) => (value === true ? [name] : []));
    expect(set.sort()).toEqual(entry.split(' ').filter(Boolean).sort());
    expect(fields).toMatchObject({
      StreamID: SID,
      SubstreamID: flags.includes('ssid') ? 3 : 0,
      PRGIndex: 0x1ff,
      PageAddr: 0x12_3000,
    });
  });

  it('has all 52 bits of the page address', () => {
    const high = { ...pageRequest(0), iova: 0xfedc_ba98_7654_3210n } as Stimulus;
    const { state } = world().when(high);
    expect(state.memory.read64(PRIQ + 8)).toBe(0xfedc_ba98_7654_3001n);
  });
});

describe('a request that is lost (8.1, 8.2)', () => {
  /** Four requests fill the queue of 2^2. */
  const fill = Array.from({ length: 4 }, (_, n) => pageRequest(n * 0x1000, { prgIndex: 9, last: false }));
  const abort: Enables = { priqBase: 0x8_0000_0000 };
  interface Situation {
    readonly enables?: Enables;
    readonly before?: Asked;
    readonly idr?: string;
    readonly asked?: Parameters<typeof pageRequest>[1];
  }
  const ssid = 1;
  const situations: Readonly<Record<string, Situation>> = {
    'PRIQEN=0': { enables: { cr0: UNCHECKED }, asked: { ssid } },
    'PRIQEN=0, Last=0': { enables: { cr0: UNCHECKED }, asked: { last: false } },
    'PRIQEN=0, marker': { enables: { cr0: UNCHECKED }, asked: { ssid, access: 'none' } },
    'SMMUEN=0': { enables: { cr0: 0x1e }, asked: { ssid } },
    'write aborts': { enables: abort, asked: { ssid } },
    'write aborts, Last=0': { enables: abort, asked: { last: false } },
    'write aborts, marker': { enables: abort, asked: { ssid, access: 'none' } },
    PRIQ_ABT_ERR: { enables: abort, before: pageRequest(0, { prgIndex: 9 }), asked: { ssid } },
    'full, Last=0': { before: fill, asked: { last: false } },
    'full, no PASID': { before: fill },
    'full, marker': { before: fill, asked: { ssid, access: 'none' } },
    'full, not a marker': { before: fill, asked: { access: 'none' } },
    'full, PPS=1': { before: fill, asked: { ssid }, idr: 'PPS=1' },
    'full, PPS=1, STE.V=0': { before: [stream(false, false), fill], asked: { ssid }, idr: 'PPS=1' },
    'full, PPAR=1': { before: [stream(true), fill], asked: { ssid } },
    'full, PPAR=0': { before: fill, asked: { ssid } },
    'full, PPAR=1, no PASID': { before: [stream(true), fill] },
    'full, STE.V=0': { before: [stream(true, false), fill], asked: { ssid } },
    'full, StreamID beyond the table': { before: fill, asked: { ssid, endpoint: 'far' } },
    'full, STE cannot be read': { enables: { strtab: 0x8_0000_0000 }, before: fill, asked: { ssid } },
    'full, no substreams': { before: [stream(true), fill], asked: { ssid }, idr: 'SSIDSIZE=0' },
  };
  const rows = table<'situation' | 'response' | 'pasid' | 'rec' | 'both'>(`
    situation                       | response         | pasid | rec         | both
    PRIQEN=0                        | RESPONSE_FAILURE | -     | -           | -
    PRIQEN=0, Last=0                | RESPONSE_FAILURE | -     | -           | -
    PRIQEN=0, marker                | -                | -     | -           | -
    SMMUEN=0                        | RESPONSE_FAILURE | -     | -           | -
    write aborts                    | RESPONSE_FAILURE | -     | -           | -
    write aborts, Last=0            | RESPONSE_FAILURE | -     | -           | -
    write aborts, marker            | -                | -     | -           | -
    PRIQ_ABT_ERR                    | RESPONSE_FAILURE | -     | -           | -
    full, Last=0                    | -                | -     | -           | -
    full, no PASID                  | SUCCESS          | -     | -           | -
    full, marker                    | -                | -     | -           | -
    full, not a marker              | SUCCESS          | -     | -           | -
    full, PPS=1                     | SUCCESS          | 1     | -           | -
    full, PPS=1, STE.V=0            | SUCCESS          | 1     | -           | -
    full, PPAR=1                    | SUCCESS          | 1     | -           | -
    full, PPAR=0                    | SUCCESS          | -     | -           | -
    full, PPAR=1, no PASID          | SUCCESS          | -     | -           | -
    full, STE.V=0                   | RESPONSE_FAILURE | -     | C_BAD_STE   | C_BAD_STE
    full, StreamID beyond the table | RESPONSE_FAILURE | -     | -           | C_BAD_STREAMID
    full, STE cannot be read        | RESPONSE_FAILURE | -     | F_STE_FETCH | F_STE_FETCH
    full, no substreams             | SUCCESS          | -     | -           | -
  `);
  it('has a row for each situation', () => {
    expect(rows.map(({ situation }) => situation).sort()).toEqual(Object.keys(situations).sort());
  });
  it.each(rows)('$situation: $response', ({ situation, response, pasid, rec, both }) => {
    const { enables = {}, before = [], idr = '', asked = {} } = situations[situation]!;
    for (const [cr2, event] of [
      [2, '-'],
      [8, rec],
      [10, both],
    ] as const) {
      const story = world({ ...enables, cr2 }, before, { idr }).when(pageRequest(0x9000, asked));
      story.then({ type: 'page.dropped', prgIndex: 1 }).thenNo('page.queued');
      const answers = story.of('page.responded');
      expect(answers.map(({ response: given }) => given)).toEqual(response === '-' ? [] : [response]);
      expect(answers.map(({ substreamId }) => substreamId ?? '-')).toEqual(
        response === '-' ? [] : [pasid === '1' ? 1 : '-'],
      );
      expect(answers.every(({ prgIndex, fetched }) => prgIndex === 1 && fetched === 0)).toBe(true);
      expect(story.of('record.raised').map(({ record }) => record)).toEqual(event === '-' ? [] : [event]);
      // Only who was answered waits no longer.
      const waits = story.state.endpoints[asked.endpoint ?? 'dev0']?.groups.includes(1);
      expect(waits).toBe(response === '-' && asked.access !== 'none');
    }
  });

  it('too many at once are not sent', () => {
    const many = Array.from({ length: 257 }, () => pageRequest(0));
    const story = world({}, SET_MANUAL).when(many);
    expect(story.of('page.requested')).toHaveLength(256);
    story.thenOutcome({ result: 'off' }).then({ type: 'request.withheld', request: 'page' });
  });

  it('PRI off at the endpoint: nothing is sent', () => {
    world({}, endpointSet({ pri: false }))
      .when(pageRequest(0))
      .thenOutcome({ result: 'off' })
      .then({ type: 'request.withheld', request: 'page', why: 'PRI is off' })
      .thenNo('page.requested');
  });
});

describe.each([0, 1, 2])('a queue of 2^%i entries', (priqLog2) => {
  const size = 2 ** priqLog2;
  const asks = (count: number, from = 0): Stimulus[] =>
    Array.from({ length: count }, (_, n) => pageRequest((from + n) * 0x1000, { last: false }));

  it('overflows once, and takes nothing until that is acknowledged (8.1)', () => {
    const full = world({ priqLog2 }).when(asks(size));
    expect(full.of('page.queued').map(({ index }) => index)).toEqual(
      Array.from({ length: size }, (_, n) => n),
    );
    const over = full.when(pageRequest(0x9000));
    over.then({ type: 'page.dropped', why: 'the queue is full' }, updated('PRIQ_PROD', OVFLG + size), {
      type: 'page.responded',
      response: 'SUCCESS',
    });
    // Room alone does not help, other than with the Event queue.
    const room = over.when(write('PRIQ_CONS', size), pageRequest(0x9000));
    room.then({ type: 'page.dropped', why: 'an overflow is active' });
    expect(room.of('page.responded')).toHaveLength(2);
    expect(room.of('register.updated').filter(({ register }) => register === 'PRIQ_PROD')).toHaveLength(
      size + 1,
    );
    const wrapped = (size + 1) % (size * 2);
    const on = room.when(write('PRIQ_CONS', OVFLG + size), pageRequest(0x9000));
    on.then({ type: 'page.queued', index: size }, updated('PRIQ_PROD', OVFLG + wrapped));
    // The second overflow toggles the flag back.
    const again = on.when(asks(size, 20));
    again.then(
      { type: 'page.dropped' },
      updated('PRIQ_PROD', size * 2 === wrapped ? 0 : (size * 2) % (size * 2)),
    );
  });

  it('goes round with its wrap bit', () => {
    let story = world({ priqLog2 }).when();
    for (let put = 0; put < size * 4; put += 1)
      story = story.when(asks(1, put), write('PRIQ_CONS', (put + 1) % (size * 2)));
    expect(story.of('page.queued').map(({ pa }) => (pa - PRIQ) / 16)).toEqual(
      Array.from({ length: size * 4 }, (_, put) => put % size),
    );
    story.thenNo('page.dropped');
  });
});

describe('the write of an entry', () => {
  it('that aborts activates PRIQ_ABT_ERR; after the acknowledgement the queue goes on (8.2)', () => {
    const story = world({ priqBase: 0x8_0000_0000 }).when(pageRequest(0), pageRequest(0x1000));
    story.then(
      { type: 'page.dropped', why: 'the write of the entry aborted' },
      updated('GERROR', 1 << 3),
      { type: 'interrupt.raised', source: 'GERROR' },
      { type: 'page.responded', response: 'RESPONSE_FAILURE' },
      { type: 'page.dropped', why: 'PRIQ_ABT_ERR is active' },
      { type: 'page.responded', response: 'RESPONSE_FAILURE' },
    );
    story.thenNo('page.queued', 'memory.written');
    story
      .when(write('GERRORN', 1 << 3), pageRequest(0))
      .then(updated('GERROR', 1 << 3), updated('GERROR', 0));
  });

  it('waits for its turn, in order', () => {
    const story = world({}, SET_MANUAL).when(pageRequest(0x1000), pageRequest(0x2000));
    story.thenNo('page.queued');
    story
      .when(turn('priq'), turn('priq'), turn('priq'))
      .then({ type: 'page.queued', index: 0 }, { type: 'page.queued', index: 1 }, { type: 'turn.passed' });
  });
});

describe('interrupts (6.3.36)', () => {
  const last = pageRequest(0, { last: true });
  const more = pageRequest(0, { last: false });
  const marker = pageRequest(0, { ssid: 1, access: 'none' });
  const count = (enables: Enables, ...asked: Stimulus[]): number =>
    world(enables)
      .when(asked)
      .of('interrupt.raised')
      .filter(({ source }) => source === 'PRIQ').length;

  it('LO=0: on empty to non-empty', () => {
    expect(count({}, more)).toBe(1);
    expect(count({}, more, last, more, last)).toBe(1);
    expect(count({}, more, write('PRIQ_CONS', 1), last)).toBe(2);
    expect(count({ priqLog2: 0 }, more, last, last)).toBe(1);
  });

  it('LO=1: on each Last, also of a marker, also when an overflow loses it', () => {
    const lastOnly = true;
    expect(count({ lastOnly }, more, more)).toBe(0);
    expect(count({ lastOnly }, more, last, last)).toBe(2);
    expect(count({ lastOnly }, marker)).toBe(1);
    expect(count({ lastOnly, priqLog2: 0 }, more, last, more, last, marker)).toBe(3);
    // Not when it is lost otherwise.
    expect(count({ lastOnly, cr0: UNCHECKED }, last)).toBe(0);
    expect(count({ lastOnly, priqBase: 0x8_0000_0000 }, last, last)).toBe(0);
  });

  it('are messages too; one that aborts activates MSI_PRIQ_ABT_ERR (3.18, 7.5)', () => {
    const message = (pa: bigint): Stimulus[] => [
      write('IRQ_CTRL', 5),
      write('PRIQ_IRQ_CFG0', pa),
      write('PRIQ_IRQ_CFG1', 0x77),
      write('IRQ_CTRL', 7),
    ];
    world({}, message(0x6000n), { idr: 'MSI=1' })
      .when(last)
      .then(
        { type: 'interrupt.raised', source: 'PRIQ' },
        { type: 'msi.sent', source: 'PRIQ', pa: 0x6000, data: 0x77 },
      );
    world({}, message(0x20_0000_0000n), { idr: 'MSI=1' })
      .when(last)
      .then({ type: 'page.queued' }, updated('GERROR', 1 << 6), {
        type: 'interrupt.raised',
        source: 'GERROR',
      });
  });

  it('none while they are off', () => {
    const quiet = world({}, write('IRQ_CTRL', 5)).when(pageRequest(0));
    expect(quiet.of('interrupt.raised')).toEqual([]);
  });
});

describe('CMD_PRI_RESP', () => {
  const respond = (fields: Parameters<typeof command<'CMD_PRI_RESP'>>[1]): Stimulus[] =>
    issue(0, command('CMD_PRI_RESP', { StreamID: SID, PRGIndex: 1, ...fields }), command('CMD_SYNC'));

  it.each(['RESPONSE_FAILURE', 'INVALID_REQUEST', 'SUCCESS'] as const)('Resp %s', (Resp) => {
    const story = world({}, pageRequest(0x9000)).when(respond({ Resp }));
    const [fetched] = story.of('command.fetched');
    story.then(
      { type: 'page.responded', endpoint: 'dev0', prgIndex: 1, response: Resp, fetched: fetched?.seq ?? 0 },
      { type: 'command.performed' },
      { type: 'sync.completed' },
    );
    expect(story.of('page.responded')[0]).not.toHaveProperty('substreamId');
    expect(story.state.endpoints['dev0']?.groups).toEqual([]);
  });

  it('carries the PASID with SSV=1', () => {
    world({}, pageRequest(0x9000, { ssid: 2 }))
      .when(respond({ SSV: true, SubstreamID: 2, Resp: 'SUCCESS' }))
      .then({ type: 'page.responded', substreamId: 2 });
  });

  it('is IGNORED while SMMUEN is 0', () => {
    world({}, pageRequest(0x9000))
      .when(write('CR0', 0x1c), respond({ Resp: 'SUCCESS' }))
      .thenNo('page.responded', 'misuse.noted');
  });

  it('has no effect with SSV=1 and no substreams', () => {
    world({}, pageRequest(0x9000), { idr: 'SSIDSIZE=0' })
      .when(respond({ SSV: true, Resp: 'SUCCESS' }))
      .thenNo('page.responded')
      .then({ type: 'misuse.noted', rule: 'command-no-substreams' });
  });

  it.each([
    ['a group that nobody asked for', { PRGIndex: 2 }, 1],
    ['an endpoint that there is not', { StreamID: 0x77 }, 0],
    ['another endpoint', { StreamID: FAR_SID }, 1],
  ] as const)('is noted for %s', (_, fields, sent) => {
    const story = world({}, pageRequest(0x9000)).when(respond({ ...fields, Resp: 'SUCCESS' }));
    story.then({ type: 'misuse.noted', rule: 'pri-resp-unexpected' });
    expect(story.of('page.responded')).toHaveLength(sent);
    expect(story.state.endpoints['dev0']?.groups).toEqual([1]);
  });

  it('answers a group of several requests once; groups interleave', () => {
    const asked = [
      pageRequest(0x1000, { prgIndex: 1, last: false }),
      pageRequest(0x2000, { prgIndex: 2, last: false }),
      pageRequest(0x3000, { prgIndex: 1 }),
      pageRequest(0x4000, { prgIndex: 2 }),
    ];
    const story = world({}, asked).when(respond({ Resp: 'SUCCESS' }));
    expect(story.state.endpoints['dev0']?.groups).toEqual([2]);
    story.thenNo('misuse.noted');
  });
});
