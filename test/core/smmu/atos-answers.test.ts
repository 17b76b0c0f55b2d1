/**
 * What address translation operations answer: address, size and attributes in PAR (IHI 0070 6.3.40), and that
 * it is what an access gets (9).
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Stimulus } from '../../../core/stimulus.ts';
import {
  answer,
  ask,
  asks,
  IDENTITY,
  IPA,
  MAIR0,
  nested,
  only2,
  PA,
  type Request,
  single,
  stream,
  VA,
} from '../../support/atos.ts';
import {
  ASID,
  at,
  cd,
  dma,
  leafPa,
  machine,
  map,
  PAGE_RW,
  ste,
  store,
  storeWords,
} from '../../support/build.ts';
import { type Asked, on } from '../../support/given.ts';
import {
  GUEST,
  guestMap,
  inGuest,
  nestedSte,
  S2_RW,
  s2LeafPa,
  s2Map,
  stage2Fields,
} from '../../support/nested.ts';
import { idr } from '../../support/tables.ts';

describe('what PAR holds of an answer (6.3.40)', () => {
  const at1 = (index: number, sh: number): bigint =>
    (PAGE_RW & ~0x31cn) | (BigInt(index) << 2n) | (BigInt(sh) << 8n);
  const at2 = (memAttr: number, sh: number): bigint =>
    (S2_RW & ~0x33cn) | (BigInt(memAttr) << 2n) | (BigInt(sh) << 8n);
  const rows: readonly [what: string, past: Asked, request: Request, expected: string][] = [
    ['stage 1 of a stage 1 stream', [single, map(VA, IPA, at1(0, 3))], {}, '0x5000 4KB ISH 0xff'],
    ['Device of stage 1, Outer Shareable', [single, map(VA, IPA, at1(1, 0))], {}, '0x5000 4KB OSH 0x4'],
    ['Non-cacheable of stage 1', [single, map(VA, IPA, at1(2, 3))], {}, '0x5000 4KB OSH 0x44'],
    ['stage 1 of a nested stream', [nested, guestMap(VA, IPA, at1(0, 0))], {}, '0x5000 4KB NSH 0xff'],
    [
      'both stages',
      [nested, guestMap(VA, IPA, at1(0, 0)), s2Map(IPA, PA, at2(0b1010, 3))],
      { type: 'S1S2' },
      '0x40005000 4KB ISH 0xbb',
    ],
    [
      'both, stage 2 Device',
      [nested, s2Map(IPA, PA, at2(0b0010, 0))],
      { type: 'S1S2' },
      '0x40005000 4KB OSH 0x8',
    ],
    [
      'stage 2 alone, allocating',
      [nested, s2Map(IPA, PA, at2(0b1010, 2))],
      { type: 'S2', address: IPA },
      '0x40005000 4KB OSH 0xbb',
    ],
    [
      'stage 2 alone of a stage 2 stream',
      [only2, s2Map(IPA, PA, at2(0b0101, 0))],
      { type: 'S2', address: IPA },
      '0x40005000 4KB OSH 0x44',
    ],
    [
      'both with FWB: forced Write-Back',
      [
        nested,
        stream(nestedSte({ S2FWB: true })),
        guestMap(VA, IPA, at1(1, 0)),
        s2Map(IPA, PA, at2(0b0110, 3)),
      ],
      { type: 'S1S2' },
      '0x40005000 4KB OSH 0xff',
    ],
    [
      'both with FWB: as stage 1 says',
      [
        nested,
        stream(nestedSte({ S2FWB: true })),
        guestMap(VA, IPA, at1(2, 0)),
        s2Map(IPA, PA, at2(0b0111, 0)),
      ],
      { type: 'S1S2' },
      '0x40005000 4KB OSH 0x44',
    ],
    [
      'a block of stage 1',
      [single, store(at.table + 0x2000 + 8, (PAGE_RW & ~2n) | 0x60_0000n)],
      { address: 0x20_3000 },
      '0x600000 2048KB ISH 0xff',
    ],
    [
      'the smaller of two sizes',
      [nested, inGuest(store(at.table + 0x2000 + 8, (PAGE_RW & ~2n) | 0x60_0000n))],
      { type: 'S1S2', address: 0x20_3000 },
      '0x40603000 4KB ISH 0xff',
    ],
    [
      'stage 1 bypassed: the address itself',
      [nested, stream(nestedSte({ S1CDMax: 2, S1DSS: 'BYPASS' }))],
      {},
      '0x1000 4KB NSH 0xff',
    ],
    [
      'stage 1 bypassed: stage 2 of it',
      [nested, stream(nestedSte({ S1CDMax: 2, S1DSS: 'BYPASS' }))],
      { type: 'S1S2' },
      '0x40001000 4KB ISH 0xff',
    ],
  ];
  it.each(rows)('%s', (_, past, request, expected) => {
    const once = asks(past, request);
    expect(answer(once)).toBe(expected);
    // From the caches it is the same.
    expect(answer(once.when(ask(request)))).toBe(expected);
  });

  it('has the smallest granule where stage 1 is bypassed (9.1.3)', () => {
    const past = [
      nested,
      stream(nestedSte({ S1CDMax: 2, S1DSS: 'BYPASS', S2TG: '16KB', S2SL0: 2, S2T0SZ: 17 })),
    ];
    expect(answer(asks(past, { address: 0x1_c000 }, 'GRAN4K=0'))).toBe('0x1c000 16KB NSH 0xff');
  });

  it('takes the shareability of the CD and of the STE with 52-bit outputs (5.4 DS, 5.2 S2DS)', () => {
    const wide = 'DS=1 VAX=1 OAS=6';
    const past = [
      single,
      storeWords(at.cd, cd({ MAIR0, DS: true, IPS: 6, SH0: 'OSH' })),
      map(VA, IPA, at1(0, 0)),
    ];
    expect(answer(asks(past, {}, wide))).toBe('0x5000 4KB OSH 0xff');
    const stage2 = [
      only2,
      stream(ste({ Config: 'S2', ...stage2Fields, S2DS: true, S2PS: 6, S2SH0: 'ISH' })),
      s2Map(IPA, PA, at2(0b1111, 0)),
    ];
    expect(answer(asks(stage2, { type: 'S2', address: IPA }, wide))).toBe('0x40005000 4KB ISH 0xff');
  });
});

describe('the properties of a request', () => {
  const priv = PAGE_RW & ~(1n << 6n);
  const readOnly = PAGE_RW | (1n << 7n);
  const never = PAGE_RW | (3n << 53n);
  const rows = [
    ['PnU=1 where only privileged accesses may', priv, { privileged: true }, '0x5000'],
    ['PnU=0 there, whatever STE.PRIVCFG says', priv, { privileged: false }, 'F_PERMISSION'],
    ['RnW=0 where writes may not', readOnly, { write: true }, 'F_PERMISSION'],
    ['RnW=1 there', readOnly, { write: false }, '0x5000'],
    ['InD=1 where execution may not', never, { exec: true }, 'F_PERMISSION'],
    ['InD=1 of a write is data', never, { exec: true, write: true }, '0x5000'],
    ['InD=0 there, whatever STE.INSTCFG says', never, { exec: false }, '0x5000'],
  ] as const;
  it.each(rows)('%s (9.1.3)', (_, bits, request, expected) => {
    const overrides = stream(ste({ PRIVCFG: 'PRIVILEGED', INSTCFG: 'INSTRUCTION' }));
    const past = [single, overrides, map(VA, IPA, bits)];
    expect(answer(asks(past, request)).split(' ')[0]).toBe(expected);
  });
});

describe('descriptors (9, HTTUI)', () => {
  const AF = 1n << 10n;
  const old = (PAGE_RW & ~AF) | (1n << 7n) | (1n << 51n) | BigInt(IPA);
  const rows: readonly [what: string, request: Request, now: bigint][] = [
    ['set AF', { httui: false }, old | AF],
    ['are marked dirty by a write', { httui: false, write: true }, (old | AF) & ~(1n << 7n)],
    ['are left alone by a read with HTTUI=1', { httui: true }, old],
    ['are left clean by a write with HTTUI=1, which may write', { httui: true, write: true }, old],
  ];
  it.each(rows)('%s', (_, request, now) => {
    const past = [single, storeWords(at.cd, cd({ MAIR0, HA: true, HD: true })), store(leafPa(VA), old)];
    const asked = asks(past, request);
    expect(answer(asked)).toMatch(/^0x5000 /);
    expect(asked.state.memory.read64(leafPa(VA))).toBe(now);
    // What was not marked is not cached as if it were.
    asked.when(dma(VA, 'write'));
    expect(asked.state.memory.read64(leafPa(VA)) & (1n << 7n)).toBe(
      request.write === true && request.httui === false ? 0n : 1n << 7n,
    );
  });

  it('of stage 2 stay clean where stage 1 alone is asked for', () => {
    const clean = (S2_RW & ~0x80n & ~AF) | (1n << 51n);
    const past = [nested, stream(nestedSte({ S2HA: true, S2HD: true })), s2Map(IPA, PA, clean)];
    const asked = asks(past, { type: 'S1', write: true });
    expect(asked.state.memory.read64(s2LeafPa(IPA))).toBe(clean | BigInt(PA));
    const both = asked.when(ask({ type: 'S1S2', write: true }));
    expect(answer(both)).toMatch(/^0x40005000 /);
    expect(both.state.memory.read64(s2LeafPa(IPA))).toBe(clean | BigInt(PA) | AF | 0x80n);
  });
});

describe('an answer is what an access gets', () => {
  const bit = (at: bigint) => fc.constantFrom(0n, 1n << at);
  const sum = (bits: readonly bigint[]): bigint => bits.reduce((a, b) => a | b, 0n);
  // Valid, AP, AF, DBM-less; leaves of pages below 64 KiB.
  const leaf1 = fc.tuple(bit(0n), bit(6n), bit(7n), bit(10n), bit(11n)).map((bits) => sum([...bits, 2n]));
  const leaf2 = fc.tuple(bit(0n), bit(6n), bit(7n), bit(10n)).map((bits) => sum([...bits, 2n, 0x3cn]));
  const pages = fc.array(fc.tuple(leaf1, leaf2), { minLength: 4, maxLength: 4 });
  const order = fc.constantFrom('asked first', 'accessed first');

  it('address by address, in both orders, nested and not', () => {
    fc.assert(
      fc.property(pages, fc.boolean(), fc.boolean(), order, (leaves, isNested, isWrite, first) => {
        const past: Stimulus[] = leaves.flatMap(([bits1, bits2], page) => {
          const [va, ipa] = [page * 0x1000, 0x8_0000 + page * 0x1000];
          return isNested
            ? [guestMap(va, ipa, bits1), s2Map(ipa, GUEST + ipa, bits2)]
            : [map(va, ipa, bits1)];
        });
        const config = machine({}, { idr: idr(IDENTITY) });
        let when = on(config)
          .given(isNested ? nested : single, past)
          .when();
        for (const page of leaves.keys()) {
          const address = page * 0x1000;
          const access = dma(address, isWrite ? 'write' : 'read');
          const request = ask({ type: isNested ? 'S1S2' : 'S1', address, write: isWrite });
          const asked = first === 'asked first' ? when.when(request) : when.when(access).when(request);
          const done = first === 'asked first' ? asked.when(access) : asked;
          const told = answer(asked);
          const last = done.entries
            .filter(({ type }) => type === 'access.completed' || type === 'access.terminated')
            .at(-1);
          if (last?.type === 'access.completed') expect(told).toContain(`0x${last.pa.toString(16)} `);
          else if (last?.type === 'access.terminated')
            expect(told.split(' ')[0]).toBe(last.reason.split(':')[0]);
          when = done;
        }
      }),
      { numRuns: 60 },
    );
  });
});

it('looks the address up in the context of the request', () => {
  const second = at.cd + 64;
  const other = cd({ MAIR0, TTB0: at.table + 0x8000, ASID: ASID + 1 });
  const past = [single, stream(ste({ S1CDMax: 1, S1DSS: 'SUBSTREAM0' })), storeWords(second, other)];
  expect(answer(asks(past, {}))).toMatch(/^0x5000 /);
  expect(answer(asks(past, { substreamId: 1 }))).toBe('F_TRANSLATION');
});
