/**
 * Every rule that makes a CD ILLEGAL (IHI 0070 5.4.2): rows that break it and their twins that just do
 * not, through an access and through the rule list. Then what must not matter: fields that EPD0, EPD1 or
 * the StreamWorld make IGNORED may hold anything.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decode } from '../../../core/layout/layout.ts';
import { CD } from '../../../core/smmu/cd.ts';
import { brokenCdRule, cdRules } from '../../../core/smmu/cd-rules.ts';
import { Features } from '../../../core/smmu/features.ts';
import { STE } from '../../../core/smmu/ste.ts';
import {
  at,
  bringUp,
  cd,
  dma,
  machine,
  map,
  SID,
  ste,
  storeWords,
  tables,
  write,
} from '../../support/build.ts';
import { on, type When } from '../../support/given.ts';
import { graft, idr, put, table, withFields } from '../../support/tables.ts';

const cdWords = (changes: string): Uint32Array => put(CD.fields, cd(), changes);
const steWords = (changes: string): Uint32Array => put(STE.fields, ste(), changes);

/** What an access gives that reaches the CD through the STE. */
function access(fields: string, through: string, features: string, e2h: boolean): When {
  return on(machine({}, { idr: idr(features) }))
    .given(
      bringUp(),
      tables(),
      map(0x1000, at.data),
      storeWords(at.strtab + SID * 64, steWords(through)),
      storeWords(at.cd, cdWords(fields)),
      e2h ? [write('CR0', 0), write('CR2', 3), write('CR0', 0xd)] : [],
    )
    .when(dma(0x1000));
}

