/**
 * When a CD is ILLEGAL: IHI 0070 5.4.2, in the specification's order. An ILLEGAL CD is C_BAD_CD. A CD
 * may be legal for one stream and ILLEGAL for another, so the STE is asked too. VMSAv9-128 (IDR5.D128) is
 * left out, so that AA64=0 always asks for VMSAv8-32 LPAE.
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

/** Whether the stream belongs to EL2 or EL2-E2H (5.2 STRW). */
export function isEl2(ste: Ste, features: Features): boolean {
  return features.hyp && ste.Config === 'S1' && ste.STRW === 'NS_EL2';
}

function halves(cd: Cd, ste: Ste, features: Features, e2h: boolean): readonly Half[] {
  const el2 = isEl2(ste, features) && !e2h;
  const both = el2 ? [halfOf(cd, false, true)] : [halfOf(cd, false, false), halfOf(cd, true, false)];
  return both.filter((half) => !half.off);
}

/** Output size in bits: the smaller of IPS and OAS; 40 with VMSAv8-32 LPAE. */
export function effectiveIps(cd: Cd, features: Features): number {
  return cd.AA64 ? Math.min(addressSizes[cd.IPS] ?? features.oas, features.oas) : 40;
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

/** Whether the CD takes its permissions from PIIP and PIIU. */
const indirect = (cd: Cd, ste: Ste, features: Features): boolean =>
  cd.AA64 && features.s1pi && ste.S1PIE && cd.PIE;

// biome-ignore format: sixteen fields
const privileged = (c: Cd): readonly number[] => [
  c.PIIP0, c.PIIP1, c.PIIP2, c.PIIP3, c.PIIP4, c.PIIP5, c.PIIP6, c.PIIP7,
  c.PIIP8, c.PIIP9, c.PIIP10, c.PIIP11, c.PIIP12, c.PIIP13, c.PIIP14, c.PIIP15,
];
// biome-ignore format: sixteen fields
const unprivileged = (c: Cd): readonly number[] => [
  c.PIIU0, c.PIIU1, c.PIIU2, c.PIIU3, c.PIIU4, c.PIIU5, c.PIIU6, c.PIIU7,
  c.PIIU8, c.PIIU9, c.PIIU10, c.PIIU11, c.PIIU12, c.PIIU13, c.PIIU14, c.PIIU15,
];
const reservedPermission = (code: number): boolean => code === 4 || code === 6;

/** Some index lets privileged accesses execute what unprivileged ones write. */
function executesWritten(cd: Cd): boolean {
  const user = unprivileged(cd);
  return privileged(cd).some((code, index) => (code & 2) !== 0 && ((user[index] ?? 0) & 4) !== 0);
}

// biome-ignore format: a table
export const cdRules: readonly CdRule[] = [
  { name: 'v-0',             spec: '5.4 V',       broken: (c) => !c.V },
  { name: 's1stalld-s',      spec: '5.2 S1STALLD', broken: (c, s) => s.S1STALLD && c.S },
  { name: 'term-model',      spec: '5.4 A',       broken: (c, _, f) => f.termModel && !c.A },
  { name: 'stall-absent',    spec: '5.4 S',       broken: (c, _, f) => f.stallModel === 1 && c.S },
  { name: 'stall-forced',    spec: '5.4 S',       broken: (c, _, f) => f.stallModel === 2 && !c.S },
  { name: 'endi',            spec: '5.4 ENDI',    broken: (c, s, f, e2h) => halves(c, s, f, e2h).length > 0 && ((f.ttEndian === 2 && c.ENDI) || (f.ttEndian === 3 && !c.ENDI)) },
  { name: 'aa64-0',          spec: '5.4 AA64',    broken: (c, _, f) => !c.AA64 && (f.ttf & 1) === 0 },
  { name: 'aa64-0-e2h',      spec: '5.4 AA64',    broken: (c, s, f, e2h) => !c.AA64 && e2h && isEl2(s, f) },
  { name: 'aa64-1',          spec: '5.4 AA64',    broken: (c, _, f) => c.AA64 && (f.ttf & 2) === 0 },
  { name: 'aa64-1-on-lpae',  spec: '5.4 AA64',    broken: (c, s) => c.AA64 && s.Config === 'NESTED' && !s.S2AA64 },
  { name: 'ha-hd-absent',    spec: '5.4 HA',      broken: (c, _, f) => c.AA64 && (c.HA || c.HD) && f.httu === 0 },
  { name: 'hd-absent',       spec: '5.4 HD',      broken: (c, _, f) => c.AA64 && c.HD && f.httu === 1 },
  { name: 'haft-without-ha', spec: '5.4 HAFT',    broken: (c, _, f) => c.AA64 && c.HAFT && !c.HA && f.httu === 3 },
  { name: 'asid-16-bit',     spec: '5.4 ASID',    broken: (c, s, f, e2h) => c.ASID > 0xff && !f.asid16 && (e2h || !isEl2(s, f)) },
  { name: 'txsz-range',      spec: '5.4 T0SZ',    broken: (c, s, f, e2h) => c.AA64 && halves(c, s, f, e2h).some((half) => tszBad(half, c, f)) },
  { name: 'tg-absent',       spec: '5.4 TG0',     broken: (c, s, f, e2h) => c.AA64 && halves(c, s, f, e2h).some((half) => granuleBad(half, f)) },
  { name: 'ttb-too-large',   spec: '5.4 TTB0',    broken: (c, s, f, e2h) => halves(c, s, f, e2h).some((half) => ttbBad(half, c, f)) },
  { name: 'piip-reserved',   spec: '5.4 PIIP',    broken: (c, s, f) => indirect(c, s, f) && privileged(c).some(reservedPermission) },
  { name: 'piiu-reserved',   spec: '5.4 PIIU',    broken: (c, s, f, e2h) => indirect(c, s, f) && (e2h || !isEl2(s, f)) && unprivileged(c).some(reservedPermission) },
  { name: 'pii-writes-executed', spec: '5.4 PIIP', broken: (c, s, f, e2h) => indirect(c, s, f) && (e2h || !isEl2(s, f)) && executesWritten(c) },
];

/** The first rule the CD breaks when it is reached through `ste`. */
export function brokenCdRule(cd: Cd, ste: Ste, features: Features, e2h: boolean): CdRule | undefined {
  return cdRules.find((rule) => rule.broken(cd, ste, features, e2h));
}
