/**
 * The status of answers to ATS Translation Requests (IHI 0070 3.9.1.2), and what is recorded of them: each
 * situation of its tables.
 */
import { describe, expect, it } from 'vitest';
import { CD } from '../../../core/smmu/cd.ts';
import type { Ste } from '../../../core/smmu/ste.ts';
import type { Stimulus } from '../../../core/stimulus.ts';
import { at, cd, leafPa, map, PAGE_RW, store, storeWords } from '../../support/build.ts';
import {
  atsStream,
  atsWorld,
  CHECKED,
  guestStream,
  IOVA,
  nestedStream,
  translate,
  UNCHECKED,
} from '../../support/endpoints.ts';
import type { Asked } from '../../support/given.ts';
import { S2_RW, s2Map, s2Unmap } from '../../support/nested.ts';
import { put, table } from '../../support/tables.ts';

const NO_RAM = 0x8_0000_0000;
const cdWith = (text: string): Stimulus => storeWords(at.cd, put(CD.fields, cd(), text));

describe('the status of a completion', () => {
  const OTHER_SID = { endpoint: 'far' };
  const substreams: Partial<Ste> = { S1CDMax: 1, S1DSS: 'TERMINATE' };
  interface Situation {
    readonly change?: Asked;
    readonly asked?: Parameters<typeof translate>[1];
    readonly cr0?: number;
    readonly strtab?: number;
  }
  const situations: Readonly<Record<string, Situation>> = {
    'SMMUEN=0': { cr0: 0x1c },
    'StreamID beyond the table': { asked: OTHER_SID },
    'STE cannot be read': { strtab: NO_RAM },
    'STE.V=0': { change: atsStream({ V: false }) },
    'STE ILLEGAL': { change: atsStream({ Config: 'S1', EATS: 'SPLIT' }) },
    'Config=0b000': { change: atsStream({ Config: 'ABORT' }) },
    'Config=0b100': { change: atsStream({ Config: 'BYPASS' }) },
    'EATS=0': { change: atsStream({ EATS: 'OFF' }) },
    'EATS=2, ATSCHK=0': { change: [guestStream(), nestedStream({ EATS: 'SPLIT' })], cr0: UNCHECKED },
    'SubstreamID without substreams': { asked: { ssid: 1 } },
    'no SubstreamID with S1DSS=0': { change: atsStream(substreams) },
    'CD cannot be read': { change: atsStream({ S1ContextPtr: NO_RAM }) },
    'CD.V=0': { change: cdWith('V=0') },
    'descriptor cannot be read': { change: store(at.table, BigInt(NO_RAM) | 3n) },
    'descriptor invalid': { change: store(leafPa(IOVA), 0) },
    'descriptor invalid, CD.S=1': { change: [store(leafPa(IOVA), 0), cdWith('S=1')] },
    'descriptor invalid, CD.A=0': { change: [store(leafPa(IOVA), 0), cdWith('A=0')] },
    'beyond T0SZ': { asked: { iova: 1n << 48n } },
    'output beyond IPS': { change: store(leafPa(IOVA), (1n << 44n) | PAGE_RW) },
    'AF=0': { change: store(leafPa(IOVA), BigInt(at.data) | (PAGE_RW & ~(1n << 10n))) },
    'no permission on the page': { change: map(IOVA, at.data, PAGE_RW & ~(1n << 6n)) },
    'stage 2 of the CD': { change: [guestStream(), s2Unmap(at.cd)] },
    'stage 2 of a table': { change: [guestStream(), s2Unmap(at.table + 0x3000)] },
    'stage 2 of a table refuses': { change: [guestStream(), s2Map(at.table, undefined, S2_RW & ~0xc0n)] },
    'stage 2 of the CD refuses': { change: [guestStream(), s2Map(at.cd, undefined, S2_RW & ~0xc0n)] },
    'stage 2 of the page': { change: [guestStream(), s2Unmap(0x5000)] },
    'stage 2 of the page refuses': { change: [guestStream(), s2Map(0x5000, undefined, S2_RW & ~0xc0n)] },
    'stage 2 descriptor cannot be read': { change: [guestStream(), nestedStream({ S2TTB: NO_RAM })] },
    'bypass of stage 1 beyond OAS': {
      change: atsStream({ S1CDMax: 1, S1DSS: 'BYPASS' }),
      asked: { iova: 1n << 50n },
    },
    'a page that is there': {},
  };
  const rows = table<'situation' | 'answer' | 'plain' | 'rec' | 'both'>(`
    situation                         | answer  | plain          | rec               | both
    SMMUEN=0                          | ur      | F_BAD_ATS_TREQ | F_BAD_ATS_TREQ    | F_BAD_ATS_TREQ
    StreamID beyond the table         | ca      | -              | -                 | C_BAD_STREAMID
    STE cannot be read                | ca      | -              | F_STE_FETCH       | F_STE_FETCH
    STE.V=0                           | ca      | -              | C_BAD_STE         | C_BAD_STE
    STE ILLEGAL                       | ca      | -              | C_BAD_STE         | C_BAD_STE
    Config=0b000                      | ur      | -              | -                 | -
    Config=0b100                      | ur      | F_BAD_ATS_TREQ | F_BAD_ATS_TREQ    | F_BAD_ATS_TREQ
    EATS=0                            | ur      | F_BAD_ATS_TREQ | F_BAD_ATS_TREQ    | F_BAD_ATS_TREQ
    EATS=2, ATSCHK=0                  | ur      | F_BAD_ATS_TREQ | F_BAD_ATS_TREQ    | F_BAD_ATS_TREQ
    SubstreamID without substreams    | ca      | -              | C_BAD_SUBSTREAMID | C_BAD_SUBSTREAMID
    no SubstreamID with S1DSS=0       | ca      | -              | F_STREAM_DISABLED | F_STREAM_DISABLED
    CD cannot be read                 | ca      | -              | F_CD_FETCH        | F_CD_FETCH
    CD.V=0                            | ca      | -              | C_BAD_CD          | C_BAD_CD
    descriptor cannot be read         | ca      | -              | F_WALK_EABT       | F_WALK_EABT
    stage 2 descriptor cannot be read | ca      | -              | F_WALK_EABT       | F_WALK_EABT
    descriptor invalid                | nothing | -              | -                 | -
    descriptor invalid, CD.S=1        | nothing | -              | -                 | -
    descriptor invalid, CD.A=0        | nothing | -              | -                 | -
    beyond T0SZ                       | nothing | -              | -                 | -
    output beyond IPS                 | nothing | -              | -                 | -
    AF=0                              | nothing | -              | -                 | -
    no permission on the page         | nothing | -              | -                 | -
    stage 2 of the CD                 | nothing | -              | -                 | -
    stage 2 of a table                | nothing | -              | -                 | -
    stage 2 of a table refuses        | nothing | -              | -                 | -
    stage 2 of the CD refuses         | nothing | -              | -                 | -
    stage 2 of the page               | nothing | -              | -                 | -
    stage 2 of the page refuses       | nothing | -              | -                 | -
    bypass of stage 1 beyond OAS      | nothing | -              | -                 | -
    a page that is there              | rw      | -              | -                 | -
  `);
  it('has a row for each situation', () => {
    expect(rows.map(({ situation }) => situation).sort()).toEqual(Object.keys(situations).sort());
  });
  it.each(rows)('$situation: $answer', ({ situation, answer, ...records }) => {
    const { change = [], asked = {}, cr0 = CHECKED, strtab = at.strtab } = situations[situation]!;
    // Neither bit; REC_CFG_ATS; REC_CFG_ATS and RECINVSID (6.3.12).
    for (const [cr2, event] of [
      [2, records.plain],
      [8, records.rec],
      [10, records.both],
    ] as const) {
      const story = atsWorld(change, {}, { cr0, cr2, strtab }).when(translate(IOVA, asked));
      const expected =
        answer === 'nothing'
          ? { result: 'ok', bytes: 4096, perms: '' }
          : answer === 'rw'
            ? { result: 'ok', bytes: 4096, perms: 'rw', pa: at.data }
            : { result: answer, ...(event === '-' ? {} : { event }) };
      expect(story.outcome).toEqual(expected);
      expect(story.of('record.raised').map(({ record }) => record)).toEqual(event === '-' ? [] : [event]);
      story.thenNo('access.stalled', 'access.terminated');
      expect(story.of('atc.filled')).toHaveLength(answer === 'rw' ? 1 : 0);
    }
  });

  it('F_BAD_ATS_TREQ tells what was asked, before the overrides (7.3.6)', () => {
    const story = atsWorld(atsStream({ EATS: 'OFF', PRIVCFG: 'PRIVILEGED' })).when(
      translate(0xffff_8000_0000_5123n, { access: 'write', size: 0x3000, ssid: 3, exec: true }),
    );
    const fields = story.state.memory.readWords(at.evtq, 8);
    expect([...fields].map((word) => word.toString(16))).toEqual(
      // EventID 5, SSV, SubstreamID 3; StreamID 8; R, W, X and four STUs; the page.
      ['3805', '8', 'e0000004', '0', '5000', 'ffff8000', '0', '0'],
    );
  });
});

describe('an endpoint', () => {
  it('sends nothing while ATS is off', () => {
    atsWorld({ type: 'endpoint.set', endpoint: 'dev0', set: { ats: false } })
      .when(translate(IOVA))
      .thenOutcome({ result: 'off' })
      .then({ type: 'request.withheld', request: 'translation', why: 'ATS is off' })
      .thenNo('ats.answered', 'structure.fetched');
  });

  it('behind an SMMU without ATS is refused in silence', () => {
    atsWorld([], { idr: 'ATS=0 PRI=0 ATSRECERR=0' })
      .when(translate(IOVA))
      .thenOutcome({ result: 'ur' })
      .thenNo('record.raised');
  });
});
