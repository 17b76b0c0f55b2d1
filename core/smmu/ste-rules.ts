/**
 * When an STE is ILLEGAL: IHI 0070 5.2.2, in the specification's order. An ILLEGAL STE is C_BAD_STE.
 * Rules about stage 2 fields come with stage 2.
 */
import type { Features } from './features.ts';
import type { Ste } from './ste.ts';

export interface SteRule {
  readonly name: string;
  readonly spec: string;
  broken(ste: Ste, features: Features): boolean;
}

const stage1 = (ste: Ste): boolean => ste.Config === 'S1' || ste.Config === 'NESTED';
const stage2 = (ste: Ste): boolean => ste.Config === 'S2' || ste.Config === 'NESTED';

// biome-ignore format: a table
export const steRules: readonly SteRule[] = [
  { name: 'stage-1-absent',        spec: '5.2 Config',       broken: (s, f) => stage1(s) && !f.s1p },
  { name: 'stage-2-absent',        spec: '5.2 Config',       broken: (s, f) => stage2(s) && !f.s2p },
  // Not of the architecture: an STE that asks for what this model lacks must not pass for something else.
  { name: 'stage-2-not-modelled',  spec: '5.2 Config',       broken: (s) => stage2(s) },
  { name: 'strw-reserved',         spec: '5.2 STRW',         broken: (s, f) => s.Config === 'S1' && f.s1p && f.hyp && s.STRW === 'RESERVED' },
  { name: 's1stalld',              spec: '5.2 S1STALLD',     broken: (s, f) => stage1(s) && s.S1STALLD && f.stallModel !== 0 },
  { name: 's1cdmax-too-large',     spec: '5.2 S1CDMax',      broken: (s, f) => stage1(s) && f.ssidBits !== 0 && s.S1CDMax > f.ssidBits },
  { name: 's1fmt-two-level',       spec: '5.2 S1Fmt',        broken: (s, f) => stage1(s) && f.ssidBits !== 0 && s.S1CDMax !== 0 && !f.cd2l && (s.S1Fmt === 'TWO_LEVEL_4K' || s.S1Fmt === 'TWO_LEVEL_64K') },
  { name: 's1contextptr-too-large', spec: '5.2 S1ContextPtr', broken: (s, f) => stage1(s) && s.S1ContextPtr >= 2 ** f.oas },
  { name: 's2vmid-16-bit',         spec: '5.2 S2VMID',       broken: (s, f) => f.s2p && (stage2(s) || (s.Config === 'S1' && !(f.hyp && s.STRW === 'NS_EL2'))) && s.S2VMID > 0xff && !f.vmid16 },
];

/** The first rule the STE breaks. V=1 and Config 1xx are asked elsewhere. */
export function brokenSteRule(ste: Ste, features: Features): SteRule | undefined {
  return steRules.find((rule) => rule.broken(ste, features));
}
