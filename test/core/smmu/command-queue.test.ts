/**
 * The Command queue (IHI 0070 3.5, 4.1, 4.7.3, 7.1): how far a command is at each of its turns, how the
 * queue stops at an error and goes on after it, and what happens when software does what it must not.
 */
import { describe, expect, it } from 'vitest';
import {
  at,
  bringUp,
  command,
  dma,
  issue,
  machine,
  map,
  read,
  storeWords,
  tables,
  write,
} from '../../support/build.ts';
import { given, on, turn, updated } from '../../support/given.ts';

const SET_MANUAL = { type: 'set', path: 'schedule', value: 'manual' } as const;
const SYNC = command('CMD_SYNC');
const FLUSH = command('CMD_TLBI_NSNH_ALL');
const ILL = new Uint32Array(4);
const one = bringUp().map((each) => (sameRegister(each) ? write('CMDQ_BASE', BigInt(at.cmdq)) : each));

function sameRegister(each: { type: string; offset?: number }): boolean {
  return each.type === 'mmio.write' && each.offset === 0x90;
}

/** Bring-up with a queue of 2^log2 entries. */
const sized = (log2: number): typeof one =>
  one.map((each) => (sameRegister(each) ? write('CMDQ_BASE', BigInt(at.cmdq) | BigInt(log2)) : each));

describe('the positions of a command', () => {
  it('is in the queue, fetched, consumed and performed in turns of its own', () => {
    const story = given(bringUp(), tables(), map(0x1000, at.data), dma(0x1000), SET_MANUAL);
    const after = story
      .when(issue(0, FLUSH, SYNC), dma(0x1000))
      .then({ type: 'access.completed', via: 'hit' });
    after.when(turn('consume')).then({ type: 'turn.passed' });
    const fetched = after.when(turn('cmdq'));
    fetched.then({ type: 'command.fetched', index: 0, command: 'CMD_TLBI_NSNH_ALL', lo: 0x30n, hi: 0n });
    fetched.when(dma(0x1000)).then({ type: 'access.completed', via: 'hit' });
    const consumed = fetched.when(turn('consume'));
    consumed
      .then({ type: 'command.consumed', index: 0 }, updated('CMDQ_CONS', 1))
      .thenNo('cache.invalidated');
    consumed.when(dma(0x1000)).then({ type: 'access.completed', via: 'hit' });
    const performed = consumed.when(turn('perform'));
    performed.then({ type: 'cache.invalidated', cache: 'tlb' }, { type: 'command.performed', index: 0 });
    performed.when(dma(0x1000)).then({ type: 'access.completed', via: 'walk' });
  });

  it('does not consume a CMD_SYNC before all older commands are performed (4.7.3)', () => {
    const ready = given(bringUp(), SET_MANUAL, issue(0, FLUSH, FLUSH, SYNC, FLUSH));
    const waiting = ready.when(
      turn('cmdq'),
      turn('consume'),
      turn('cmdq'),
      turn('consume'),
      turn('cmdq'),
      turn('consume'),
    );
    waiting.then(
      { type: 'command.fetched', command: 'CMD_SYNC' },
      { type: 'turn.passed', unit: 'smmu0.consume' },
    );
    waiting
      .when(turn('perform'), turn('consume'))
      .then({ type: 'command.performed', index: 0 }, { type: 'turn.passed' });
    // Nothing younger starts before it.
    waiting.when(turn('cmdq')).then({ type: 'turn.passed', unit: 'smmu0.cmdq' });
    waiting
      .when(turn('perform'), turn('consume'))
      .then({ type: 'command.performed', index: 1 }, updated('CMDQ_CONS', 3), {
        type: 'sync.completed',
        index: 2,
      });
  });

  it('signals a CMD_SYNC last, and only with SIG_IRQ (4.7.3)', () => {
    given(bringUp())
      .when(issue(0, command('CMD_SYNC', { CS: 'SIG_IRQ' })))
      .then(
        { type: 'command.consumed' },
        updated('CMDQ_CONS', 1),
        { type: 'sync.completed' },
        { type: 'interrupt.raised', source: 'CMD_SYNC' },
      );
    given(bringUp())
      .when(issue(0, SYNC, command('CMD_SYNC', { CS: 'SIG_SEV' })))
      .thenNo('interrupt.raised');
  });

  it('works while SMMUEN is 0 (3.11)', () => {
    given(bringUp(), tables(), map(0x1000, at.data), dma(0x1000), write('CR0', 0xc))
      .when(issue(0, FLUSH, SYNC))
      .then({ type: 'cache.invalidated', cache: 'tlb' }, { type: 'sync.completed', index: 1 });
  });
});

