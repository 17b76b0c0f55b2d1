/**
 * From a StreamID to its STE (IHI 0070 3.3.1, 5.1, 5.2): where the entry stands, what is outside the
 * table, what aborts. Each row changes one thing.
 */
import { describe, expect, it } from 'vitest';
import type { Stimulus } from '../../../core/stimulus.ts';
import {
  at,
  bringUp,
  command,
  dma,
  issue,
  machine,
  SID,
  ste,
  store,
  storeWords,
  write,
} from '../../support/build.ts';
import { given, on } from '../../support/given.ts';
import { idr, table } from '../../support/tables.ts';

const BYPASS = ste({ Config: 'BYPASS' });

/** Bring-up with another table configuration, the base where `build.ts` has it. */
function configured(cfg: number, base: number = at.strtab): Stimulus[] {
  return bringUp().map((each) => {
    if (each.type !== 'mmio.write') return each;
    if (each.offset === 0x88) return write('STRTAB_BASE_CFG', cfg);
    return each.offset === 0x80 ? write('STRTAB_BASE', base) : each;
  });
}

function device(streamId: number, overrides = '') {
  const endpoint = {
    name: 'dev0',
    smmu: 'smmu0',
    streamId,
    ats: false,
    pri: false,
    ssidBits: 0,
    atc: 0,
  } as const;
  return machine({ endpoints: [endpoint] }, { idr: idr(overrides) });
}

describe('a linear table', () => {
  const rows = table<'sid' | 'log2size' | 'base' | 'found'>(`
    sid    | log2size | base     | found
    0      | 0        | 0x10000  | 0x10000
    1      | 0        | 0x10000  | beyond
    8      | 8        | 0x10000  | 0x10200
    255    | 8        | 0x10000  | 0x13fc0
    256    | 8        | 0x10000  | beyond
    8      | 8        | 0x13fc0  | 0x10200
    8      | 4        | 0x10040  | 0x10200
    8      | 4        | 0x10400  | 0x10600
    65535  | 16       | 0x400000 | 0x7fffc0
    65536  | 20       | 0x0      | beyond
    8      | 63       | 0x10000  | 0x200
  `);
  it.each(rows)('StreamID $sid of 2^$log2size at $base: $found', ({ sid, log2size, base, found }) => {
    const setup = on(device(Number(sid))).given(configured(Number(log2size), Number(base)));
    if (found === 'beyond') {
      const answer = setup.when(dma(0x1000));
      answer.thenNo('structure.fetched').then({ type: 'record.raised', record: 'C_BAD_STREAMID' });
      answer.then({
        type: 'access.terminated',
        result: 'abort',
        reason: 'C_BAD_STREAMID: beyond the stream table',
      });
      return;
    }
    const answer = setup.when(storeWords(Number(found), BYPASS), dma(0x1000));
    answer.then(
      { type: 'structure.fetched', structure: 'STE', streamId: Number(sid), pa: Number(found) },
      { type: 'config.filled', cache: 'ste', span: 1 },
      { type: 'access.completed', via: 'bypass', pa: 0x1000 },
    );
  });

  it('records C_BAD_STREAMID only with CR2.RECINVSID (6.3.12.2)', () => {
    const silent = configured(3).map((each) =>
      each.type === 'mmio.write' && each.offset === 0x2c ? write('CR2', 0) : each,
    );
    given(silent).when(dma(0)).then({ type: 'access.terminated', result: 'abort' }).thenNo('record.raised');
  });

  it.each([2, 3])('is what FMT=%i means too (6.3.25)', (fmt) => {
    given(configured((fmt << 16) | 8), storeWords(at.strtab + SID * 64, BYPASS))
      .when(dma(0x1000))
      .then({ type: 'access.completed', via: 'bypass' });
  });
});

