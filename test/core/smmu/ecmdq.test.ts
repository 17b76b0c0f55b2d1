/**
 * Enhanced command queues (IHI 0070 3.5.6): enabling, consumption beside each other, errors, what a CMD_SYNC
 * of one of them covers, and misuse. Their registers are in `ecmdq-registers.test.ts`.
 */
import { describe, expect, it } from 'vitest';
import type { Stimulus } from '../../../core/stimulus.ts';
import { at, bringUp, command, dma, issue, map, SID, tables, write } from '../../support/build.ts';
import {
  config,
  ECMDQ,
  EN,
  ERR,
  enable,
  fill,
  get,
  put,
  ready,
  ring,
  submit,
} from '../../support/enhanced.ts';
import { on, turn, updated } from '../../support/given.ts';
import { table } from '../../support/tables.ts';

const MANUAL: Stimulus = { type: 'set', path: 'schedule', value: 'manual' };
const SYNC = command('CMD_SYNC');
const FLUSH = command('CMD_TLBI_NSNH_ALL');
const ILL = new Uint32Array(4);

describe('enabling', () => {
  it('is acknowledged in a turn of the queue, and commands are taken from then on (3.5.6.2)', () => {
    const story = on(config())
      .given(
        bringUp(),
        MANUAL,
        put(0, 'BASE', BigInt(ring(0)) | 4n),
        fill(0, 0, SYNC),
        put(0, 'PROD', EN + 1),
      )
      .when(turn('ecmdq0'));
    story.then({ type: 'turn.passed' });
    story
      .when(turn('ecmdq0-acknowledge'), turn('ecmdq0'), turn('ecmdq0-consume'))
      .then(
        updated('ECMDQ0_CONS', EN),
        { type: 'command.fetched', queue: 'ECMDQ0', index: 0, command: 'CMD_SYNC' },
        { type: 'command.consumed', queue: 'ECMDQ0' },
        updated('ECMDQ0_CONS', EN + 1),
        { type: 'sync.completed', queue: 'ECMDQ0', index: 0 },
      );
  });

  it('needs neither CMDQEN nor SMMUEN', () => {
    on(config()).given(enable(0)).when(submit(0, SYNC)).then({ type: 'sync.completed', queue: 'ECMDQ0' });
  });

  it('ends only after a half executed command, and CONS is stable then', () => {
    const story = ready(0)
      .given(MANUAL, submit(0, SYNC, SYNC))
      .when(turn('ecmdq0'), put(0, 'PROD', 2));
    story.when(turn('ecmdq0-acknowledge')).then({ type: 'turn.passed', unit: 'smmu0.ecmdq0-acknowledge' });
    story
      .when(turn('ecmdq0-consume'), turn('ecmdq0-acknowledge'), turn('ecmdq0'))
      .then(updated('ECMDQ0_CONS', 1), { type: 'turn.passed', unit: 'smmu0.ecmdq0' });
  });

  it('with pointers that no queue can have is remarked, and nothing is consumed', () => {
    const story = on(config()).when(
      put(0, 'BASE', BigInt(ring(0)) | 1n),
      put(0, 'CONS', 1),
      put(0, 'PROD', EN),
    );
    story.then({ type: 'misuse.noted', rule: 'queue-inconsistent', detail: 'ECMDQ0 is enabled' });
    story.thenNo('command.fetched');
  });
});

