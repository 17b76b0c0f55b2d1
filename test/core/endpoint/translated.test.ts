/**
 * Translated transactions (IHI 0070 3.9.1.1, 3.9.1.3): with the address of the ATC or one that the device made
 * up, what the SMMU lets pass, and what it refuses and records.
 */
import { describe, expect, it } from 'vitest';
import { STE, type Ste } from '../../../core/smmu/ste.ts';
import { at, cd, map, PAGE_RW, SID, ste, storeWords, unmap } from '../../support/build.ts';
import {
  atsStream,
  atsWorld,
  endpointSet,
  guestStream,
  IOVA,
  translate,
  translated,
  UNCHECKED,
} from '../../support/endpoints.ts';
import type { Asked } from '../../support/given.ts';
import { GUEST, inGuest, S2_RW, s2Map, s2Unmap } from '../../support/nested.ts';
import { put, table } from '../../support/tables.ts';

const NO_RAM = 0x8_0000_0000;
const BEYOND_OAS = 1n << 48n;

const split = (fields: Partial<Ste> = {}): Asked => guestStream({ EATS: 'SPLIT', ...fields });

describe('a Translated transaction', () => {
  interface Situation {
    readonly change?: Asked;
    readonly besides?: Parameters<typeof translated>[2];
    readonly cr0?: number;
    readonly strtab?: number;
    readonly idr?: string;
  }
  const two: Partial<Ste> = { S1CDMax: 1, S1DSS: 'TERMINATE' };
  const zero: Partial<Ste> = { S1CDMax: 1, S1DSS: 'SUBSTREAM0' };
  const PASIDTT = 'PASIDTT=1';
  const situations: Readonly<Record<string, Situation>> = {
    'SMMUEN=0': { cr0: 0x1c },
    'ATSCHK=0': { cr0: UNCHECKED },
    'ATSCHK=0, EATS=0': { cr0: UNCHECKED, change: atsStream({ EATS: 'OFF' }) },
    'ATSCHK=0, STE.V=0': { cr0: UNCHECKED, change: atsStream({ V: false }) },
    'ATSCHK=0, beyond OAS': { cr0: UNCHECKED, besides: { iova: BEYOND_OAS } },
    'StreamID beyond the table': { besides: { endpoint: 'far' } },
    'STE cannot be read': { strtab: NO_RAM },
    'STE.V=0': { change: atsStream({ V: false }) },
    'Config=0b000': { change: atsStream({ Config: 'ABORT' }) },
    'Config=0b000, EATS=0': { change: atsStream({ Config: 'ABORT', EATS: 'OFF' }) },
    'Config=0b100': { change: atsStream({ Config: 'BYPASS' }) },
    'EATS=0': { change: atsStream({ EATS: 'OFF' }) },
    'EATS=0, no SubstreamID with S1DSS=0': { change: atsStream({ ...two, EATS: 'OFF' }), idr: PASIDTT },
    'EATS=1': {},
    'EATS=1, beyond OAS': { besides: { iova: BEYOND_OAS } },
    'EATS=3, no DPT': { change: storeWords(at.strtab + SID * 64, put(STE.fields, ste(), 'EATS=3')) },
    'SubstreamID beyond S1CDMax': { change: atsStream(two), besides: { ssid: 2 }, idr: PASIDTT },
    'the same, PASIDTT=0': { change: atsStream(two), besides: { ssid: 2 } },
    'no SubstreamID with S1DSS=0': { change: atsStream(two), idr: PASIDTT },
    'no SubstreamID, PASIDTT=0': { change: atsStream(two) },
    'SubstreamID 0 with S1DSS=2': { change: atsStream(zero), besides: { ssid: 0 }, idr: PASIDTT },
    'CD cannot be read': {
      change: atsStream({ ...two, S1ContextPtr: NO_RAM }),
      besides: { ssid: 1 },
      idr: PASIDTT,
    },
    'CD.V=0': { change: atsStream(two), besides: { ssid: 1 }, idr: PASIDTT },
    'split stage': { change: split(), besides: { iova: 0x5000n } },
    'split stage, beyond IAS': { change: split(), besides: { iova: BEYOND_OAS } },
    'split stage, stage 2 unmapped': { change: [split(), s2Unmap(0x5000)], besides: { iova: 0x5000n } },
    'the same, S2R=0': { change: [split({ S2R: false }), s2Unmap(0x5000)], besides: { iova: 0x5000n } },
    'split stage, read only': {
      change: [split(), s2Map(0x5000, undefined, S2_RW & ~0x80n)],
      besides: { iova: 0x5000n, access: 'write' },
    },
    'split stage, stage 2 of the CD': {
      change: [split({ S1CDMax: 1 }), s2Unmap(at.cd)],
      besides: { iova: 0x5000n, ssid: 1 },
      idr: PASIDTT,
    },
    'no ATS at all': { idr: 'ATS=0 PRI=0 ATSRECERR=0', cr0: UNCHECKED },
  };
  const rows = table<'situation' | 'result' | 'plain' | 'rec'>(`
    situation                           | result | plain              | rec
    SMMUEN=0                            | abort  | F_TRANSL_FORBIDDEN | F_TRANSL_FORBIDDEN
    ATSCHK=0                            | pa     | -                  | -
    ATSCHK=0, EATS=0                    | pa     | -                  | -
    ATSCHK=0, STE.V=0                   | pa     | -                  | -
    ATSCHK=0, beyond OAS                | abort  | -                  | -
    StreamID beyond the table           | abort  | -                  | C_BAD_STREAMID
    STE cannot be read                  | abort  | -                  | F_STE_FETCH
    STE.V=0                             | abort  | -                  | C_BAD_STE
    Config=0b000                        | abort  | -                  | -
    Config=0b000, EATS=0                | abort  | -                  | -
    Config=0b100                        | abort  | F_TRANSL_FORBIDDEN | F_TRANSL_FORBIDDEN
    EATS=0                              | abort  | F_TRANSL_FORBIDDEN | F_TRANSL_FORBIDDEN
    EATS=0, no SubstreamID with S1DSS=0 | abort  | F_TRANSL_FORBIDDEN | F_TRANSL_FORBIDDEN
    EATS=1                              | pa     | -                  | -
    EATS=1, beyond OAS                  | abort  | -                  | -
    EATS=3, no DPT                      | abort  | F_TRANSL_FORBIDDEN | F_TRANSL_FORBIDDEN
    SubstreamID beyond S1CDMax          | abort  | -                  | C_BAD_SUBSTREAMID
    the same, PASIDTT=0                 | pa     | -                  | -
    no SubstreamID with S1DSS=0         | abort  | -                  | F_STREAM_DISABLED
    no SubstreamID, PASIDTT=0           | pa     | -                  | -
    SubstreamID 0 with S1DSS=2          | abort  | -                  | F_STREAM_DISABLED
    CD cannot be read                   | abort  | -                  | F_CD_FETCH
    CD.V=0                              | abort  | -                  | C_BAD_CD
    split stage                         | ipa    | -                  | -
    split stage, beyond IAS             | abort  | F_ADDR_SIZE        | F_ADDR_SIZE
    split stage, stage 2 unmapped       | abort  | F_TRANSLATION      | F_TRANSLATION
    the same, S2R=0                     | abort  | -                  | -
    split stage, read only              | abort  | F_PERMISSION       | F_PERMISSION
    split stage, stage 2 of the CD      | abort  | F_TRANSLATION      | F_TRANSLATION
    no ATS at all                       | abort  | -                  | -
  `);
  it('has a row for each situation', () => {
    expect(rows.map(({ situation }) => situation).sort()).toEqual(Object.keys(situations).sort());
  });
  it.each(rows)('$situation: $result', ({ situation, result, plain, rec }) => {
    const { change = [], besides = {}, cr0, strtab, idr: fields = '' } = situations[situation]!;
    // Without and with REC_CFG_ATS; RECINVSID does not count.
    for (const [cr2, event] of [
      [2, plain],
      [8, rec],
    ] as const) {
      const story = atsWorld(change, { idr: fields }, { cr0, cr2, strtab }).when(
        translated(at.data + 0x10, 'read', besides),
      );
      const pa = result === 'ipa' ? GUEST + 0x5000 : at.data + 0x10;
      expect(story.outcome).toMatchObject(result === 'abort' ? { result } : { result: 'ok', pa });
      expect(story.of('record.raised').map(({ record }) => record)).toEqual(event === '-' ? [] : [event]);
      story.thenNo('access.stalled');
    }
  });

  it('beyond OAS may be truncated: truncateTranslated', () => {
    const parts = { smmu: { choices: { truncateTranslated: true } } };
    atsWorld([], parts)
      .when(translated(BEYOND_OAS + BigInt(at.data)))
      .thenOutcome({ result: 'ok', pa: at.data });
  });

  it('shows in records the address it carried, and no SubstreamID without PASIDTT (3.9.1.3)', () => {
    for (const [fields, word] of [
      ['', 0x10],
      ['PASIDTT=1', 0x1810],
    ] as const) {
      const context = inGuest(storeWords(at.cd + 64, cd()));
      const story = atsWorld([split({ S1CDMax: 1, S1DSS: 'BYPASS' }), context, s2Unmap(0x7000)], {
        idr: fields,
      }).when(translated(0x7008, 'write', { ssid: 1, privileged: true }));
      const words = story.state.memory.readWords(at.evtq, 8);
      expect(words[0]).toBe(word);
      expect(words[4]).toBe(0x7008);
      // PnU comes with the PASID alone; S2, CLASS=IN.
      expect(words[3]).toBe(fields === '' ? 0x280 : 0x282);
    }
  });

  it('of split stage does what stage 2 asks: PRIVCFG and INSTCFG, dirty state', () => {
    const privileged = 3n << 53n; // XN[1:0]=3: privileged execution alone
    const may = (fields: Partial<Ste>): string => {
      const story = atsWorld([split(fields), s2Map(0x5000, undefined, S2_RW | privileged)]);
      return String(story.when(translated(0x5000)).outcome['result']);
    };
    expect(may({ INSTCFG: 'INSTRUCTION' })).toBe('abort');
    expect(may({ INSTCFG: 'INSTRUCTION', PRIVCFG: 'PRIVILEGED' })).toBe('ok');
    const clean = (S2_RW & ~0x80n) | (1n << 51n);
    atsWorld([split({ S2HA: true, S2HD: true }), s2Map(0x5000, undefined, clean)])
      .when(translated(0x5000, 'write'))
      .thenOutcome({ result: 'ok' })
      .then({ type: 'memory.written' });
  });
});