describe('a two-level table', () => {
  // The level 1 array at 0x10000; the level 2 array at L2Ptr, aligned down to its span.
  const rows = table<'sid' | 'split' | 'log2size' | 'l1std' | 'at1' | 'at2'>(`
    sid  | split | log2size | l1std         | at1     | at2
    8    | 6     | 8        | 0x20007       | 0x10000 | 0x20200
    8    | 6     | 8        | 0x20004       | 0x10000 | beyond L1STD.Span
    7    | 6     | 8        | 0x20004       | 0x10000 | 0x201c0
    8    | 6     | 8        | 0x20fc7       | 0x10000 | 0x20200
    8    | 6     | 8        | 0x20008       | 0x10000 | L1STD.Span=8
    72   | 6     | 8        | 0x20007       | 0x10008 | 0x20200
    8    | 6     | 8        | 0x20000       | 0x10000 | L1STD.Span=0
    8    | 6     | 8        | 0x2000c       | 0x10000 | L1STD.Span=12
    8    | 6     | 8        | 0x2001f       | 0x10000 | L1STD.Span=31
    264  | 8     | 16       | 0x20009       | 0x10008 | 0x20200
    264  | 8     | 16       | 0x2000a       | 0x10008 | L1STD.Span=10
    1032 | 10    | 16       | 0x4000b       | 0x10008 | 0x40200
    72   | 7     | 16       | 0x20007       | 0x10008 | 0x20200
    72   | 0     | 16       | 0x20007       | 0x10008 | 0x20200
    8    | 10    | 6        | 0x20007       | 0x10000 | 0x20200
    64   | 10    | 6        |               | -       | beyond the stream table
    0    | 6     | 8        | 0x20001       | 0x10000 | 0x20000
    1    | 6     | 8        | 0x20001       | 0x10000 | beyond L1STD.Span
  `);
  it.each(rows)(
    'StreamID $sid, SPLIT $split, L1STD $l1std: $at2',
    ({ sid, split, log2size, l1std, at1, at2 }) => {
      const cfg = (1 << 16) | (Number(split) << 6) | Number(log2size);
      const setup = on(device(Number(sid))).given(
        configured(cfg),
        at1 === '-' ? [] : store(Number(at1), BigInt(l1std)),
      );
      if (!at2.startsWith('0x')) {
        const record = { type: 'record.raised', record: 'C_BAD_STREAMID' } as const;
        setup.when(dma(0)).then(record, { type: 'access.terminated', reason: `C_BAD_STREAMID: ${at2}` });
        return;
      }
      setup
        .when(storeWords(Number(at2), BYPASS), dma(0x1000))
        .then(
          { type: 'structure.fetched', structure: 'L1STD', pa: Number(at1) },
          { type: 'config.filled', cache: 'l1std' },
          { type: 'structure.fetched', structure: 'STE', pa: Number(at2) },
          { type: 'access.completed', via: 'bypass' },
        );
    },
  );

  it('aligns its level 1 array down (6.3.24)', () => {
    const cfg = (1 << 16) | (6 << 6) | 12;
    on(device(0))
      .given(configured(cfg, 0x10040), store(0x10000, 0x20001n), storeWords(0x20000, BYPASS))
      .when(dma(0x1000))
      .then({ type: 'structure.fetched', structure: 'L1STD', pa: 0x10000 }, { type: 'access.completed' });
  });
});

describe('a fetch that aborts is F_STE_FETCH and caches nothing', () => {
  const FAR = 0x20_0000_0000;
  const rows = table<'name' | 'cfg' | 'base' | 'address'>(`
    name                 | cfg     | base         | address
    an STE outside RAM   | 8       | 0x2000000000 | 0x2000000200
    an L1STD outside RAM | 0x10188 | 0x2000000000 | 0x2000000000
  `);
  it.each(rows)('$name', ({ cfg, base, address }) => {
    const answer = on(device(SID))
      .given(configured(Number(cfg), Number(base)))
      .when(dma(0), dma(0));
    answer.then({ type: 'record.raised', record: 'F_STE_FETCH' }).thenNo('config.filled');
    const [record] = answer.of('record.raised');
    const low = new DataView(record!.words.buffer).getBigUint64(24, true);
    expect(low).toBe(BigInt(address));
    expect(answer.of('access.terminated').map(({ result }) => result)).toEqual(['abort', 'abort']);
  });

  it('an L2Ptr outside RAM', () => {
    on(device(SID))
      .given(configured((1 << 16) | (6 << 6) | 8), store(at.strtab, BigInt(FAR) | 7n))
      .when(dma(0))
      .then(
        { type: 'fetch.aborted', structure: 'STE', pa: FAR + 0x200 },
        { type: 'record.raised', record: 'F_STE_FETCH' },
      );
  });

  it('an L2Ptr beyond OAS; bits at OAS and above are 0 in the record (3.4.3)', () => {
    const answer = on(device(SID))
      .given(configured((1 << 16) | (6 << 6) | 8), store(at.strtab, (1n << 52n) | 0x20007n))
      .when(dma(0))
      .then({ type: 'access.terminated', reason: 'F_STE_FETCH: the address is beyond OAS' });
    const [record] = answer.of('record.raised');
    expect(record).toMatchObject({ record: 'F_STE_FETCH' });
    expect(new DataView(record!.words.buffer).getBigUint64(24, true)).toBe(0x2_0200n);
  });
});

describe('an STE', () => {
  it('that bypasses refuses an address beyond OAS with a record, whatever it is (3.4)', () => {
    given(bringUp(), storeWords(at.strtab + SID * 64, BYPASS))
      .when(dma(2n ** 44n))
      .then({ type: 'record.raised', record: 'F_ADDR_SIZE' }, { type: 'access.terminated', result: 'abort' });
  });

  it('with V=0 is cached, and stays until CMD_CFGI_STE (8.1; 5.2.1)', () => {
    const stale = given(bringUp(), storeWords(at.strtab + SID * 64, new Uint32Array(16)), dma(0x1000))
      .when(storeWords(at.strtab + SID * 64, BYPASS), dma(0x1000))
      .thenNo('structure.fetched')
      .then({ type: 'access.terminated', reason: 'C_BAD_STE: V=0' });
    // The refusal rests on the entry that was found wrong.
    expect(stale.of('access.terminated')[0]?.ste).toBeGreaterThan(0);
    stale
      .when(issue(0, command('CMD_CFGI_STE', { StreamID: SID, Leaf: true })), dma(0x1000))
      .thenOutcome({ result: 'ok' });
  });
});