// `world` is a StreamWorld, EL1 unless it says otherwise, or what else the STE says.
const rows = table<'cd' | 'world' | 'features' | 'verdict'>(`
  cd                            | world        | features            | verdict
  V=0                           |              |                     | v-0
  V=1                           |              |                     | ok

  S=1                           | S1STALLD=1   | STALL_MODEL=0       | s1stalld-s
  S=0                           | S1STALLD=1   | STALL_MODEL=0       | ok
  S=1                           |              | STALL_MODEL=0       | ok
  A=0                           |              | TERM_MODEL=1        | term-model
  A=1                           |              | TERM_MODEL=1        | ok
  A=0                           |              | TERM_MODEL=0        | ok
  S=1                           |              | STALL_MODEL=1       | stall-absent
  S=0                           |              | STALL_MODEL=1       | ok
  S=0                           |              | STALL_MODEL=2       | stall-forced
  S=1                           |              | STALL_MODEL=2       | ok

  ENDI=1                        |              | TTENDIAN=2          | endi
  ENDI=0                        |              | TTENDIAN=3          | endi
  ENDI=1                        |              | TTENDIAN=3          | ok
  ENDI=1                        |              | TTENDIAN=0          | ok
  ENDI=1 EPD0=1                 |              | TTENDIAN=2          | ok
  ENDI=1 EPD0=1 EPD1=0 T1SZ=16 TG1=4KB |       | TTENDIAN=2          | endi
  ENDI=1 EPD0=1                 | EL2          | TTENDIAN=2          | endi

  AA64=0                        |              | TTF=2               | aa64-0
  AA64=0                        |              | TTF=3               | ok
  AA64=0                        | E2H          | TTF=3               | aa64-0-e2h
  AA64=0                        | EL2          | TTF=3               | ok
  AA64=1                        | E2H          | TTF=3               | ok
  AA64=1                        |              | TTF=1               | aa64-1
  AA64=0                        |              | TTF=1               | ok
  AA64=1                        |              | TTF=3               | ok
  AA64=1                        | LPAE         | TTF=3 S2P=1         | aa64-1-on-lpae
  AA64=0                        | LPAE         | TTF=3 S2P=1         | ok
  AA64=1                        | NESTED       | TTF=3 S2P=1         | ok
  AA64=1                        | S2AA64=0     | TTF=3 S2P=1         | ok

  HA=1                          |              | HTTU=0              | ha-hd-absent
  HD=1                          |              | HTTU=0              | ha-hd-absent
  HA=1                          |              | HTTU=1              | ok
  HA=1 AA64=0                   |              | HTTU=0 TTF=3        | ok
  HD=1                          |              | HTTU=1              | hd-absent
  HD=1 AA64=0                   |              | HTTU=1 TTF=3        | ok
  HA=1 HD=1                     |              | HTTU=2              | ok
  HA=0 HD=1                     |              | HTTU=2              | ok
  HAFT=1                        |              | HTTU=3              | haft-without-ha
  HAFT=1 HA=1                   |              | HTTU=3              | ok
  HA=0                          |              | HTTU=3              | ok
  HAFT=1                        |              | HTTU=2              | ok
  HAFT=1 AA64=0                 |              | HTTU=3 TTF=3        | ok

  ASID=256                      |              | ASID16=0            | asid-16-bit
  ASID=255                      |              | ASID16=0            | ok
  ASID=256                      |              | ASID16=1            | ok
  ASID=256                      | EL2          | ASID16=0            | ok
  ASID=256                      | E2H          | ASID16=0            | asid-16-bit

  T0SZ=15                       |              |                     | txsz-range
  T0SZ=0                        |              |                     | txsz-range
  T0SZ=16                       |              |                     | ok
  T0SZ=39                       |              | STT=0               | ok
  T0SZ=40                       |              | STT=0               | txsz-range
  T0SZ=48                       |              | STT=1               | ok
  T0SZ=49                       |              | STT=1               | txsz-range
  T0SZ=47 TG0=64KB              |              | STT=1               | ok
  T0SZ=48 TG0=64KB              |              | STT=1               | txsz-range
  T0SZ=48 TG0=16KB              |              | STT=1               | ok
  T0SZ=12 TG0=64KB              |              | VAX=1 OAS=6         | ok
  T0SZ=11 TG0=64KB              |              | VAX=1 OAS=6         | txsz-range
  T0SZ=15 TG0=64KB              |              | VAX=0 OAS=6         | txsz-range
  T0SZ=12                       |              | VAX=1 OAS=6         | txsz-range
  T0SZ=12 DS=1                  |              | VAX=1 DS=1          | ok
  T0SZ=12 DS=1                  |              | VAX=1 DS=0          | txsz-range
  T0SZ=12 DS=1                  |              | VAX=0 DS=1          | txsz-range
  T0SZ=0 EPD0=1                 |              |                     | ok
  T0SZ=0 AA64=0                 |              | TTF=3               | ok
  EPD1=0 T1SZ=15 TG1=4KB        |              |                     | txsz-range
  EPD1=0 T1SZ=16 TG1=4KB        |              |                     | ok
  EPD1=0 T1SZ=0 TG1=4KB         | EL2          |                     | ok
  EPD1=0 T1SZ=0 TG1=4KB         | E2H          |                     | txsz-range

  TG0=3                         |              |                     | tg-absent
  TG0=3 EPD0=1                  |              |                     | ok
  TG0=3 EPD0=1                  | EL2          |                     | tg-absent
  TG0=3 EPD0=1                  | E2H          |                     | ok
  TG0=16KB                      |              | GRAN16K=0           | tg-absent
  TG0=4KB                       |              | GRAN4K=0            | tg-absent
  TG0=64KB                      |              | GRAN64K=0           | tg-absent
  TG0=3 AA64=0                  |              | TTF=3               | ok
  EPD1=0 T1SZ=16 TG1=0          |              |                     | tg-absent
  EPD1=0 T1SZ=16 TG1=0          | EL2          |                     | ok
  EPD1=0 T1SZ=16 TG1=0          | E2H          |                     | tg-absent

  TTB0=0x100000000 IPS=0        |              |                     | ttb-too-large
  TTB0=0xfffffff0 IPS=0         |              |                     | ok
  TTB0=0x100000000 IPS=0 EPD0=1 |              |                     | ok
  TTB0=0x1000000000000 IPS=6    |              | OAS=5               | ttb-too-large
  TTB0=0xfffffffffff0 IPS=6     |              | OAS=5               | ok
  TTB0=0x1000000000000 IPS=6    |              | OAS=6               | ttb-too-large
  TTB0=0x1000000000000 IPS=6 TG0=64KB |        | OAS=6               | ok
  TTB0=0x1000000000000 IPS=6 DS=1 |            | OAS=6 DS=1          | ok
  TTB0=0x1000000000000 IPS=6 DS=1 |            | OAS=6 DS=0          | ttb-too-large
  TTB0=0x10000000 IPS=7         |              |                     | ok
  TTB0=0x10000000000 AA64=0     |              | TTF=3               | ttb-too-large
  TTB0=0xfffffffff0 AA64=0 IPS=0 |             | TTF=3               | ok
  TTB1=0x100000000 IPS=0        |              |                     | ok
  TTB1=0x100000000 IPS=0 EPD1=0 T1SZ=16 TG1=4KB | |                  | ttb-too-large
  TTB1=0x100000000 IPS=0 EPD1=0 T1SZ=16 TG1=4KB | EL2 |              | ok

  PIE=1 PIIP3=4                 | S1PIE=1      | S1PI=1              | piip-reserved
  PIE=1 PIIP15=6                | S1PIE=1      | S1PI=1              | piip-reserved
  PIE=1 PIIP0=4                 | EL2 S1PIE=1  | S1PI=1              | piip-reserved
  PIE=1 PIIP0=5 PIIP1=7 PIIP2=3 | S1PIE=1      | S1PI=1              | ok
  PIE=1 PIIP3=4                 | S1PIE=0      | S1PI=1              | ok
  PIE=1 PIIP3=4                 | S1PIE=1      | S1PI=0              | ok
  PIE=0 PIIP3=4                 | S1PIE=1      | S1PI=1              | ok
  PIE=1 PIIP3=4 AA64=0          | S1PIE=1      | S1PI=1 TTF=3        | ok
  PIE=1 PIIU15=4                | S1PIE=1      | S1PI=1              | piiu-reserved
  PIE=1 PIIU0=6                 | E2H S1PIE=1  | S1PI=1              | piiu-reserved
  PIE=1 PIIU0=6                 | EL2 S1PIE=1  | S1PI=1              | ok
  PIE=1 PIIU0=6                 | S1PIE=0      | S1PI=1              | ok
  PIE=1 PIIU0=7 PIIU1=5         | S1PIE=1      | S1PI=1              | ok
  PIE=1 PIIP2=2 PIIU2=5         | S1PIE=1      | S1PI=1              | pii-writes-executed
  PIE=1 PIIP2=3 PIIU2=7         | E2H S1PIE=1  | S1PI=1              | pii-writes-executed
  PIE=1 PIIP2=3 PIIU2=7         | EL2 S1PIE=1  | S1PI=1              | ok
  PIE=1 PIIP2=3 PIIU3=7         | S1PIE=1      | S1PI=1              | ok
  PIE=1 PIIP2=5 PIIU2=5         | S1PIE=1      | S1PI=1              | ok
  PIE=1 PIIP2=3 PIIU2=3         | S1PIE=1      | S1PI=1              | ok
  PIE=0 PIIP2=3 PIIU2=7         | S1PIE=1      | S1PI=1              | ok

  WXN=1 PAN=1 EPAN=1 UWXN=1 AFFD=1 TBI0=1 HAD0=1 E0PD0=1 SH0=1 IR0=3 |  |  | ok
  NSCFG0=1 NSCFG1=1 PnCH=1 HWU059=1 AIE=1 AMAIR0=1 IMPDEF=1 PARTID=1   |  |  | ok
`);

