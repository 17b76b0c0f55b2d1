/**
 * Message-signalled interrupts (IHI 0070 3.18, 3.4.3, 4.7.3, 7.5.1): when one is sent, what it stores and
 * where, what an abort of it activates, and in which order all this is seen.
 */
import { describe, expect, it } from 'vitest';
import type { Stimulus } from '../../../core/stimulus.ts';
import { bringUp, command, dma, issue, machine, storeWords, tables, write } from '../../support/build.ts';
import { on, turn, updated } from '../../support/given.ts';
import { idr, table } from '../../support/tables.ts';

const MSI = 'MSI=1 SEV=1 OAS=4';
/** An address in RAM, one beyond RAM and within the OAS of 44 bits, and one whose bits beyond 44 hide the first. */
const places = {
  ram: 0x5000n,
  far: 0x20_0000_0000n,
  wide: (1n << 44n) + 0x5000n,
  beyond: 1n << 44n,
} as const;
type Place = keyof typeof places;
const DATA = 0x1234_5678;
const OLD = 0xffff_ffff_ffff_ffffn;
const FILLED: Stimulus = storeWords(0x5000, new Uint32Array(2).fill(0xffff_ffff));

const small = (features = MSI) => on(machine({}, { idr: idr(features) }));
const quiet = () => bringUp().map((each) => (isWrite(each, 0x50) ? write('IRQ_CTRL', 0) : each));
function isWrite(each: Stimulus, offset: number): boolean {
  return each.type === 'mmio.write' && each.offset === offset;
}
/** Messages of a register source, and the enables of both sources. */
function configure(source: 'GERROR' | 'EVENTQ', place: bigint, data = DATA): Stimulus[] {
  return [write(`${source}_IRQ_CFG0`, place), write(`${source}_IRQ_CFG1`, data)];
}
const ENABLE = write('IRQ_CTRL', 5);
const fault = dma(0x1000);
const sync = (place: bigint, data = DATA) =>
  command('CMD_SYNC', { CS: 'SIG_IRQ', MSIAddress: place, MSIData: data });

/** Each source with what triggers it, and its error. */
const sources = {
  EVENTQ: { trigger: [fault], aborted: 1 << 5, setUp: configure },
  GERROR: { trigger: issue(0, new Uint32Array(4)), aborted: 1 << 7, setUp: configure },
} as const;

describe.each(['EVENTQ', 'GERROR'] as const)('the messages of %s', (source) => {
  const { trigger, aborted } = sources[source];
  const from = (place: bigint, features = MSI) =>
    small(features).given(quiet(), tables(), FILLED, configure(source, place), ENABLE);

  it('store four bytes after the wired edge', () => {
    from(places.ram + 4n)
      .when(trigger)
      .then(
        { type: 'interrupt.raised', source },
        { type: 'msi.sent', source, pa: 0x5004, data: DATA },
        { type: 'memory.written', pa: 0x5000, value: 0x1234_5678_ffff_ffffn, old: OLD },
      );
  });

  it('are not sent without IDR0.MSI, with an address of 0, or while the source is disabled', () => {
    from(places.ram, 'OAS=4').when(trigger).then({ type: 'interrupt.raised', source }).thenNo('msi.sent');
    from(0n).when(trigger).then({ type: 'interrupt.raised', source }).thenNo('msi.sent');
    small()
      .given(quiet(), tables(), configure(source, places.ram))
      .when(trigger)
      .thenNo('msi.sent', 'interrupt.raised');
  });

  it('are not sent while the enable is not acknowledged, nor later for what came before (6.3.16)', () => {
    const early = small()
      .given(quiet(), tables(), configure(source, places.ram))
      .given({ type: 'set', path: 'schedule', value: 'manual' }, ENABLE)
      .when(trigger, turn('evtq'), turn('cmdq'), turn('consume'));
    expect(early.of('turn.passed').length).toBeLessThan(3);
    early
      .thenNo('msi.sent', 'interrupt.raised')
      .when(turn('acknowledge'))
      .thenNo('msi.sent', 'interrupt.raised');
  });

  it('use no address bits beyond the OAS (3.4.3)', () => {
    from(places.wide).when(trigger).then({ type: 'msi.sent', source, pa: 0x5000 });
    // The bits are RES0, so that an address of nothing else is 0 (6.3.21).
    from(places.beyond).when(trigger).then({ type: 'interrupt.raised', source }).thenNo('msi.sent');
  });

  it('that abort activate an error of their own, once, and stop nothing (7.5)', () => {
    const story = from(places.far).when(trigger);
    story.then(
      { type: 'msi.sent', source, pa: Number(places.far) },
      { type: 'memory.aborted', pa: Number(places.far), size: 4 },
    );
    const toggled = story.of('register.updated').filter(({ register }) => register === 'GERROR');
    expect(toggled.filter(({ value, old }) => Number(value ^ old) === aborted)).toHaveLength(1);
  });
});

