/**
 * Records of stalled accesses: they wait where others are lost (IHI 0070 7.2.1), a CMD_SYNC leaves none behind
 * that is out of date (4.7.3), STALL_MAX bounds them (6.3.6), and stage 2 has its own (3.12.5, 7.3).
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CD } from '../../../core/smmu/cd.ts';
import { encodeEventRecord } from '../../../core/smmu/event-record.ts';
import type { Stimulus } from '../../../core/stimulus.ts';
import { at, cd, command, dma, map, SID, storeWords, unmap, write } from '../../support/build.ts';
import { on, turn, type When } from '../../support/given.ts';
import {
  GUEST,
  guestMap,
  inGuest,
  nestedBringUp,
  nestedMachine,
  s2Map,
  s2Unmap,
} from '../../support/nested.ts';
import { eventQueueOf, give, resume, stalling } from '../../support/stalling.ts';
import { idr, put, table } from '../../support/tables.ts';

const stateOf = ({ state }: When) => state.smmus['smmu0']!;
const sync = give(command('CMD_SYNC'));
const waiting = (story: When): readonly (number | undefined)[] =>
  stateOf(story).records.map(({ stag }) => stag);
const written = (story: When): readonly string[] => story.of('record.written').map(({ record }) => record);
const OVFLG = 2n ** 31n;
const EVENTQ_ABT_ERR = 4;

// The queue cannot take a record: what happens to one of each kind, and what lets the stall record in.
const blocked: readonly (readonly [what: string, given: readonly Stimulus[], free: readonly Stimulus[]])[] = [
  ['is full', [...eventQueueOf(0), dma(0x5000)], [write('EVENTQ_CONS', 1)]],
  ['is disabled', [write('CR0', 0x9)], [write('CR0', 0xd)]],
];

describe.each(blocked)('while the Event queue %s', (what, before, free) => {
  it('a stall record waits, and does not count as overflow', () => {
    const story = stalling().given(before).when(dma(0x1000));
    story.then({ type: 'access.stalled', iova: 0x1000n }).thenNo('record.written', 'record.dropped');
    expect(waiting(story)).toEqual([stateOf(story).stalls.at(-1)?.stag]);
    expect(BigInt(stateOf(story).regs['EVENTQ_PROD']!) & OVFLG).toBe(0n);
    const freed = story.when(free);
    freed.then({ type: 'record.written', record: 'F_TRANSLATION' });
    expect(waiting(freed)).toEqual([]);
  });

  it('others do not wait behind it: they are lost', () => {
    const abort = storeWords(at.cd, put(CD.fields, cd(), 'S=0'));
    const story = stalling()
      .given(before)
      .when(dma(0x1000), abort, give(command('CMD_CFGI_CD', { StreamID: SID })), dma(0x2000));
    story.then({ type: 'access.terminated', iova: 0x2000n }, { type: 'record.dropped' });
    expect(waiting(story)).toHaveLength(1);
    expect((BigInt(stateOf(story).regs['EVENTQ_PROD']!) & OVFLG) !== 0n).toBe(what === 'is full');
  });

  it('a CMD_SYNC lets the access be tried again: mended, it ends without a record (4.7.3)', () => {
    const story = stalling().given(before, dma(0x1000)).when(map(0x1000, at.data), sync);
    story.then(
      { type: 'record.withdrawn', record: 'F_TRANSLATION' },
      { type: 'stall.decided', how: 'retry' },
      { type: 'sync.completed' },
      { type: 'access.completed', iova: 0x1000n },
    );
    expect(written(story.when(free))).toEqual([]);
  });

  it('and not mended, it has a new record, and the old one never appears', () => {
    const story = stalling().given(before, dma(0x1000)).when(sync);
    story.then({ type: 'record.withdrawn' }, { type: 'record.raised' }, { type: 'access.stalled' });
    expect(written(story)).toEqual([]);
    expect(written(story.when(free))).toEqual(['F_TRANSLATION']);
  });

  it('CMD_STALL_TERM and SMMUEN=0 take access and record away (4.7.2)', () => {
    for (const end of [
      give(command('CMD_STALL_TERM', { StreamID: SID })),
      [write('CR0', what === 'is full' ? 0xc : 0x8)],
    ]) {
      const story = stalling().given(before, dma(0x1000)).when(end);
      story.then({ type: 'record.withdrawn' }, { type: 'access.terminated', result: 'abort', iova: 0x1000n });
      expect(stateOf(story).stalls).toEqual([]);
      expect(waiting(story)).toEqual([]);
    }
  });
});

describe('a CMD_SYNC', () => {
  it('does not touch a stall whose record is visible', () => {
    const story = stalling().given(dma(0x1000)).when(map(0x1000, at.data), sync);
    story.then({ type: 'sync.completed' }).thenNo('record.withdrawn', 'stall.decided');
  });

  it('waits for no stall', () => {
    stalling().given(dma(0x1000)).when(sync).then({ type: 'sync.completed' });
  });
});

describe('an abort as a stall record is written (7.2.2)', () => {
  const lost = () =>
    stalling('', {
      ram: [
        { base: 0, size: at.evtq },
        { base: at.evtq + 0x1000, size: 2 ** 32 },
      ],
    }).given(dma(0x1000));

  it('loses the record; the access is still there, and CMD_STALL_TERM ends it', () => {
    const story = lost().when(give(command('CMD_STALL_TERM', { StreamID: SID })));
    expect(stateOf(story).regs['GERROR']).toBe(EVENTQ_ABT_ERR);
    story.then({ type: 'access.terminated', result: 'abort', iova: 0x1000n });
  });

  it('until GERRORN says it was seen, later stall records wait', () => {
    const story = lost().when(dma(0x2000));
    expect(waiting(story)).toEqual([1]);
    story.when(write('GERRORN', EVENTQ_ABT_ERR)).then({ type: 'record.dropped' });
  });
});

describe('STALL_MAX (6.3.6)', () => {
  const three = () => stalling('STALL_MAX=2').given(dma(0x1000), dma(0x2000), dma(0x3000));
  const held = (story: When): readonly bigint[] =>
    stateOf(story)
      .stalls.filter((each) => each.held)
      .map(({ iova }) => iova);

  it('lets more accesses wait without a record', () => {
    const story = stalling('STALL_MAX=2').when(dma(0x1000), dma(0x2000), dma(0x3000));
    expect(written(story)).toHaveLength(2);
    story.then({ type: 'access.stalled', iova: 0x3000n, held: true }).thenOutcome({ result: 'stall' });
    expect(held(story)).toEqual([0x3000n]);
  });

  it('one that ends makes room: the first that waits is tried, and told of if it stalls again', () => {
    const story = three().when(dma(0x4000), resume(0, 'abort'));
    story.then(
      { type: 'stall.ended', how: 'abort' },
      { type: 'stall.ended', how: 'retry' },
      { type: 'record.raised', record: 'F_TRANSLATION', stag: 0 },
      { type: 'access.stalled', iova: 0x3000n, stag: 0 },
    );
    expect(held(story)).toEqual([0x4000n]);
  });

  it('or it goes through without ever a record', () => {
    const story = three().when(map(0x3000, at.data), resume(1, 'abort'));
    story.then({ type: 'access.completed', iova: 0x3000n }).thenNo('record.raised');
  });

  it('the STAG of a waiting one means nothing: CMD_RESUME cannot reach it', () => {
    const story = three().when(resume(0, 'abort'), resume(0, 'abort'), resume(0, 'abort'));
    expect(story.of('misuse.noted').map(({ rule }) => rule)).toEqual(['resume-no-match']);
  });

  it.each([['CMD_STALL_TERM'], ['SMMUEN=0']])('%s ends those without a record too', (how) => {
    const end = how === 'SMMUEN=0' ? [write('CR0', 0xc)] : give(command('CMD_STALL_TERM', { StreamID: SID }));
    const story = three().when(end);
    expect(story.of('access.terminated').map(({ result }) => result)).toEqual(['abort', 'abort', 'abort']);
    story.thenNo('record.raised');
  });

  it('0 is taken as 1', () => {
    const story = stalling('STALL_MAX=0').when(dma(0x1000), dma(0x2000));
    expect(written(story)).toHaveLength(1);
  });
});

describe('which stage decides (3.12.5, 5.5)', () => {
  // CD.S and STE.S2S; where the fault is; what the access does; Stall, S2 and CLASS of the record.
  const rows = table<'S' | 'S2S' | 'fault' | 'end' | 'record'>(`
    S | S2S | fault          | end   | record
    0 | 0   | stage 1        | abort | Stall=0 S2=0 CLASS=IN
    1 | 0   | stage 1        | stall | Stall=1 S2=0 CLASS=IN
    0 | 1   | stage 1        | abort | Stall=0 S2=0 CLASS=IN
    1 | 1   | stage 1        | stall | Stall=1 S2=0 CLASS=IN
    0 | 0   | stage 2        | abort | Stall=0 S2=1 CLASS=IN
    1 | 0   | stage 2        | abort | Stall=0 S2=1 CLASS=IN
    0 | 1   | stage 2        | stall | Stall=1 S2=1 CLASS=IN
    1 | 1   | stage 2        | stall | Stall=1 S2=1 CLASS=IN
    0 | 0   | table of stage 1 | abort | Stall=0 S2=1 CLASS=TT
    1 | 0   | table of stage 1 | abort | Stall=0 S2=1 CLASS=TT
    0 | 1   | table of stage 1 | stall | Stall=1 S2=1 CLASS=TT
    0 | 0   | CD             | abort | Stall=0 S2=1 CLASS=CD
    1 | 0   | CD             | abort | Stall=0 S2=1 CLASS=CD
    0 | 1   | CD             | stall | Stall=1 S2=1 CLASS=CD
  `);
  const ipa: Readonly<Record<string, number>> = {
    'stage 2': at.data,
    'table of stage 1': at.table,
    CD: at.cd,
  };
  const features = { idr: idr('S2P=1 VMID16=1 STALL_MODEL=0 TERM_MODEL=0 STALL_MAX=8') };

  it.each(rows)('S=$S S2S=$S2S, a fault of $fault: $end, $record', ({ S, S2S, fault, end, record }) => {
    const [Stall, S2, CLASS] = record.split(' ').map((part) => part.split('=')[1]);
    const bad = ipa[fault];
    const story = on(nestedMachine({}, features))
      .given(nestedBringUp({ S2S: S2S === '1' }), inGuest(storeWords(at.cd, put(CD.fields, cd(), `S=${S}`))))
      .given(fault === 'stage 1' ? [] : guestMap(0x1000, at.data), bad === undefined ? [] : s2Unmap(bad))
      .when(dma(0x1abc));
    const [raised] = story.of('record.raised');
    const words = encodeEventRecord('F_TRANSLATION', {
      StreamID: SID,
      RnW: true,
      InputAddr: 0x1abcn,
      S2: S2 === '1',
      CLASS: CLASS as 'IN',
      Stall: Stall === '1',
      IPA: bad ?? 0,
    });
    expect([...new Uint32Array(raised!.words.slice().buffer)]).toEqual([...words]);
    story.thenOutcome({ result: end, event: 'F_TRANSLATION' });
    if (end !== 'stall') return;
    // Mended, the access goes on where it stood.
    const mended = story.when(
      guestMap(0x1000, at.data),
      bad === undefined ? [] : s2Map(bad),
      resume(0, 'retry'),
    );
    mended.then({ type: 'access.completed', iova: 0x1abcn, pa: GUEST + at.data + 0xabc });
  });

  it('an address that is too large for a bypassed stage 1 aborts, whatever S2S says (3.12)', () => {
    const story = on(nestedMachine({}, features))
      .given(nestedBringUp({ Config: 'S2', S2S: true }))
      .when(dma(2n ** 48n));
    story
      .then({ type: 'record.raised', record: 'F_ADDR_SIZE' }, { type: 'access.terminated', result: 'abort' })
      .thenNo('access.stalled');
  });
});

describe('whatever software does, in whatever order', () => {
  type Act =
    | { readonly do: 'dma' | 'map' | 'unmap'; readonly page: number }
    | { readonly do: 'resume'; readonly stag: number; readonly how: 'retry' | 'abort' | 'raz-wi' }
    | { readonly do: 'term' | 'sync' | 'read' | 'turn'; readonly unit: string };
  const page = fc.integer({ min: 1, max: 4 });
  const unit = fc.constantFrom('evtq', 'stall', 'consume', 'perform');
  const acts: fc.Arbitrary<readonly Act[]> = fc.array(
    fc.oneof(
      {
        weight: 4,
        arbitrary: fc.record({
          do: fc.constantFrom('dma' as const, 'dma' as const, 'map' as const, 'unmap' as const),
          page,
        }),
      },
      {
        weight: 3,
        arbitrary: fc.record({
          do: fc.constant('resume' as const),
          stag: fc.nat(3),
          how: fc.constantFrom('retry' as const, 'abort' as const, 'raz-wi' as const),
        }),
      },
      {
        weight: 4,
        arbitrary: fc.record({
          do: fc.constantFrom(
            'term' as const,
            'sync' as const,
            'read' as const,
            'turn' as const,
            'turn' as const,
          ),
          unit,
        }),
      },
    ),
    { maxLength: 40 },
  );
  const asked = (act: Act): readonly Stimulus[] => {
    if ('page' in act) {
      const iova = act.page * 0x1000;
      return act.do === 'dma' ? [dma(iova)] : [act.do === 'map' ? map(iova, at.data) : unmap(iova)];
    }
    if (act.do === 'resume') return resume(act.stag, act.how);
    if (act.do === 'term') return give(command('CMD_STALL_TERM', { StreamID: SID }));
    return act.do === 'sync' ? sync : [turn(act.unit)];
  };

  it('each access ends once, STAGs are unique, and no more than STALL_MAX are told of', () => {
    fc.assert(
      fc.property(
        acts,
        fc.constantFrom('eager' as const, 'manual' as const, 'seeded' as const),
        (list, schedule) => {
          const base = { schedule: 'eager' } as const;
          let story = stalling('STALL_MAX=3', base)
            .given(eventQueueOf(1), { type: 'set', path: 'schedule', value: schedule })
            .when();
          const read = (): Stimulus => write('EVENTQ_CONS', BigInt(stateOf(story).regs['EVENTQ_PROD']! % 4));
          for (const act of list) {
            story = story.when(act.do === 'read' ? read() : asked(act));
            const told = stateOf(story).stalls.filter((each) => !each.held);
            expect(new Set(told.map(({ stag }) => stag)).size).toBe(told.length);
            expect(told.length).toBeLessThanOrEqual(3);
          }
          // All is mended, and every record answered: then nothing stays.
          story = story.when(
            { type: 'set', path: 'schedule', value: 'eager' },
            [1, 2, 3, 4].map((each) => map(each * 0x1000, at.data)),
          );
          for (let round = 0; stateOf(story).stalls.length > 0 && round < 40; round += 1) {
            story = story.when(
              read(),
              [0, 1, 2].flatMap((stag) => resume(stag, 'retry')),
            );
          }
          expect(stateOf(story).stalls).toEqual([]);
          expect(waiting(story)).toEqual([]);
          const ends = story.of('access.completed').length + story.of('access.terminated').length;
          expect(ends).toBe(story.of('dma').length);
          expect(story.of('access.stalled')).toHaveLength(story.of('stall.ended').length);
          // Each record that was raised was written, or taken back, or lost: once.
          const fates = (['record.written', 'record.withdrawn', 'record.dropped'] as const).flatMap((type) =>
            story.of(type).map(({ raised }) => raised),
          );
          expect(fates.sort()).toEqual(
            story
              .of('record.raised')
              .map(({ seq }) => seq)
              .sort(),
          );
        },
      ),
      { numRuns: 60 },
    );
  });
});