const worlds: Readonly<Record<string, string>> = {
  EL2: 'STRW=NS_EL2',
  E2H: 'STRW=NS_EL2',
  NESTED: 'Config=NESTED S2AA64=1',
  LPAE: 'Config=NESTED S2AA64=0',
};

/** The STE, the features and CR2.E2H that a row means. */
function streamOf(world: string, features: string) {
  const parts = world.split(' ').map((part) => worlds[part] ?? part);
  const hyp = parts.includes('STRW=NS_EL2') ? 'S2P=1 Hyp=1' : '';
  return { through: parts.join(' '), features: `${hyp} ${features}`, e2h: world.startsWith('E2H') };
}

describe('a CD', () => {
  it.each(rows)('$cd, reached by $world, with $features is $verdict', ({ cd: fields, verdict, ...row }) => {
    const { through, features, e2h } = streamOf(row.world, row.features);
    const broken = brokenCdRule(
      decode(CD, cdWords(fields)),
      decode(STE, steWords(through)),
      new Features(idr(features)),
      e2h,
    );
    expect(broken?.name ?? 'ok').toBe(verdict);
    // Behind stage 2 the CD itself must be translated first, and LPAE tables are not modelled.
    if (through.includes('NESTED')) return;
    const answer = access(fields, through, features, e2h).then({ type: 'config.filled', cache: 'cd' });
    const bad = answer.of('record.raised').some(({ record }) => record === 'C_BAD_CD');
    expect(bad).toBe(verdict !== 'ok');
    if (verdict === 'ok') return;
    answer.then({ type: 'access.terminated', result: 'abort', reason: `C_BAD_CD: ${verdict}` });
    expect(answer.of('access.terminated')[0]?.cd).toBeGreaterThan(0);
  });

  it('has a row for every rule', () => {
    expect(
      cdRules.map(({ name }) => name).filter((name) => !rows.some((row) => row.verdict === name)),
    ).toEqual([]);
  });

  it('of an EL2-E2H stream has two tables and an ASID (5.4.1)', () => {
    const { through, features } = streamOf('E2H', '');
    access('EPD0=1 TG0=3', through, features, true).then({
      type: 'access.terminated',
      reason: 'F_TRANSLATION: EPD0=1',
    });
    access('', through, features, true).then({
      type: 'tlb.filled',
      cache: 'tlb',
      regime: 'EL2_E2H',
      vmid: 0,
      asid: 5,
    });
  });
});