describe('a GERROR', () => {
  it('is visible before its interrupt, whose abort raises none (7.5.1)', () => {
    const story = small()
      .given(quiet(), configure('GERROR', places.far), ENABLE)
      .when(issue(0, new Uint32Array(4)));
    story.then(
      { type: 'command.rejected' },
      updated('CMDQ_CONS', 0x0100_0000),
      updated('GERROR', 1),
      { type: 'interrupt.raised', source: 'GERROR' },
      { type: 'msi.sent', source: 'GERROR' },
      { type: 'memory.aborted' },
      updated('GERROR', 0x81),
    );
    // MSI_GERROR_ABT_ERR: the one interrupt is that of CMDQ_ERR.
    expect(story.of('interrupt.raised')).toHaveLength(1);
  });

  it('of an aborted message interrupts by a message of its own: MSI_EVENTQ_ABT_ERR', () => {
    small()
      .given(quiet(), tables(), configure('EVENTQ', places.far), configure('GERROR', places.ram), ENABLE)
      .when(fault)
      .then(
        { type: 'record.written' },
        updated('EVENTQ_PROD', 1),
        { type: 'interrupt.raised', source: 'EVENTQ' },
        { type: 'memory.aborted' },
        updated('GERROR', 0x20),
        { type: 'interrupt.raised', source: 'GERROR' },
        { type: 'msi.sent', source: 'GERROR', pa: 0x5000 },
      );
  });

  it('that is active is not told again', () => {
    const story = small()
      .given(quiet())
      .when(issue(0, sync(places.far), sync(places.far)));
    expect(story.of('memory.aborted')).toHaveLength(2);
    expect(story.of('register.updated').filter(({ register }) => register === 'GERROR')).toHaveLength(1);
  });
});

describe('the message of a CMD_SYNC (4.7.3)', () => {
  const rows = table<'place' | 'features' | 'fate'>(`
    place  | features    | fate
    ram    | ${MSI}      | 0x5000
    ram    | MSI=0 OAS=4 | none
    wide   | ${MSI}      | 0x5000
    beyond | ${MSI}      | 0x0
  `);
  it.each(rows)('to $place with $features: $fate', ({ place, features, fate }) => {
    const story = small(features)
      .given(quiet(), FILLED)
      .when(issue(0, sync(places[place as Place])));
    story.then({ type: 'sync.completed' }, { type: 'interrupt.raised', source: 'CMD_SYNC' });
    // The test for zero is of the whole field, not of what the OAS leaves of it.
    expect(story.of('msi.sent').map(({ pa }) => `0x${pa.toString(16)}`)).toEqual(
      fate === 'none' ? [] : [fate],
    );
  });

  it('needs an address and CS=SIG_IRQ', () => {
    small()
      .given(quiet())
      .when(issue(0, sync(0n)))
      .then({ type: 'interrupt.raised' })
      .thenNo('msi.sent');
    const none = command('CMD_SYNC', { MSIAddress: places.ram, MSIData: DATA });
    small().given(quiet()).when(issue(0, none)).thenNo('msi.sent', 'interrupt.raised');
  });

  it('comes after CONS, has no enable, and its abort is MSI_CMDQ_ABT_ERR, which stops nothing', () => {
    small()
      .given(quiet())
      .when(issue(0, sync(places.far), sync(places.ram)))
      .then(
        { type: 'command.consumed', index: 0 },
        updated('CMDQ_CONS', 1),
        { type: 'sync.completed', index: 0 },
        { type: 'msi.sent', source: 'CMD_SYNC' },
        { type: 'memory.aborted' },
        updated('GERROR', 0x10),
        // The abort is told before the next CMD_SYNC completes (3.18.1).
        { type: 'sync.completed', index: 1 },
        { type: 'msi.sent', pa: 0x5000, data: DATA },
      );
  });
});
