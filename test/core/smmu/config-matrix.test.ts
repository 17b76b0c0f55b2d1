/**
 * Every V, Config, S1DSS, S1CDMax, IDR1.SSIDSIZE and SubstreamID together (IHI 0070 5.2, 7.3.7, 7.3.9):
 * one access each, and what it must give looked up in the two printed tables. The stages map so that
 * every way through them ends at an address of its own.
 */
import { describe, expect, it } from 'vitest';
import { STE } from '../../../core/smmu/ste.ts';
import {
  at,
  bringUp,
  cd,
  dma,
  machine,
  map,
  PAGE_RW,
  SID,
  ste,
  store,
  storeWords,
  tables,
} from '../../support/build.ts';
import { type Given, on, type When } from '../../support/given.ts';
import { firstRow, idr, put, table } from '../../support/tables.ts';

// What V and Config decide, and otherwise what selects the CD.
const decoded = table<'v' | 'config' | 'is'>(`
  v | config  | is
  0 | -       | C_BAD_STE
  1 | 0,1,2,3 | silent abort
  1 | 4,5,6,7 | selected
`);

// `stage1` is Config[0]; a SubstreamID is there if ssv=1. 16 is 2^S1CDMax, the first beyond.
const selected = table<'stage1' | 'ssidsize' | 's1cdmax' | 'ssv' | 'ssid' | 's1dss' | 'is'>(`
  stage1 | ssidsize | s1cdmax | ssv | ssid   | s1dss | is
  0      | -        | -       | 1   | -      | -     | C_BAD_SUBSTREAMID
  0      | -        | -       | 0   | -      | -     | bypass
  1      | 0        | -       | 1   | -      | -     | C_BAD_SUBSTREAMID
  1      | -        | 0       | 1   | -      | -     | C_BAD_SUBSTREAMID
  1      | -        | 0       | 0   | -      | -     | CD 0
  1      | 0        | -       | 0   | -      | -     | CD 0
  1      | 20       | 4       | 1   | 16     | -     | C_BAD_SUBSTREAMID
  1      | 20       | 4       | 1   | 0      | 2     | F_STREAM_DISABLED
  1      | 20       | 4       | 1   | 0      | -     | CD 0
  1      | 20       | 4       | 1   | 3      | -     | CD 3
  1      | 20       | 4       | 1   | 15     | -     | CD 15
  1      | 20       | 4       | 0   | -      | 0,3   | F_STREAM_DISABLED
  1      | 20       | 4       | 0   | -      | 1     | bypass
  1      | 20       | 4       | 0   | -      | 2     | CD 0
`);

/** Where 0x40001000 goes by the stages that translate it. */
const GIB = 2 ** 30;
const IOVA = GIB + 0x1000;
const ends = {
  none: IOVA,
  stage1: 2 * GIB + 0x2000,
  stage2: 3 * GIB + 0x1000,
  both: GIB + 0x2000,
};

/** A 1 GiB stage 2 block of normal memory that may be read and written. */
const block2 = (pa: number): bigint => BigInt(pa) | (1n << 10n) | (3n << 8n) | (3n << 6n) | (0xfn << 2n) | 1n;
const S2TTB = 0x30_0000;
const STAGE_2 = `S2AA64=1 S2TG=4KB S2T0SZ=32 S2SL0=1 S2PS=5 S2TTB=${S2TTB} S2VMID=7`;

interface Stream {
  readonly v: number;
  readonly config: number;
  readonly s1dss: number;
  readonly s1cdmax: number;
  readonly ssidsize: number;
}

function streamOf({ v, config, s1dss, s1cdmax, ssidsize }: Stream): Given {
  const fields = `${STAGE_2} V=${v} Config=${config} S1DSS=${s1dss} S1CDMax=${s1cdmax}`;
  const none = { ste: 0, cd: 0, tlb: 0, walk: 0 } as const;
  return on(machine({}, { idr: idr(`S2P=1 SSIDSIZE=${ssidsize}`), caches: none })).given(
    bringUp(),
    tables(),
    // The second GiB of input addresses shares the tables of the first.
    store(at.table + 0x1000 + 8, BigInt(at.table + 0x2000) | 3n),
    map(0x1000, ends.stage1, PAGE_RW),
    Array.from({ length: 17 }, (_, index) => storeWords(at.cd + index * 64, cd())),
    store(S2TTB, block2(0), block2(3 * GIB), block2(GIB), 0n),
    storeWords(at.strtab + SID * 64, put(STE.fields, ste(), fields)),
  );
}

/** What the printed tables say. */
function expected({ v, config, ...stream }: Stream, ssid: number | undefined): string {
  const { is } = firstRow(decoded, { v, config });
  if (is !== 'selected') return is;
  const stage1 = config & 1;
  const substream = { ssv: ssid === undefined ? 0 : 1, ssid: ssid ?? 'none' };
  const way = firstRow(selected, { stage1, ...stream, ...substream }).is;
  const stage2 = (config & 2) !== 0;
  if (way === 'bypass') return `no CD, ${stage2 ? ends.stage2 : ends.none}`;
  return way.startsWith('CD') ? `${way}, ${stage2 ? ends.both : ends.stage1}` : way;
}

/** What the machine did, in the same words. */
function done(answer: When): string {
  const records = answer.of('record.raised').map(({ record }) => record);
  const fetched = answer.of('structure.fetched').filter(({ structure }) => structure === 'CD');
  const used = fetched.map(({ pa }) => `CD ${(pa - at.cd) / 64}`).join(' and ') || 'no CD';
  const [completed] = answer.of('access.completed');
  if (completed !== undefined && records.length === 0) return `${used}, ${completed.pa}`;
  const [terminated] = answer.of('access.terminated');
  if (terminated?.result !== 'abort' || fetched.length > 0) return `${used}, ${terminated?.result}`;
  return records.join(' and ') || 'silent abort';
}

const streams = (v: number, config: number): readonly Stream[] =>
  [0, 1, 2, 3].flatMap((s1dss) =>
    [0, 4].flatMap((s1cdmax) => [0, 20].map((ssidsize) => ({ v, config, s1dss, s1cdmax, ssidsize }))),
  );

describe('a stream', () => {
  const points = [0, 1].flatMap((v) => [0, 1, 2, 3, 4, 5, 6, 7].map((config) => ({ v, config })));
  it.each(points)('of V=$v and Config=$config, whatever its substreams', ({ v, config }) => {
    for (const stream of streams(v, config)) {
      const setup = streamOf(stream);
      for (const ssid of [undefined, 0, 3, 15, 16]) {
        const answer = setup.when({ ...dma(IOVA), ...(ssid === undefined ? {} : { ssid }) });
        expect({ ...stream, ssid, is: done(answer) }).toEqual({
          ...stream,
          ssid,
          is: expected(stream, ssid),
        });
      }
    }
  });
});