describe('what a CD does not use', () => {
  const lower = ['T0SZ', 'TG0', 'IR0', 'OR0', 'SH0', 'TTB0'];
  const upper = ['T1SZ', 'TG1', 'IR1', 'OR1', 'SH1', 'TTB1'];
  const names = Object.keys(CD.fields);
  /** Legal whatever they hold: nothing in 5.4.2 asks for them. */
  const unasked = names.filter((name) =>
    /^([IO]R|SH|AFFD|U?WXN|TBI|E?PAN|R$|ASET|NSCFG|HAD|E0PD|PnCH|HWU|AIE|A?MAIR|IMPDEF|PARTID|PMG)/.test(
      name,
    ),
  );
  const anyWords = fc.uint32Array({ minLength: 16, maxLength: 16 });
  const anyFeatures = fc
    .tuple(fc.nat(0xffff_ffff), fc.nat(0xffff_ffff), fc.nat(0xffff_ffff), fc.nat(6))
    .map(([IDR0, IDR3, IDR5, oas]) =>
      withFields({ IDR0, IDR3, IDR5 }, `S1P=1 S2P=1 Hyp=1 TTF=${2 + (IDR0 & 1)} D128=0 OAS=${oas}`),
    );
  /** Random words hardly ever are a legal CD, so half of them start from one. */
  const anyCd = fc
    .tuple(fc.boolean(), anyWords, fc.boolean(), fc.boolean())
    .map(([legal, raw, epd0, epd1]) =>
      put(CD.fields, legal ? cd() : raw.slice(), `V=1 EPD0=${Number(epd0)} EPD1=${Number(epd1)}`),
    );
  const anyWorld = fc.constantFrom('EL1', 'EL2', 'E2H');

  it('is IGNORED: the half that EPDx turns off, and what its StreamWorld lacks (5.4, 5.4.1)', () => {
    const property = fc.property(anyCd, anyWords, anyFeatures, anyWorld, (each, noise, values, world) => {
      const before = decode(CD, each);
      const ignored = [
        ...unasked,
        ...(before.EPD0 && world !== 'EL2' ? lower : []),
        ...(before.EPD1 || world === 'EL2' ? upper : []),
        ...(before.EPD0 && before.EPD1 && world !== 'EL2' ? ['ENDI'] : []),
        ...(world === 'EL2'
          ? ['EPD0', 'EPD1', 'ASID', ...names.filter((name) => name.startsWith('PIIU'))]
          : []),
      ];
      const through = decode(STE, steWords(`S1PIE=1 ${world === 'EL1' ? '' : 'STRW=NS_EL2'}`));
      const verdict = (words: Uint32Array): string =>
        brokenCdRule(decode(CD, words), through, new Features(values), world === 'E2H')?.name ?? 'ok';
      expect(verdict(graft(CD.fields, ignored, each, noise))).toBe(verdict(each));
    });
    fc.assert(property, { numRuns: 3000 });
  });
});
