/**
 * The handshakes under a manual schedule, where accesses fall between a write and its acknowledgement:
 * CR0 and CR0ACK (6.3.9), IRQ_CTRL (6.3.16), GBPA.Update (6.3.14.1), GERROR and GERRORN (6.3.20, 7.5).
 */
import { describe, expect, it } from 'vitest';
import {
  at,
  bringUp,
  cd,
  command,
  dma,
  issue,
  machine,
  map,
  read,
  SID,
  ste,
  storeWords,
  tables,
  write,
} from '../../support/build.ts';
import { type Given, given, on, turn, updated, written } from '../../support/given.ts';
import { idr } from '../../support/tables.ts';

const manual = (identity = idr('')): Given => on(machine({ schedule: 'manual' }, { idr: identity }));
const SET_MANUAL = { type: 'set', path: 'schedule', value: 'manual' } as const;

describe('CR0 and CR0ACK', () => {
  it('shows the new value at once and acknowledges it in a turn (6.3.9)', () => {
    const wrote = manual().when(write('CR0', 0xc), read('CR0')).thenOutcome({ value: 0xcn });
    wrote.when(read('CR0ACK')).thenOutcome({ value: 0n });
    wrote.when(turn('acknowledge'), read('CR0ACK')).then(updated('CR0ACK', 0xc)).thenOutcome({ value: 0xcn });
  });

  it('keeps the first value of a field rewritten in transition, and says so', () => {
    manual()
      .given(write('CR0', 8))
      .when(write('CR0', 4))
      .then({ type: 'misuse.noted', rule: 'rewritten-in-transition' }, written('CR0', 0xc))
      .when(turn('acknowledge'))
      .then(updated('CR0ACK', 0xc));
  });

  it('takes settled fields of the same write, and the same value again without a remark', () => {
    manual().given(write('CR0', 8)).when(write('CR0', 0xc)).then(written('CR0', 0xc)).thenNo('misuse.noted');
  });

  it('keeps the whole of a field of several bits (VMW)', () => {
    manual(idr('S2P=1 VMW=1'))
      .given(write('CR0', 1 << 6))
      .when(write('CR0', 2 << 6))
      .then(written('CR0', 1 << 6));
  });

  it.each([
    ['CR0', 'CR0ACK', 0xc],
    ['IRQ_CTRL', 'IRQ_CTRLACK', 5],
  ] as const)('has nothing to acknowledge twice: %s', (register, ack, value) => {
    manual()
      .given(write(register, value))
      .when(turn('acknowledge'))
      .then(updated(ack, value))
      .when(turn('acknowledge'))
      .then({ type: 'turn.passed' });
  });

  it('keeps CMDQEN up in CR0ACK until a half-executed command is consumed, and fetches no more', () => {
    const sync = new Uint32Array([0x46, 0, 0, 0]);
    const twoSyncs = [storeWords(at.cmdq, sync), storeWords(at.cmdq + 16, sync)];
    const stopped = given(bringUp(), SET_MANUAL, twoSyncs, write('CMDQ_PROD', 2), turn('cmdq'))
      .when(write('CR0', 5), turn('acknowledge'))
      .then({ type: 'turn.passed' })
      .when(write('CMDQ_CONS', 0))
      .then({ type: 'write.ignored', why: 'guarded by CMDQEN' });
    stopped
      .when(turn('consume'), turn('cmdq'), turn('acknowledge'))
      .then(
        { type: 'command.consumed', index: 0 },
        { type: 'turn.passed', unit: 'smmu0.cmdq' },
        updated('CR0ACK', 5),
      );
    expect(stopped.of('command.fetched')).toEqual([]);
  });
});

describe('EVENTQEN', () => {
  // Records of two accesses wait for the Event queue's turn.
  const waiting = [bringUp(), SET_MANUAL, dma(0x10_0000), dma(0x20_0000)];

  it('goes down with the records lost that are not in the queue (6.3.9.4)', () => {
    const stopped = given(waiting, turn('evtq'), write('CR0', 9))
      .when(turn('acknowledge'))
      .then({ type: 'record.dropped', record: 'F_TRANSLATION', why: 'EVENTQEN=0' }, updated('CR0ACK', 9))
      .thenNo('record.written');
    expect(stopped.of('record.dropped').length).toBe(1);
    // They are not written when the queue is enabled again.
    stopped.when(write('CR0', 0xd), turn('acknowledge'), turn('evtq')).thenNo('record.written');
    stopped.when(read('EVENTQ_PROD')).thenOutcome({ value: 1n });
  });

  it('goes down with the records of stalled accesses still waiting (7.2)', () => {
    const stalls = idr('STALL_MODEL=0 STALL_MAX=8');
    const waiting = [bringUp(), storeWords(at.cd, cd({ S: true })), SET_MANUAL, dma(0x10_0000)];
    on(machine({}, { idr: stalls }))
      .given(waiting, write('CR0', 9), turn('acknowledge'))
      .when(write('CR0', 0xd), turn('acknowledge'), turn('evtq'))
      .then({ type: 'record.written', record: 'F_TRANSLATION' })
      .thenNo('record.dropped');
  });
});

