/**
 * When a CD is ILLEGAL: IHI 0070 5.4.2, in the specification's order. An ILLEGAL CD is C_BAD_CD. A CD
 * may be legal for one stream and ILLEGAL for another, so the STE is asked too.
 */

import type { Cd } from './cd.ts';
import { addressSizes } from './codes.ts';
import type { Features } from './features.ts';
import { granuleByName } from './granule.ts';
import type { Ste } from './ste.ts';

export interface CdRule {
  readonly name: string;
  readonly spec: string;
  /** `e2h`: CR2.E2H, which gives EL2 streams two tables and an ASID. */
  broken(cd: Cd, ste: Ste, features: Features, e2h: boolean): boolean;
}

/** One of the two tables of a CD, as its rules and walks see it. */
export interface Half {
  readonly off: boolean;
  readonly tsz: number;
  readonly tg: string;
  readonly ttb: number;
  readonly tbi: boolean;
  readonly had: boolean;
  readonly e0pd: boolean;
}

/** TTB0 or TTB1. EL2 has one table and no EPD (13.4.1). */
export function halfOf(cd: Cd, upper: boolean, el2: boolean): Half {
  if (upper)
    return {
      off: cd.EPD1,
      tsz: cd.T1SZ,
      tg: cd.TG1,
      ttb: cd.TTB1,
      tbi: cd.TBI1,
      had: cd.HAD1,
      e0pd: cd.E0PD1,
    };
  return {
    off: cd.EPD0 && !el2,
    tsz: cd.T0SZ,
    tg: cd.TG0,
    ttb: cd.TTB0,
    tbi: cd.TBI0,
    had: cd.HAD0,
    e0pd: cd.E0PD0,
  };
}

export function isEl2(ste: Ste, features: Features): boolean {
  return features.hyp && ste.Config === 'S1' && ste.STRW === 'NS_EL2';
}

function halves(cd: Cd, ste: Ste, features: Features, e2h: boolean): readonly Half[] {
  const el2 = isEl2(ste, features) && !e2h;
  const both = el2 ? [halfOf(cd, false, true)] : [halfOf(cd, false, false), halfOf(cd, true, false)];
  return both.filter((half) => !half.off);
}

/** Output size in bits: the smaller of IPS and OAS. */
export function effectiveIps(cd: Cd, features: Features): number {
  return Math.min(addressSizes[cd.IPS] ?? features.oas, features.oas);
}

function tszBad(half: Half, cd: Cd, features: Features): boolean {
  const wide = features.vax >= 1 && (half.tg === '64KB' || (cd.DS && features.ds));
  const max = features.stt ? (half.tg === '64KB' ? 47 : 48) : 39;
  return half.tsz > max || half.tsz < (wide ? 12 : 16);
}

function granuleBad(half: Half, features: Features): boolean {
  const granule = granuleByName[half.tg];
  return granule === undefined || !features.granules.has(granule.pageLog2);
}

function ttbBad(half: Half, cd: Cd, features: Features): boolean {
  const narrow = half.tg !== '64KB' && !(cd.DS && features.ds);
  return half.ttb >= 2 ** effectiveIps(cd, features) || (narrow && half.ttb >= 2 ** 48);
}

// biome-ignore format: a table
export const cdRules: readonly CdRule[] = [
  { name: 'v-0',             spec: '5.4 V',       broken: (c) => !c.V },
  { name: 's1stalld-s',      spec: '5.2 S1STALLD', broken: (c, s) => s.S1STALLD && c.S },
  { name: 'stall-absent',    spec: '5.4 S',       broken: (c, _, f) => f.stallModel === 1 && c.S },
  { name: 'stall-forced',    spec: '5.4 S',       broken: (c, _, f) => f.stallModel === 2 && !c.S },
  { name: 'term-model',      spec: '5.4 A',       broken: (c, _, f) => f.termModel && !c.A },
  { name: 'endi',            spec: '5.4 ENDI',    broken: (c, s, f, e2h) => halves(c, s, f, e2h).length > 0 && ((f.ttEndian === 2 && c.ENDI) || (f.ttEndian === 3 && !c.ENDI)) },
  { name: 'aa64-0',          spec: '5.4 AA64',    broken: (c, _, f) => !c.AA64 && (f.ttf & 1) === 0 },
  { name: 'aa64-1',          spec: '5.4 AA64',    broken: (c, _, f) => c.AA64 && (f.ttf & 2) === 0 },
  { name: 'ha-hd-absent',    spec: '5.4 HA',      broken: (c, _, f) => (c.HA || c.HD) && f.httu === 0 },
  { name: 'hd-absent',       spec: '5.4 HD',      broken: (c, _, f) => c.HD && f.httu === 1 },
  { name: 'asid-16-bit',     spec: '5.4 ASID',    broken: (c, s, f, e2h) => c.ASID > 0xff && !f.asid16 && (e2h || !isEl2(s, f)) },
  { name: 'txsz-range',      spec: '5.4 T0SZ',    broken: (c, s, f, e2h) => halves(c, s, f, e2h).some((half) => tszBad(half, c, f)) },
  { name: 'tg-absent',       spec: '5.4 TG0',     broken: (c, s, f, e2h) => halves(c, s, f, e2h).some((half) => granuleBad(half, f)) },
  { name: 'ttb-too-large',   spec: '5.4 TTB0',    broken: (c, s, f, e2h) => halves(c, s, f, e2h).some((half) => ttbBad(half, c, f)) },
];

/** The first rule the CD breaks when it is reached through `ste`. */
export function brokenCdRule(cd: Cd, ste: Ste, features: Features, e2h: boolean): CdRule | undefined {
  return cdRules.find((rule) => rule.broken(cd, ste, features, e2h));
}
