/**
 * Stalled accesses (IHI 0070 3.12.2, 4.7.1, 4.7.2, 6.3.9.6): how they wait, what ends them, and what becomes of
 * the rest of the DMA. Records of stalls and the Event queue are in `stall-records.test.ts`.
 */
import { describe, expect, it } from 'vitest';
import { encodeEventRecord } from '../../../core/smmu/event-record.ts';
import type { Stimulus } from '../../../core/stimulus.ts';
import { at, command, dma, map, PAGE_RW, SID, store, write } from '../../support/build.ts';
import { turn, type When } from '../../support/given.ts';
import { give, resume, SECOND, stalling } from '../../support/stalling.ts';
import { table } from '../../support/tables.ts';

const dev1 = (iova: number): Stimulus => ({ ...dma(iova), endpoint: 'dev1' }) as Stimulus;
const stalls = ({ state }: When) => state.smmus['smmu0']!.stalls;
const stags = (story: When): readonly number[] => stalls(story).map(({ stag }) => stag);
const term = (StreamID: number = SID): Stimulus[] => give(command('CMD_STALL_TERM', { StreamID }));
const DATA = new Uint8Array([1, 2, 3, 4, 5, 6, 7, 8]);

describe('an access that stalls', () => {
  it('waits, and its record has Stall=1 and the STAG', () => {
    const story = stalling().when(dma(0x1abc));
    story
      .then(
        { type: 'record.raised', record: 'F_TRANSLATION', stag: 0 },
        { type: 'access.stalled', stag: 0, iova: 0x1abcn },
        { type: 'record.written', record: 'F_TRANSLATION', index: 0 },
      )
      .thenNo('access.terminated', 'access.completed')
      .thenOutcome({ result: 'stall', event: 'F_TRANSLATION' });
    const fields = {
      StreamID: SID,
      RnW: true,
      CLASS: 'IN',
      InputAddr: 0x1abcn,
      Stall: true,
      STAG: 0,
    } as const;
    expect([...story.state.memory.readWords(at.evtq, 8)]).toEqual([
      ...encodeEventRecord('F_TRANSLATION', fields),
    ]);
    expect(stalls(story)).toMatchObject([{ endpoint: 'dev0', streamId: SID, stag: 0, held: false }]);
  });

  it('does not hold up others of its stream', () => {
    stalling()
      .given(map(0x2000, at.data))
      .when(dma(0x1000), dma(0x2000))
      .then({ type: 'access.stalled', iova: 0x1000n }, { type: 'access.completed', iova: 0x2000n });
  });

  it('stays as invalidations come and go (3.21.3)', () => {
    const commands = [
      command('CMD_TLBI_NSNH_ALL'),
      command('CMD_CFGI_STE_RANGE', { Range: 31 }),
      command('CMD_SYNC'),
    ];
    const story = stalling()
      .given(dma(0x1000))
      .when(map(0x1000, at.data), give(...commands));
    story.then({ type: 'sync.completed' }).thenNo('stall.decided', 'stall.ended', 'access.completed');
    expect(stags(story)).toEqual([0]);
  });

  it('is aborted where the device must not stall, with a record of Stall=0 (3.12)', () => {
    const [endpoint] = [
      { name: 'dev0', smmu: 'smmu0', streamId: SID, ats: false, pri: false, ssidBits: 0, atc: 0 },
    ];
    const story = stalling('', { endpoints: [{ ...endpoint!, stall: false }] }).when(dma(0x1000));
    story
      .then(
        { type: 'record.raised', record: 'F_TRANSLATION' },
        { type: 'access.terminated', result: 'abort' },
      )
      .thenNo('access.stalled');
    expect(story.of('record.raised')[0]?.stag).toBeUndefined();
  });

  it('is one that a translation fault met; all else aborts', () => {
    // The level 3 table lies outside RAM.
    stalling()
      .given(store(at.table + 0x2000, 0x20_0000_0000n | 3n))
      .when(dma(0x1000))
      .then({ type: 'access.terminated', result: 'abort' })
      .thenNo('access.stalled');
  });
});