describe('queues beside each other (3.5.6.1)', () => {
  it('take their commands from their own memory', () => {
    const story = ready(0, 5).when(submit(0, SYNC, FLUSH), submit(5, FLUSH, FLUSH, SYNC), issue(0, SYNC));
    const synced = story.of('sync.completed').map(({ queue, index }) => [queue, index]);
    expect(synced).toEqual([
      ['ECMDQ0', 0],
      ['ECMDQ5', 2],
      [undefined, 0],
    ]);
    expect(story.of('command.performed').map(({ queue }) => queue)).toEqual(['ECMDQ0', 'ECMDQ5', 'ECMDQ5']);
    story.when(get(5, 'CONS')).thenOutcome({ value: BigInt(EN + 3) });
  });

  it('go round with their wrap bit', () => {
    let story = ready(2).when();
    for (let put0 = 0; put0 < 40; put0 += 1) {
      story = story.when(fill(2, put0, SYNC), put(2, 'PROD', EN + ((put0 + 1) % 32)));
    }
    expect(story.of('sync.completed').map(({ index }) => index)).toEqual(
      Array.from({ length: 40 }, (_, each) => each % 32),
    );
  });

  it('are consumed in the order of the schedule: every interleaving of two queues is reached', () => {
    const orders = new Set<string>();
    for (let seed = 1; seed <= 60; seed += 1) {
      const story = on(config(ECMDQ, { schedule: 'seeded', seed }))
        .given(bringUp(), enable(0), enable(1), MANUAL, submit(0, FLUSH, FLUSH), submit(1, FLUSH, FLUSH))
        .when({ type: 'set', path: 'schedule', value: 'seeded' });
      const order = story.of('command.consumed').map(({ queue }) => queue?.slice(-1));
      orders.add(order.join(''));
      // Within a queue the order is the queue's.
      for (const name of ['ECMDQ0', 'ECMDQ1'])
        expect(
          story
            .of('command.consumed')
            .filter(({ queue }) => queue === name)
            .map(({ index }) => index),
        ).toEqual([0, 1]);
    }
    expect([...orders].sort()).toEqual(['0011', '0101', '0110', '1001', '1010', '1100']);
  });

  it('do not wait for each other: a CMD_SYNC covers its own queue', () => {
    const story = ready(0, 1)
      .given(MANUAL, submit(0, FLUSH), submit(1, SYNC), turn('ecmdq0'), turn('ecmdq0-consume'))
      .when(turn('ecmdq1'), turn('ecmdq1-consume'));
    story.then({ type: 'sync.completed', queue: 'ECMDQ1', index: 0 }).thenNo('command.performed');
    // Its own is waited for.
    const own = ready(0)
      .given(MANUAL, submit(0, FLUSH, SYNC), turn('ecmdq0'), turn('ecmdq0-consume'), turn('ecmdq0'))
      .when(turn('ecmdq0-consume'));
    own.then({ type: 'turn.passed' });
    own
      .when(turn('ecmdq0-perform'), turn('ecmdq0-consume'))
      .then({ type: 'sync.completed', queue: 'ECMDQ0', index: 1 });
  });

  it('do what the Command queue does: an invalidation, a message, a wake-up', () => {
    const loud = command('CMD_SYNC', { CS: 'SIG_IRQ', MSIAddress: 0x5000n, MSIData: 7 });
    ready(0)
      .given(tables(), map(0x1000, at.data), dma(0x1000))
      .when(submit(0, FLUSH, loud))
      .then(
        { type: 'cache.invalidated', cache: 'tlb' },
        { type: 'command.performed', queue: 'ECMDQ0', index: 0 },
        { type: 'sync.completed', queue: 'ECMDQ0' },
        { type: 'interrupt.raised', source: 'CMD_SYNC' },
        { type: 'msi.sent', source: 'CMD_SYNC', pa: 0x5000, data: 7 },
      );
    const full = Array.from({ length: 16 }, () => FLUSH);
    const woken = ready(0).when(submit(0, ...full));
    expect(woken.of('event.sent').map(({ source }) => source)).toEqual(['ECMDQ0']);
    ready(0)
      .when(submit(0, ...full.slice(1)))
      .thenNo('event.sent');
  });
});

