/**
 * From an STE to the CD (IHI 0070 5.2 S1DSS, S1CDMax and S1Fmt; 5.3, 5.4; 7.3.7, 7.3.9): which CD an
 * access uses, where it stands, what aborts.
 */
import { describe, expect, it } from 'vitest';
import { STE } from '../../../core/smmu/ste.ts';
import {
  at,
  bringUp,
  cd,
  command,
  dma,
  issue,
  machine,
  map,
  SID,
  ste,
  store,
  storeWords,
  tables,
} from '../../support/build.ts';
import { type Asked, type Given, on, type When } from '../../support/given.ts';
import { idr, put, table } from '../../support/tables.ts';

function stream(fields: string, features = '', ...more: Asked[]): Given {
  return on(machine({}, { idr: idr(features) })).given(
    bringUp(),
    tables(),
    map(0x1000, at.data),
    storeWords(at.strtab + SID * 64, put(STE.fields, ste(), fields)),
    more,
  );
}

function ask(setup: Given, ssid: string): When {
  return setup.when({ ...dma(0x1000), ...(ssid === '-' ? {} : { ssid: Number(ssid) }) } as Asked);
}

describe('which CD', () => {
  // Every Config with its S1DSS, with and without a SubstreamID. `verdict` is the CD's address or the record.
  const rows = table<'ste' | 'features' | 'ssid' | 'verdict'>(`
    ste                         | features    | ssid  | verdict
    Config=BYPASS               |             | -     | bypass
    Config=BYPASS               |             | 0     | C_BAD_SUBSTREAMID
    Config=S1                   |             | -     | 0x20000
    Config=S1                   |             | 0     | C_BAD_SUBSTREAMID
    Config=S1                   | SSIDSIZE=0  | -     | 0x20000
    Config=S1                   | SSIDSIZE=0  | 1     | C_BAD_SUBSTREAMID
    Config=S1 S1CDMax=4 S1DSS=2 | SSIDSIZE=0  | -     | 0x20000
    Config=S1 S1CDMax=4 S1DSS=0 | SSIDSIZE=0  | -     | 0x20000
    Config=S1 S1CDMax=4 S1DSS=0 |             | -     | F_STREAM_DISABLED
    Config=S1 S1CDMax=4 S1DSS=0 |             | 0     | 0x20000
    Config=S1 S1CDMax=4 S1DSS=0 |             | 1     | 0x20040
    Config=S1 S1CDMax=4 S1DSS=0 |             | 15    | 0x203c0
    Config=S1 S1CDMax=4 S1DSS=0 |             | 16    | C_BAD_SUBSTREAMID
    Config=S1 S1CDMax=4 S1DSS=1 |             | -     | bypass
    Config=S1 S1CDMax=4 S1DSS=1 |             | 0     | 0x20000
    Config=S1 S1CDMax=4 S1DSS=1 |             | 16    | C_BAD_SUBSTREAMID
    Config=S1 S1CDMax=4 S1DSS=2 |             | -     | 0x20000
    Config=S1 S1CDMax=4 S1DSS=2 |             | 0     | F_STREAM_DISABLED
    Config=S1 S1CDMax=4 S1DSS=2 |             | 3     | 0x200c0
    Config=S1 S1CDMax=4 S1DSS=2 |             | 16    | C_BAD_SUBSTREAMID
    Config=S1 S1CDMax=4 S1DSS=3 |             | -     | F_STREAM_DISABLED
    Config=S1 S1CDMax=4 S1DSS=3 |             | 0     | 0x20000
    Config=S1 S1CDMax=0 S1DSS=0 |             | -     | 0x20000
    Config=S1 S1CDMax=1 S1ContextPtr=0x20040 |  | 1   | 0x20040
    Config=S1 S1CDMax=4 S1ContextPtr=0x20040 |  | 1   | 0x20040
    Config=S1 S1CDMax=0 S1ContextPtr=0x20040 |  | -   | 0x20040
    Config=S1 S1CDMax=4 S1Fmt=3 |             | 2     | 0x20080
    Config=S1 S1CDMax=0 S1Fmt=1 |             | -     | 0x20000
  `);
  it.each(rows)('$ste, SubstreamID $ssid: $verdict', ({ ste: fields, features, ssid, verdict }) => {
    const cds = Array.from({ length: 17 }, (_, index) => storeWords(at.cd + index * 64, cd()));
    const answer = ask(stream(fields, features, cds), ssid);
    if (verdict === 'bypass') answer.then({ type: 'access.completed', via: 'bypass', cd: 0, tlb: 0 });
    else if (verdict.startsWith('0x')) {
      answer.then(
        {
          type: 'structure.fetched',
          structure: 'CD',
          pa: Number(verdict),
          substreamId: ssid === '-' ? 0 : Number(ssid),
        },
        { type: 'config.filled', cache: 'cd' },
        { type: 'access.completed', via: 'walk', pa: at.data },
      );
    } else
      answer.then({ type: 'record.raised', record: verdict }, { type: 'access.terminated', result: 'abort' });
  });
});