describe('CMD_RESUME (4.7.1)', () => {
  const rows = table<'Ac' | 'Ab' | 'TERM_MODEL' | 'mapped' | 'how' | 'end'>(`
    Ac | Ab | TERM_MODEL | mapped | how    | end
    1  | 0  | 0          | yes    | retry  | ok
    1  | 1  | 0          | yes    | retry  | ok
    1  | 1  | 1          | yes    | retry  | ok
    1  | 0  | 0          | no     | retry  | stall
    0  | 1  | 0          | yes    | abort  | abort
    0  | 1  | 0          | no     | abort  | abort
    0  | 0  | 0          | no     | raz-wi | raz-wi
    0  | 0  | 0          | yes    | raz-wi | raz-wi
    0  | 0  | 1          | no     | abort  | abort
    0  | 1  | 1          | no     | abort  | abort
  `);
  it.each(rows)(
    'Ac=$Ac Ab=$Ab, TERM_MODEL=$TERM_MODEL, mapped by now: $mapped: $end',
    ({ Ac, Ab, TERM_MODEL, mapped, how, end }) => {
      const words = command('CMD_RESUME', { StreamID: SID, STAG: 0, Ac: Ac === '1', Ab: Ab === '1' });
      const access: Stimulus = { ...dma(0x1000, 'write'), data: DATA } as Stimulus;
      const story = stalling(`TERM_MODEL=${TERM_MODEL}`)
        .given(access, mapped === 'yes' ? [map(0x1000, at.data)] : [])
        .when(give(words));
      story.then(
        { type: 'stall.decided', how: how as 'retry' },
        { type: 'stall.ended', how: how as 'retry' },
      );
      if (end === 'ok') story.then({ type: 'access.completed', pa: at.data, via: 'walk' });
      else if (end === 'stall') story.then({ type: 'access.stalled' }, { type: 'record.written' });
      else story.then({ type: 'access.terminated', result: end });
      // Its own record was told of before: nothing is said twice.
      expect(story.of('record.raised')).toHaveLength(end === 'stall' ? 1 : 0);
      expect(story.state.memory.read64(at.data)).toBe(end === 'ok' ? 0x0807_0605_0403_0201n : 0n);
      expect(stalls(story)).toHaveLength(end === 'stall' ? 1 : 0);
    },
  );

  const misses = table<'what' | 'sid' | 'stag'>(`
    what                     | sid | stag
    another StreamID         | 9   | 0
    another STAG             | 8   | 1
    a stream without stalls  | 7   | 0
    a STAG with high bits    | 8   | 0x100
  `);
  it.each(misses)('with $what has no effect', ({ sid, stag }) => {
    const story = stalling()
      .given(dma(0x1000))
      .when(resume(Number(stag), 'abort', Number(sid)));
    story.then({ type: 'misuse.noted', rule: 'resume-no-match' }).thenNo('stall.decided');
    expect(stags(story)).toEqual([0]);
  });

  it('a second one of the same stall has no effect', () => {
    const story = stalling('', { schedule: 'manual' }).given(turnsUp).given(dma(0x1000), turn('evtq'));
    story
      .when(
        resume(0, 'retry'),
        turn('consume'),
        turn('perform'),
        resume(0, 'abort'),
        turn('consume'),
        turn('stall'),
      )
      .then(
        { type: 'stall.decided', how: 'retry' },
        { type: 'misuse.noted', rule: 'resume-no-match' },
        { type: 'stall.ended', how: 'retry' },
      );
  });

  it('before the record is visible has no effect', () => {
    const story = stalling('', { schedule: 'manual' }).given(turnsUp);
    story
      .when(dma(0x1000), resume(0, 'retry'), turn('consume'))
      .then({ type: 'access.stalled' }, { type: 'misuse.noted', rule: 'resume-no-match' })
      .thenNo('stall.decided');
  });

  it('decides by the time it is consumed; the access ends later', () => {
    const story = stalling('', { schedule: 'manual' }).given(turnsUp, dma(0x1000), turn('evtq'));
    const consumed = story.when(resume(0, 'abort'), turn('consume'));
    consumed
      .then({ type: 'stall.decided', how: 'abort' }, { type: 'command.consumed' })
      .thenNo('stall.ended');
    consumed
      .when(turn('stall'))
      .then({ type: 'stall.ended' }, { type: 'access.terminated', result: 'abort' });
  });

  it('takes configuration as it is at the retry, not as it was', () => {
    const bypass = store(at.strtab + SID * 64, 0x9n);
    stalling()
      .given(
        dma(0x1000),
        bypass,
        give(command('CMD_CFGI_STE', { StreamID: SID, Leaf: true }), command('CMD_SYNC')),
      )
      .when(resume(0, 'retry'))
      .then(
        { type: 'structure.fetched', structure: 'STE' },
        { type: 'access.completed', via: 'bypass', pa: 0x1000 },
      );
  });
});

