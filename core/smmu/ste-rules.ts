/**
 * When an STE is ILLEGAL: IHI 0070 5.2.2, in the specification's order. An ILLEGAL STE is C_BAD_STE.
 * Non-secure STEs; VMSAv9-128 (IDR5.D128) is left out, so that S2AA64=0 always asks for VMSAv8-32 LPAE.
 */
import type { Features } from './features.ts';
import { type Granule, granuleByName, granules } from './granule.ts';
import {
  effectiveS2ds,
  effectiveS2ps,
  isStage2LevelConsistent,
  isStage2LevelSupported,
  isStage2SizeLegal,
  stage2StartLevel,
} from './stage2-geometry.ts';
import type { Ste } from './ste.ts';

export interface SteRule {
  readonly name: string;
  readonly spec: string;
  broken(ste: Ste, features: Features): boolean;
}

const stage1 = (ste: Ste): boolean => ste.Config === 'S1' || ste.Config === 'NESTED';
const stage2 = (ste: Ste): boolean => ste.Config === 'S2' || ste.Config === 'NESTED';
const lpae2 = (ste: Ste): boolean => stage2(ste) && !ste.S2AA64;
const substreams = (ste: Ste, features: Features): boolean => features.ssidBits !== 0 && ste.S1CDMax !== 0;

/** STRW counts for stage 1 alone, where there is an EL2. */
const usesStrw = (ste: Ste, features: Features): boolean =>
  features.s1p && features.hyp && ste.Config === 'S1';
const isEl1 = (ste: Ste, features: Features): boolean => !usesStrw(ste, features) || ste.STRW === 'NS_EL1';
const usesVmid = (ste: Ste, features: Features): boolean =>
  features.s2p && (stage1(ste) || stage2(ste)) && isEl1(ste, features);
/** EATS counts where something is translated. */
const usesEats = (ste: Ste, features: Features): boolean => features.ats && (stage1(ste) || stage2(ste));

// biome-ignore format: a table
export const steRules: readonly SteRule[] = [
  { name: 'stage-1-absent',       spec: '5.2 Config',   broken: (s, f) => stage1(s) && !f.s1p },
  { name: 'stage-2-absent',       spec: '5.2 Config',   broken: (s, f) => stage2(s) && !f.s2p },
  { name: 'eats-split-config',    spec: '5.2 EATS',     broken: (s, f) => usesEats(s, f) && s.EATS === 'SPLIT' && s.Config !== 'NESTED' },
  { name: 'eats-split-stall',     spec: '5.2 EATS',     broken: (s, f) => usesEats(s, f) && s.EATS === 'SPLIT' && s.S2S },
  { name: 'eats-split-absent',    spec: '5.2 EATS',     broken: (s, f) => usesEats(s, f) && s.EATS === 'SPLIT' && f.ns1ats },
  { name: 'eats-full-stall',      spec: '5.2 EATS',     broken: (s, f) => usesEats(s, f) && s.EATS === 'FULL' && stage2(s) && s.S2S },
  { name: 'eats-dpt-world',       spec: '5.2 EATS',     broken: (s, f) => usesEats(s, f) && f.dpt && s.EATS === 'FULL_DPT' && !isEl1(s, f) },
  { name: 'eats-dpt-stall',       spec: '5.2 EATS',     broken: (s, f) => usesEats(s, f) && f.dpt && s.EATS === 'FULL_DPT' && stage2(s) && s.S2S },
  { name: 'strw-reserved',        spec: '5.2 STRW',     broken: (s, f) => usesStrw(s, f) && s.STRW === 'RESERVED' },
  { name: 's1stalld',             spec: '5.2 S1STALLD', broken: (s, f) => stage1(s) && s.S1STALLD && f.stallModel !== 0 },
  { name: 's1cdmax-too-large',    spec: '5.2 S1CDMax',  broken: (s, f) => stage1(s) && f.ssidBits !== 0 && s.S1CDMax > f.ssidBits },
  { name: 's1fmt-two-level',      spec: '5.2 S1Fmt',    broken: (s, f) => stage1(s) && substreams(s, f) && !f.cd2l && (s.S1Fmt === 'TWO_LEVEL_4K' || s.S1Fmt === 'TWO_LEVEL_64K') },
  // Above IAS in a nested stream: this, or a stage 2 F_TRANSLATION later (3.4.3).
  { name: 's1contextptr-too-large', spec: '5.2 S1ContextPtr', broken: (s, f) => stage1(s) && s.S1ContextPtr >= 2 ** (stage2(s) ? f.ias : f.oas) },
  { name: 's2fwb-lpae',           spec: '5.2 S2FWB',    broken: (s, f) => lpae2(s) && f.fwb && s.S2FWB },
  { name: 's2s-absent',           spec: '5.5',          broken: (s, f) => stage2(s) && f.stallModel === 1 && s.S2S },
  { name: 's2s-forced',           spec: '5.5',          broken: (s, f) => stage2(s) && f.stallModel === 2 && !s.S2S },
  { name: 's2aa64-0',             spec: '5.2 S2AA64',   broken: (s, f) => lpae2(s) && (f.ttf & 1) === 0 },
  { name: 's2aa64-1',             spec: '5.2 S2AA64',   broken: (s, f) => stage2(s) && s.S2AA64 && (f.ttf & 2) === 0 },
  { name: 's2ha-s2hd-lpae',       spec: '5.2 S2HA',     broken: (s) => lpae2(s) && (s.S2HA || s.S2HD) },
  { name: 's2ha-s2hd-absent',     spec: '5.2 S2HA',     broken: (s, f) => stage2(s) && (s.S2HA || s.S2HD) && f.httu === 0 },
  { name: 's2hd-absent',          spec: '5.2 S2HD',     broken: (s, f) => stage2(s) && s.S2HD && f.httu === 1 },
  { name: 's2haft-without-s2ha',  spec: '5.2 S2HAFT',   broken: (s, f) => stage2(s) && s.S2HAFT && !s.S2HA && f.httu === 3 },
  { name: 's2tg-absent',          spec: '5.2 S2TG',     broken: (s, f) => stage2(s) && s.S2AA64 && !hasGranule(s, f) },
  { name: 's2ttb-too-large',      spec: '5.2 S2TTB',    broken: (s, f) => stage2(s) && s.S2TTB >= 2 ** ttbBits(s, f) },
  { name: 's2t0sz-range',         spec: '5.2 S2T0SZ',   broken: (s, f) => stage2(s) && s.S2AA64 && !isStage2SizeLegal(granuleOf(s), s.S2T0SZ, effectiveS2ds(s, f), f) },
  { name: 's2sl0-reserved',       spec: '5.2 S2SL0',    broken: (s, f) => stage2(s) && start(s, f) === undefined },
  { name: 's2sl0-unsupported',    spec: '5.2 S2SL0',    broken: (s, f) => stage2(s) && !isStage2LevelSupported(granuleOf(s), start(s, f) ?? 3, f) },
  { name: 's2sl0-inconsistent',   spec: '5.2 S2SL0',    broken: (s, f) => stage2(s) && !isStage2LevelConsistent(granuleOf(s), start(s, f) ?? 3, inputBits(s)) },
  { name: 's2endi',               spec: '5.2 S2ENDI',   broken: (s, f) => stage2(s) && ((f.ttEndian === 2 && s.S2ENDI) || (f.ttEndian === 3 && !s.S2ENDI)) },
  { name: 's2pie-lpae',           spec: '5.2 S2PIE',    broken: (s, f) => lpae2(s) && f.s2pi && s.S2PIE },
  { name: 's2poe-direct',         spec: '5.2 S2POE',    broken: (s, f) => overlays(s, f) && !s.S2PIE },
  { name: 's2poe-s2hwu',          spec: '5.2 S2POE',    broken: (s, f) => overlays(s, f) && f.pbha && (s.S2HWU59 || s.S2HWU60 || s.S2HWU61 || s.S2HWU62) },
  { name: 's2poi-reserved',       spec: '5.2 S2POI',    broken: (s, f) => overlays(s, f) && overlayCodes(s).some((code) => code === 1 || code === 5) },
  { name: 's2vmid-16-bit',        spec: '5.2 S2VMID',   broken: (s, f) => usesVmid(s, f) && s.S2VMID > 0xff && !f.vmid16 },
  { name: 'vmsptr-too-large',     spec: '5.2 VMSPtr',   broken: (s, f) => f.mpam && s.Config === 'NESTED' && s.S1MPAM && s.VMSPtr >= 2 ** f.oas },
];