describe('a two-level table', () => {
  const rows = table<'ste' | 'ssid' | 'l1' | 'l1cd' | 'found'>(`
    ste                      | ssid   | l1      | l1cd            | found
    S1Fmt=1 S1CDMax=10       | 0      | 0x20000 | 0x50001         | 0x50000
    S1Fmt=1 S1CDMax=10       | 63     | 0x20000 | 0x50001         | 0x50fc0
    S1Fmt=1 S1CDMax=10       | 64     | 0x20008 | 0x50001         | 0x50000
    S1Fmt=1 S1CDMax=10       | 1023   | 0x20078 | 0x50001         | 0x50fc0
    S1Fmt=1 S1CDMax=4        | 15     | 0x20000 | 0x50001         | 0x503c0
    S1Fmt=1 S1CDMax=10       | 64     | 0x20008 | 0x50000         | L1CD.V=0
    S1Fmt=1 S1CDMax=10       | 64     | 0x20008 | 0x1000000000001 | L1CD.L2Ptr is beyond OAS
    S1Fmt=2 S1CDMax=12       | 5      | 0x20000 | 0x50001         | 0x50140
    S1Fmt=2 S1CDMax=12       | 1023   | 0x20000 | 0x50001         | 0x5ffc0
    S1Fmt=2 S1CDMax=12       | 1024   | 0x20008 | 0x53001         | 0x50000
    S1Fmt=1 S1CDMax=20 S1ContextPtr=0x21040 | 64 | 0x20008 | 0x50001 | 0x50000
    S1Fmt=2 S1CDMax=20 S1ContextPtr=0x22040 | 1024 | 0x22008 | 0x50001 | 0x50000
  `);
  it.each(rows)('$ste, SubstreamID $ssid, L1CD $l1cd: $found', ({ ste: fields, ssid, l1, l1cd, found }) => {
    const place = found.startsWith('0x') ? storeWords(Number(found), cd()) : [];
    const answer = ask(stream(fields, 'OAS=5', store(Number(l1), BigInt(l1cd)), place), ssid);
    answer.then(
      { type: 'structure.fetched', structure: 'L1CD', pa: Number(l1) },
      { type: 'config.filled', cache: 'l1cd' },
    );
    if (found.startsWith('0x')) {
      answer.then(
        { type: 'structure.fetched', structure: 'CD', pa: Number(found) },
        { type: 'access.completed' },
      );
    } else answer.then({ type: 'access.terminated', reason: `C_BAD_SUBSTREAMID: ${found}` });
  });

  it('keeps a stale L1CD from CFGI_CD with Leaf=1, and drops it with Leaf=0 (4.3.3)', () => {
    const setup = stream('S1Fmt=1 S1CDMax=10', '', store(at.cd, 0));
    const first = ask(setup, '5').then({ type: 'access.terminated', reason: 'C_BAD_SUBSTREAMID: L1CD.V=0' });
    const mended = first.when(store(at.cd, 0x5_0001n), storeWords(0x5_0140, cd()));
    const fields = { StreamID: SID, SubstreamID: 5 };
    const again = { ...dma(0x1000), ssid: 5 } as Asked;
    mended
      .when(issue(0, command('CMD_CFGI_CD', { ...fields, Leaf: true })), again)
      .thenOutcome({ result: 'abort' });
    mended.when(issue(1, command('CMD_CFGI_CD', fields)), again).thenOutcome({ result: 'ok' });
  });
});

describe('a fetch that aborts is F_CD_FETCH and caches nothing', () => {
  it.each([
    ['CD', 'S1ContextPtr=0x2000000000', 0x20_0000_0000],
    ['L1CD', 'S1Fmt=1 S1CDMax=10 S1ContextPtr=0x2000000000 S1DSS=2', 0x20_0000_0000],
  ])('%s', (structure, fields, pa) => {
    const answer = ask(stream(fields), '-').then(
      { type: 'fetch.aborted', structure, pa },
      { type: 'record.raised', record: 'F_CD_FETCH' },
    );
    expect(answer.of('config.filled').map(({ cache }) => cache)).toEqual(['ste']);
  });
});

describe('a CD', () => {
  it('with V=0 is cached until CMD_CFGI_CD (8.1)', () => {
    const stale = ask(stream('', '', storeWords(at.cd, new Uint32Array(16))), '-').when(
      storeWords(at.cd, cd()),
      dma(0x1000),
    );
    stale.thenOutcome({ result: 'abort' });
    stale
      .when(issue(0, command('CMD_CFGI_CD', { StreamID: SID, Leaf: true })), dma(0x1000))
      .thenOutcome({ result: 'ok' });
  });
});