describe('CMD_STALL_TERM (4.7.2)', () => {
  it('aborts what is stalled of its stream, and of no other', () => {
    const story = stalling().given(dma(0x1000), dev1(0x1000), dma(0x2000)).when(term());
    expect(
      story.of('access.terminated').map(({ iova, streamId, result }) => [iova, streamId, result]),
    ).toEqual([
      [0x1000n, SID, 'abort'],
      [0x2000n, SID, 'abort'],
    ]);
    expect(stalls(story).map(({ streamId, stag }) => [streamId, stag])).toEqual([[SECOND, 1]]);
  });

  it('where nothing is stalled does nothing', () => {
    stalling().given(dma(0x1000)).when(term(SECOND)).thenNo('stall.decided', 'misuse.noted');
  });

  it('leaves alone what stalls after it was consumed', () => {
    const story = stalling('', { schedule: 'manual' }).given(turnsUp, dma(0x1000), turn('evtq'));
    const done = story.when(
      term(),
      turn('consume'),
      dma(0x2000),
      turn('perform'),
      turn('stall'),
      turn('stall'),
    );
    expect(done.of('access.terminated').map(({ iova }) => iova)).toEqual([0x1000n]);
    expect(stalls(done).map(({ iova }) => iova)).toEqual([0x2000n]);
  });

  it('is noted on a stream that goes on, and not after its STE aborts everything', () => {
    const noted = { type: 'misuse.noted', rule: 'stall-term-live' } as const;
    stalling().given(dma(0x1000)).when(term()).then(noted, { type: 'stall.decided', how: 'abort' });
    const cfgi = give(command('CMD_CFGI_STE', { StreamID: SID, Leaf: true }), command('CMD_SYNC'));
    const closed = stalling()
      .given(dma(0x1000), store(at.strtab + SID * 64, 1n), cfgi, dma(0x5000))
      .when(term());
    closed.then({ type: 'access.terminated', result: 'abort', iova: 0x1000n }).thenNo('misuse.noted');
  });

  it('gives the STAG of what it ends back', () => {
    const story = stalling().given(dma(0x1000), term()).when(dma(0x1000));
    expect(stags(story)).toEqual([0]);
  });
});

describe('SMMUEN from 1 to 0 (6.3.9.6)', () => {
  it('aborts every stalled access, of all streams', () => {
    const story = stalling().given(dma(0x1000), dev1(0x1000)).when(write('CR0', 0xc));
    story.then(
      { type: 'stall.decided', how: 'abort' },
      { type: 'register.updated', register: 'CR0ACK', value: 0xcn },
    );
    expect(story.of('access.terminated').map(({ streamId, result }) => [streamId, result])).toEqual([
      [SID, 'abort'],
      [SECOND, 'abort'],
    ]);
    expect(stalls(story)).toEqual([]);
  });

  it('also one that was to be tried again', () => {
    const story = stalling('', { schedule: 'manual' }).given(turnsUp);
    story
      .given(dma(0x1000), turn('evtq'))
      .when(resume(0, 'retry'), turn('consume'), write('CR0', 0xc), turn('acknowledge'), turn('stall'))
      .then({ type: 'stall.ended', how: 'abort' }, { type: 'access.terminated', result: 'abort' })
      .thenNo('access.completed');
  });

  it('from then on nothing stalls: accesses bypass', () => {
    stalling().given(write('CR0', 0xc)).when(dma(0x1000)).then({ type: 'access.completed', via: 'bypass' });
  });
});

describe('STAGs', () => {
  it('are the lowest free ones, unique over all streams', () => {
    const story = stalling().when(dma(0x1000), dev1(0x1000), dma(0x2000));
    expect(stags(story)).toEqual([0, 1, 2]);
    const again = story.when(resume(1, 'abort', SECOND), dma(0x3000));
    expect(stalls(again).map(({ stag, iova }) => [stag, iova])).toEqual([
      [0, 0x1000n],
      [2, 0x2000n],
      [1, 0x3000n],
    ]);
  });

  it('of a retry that stalls again are given anew, with a record of their own', () => {
    const story = stalling().given(dma(0x1000), dma(0x2000)).when(resume(0, 'retry'));
    story.then(
      { type: 'stall.ended', how: 'retry' },
      { type: 'record.raised', stag: 0 },
      { type: 'access.stalled' },
    );
    expect(story.of('record.written').map(({ index }) => index)).toEqual([2]);
    expect(new Set(stags(story)).size).toBe(2);
  });
});