describe('an error of an enhanced queue (3.5.6.3)', () => {
  const stopped = () => ready(0, 1).when(submit(0, SYNC, ILL, SYNC));

  it('is told in CONS with ERR toggled, then in GERROR.CMDQP_ERR, then by the interrupt', () => {
    stopped().then(
      { type: 'sync.completed', queue: 'ECMDQ0', index: 0 },
      { type: 'command.rejected', queue: 'ECMDQ0', index: 1, error: 'CERROR_ILL' },
      updated('ECMDQ0_CONS', EN + (1 << 24) + ERR + 1),
      updated('GERROR', 1 << 9),
      { type: 'interrupt.raised', source: 'GERROR' },
    );
    expect(stopped().of('sync.completed')).toHaveLength(1);
  });

  it('stops that queue alone; GERROR.CMDQP_ERR stops none, and acknowledging it starts none', () => {
    const story = stopped().when(submit(1, SYNC), issue(0, SYNC));
    story.then({ type: 'sync.completed', queue: 'ECMDQ1' }, { type: 'sync.completed', index: 0 });
    const acknowledged = story.when(write('GERRORN', 1 << 9));
    expect(acknowledged.of('command.fetched').filter(({ queue }) => queue === 'ECMDQ0')).toHaveLength(2);
  });

  it('ends with ERRACK: the command is fetched anew', () => {
    const story = stopped().when(fill(0, 1, FLUSH), put(0, 'PROD', EN + ERR + 3));
    story.then(
      { type: 'command.fetched', queue: 'ECMDQ0', index: 1, command: 'CMD_TLBI_NSNH_ALL' },
      // ERR_REASON is UNKNOWN without an error; ERR stays.
      updated('ECMDQ0_CONS', EN + ERR + 2),
      { type: 'sync.completed', queue: 'ECMDQ0', index: 2 },
    );
    story.thenNo('misuse.noted');
    // The next error toggles ERR back, and CMDQP_ERR, which is active still, is not told again.
    const twice = story.when(fill(0, 3, ILL), put(0, 'PROD', EN + ERR + 4));
    twice.then({ type: 'command.rejected', index: 3 }, updated('ECMDQ0_CONS', EN + (1 << 24) + 3));
    expect(twice.of('register.updated').filter(({ register }) => register === 'GERROR')).toHaveLength(1);
  });

  it('outlives disabling, which is acknowledged all the same', () => {
    const story = stopped().when(put(0, 'PROD', 3));
    story.then(updated('ECMDQ0_CONS', (1 << 24) + ERR + 1));
    const again = story.when(put(0, 'PROD', EN + 3));
    again.then({ type: 'misuse.noted', rule: 'ecmdq-enabled-with-error', detail: 'ECMDQ0 is enabled' });
    expect(again.of('command.fetched')).toHaveLength(2);
  });

  it('is none of the Command queue, and an error of that stops no enhanced queue', () => {
    const story = ready(0).when(issue(0, ILL), submit(0, SYNC));
    story.then({ type: 'command.rejected', index: 0 }, updated('GERROR', 1), {
      type: 'sync.completed',
      queue: 'ECMDQ0',
    });
  });

  it('is CERROR_ABT where the queue cannot be read', () => {
    const far = [put(0, 'BASE', 0x2_0000_0000n), put(0, 'CONS', 0), put(0, 'PROD', EN + 1)];
    const story = on(config()).given(bringUp()).when(far);
    story.then(
      { type: 'command.rejected', queue: 'ECMDQ0', command: '-', error: 'CERROR_ABT' },
      updated('ECMDQ0_CONS', EN + (2 << 24) + ERR),
      updated('GERROR', 1 << 9),
    );
    story.thenNo('command.fetched');
  });

  it('is CERROR_ATC_INV_SYNC for a CMD_ATC_INV of its own, and of no other queue', () => {
    const endpoint = {
      name: 'dev0',
      smmu: 'smmu0',
      streamId: SID,
      ats: true,
      pri: false,
      ssidBits: 0,
      atc: 4,
    };
    const inv = command('CMD_ATC_INV', { StreamID: SID, Size: 52 });
    const story = on(config(ECMDQ, { endpoints: [endpoint] }))
      .given(bringUp(), enable(0), enable(1), {
        type: 'endpoint.set',
        endpoint: 'dev0',
        set: { silent: true },
      })
      .when(submit(0, inv), submit(1, SYNC), issue(0, SYNC));
    story.then(
      { type: 'atc.timedout' },
      { type: 'sync.completed', queue: 'ECMDQ1' },
      { type: 'sync.completed', index: 0 },
    );
    story
      .when(fill(0, 1, SYNC), put(0, 'PROD', EN + 2))
      .then(
        { type: 'command.rejected', queue: 'ECMDQ0', error: 'CERROR_ATC_INV_SYNC' },
        updated('ECMDQ0_CONS', EN + (3 << 24) + ERR + 1),
      );
    story.when(put(0, 'PROD', EN + ERR + 2)).then({ type: 'sync.completed', queue: 'ECMDQ0', index: 1 });
  });
});

describe('misuse of PROD', () => {
  const rows = table<'value' | 'rule'>(`
    value      | rule
    0x80000003 |
    0x80000001 | prod-moved-back
    0x80000018 | queue-inconsistent
    0x80800003 | ecmdq-acknowledged-no-error
  `);
  it.each(rows)('$value is $rule', ({ value, rule }) => {
    const story = ready(0)
      .given(MANUAL, submit(0, SYNC, SYNC, SYNC))
      .when(put(0, 'PROD', Number(value)));
    expect(story.of('misuse.noted').map((each) => each.rule)).toEqual(rule === '' ? [] : [rule]);
  });

  it('an acknowledgement of no error stops the queue until it is taken back', () => {
    const story = ready(0).when(fill(0, 0, SYNC), put(0, 'PROD', EN + ERR + 1));
    story
      .thenNo('command.fetched')
      .when(put(0, 'PROD', EN + 1))
      .then({ type: 'sync.completed', queue: 'ECMDQ0' });
  });
});