/** The first rule the STE breaks. V=1 and Config 1xx are asked elsewhere. */
export function brokenSteRule(ste: Ste, features: Features): SteRule | undefined {
  return steRules.find((rule) => rule.broken(ste, features));
}

const overlays = (ste: Ste, features: Features): boolean => stage2(ste) && features.s2po && ste.S2POE;

// biome-ignore format: sixteen fields
const overlayCodes = (s: Ste): readonly number[] => [
  s.S2POI0, s.S2POI1, s.S2POI2, s.S2POI3, s.S2POI4, s.S2POI5, s.S2POI6, s.S2POI7,
  s.S2POI8, s.S2POI9, s.S2POI10, s.S2POI11, s.S2POI12, s.S2POI13, s.S2POI14, s.S2POI15,
];

function hasGranule(ste: Ste, features: Features): boolean {
  const granule = granuleByName[ste.S2TG];
  return granule !== undefined && features.granules.has(granule.pageLog2);
}

/** The granule of stage 2; LPAE has 4KB. A reserved S2TG was refused before anybody asks. */
const granuleOf = (ste: Ste): Granule => (ste.S2AA64 ? granuleByName[ste.S2TG] : undefined) ?? granules[12];

/** S2TTB must lie within the output size, and within 48 bits unless tables can point beyond. */
function ttbBits(ste: Ste, features: Features): number {
  const wide = ste.S2TG === '64KB' || effectiveS2ds(ste, features);
  return wide ? effectiveS2ps(ste, features) : Math.min(effectiveS2ps(ste, features), 48);
}

/** The start level, or undefined where the encoding is reserved; LPAE has levels 2 and 1 alone. */
function start(ste: Ste, features: Features): number | undefined {
  if (!ste.S2AA64 && ste.S2SL0 > 1) return undefined;
  return stage2StartLevel(granuleOf(ste), ste.S2SL0, ste.S2SL0_2, effectiveS2ds(ste, features));
}

/** Bits of an IPA. LPAE counts from 32, with a signed size of four bits. */
function inputBits(ste: Ste): number {
  return ste.S2AA64 ? 64 - ste.S2T0SZ : 32 - (((ste.S2T0SZ + 8) & 15) - 8);
}