describe('VMW', () => {
  it('is in force for invalidations once it is acknowledged (6.3.9.1)', () => {
    const identity = idr('S2P=1 VMID16=1 VMW=1');
    const nh = command('CMD_TLBI_NH_ALL', { VMID: 2 });
    // The entry has VMID 3: bit 0 does not count with VMW=1.
    const past = [
      bringUp(),
      storeWords(at.strtab + SID * 64, ste({ S2VMID: 3 })),
      tables(),
      map(0x1000, at.data),
    ];
    const filled = on(machine({}, { idr: identity })).given(past, dma(0x1000));
    filled.when(issue(0, nh)).thenNo('cache.invalidated');
    filled
      .given(SET_MANUAL, write('CR0', 0x4d))
      .when(issue(1, nh), ['cmdq', 'consume', 'perform'].map(turn))
      .then({ type: 'command.performed' })
      .thenNo('cache.invalidated')
      .when(turn('acknowledge'), issue(2, nh), ['cmdq', 'consume', 'perform'].map(turn))
      .then({ type: 'cache.invalidated', cache: 'tlb' });
  });
});

describe('SMMUEN', () => {
  it('goes down once stalled accesses are marked to be aborted (6.3.9.6)', () => {
    const past = [bringUp(), storeWords(at.cd, cd({ S: true })), SET_MANUAL, dma(0x10_0000)];
    on(machine({}, { idr: idr('STALL_MODEL=0 STALL_MAX=8') }))
      .given(past)
      .when(write('CR0', 0xc), turn('acknowledge'))
      .then({ type: 'stall.decided', how: 'abort' }, updated('CR0ACK', 0xc))
      .when(turn('stall'))
      .then({ type: 'access.terminated', result: 'abort' });
  });

  it('bypasses until it is acknowledged (6.3.9.6)', () => {
    given(SET_MANUAL, write('CR0', 1))
      .when(dma(0x1234))
      .then({ type: 'access.completed', via: 'bypass', pa: 0x1234 })
      .when(turn('acknowledge'), dma(0x1234))
      .then({ type: 'access.terminated', reason: 'C_BAD_STREAMID: beyond the stream table' });
  });

  it('bypasses or aborts silently as GBPA says while it is 0 (3.11)', () => {
    given()
      .when(write('GBPA', 0x8010_0000), dma(0x1000))
      .then({ type: 'access.terminated', result: 'abort', reason: 'GBPA.ABORT=1' })
      .thenNo('record.raised');
  });

  it.each([
    [44, 'ok'],
    [45, 'abort'],
  ])('lets an address of %i bits through a bypass of 44 (3.4)', (bits, result) => {
    const config = machine({ ram: [{ base: 0, size: 2 ** 48 }] });
    on(config)
      .when(dma(2n ** BigInt(bits) - 8n))
      .thenOutcome({ result })
      .thenNo('record.raised');
  });
});

describe('IRQ_CTRL', () => {
  it('signals only once the enable is acknowledged (6.3.16)', () => {
    const broken = [bringUp(), SET_MANUAL, write('IRQ_CTRL', 0), turn('acknowledge'), write('IRQ_CTRL', 1)];
    const bad = [storeWords(at.cmdq, new Uint32Array(4)), write('CMDQ_PROD', 1), turn('cmdq')];
    given(broken, bad).when(turn('consume')).then(updated('GERROR', 1)).thenNo('interrupt.raised');
    given(broken, turn('acknowledge'), bad)
      .when(turn('consume'))
      .then(updated('GERROR', 1), { type: 'interrupt.raised', source: 'GERROR' });
  });
});

describe('GBPA', () => {
  it('takes a value with Update, shows it, and clears Update (6.3.14.1)', () => {
    manual()
      .when(write('GBPA', 0x8010_1000), read('GBPA'))
      .thenOutcome({ value: 0x8010_1000n })
      .when(turn('acknowledge'), read('GBPA'))
      .thenOutcome({ value: 0x10_1000n });
  });

  it('ignores a write without Update, and any write while Update is 1', () => {
    manual()
      .when(write('GBPA', 0x10_0000))
      .then({ type: 'write.ignored', why: 'Update=0' })
      .when(write('GBPA', 0x8010_0000), write('GBPA', 0x8000_0000))
      .then(written('GBPA', 0x8010_0000n), { type: 'write.ignored', why: 'guarded by GBPA.Update' });
  });
});

describe.each(['GMPAM', 'GBPMPAM'] as const)('%s', (register) => {
  it('is updated as GBPA is (6.3.42, 6.3.43)', () => {
    const past = manual(idr('MPAM=1'));
    past.when(write(register, 5)).then({ type: 'write.ignored', why: 'Update=0' });
    past
      .when(write(register, 0x8000_0005), turn('acknowledge'))
      .then(written(register, 0x8000_0005), updated(register, 5));
  });
});

describe('GERROR and GERRORN', () => {
  const failing = [bringUp(), storeWords(at.cmdq, new Uint32Array(4))];

  it('toggles GERROR only while the error is inactive (7.5)', () => {
    const twice = given(failing)
      .when(write('CMDQ_PROD', 1))
      .then(updated('GERROR', 1))
      .when(write('GERRORN', 1))
      .then(updated('GERROR', 0));
    twice.when(write('GERRORN', 0)).then(updated('GERROR', 0), updated('GERROR', 1));
    twice.thenNo('misuse.noted');
  });

  it('stores and remarks a toggle for an error that is not active (6.3.20)', () => {
    given(bringUp())
      .when(write('GERRORN', 4))
      .then({ type: 'misuse.noted', rule: 'gerrorn-inactive' }, written('GERRORN', 4))
      .thenNo('interrupt.raised');
  });
});