describe('a DMA of several pages', () => {
  const BIG = { ...dma(0x1ff0, 'write', 0x2010) } as Extract<Stimulus, { type: 'dma' }>;
  const data = Uint8Array.from({ length: 0x2010 }, (_, index) => (index * 7 + 1) % 251);
  const page = (index: number): number => at.data + index * 0x1000;

  it('stalls in the middle, goes on from there, and stores each byte once', () => {
    const story = stalling()
      .given(map(0x1000, page(1)), map(0x3000, page(3)))
      .when({ ...BIG, data });
    story.then(
      { type: 'access.completed', iova: 0x1ff0n, size: 0x10 },
      { type: 'access.stalled', iova: 0x2000n, size: 0x1000 },
    );
    expect(stalls(story)[0]?.request).toEqual({ total: 0x2010, done: 0x10, exec: false, privileged: false });
    const done = story.when(map(0x2000, page(2)), resume(0, 'retry'));
    expect(done.of('access.completed').map(({ iova, size, pa }) => [iova, size, pa])).toEqual([
      [0x1ff0n, 0x10, page(1) + 0xff0],
      [0x2000n, 0x1000, page(2)],
      [0x3000n, 0x1000, page(3)],
    ]);
    const { memory } = done.state;
    const stored = [
      ...memory.readBytes(page(1) + 0xff0, 0x10),
      ...memory.readBytes(page(2), 0x1000),
      ...memory.readBytes(page(3), 0x1000),
    ];
    expect(stored).toEqual([...data]);
  });

  it('may stall again at a later page', () => {
    const story = stalling()
      .given(map(0x1000, page(1)))
      .when({ ...BIG, data }, map(0x2000, page(2)), resume(0, 'retry'));
    expect(stalls(story)).toMatchObject([{ iova: 0x3000n, request: { total: 0x2010, done: 0x1010 } }]);
    story.when(map(0x3000, page(3)), resume(0, 'retry')).then({ type: 'access.completed', iova: 0x3000n });
  });

  it('aborted, ends there; RAZ/WI, goes on behind the bad page', () => {
    const stalled = () => stalling().given(map(0x1000, page(1)), map(0x3000, page(3)), { ...BIG, data });
    stalled()
      .when(resume(0, 'abort'))
      .then({ type: 'access.terminated', result: 'abort', iova: 0x2000n, size: 0x1000 })
      .thenNo('access.completed');
    const ignored = stalled().when(resume(0, 'raz-wi'));
    ignored.then(
      { type: 'access.terminated', result: 'raz-wi', iova: 0x2000n, size: 0x1000 },
      { type: 'access.completed', iova: 0x3000n, size: 0x1000, pa: page(3) },
    );
    expect([...ignored.state.memory.readBytes(page(3), 16)]).toEqual([...data.slice(0x1010, 0x1020)]);
  });

  it('keeps what it is: privileged, an instruction fetch, with its SubstreamID', () => {
    // A privileged page that may not be executed by anybody: the retry is refused as the access was.
    const XN = PAGE_RW | (3n << 53n);
    const fetch = { ...dma(0x1000), exec: true, privileged: true } as Stimulus;
    const story = stalling()
      .given(fetch, map(0x1000, at.data, XN))
      .when(resume(0, 'retry'));
    const [record] = story.of('record.raised');
    expect(record?.record).toBe('F_PERMISSION');
    const expected = {
      StreamID: SID,
      PnU: true,
      InD: true,
      RnW: true,
      CLASS: 'IN',
      InputAddr: 0x1000n,
    } as const;
    expect([...new Uint32Array(record!.words.slice().buffer)]).toEqual([
      ...encodeEventRecord('F_PERMISSION', { ...expected, Stall: true }),
    ]);
  });
});

/** What the eager schedule does while the world is set up. */
const turnsUp: readonly Stimulus[] = [turn('acknowledge'), turn('acknowledge'), turn('acknowledge')];