describe('the pointers', () => {
  it.each([0, 1, 2])('go round a queue of 2^%i entries with their wrap bit (3.5.1)', (log2) => {
    const size = 2 ** log2;
    let round = given(sized(log2)).when();
    for (let put = 0; put < size * 4; put += 1) {
      const cell = storeWords(at.cmdq + (put % size) * 16, SYNC);
      round = round.when(cell, write('CMDQ_PROD', (put + 1) % (size * 2)), read('CMDQ_CONS'));
      round.thenOutcome({ value: BigInt((put + 1) % (size * 2)) });
    }
    expect(round.of('sync.completed').map(({ index }) => index)).toEqual(
      Array.from({ length: size * 4 }, (_, put) => put % (size * 2)),
    );
  });

  it('cap LOG2SIZE at IDR1.CMDQS (6.3.26)', () => {
    const small = machine({}, { idr: { ...machine().smmus[0]?.idr, IDR1: 0x0013_0010 | (2 << 21) } });
    const cells = Array.from({ length: 4 }, (_, cell) => storeWords(at.cmdq + cell * 16, SYNC));
    on(small).given(sized(19), cells).when(write('CMDQ_PROD', 4), write('CMDQ_PROD', 5)).then(
      updated('CMDQ_CONS', 4),
      { type: 'sync.completed', index: 3 },
      {
        type: 'sync.completed',
        index: 4,
      },
    );
  });

  it('stop the queue when PROD moved back, until they are consistent again (3.5.1)', () => {
    const back = given(bringUp(), issue(0, SYNC, SYNC, SYNC)).when(write('CMDQ_PROD', 1));
    back.then({ type: 'misuse.noted', rule: 'queue-inconsistent', detail: 'CMDQ_PROD = 0x1' });
    back.thenNo('command.fetched');
    back.when(issue(3, SYNC)).then({ type: 'sync.completed', index: 3 });
  });
});

describe('a PROD that takes commands back', () => {
  const filled = () => given(bringUp(), SET_MANUAL, issue(0, SYNC, SYNC, SYNC));

  it('is remarked while the queue runs (4.1.2)', () => {
    filled().when(write('CMDQ_PROD', 1)).then({ type: 'misuse.noted', rule: 'prod-moved-back' });
    filled().when(write('CMDQ_PROD', 4), write('CMDQ_PROD', 4)).thenNo('misuse.noted');
  });

  it('is allowed after an error, and while the queue is off (7.1)', () => {
    given(bringUp(), issue(0, ILL, SYNC, SYNC))
      .when(write('CMDQ_PROD', 1))
      .thenNo('misuse.noted');
    filled().given(write('CR0', 5), turn('acknowledge')).when(write('CMDQ_PROD', 1)).thenNo('misuse.noted');
  });
});

describe('an illegal command (7.1)', () => {
  const stopped = () => given(bringUp()).when(issue(0, SYNC, ILL, SYNC));

  it('is told step by step: CONS and ERR, then GERROR, then the interrupt', () => {
    stopped().then(
      { type: 'sync.completed', index: 0 },
      { type: 'command.rejected', index: 1, error: 'CERROR_ILL' },
      updated('CMDQ_CONS', 0x0100_0001),
      updated('GERROR', 1),
      { type: 'interrupt.raised', source: 'GERROR' },
    );
    expect(stopped().of('sync.completed')).toHaveLength(1);
  });

  it('stops the queue whatever PROD does, and across a disable', () => {
    const again = stopped().when(write('CMDQ_PROD', 4), write('CR0', 5), write('CR0', 0xd));
    expect(again.of('command.fetched')).toHaveLength(2);
  });

  it('is fetched anew after the acknowledgement, without a write of PROD', () => {
    stopped()
      .when(storeWords(at.cmdq + 16, FLUSH), write('GERRORN', 1))
      .then(
        { type: 'command.fetched', index: 1, command: 'CMD_TLBI_NSNH_ALL' },
        updated('CMDQ_CONS', 2),
        updated('CMDQ_CONS', 3),
        { type: 'sync.completed', index: 2 },
      );
  });

  it('is refused again when nobody repaired it, and GERROR toggles back', () => {
    const twice = stopped().when(write('GERRORN', 1));
    twice.then(updated('GERROR', 1), updated('CMDQ_CONS', 0x0100_0001), updated('GERROR', 0));
    expect(twice.of('interrupt.raised')).toHaveLength(2);
  });

  it('may be taken out by moving PROD back to it', () => {
    const gone = stopped().when(write('CMDQ_PROD', 1), write('GERRORN', 1));
    expect(gone.of('command.fetched')).toHaveLength(2);
    gone.when(issue(1, SYNC)).then({ type: 'sync.completed', index: 1 });
  });

  it('leaves older commands their effect', () => {
    given(bringUp(), SET_MANUAL, issue(0, FLUSH, ILL))
      .when(turn('cmdq'), turn('consume'), turn('cmdq'), turn('consume'), turn('perform'))
      .then({ type: 'command.rejected', index: 1 }, { type: 'command.performed', index: 0 });
  });
});

describe('a queue outside RAM (7.1)', () => {
  const far = bringUp().map((each) => (sameRegister(each) ? write('CMDQ_BASE', 0x2_0000_0000n | 8n) : each));

  it('is CERROR_ABT, and CONS does not move', () => {
    const stopped = given(far)
      .when(write('CMDQ_PROD', 1))
      .then(
        { type: 'command.rejected', index: 0, command: '-', error: 'CERROR_ABT' },
        updated('CMDQ_CONS', 0x0200_0000),
        updated('GERROR', 1),
      );
    stopped.thenNo('command.fetched');
    stopped.when(write('GERRORN', 1)).then(updated('GERROR', 1), updated('GERROR', 0));
  });
});