describe('an access through the ATC', () => {
  it('goes out with the address of its entry, and rests on it', () => {
    const story = atsWorld().when(translate(IOVA), translated(IOVA + 0x18));
    const [filled] = story.of('atc.filled');
    story.thenOutcome({ result: 'ok', pa: at.data + 0x18 }).then({
      type: 'access.completed',
      iova: BigInt(IOVA + 0x18),
      pa: at.data + 0x18,
      via: 'atc',
      tlb: 0,
      atc: filled?.seq ?? 0,
    });
  });

  it('goes out as it stands where there is no entry: a device that makes up addresses', () => {
    atsWorld()
      .when(translated(at.data + 0x4000))
      .then({ type: 'access.completed', pa: at.data + 0x4000, via: 'translated' });
  });

  it('does not go out where the entry lacks the permission', () => {
    const readOnly = map(IOVA, at.data, PAGE_RW | (1n << 7n));
    const held = atsWorld([readOnly, translate(IOVA, { access: 'write' })]);
    held
      .when(translated(IOVA, 'write'))
      .thenOutcome({ result: 'abort' })
      .then({ type: 'access.terminated', reason: 'the ATC entry allows r, not w: nothing is sent' })
      .thenNo('record.raised', 'structure.fetched');
    held.when(translated(IOVA)).thenOutcome({ result: 'ok' });
    atsWorld([storeWords(at.cd + 64, cd()), atsStream({ S1CDMax: 1 }), translate(IOVA, { ssid: 1 })])
      .when(translated(IOVA, 'read', { ssid: 1, exec: true }))
      .then({ type: 'access.terminated', reason: 'the ATC entry allows rw, not x: nothing is sent' });
  });

  it('finds entries of its own PASID and privilege alone (13.7)', () => {
    const contexts = [storeWords(at.cd + 64, cd()), atsStream({ S1CDMax: 1, S1DSS: 'SUBSTREAM0' })];
    const held = atsWorld([
      contexts,
      translate(IOVA, { ssid: 1 }),
      translate(IOVA, { ssid: 1, privileged: true }),
    ]);
    const via = (besides: Parameters<typeof translated>[2]): unknown =>
      held.when(translated(IOVA, 'read', besides)).of('access.completed')[0]?.via;
    expect(via({ ssid: 1 })).toBe('atc');
    expect(via({ ssid: 1, privileged: true })).toBe('atc');
    expect(via({})).toBe('translated');
    // Without a PASID there is no privilege to tell.
    const plain = atsWorld([contexts, translate(IOVA)]).when(translated(IOVA, 'read', { privileged: true }));
    expect(plain.of('access.completed')[0]?.via).toBe('atc');
  });

  it('compares all 64 bits: a tag makes another address', () => {
    const tagged = (0x5an << 56n) | BigInt(IOVA);
    const story = atsWorld(translate(IOVA)).when(translated(tagged, 'read'));
    story
      .thenOutcome({ result: 'abort' })
      .then({ type: 'access.terminated', reason: 'the address is beyond OAS' });
  });

  it('is split at 4 KiB bounds, each piece with its entry', () => {
    const story = atsWorld([map(IOVA + 0x1000, at.data + 0x9000), translate(IOVA, { size: 0x2000 })]).when(
      translated(IOVA + 0xff8, 'write', { size: 16, data: Uint8Array.from({ length: 16 }, (_, n) => n) }),
    );
    expect(story.of('access.completed').map(({ pa, size }) => [pa, size])).toEqual([
      [at.data + 0xff8, 8],
      [at.data + 0x9000, 8],
    ]);
    expect([...story.state.memory.readBytes(at.data + 0x9000, 8)]).toEqual([8, 9, 10, 11, 12, 13, 14, 15]);
  });

  it('of split stage still goes through stage 2', () => {
    const held = atsWorld([split(), translate(IOVA)]);
    held.when(translated(IOVA)).thenOutcome({ result: 'ok', pa: GUEST + 0x5000 });
    const cold = atsWorld([split(), { type: 'set', path: 'smmu0.caches.tlb', value: 0 }, translate(IOVA)]);
    cold.when(s2Unmap(0x5000), translated(IOVA)).thenOutcome({ result: 'abort', event: 'F_TRANSLATION' });
  });

  it('uses what the tables no longer say: the ATC is not asked by TLB invalidation', () => {
    atsWorld([translate(IOVA), unmap(IOVA)])
      .when(translated(IOVA))
      .thenOutcome({ result: 'ok', pa: at.data });
  });

  it('does not go out while ATS is off', () => {
    atsWorld(endpointSet({ ats: false }))
      .when(translated(IOVA))
      .thenOutcome({ result: 'off' })
      .then({ type: 'request.withheld', request: 'translated' })
      .thenNo('access.completed', 'access.terminated');
  });
});
