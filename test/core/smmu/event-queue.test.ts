/**
 * Writing event records (IHI 0070 3.5.3, 7.2, 7.4): when a record is written, when it is lost, the
 * overflow flags, aborts, and the interrupt.
 */
import { describe, expect, it } from 'vitest';
import type { Stimulus } from '../../../core/stimulus.ts';
import { at, bringUp, dma, machine, tables, write } from '../../support/build.ts';
import { given, on, turn, updated } from '../../support/given.ts';
import { idr, table } from '../../support/tables.ts';

const OVFLG = 0x8000_0000;
const SET_MANUAL: Stimulus = { type: 'set', path: 'schedule', value: 'manual' };
const fault = dma(0x1000);

/** Bring-up with an Event queue of 2^log2 entries. */
function sized(log2: number, base: bigint = BigInt(at.evtq)): Stimulus[] {
  const bring = bringUp().map((each) =>
    each.type === 'mmio.write' && each.offset === 0xa0 ? write('EVENTQ_BASE', base | BigInt(log2)) : each,
  );
  return [...bring, ...tables()];
}

describe.each([0, 1, 2])('a queue of 2^%i records', (log2) => {
  const size = 2 ** log2;

  it('takes that many, then overflows once, and goes on when there is room (7.4)', () => {
    let story = given(sized(log2)).when(Array.from({ length: size }, () => fault));
    expect(story.of('record.written').map(({ index }) => index)).toEqual(
      Array.from({ length: size }, (_, index) => index),
    );
    expect(story.of('record.written').map(({ pa }) => pa - at.evtq)).toEqual(
      Array.from({ length: size }, (_, index) => index * 32),
    );
    story = story
      .when(fault)
      .then({ type: 'record.dropped', why: 'the queue is full' }, updated('EVENTQ_PROD', OVFLG + size));
    // Not marked again before it is acknowledged.
    const twice = story.when(fault);
    expect(twice.of('record.dropped')).toHaveLength(2);
    expect(twice.of('register.updated').filter(({ value }) => value === BigInt(OVFLG + size))).toHaveLength(
      1,
    );
    // An overflow that is not acknowledged does not hold later records back.
    const room = twice
      .when(write('EVENTQ_CONS', 1), fault)
      .then(updated('EVENTQ_PROD', OVFLG + ((size + 1) % (size * 2))));
    room.when(write('EVENTQ_CONS', OVFLG + 1), fault).then(updated('EVENTQ_PROD', (size + 1) % (size * 2)));
  });

  it('goes round with its wrap bit', () => {
    let story = given(sized(log2)).when();
    for (let put = 0; put < size * 4; put += 1) {
      story = story.when(fault, write('EVENTQ_CONS', (put + 1) % (size * 2)));
    }
    expect(story.of('record.written').map(({ index }) => index)).toEqual(
      Array.from({ length: size * 4 }, (_, put) => put % (size * 2)),
    );
    story.thenNo('record.dropped');
  });

  it('interrupts on empty to non-empty only', () => {
    const story = given(sized(log2)).when(Array.from({ length: size + 1 }, () => fault));
    story.then({ type: 'record.written' }, updated('EVENTQ_PROD', 1), {
      type: 'interrupt.raised',
      source: 'EVENTQ',
    });
    expect(story.of('interrupt.raised')).toHaveLength(1);
    const again = story.when(write('EVENTQ_CONS', OVFLG + size), fault);
    expect(again.of('interrupt.raised')).toHaveLength(2);
  });
});

describe('a record is lost without an overflow', () => {
  it('while EVENTQEN is 0, or not acknowledged (7.2.1)', () => {
    given(sized(2), write('CR0', 9))
      .when(fault)
      .then({ type: 'record.dropped', why: 'EVENTQEN=0' })
      .thenNo('register.updated');
    given(sized(2), write('CR0', 9), SET_MANUAL, write('CR0', 0xd))
      .when(fault, turn('evtq'))
      .then({ type: 'record.dropped', why: 'EVENTQEN=0' });
  });

  it('while EVENTQ_ABT_ERR is active, which an abort of the write makes it (7.2.2)', () => {
    const aborted = given(sized(2, 0x20_0000_0000n)).when(fault, fault);
    aborted.then(
      { type: 'record.dropped', why: 'the write of the record aborted' },
      updated('GERROR', 4),
      { type: 'interrupt.raised', source: 'GERROR' },
      { type: 'record.dropped', why: 'EVENTQ_ABT_ERR is active' },
    );
    aborted.thenNo('record.written');
    expect(aborted.of('register.updated').map(({ register }) => register)).toEqual(['GERROR']);
    aborted.when(write('GERRORN', 4), fault).then(updated('GERROR', 4), updated('GERROR', 0));
  });

  it('when more wait than can be held, and that is said', () => {
    const many = given(sized(2), SET_MANUAL).when(Array.from({ length: 257 }, () => fault));
    expect(many.of('record.raised')).toHaveLength(256);
    many.then({ type: 'misuse.noted', rule: 'record-lost' });
  });
});

describe('pending records', () => {
  it('wait for their turn, in order, and outlive SMMUEN (3.11)', () => {
    const waiting = given(
      sized(2),
      SET_MANUAL,
      dma(0x1000),
      dma(0x2000, 'write'),
      write('CR0', 0xc),
      turn('acknowledge'),
    );
    const one = waiting.when(turn('evtq'));
    one.then({ type: 'record.written', index: 0 }, updated('EVENTQ_PROD', 1));
    one.when(turn('evtq'), turn('evtq')).then({ type: 'record.written', index: 1 }, { type: 'turn.passed' });
  });
});

describe('strange pointers', () => {
  const rows = table<'prod' | 'cons' | 'fate'>(`
    prod       | cons       | fate
    0x0        | 0x3        | full
    0x5        | 0x0        | full
    0x1        | 0x6        | written 1
    0x6        | 0x1        | full
    0x7        | 0x7        | written 7
    0xff8      | 0x0        | written 0
    0x0        | 0xff8      | written 0
    0x80000000 | 0x0        | written 0
  `);
  it.each(rows)('PROD $prod, CONS $cons: $fate', ({ prod, cons, fate }) => {
    const set = [
      write('CR0', 9),
      write('EVENTQ_PROD', Number(prod)),
      write('EVENTQ_CONS', Number(cons)),
      write('CR0', 0xd),
    ];
    const story = given(sized(2), set).when(fault);
    // Software's write of CONS to a running queue would be remarked.
    const moved = story.when(write('EVENTQ_CONS', Number(cons)));
    const size = ((Number(prod) & 7) - (Number(cons) & 7) + 8) % 8;
    expect(moved.of('misuse.noted').map(({ rule }) => rule)).toEqual(size > 4 ? ['queue-inconsistent'] : []);
    if (fate === 'full') story.then({ type: 'record.dropped', why: 'the queue is full' });
    else story.then({ type: 'record.written', index: Number(fate.slice(8)) });
  });

  it('LOG2SIZE is capped at IDR1.EVENTQS', () => {
    const small = on(machine({}, { idr: idr('EVENTQS=1') })).given(sized(19));
    const story = small.when(fault, fault, fault);
    expect(story.of('record.written')).toHaveLength(2);
    expect(story.of('record.dropped')).toHaveLength(1);
  });
});
