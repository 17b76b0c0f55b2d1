/**
 * The STEs that the driver writes, and which of their bits hardware looks at (linux: arm_smmu_make_*_ste,
 * arm_smmu_get_ste_used, arm_smmu_get_ste_update_safe; arm-smmu-v3-iommufd.c for the nested ones).
 */
import { present } from '../assert.ts';
import { encode, mask } from '../layout/layout.ts';
import { STE, type Ste } from '../smmu/ste.ts';
import { doublewords } from './commands.ts';
import type { Entry, SafeBits, UsedBits } from './entry-writer.ts';
import type { DriverFeatures } from './features.ts';
import { behavioursOf } from './releases.ts';
import { vtcrOf } from './stage2-fields.ts';
import type { CdTable, DriverState, Master, Stage2Domain } from './state.ts';

const bits = (...names: readonly (keyof Ste & string)[]): Entry => doublewords(mask(STE, names));
const union = (...entries: readonly Entry[]): Entry =>
  Array.from({ length: 8 }, (_, at) => entries.reduce((all, entry) => all | (entry[at] ?? 0n), 0n));

const VALID = bits('V');
const CONFIG = bits('Config');
// biome-ignore format: a table
const STAGE1 = bits('S1Fmt', 'S1ContextPtr', 'S1CDMax', 'S1DSS', 'S1CIR', 'S1COR', 'S1CSH', 'S1STALLD', 'STRW', 'EATS', 'MEV', 'S2VMID');
// biome-ignore format: a table
const STAGE2 = bits('S2FWB', 'EATS', 'SHCFG', 'MEV', 'S2VMID', 'S2T0SZ', 'S2SL0', 'S2IR0', 'S2OR0', 'S2SH0', 'S2TG', 'S2PS', 'S2AA64', 'S2ENDI', 'S2PTW', 'S2S', 'S2R', 'S2TTB');
const SHCFG = bits('SHCFG');
const MEV = bits('MEV');
/** The low bit of EATS: full ATS. */
const EATS_FULL: Entry = [0n, 1n << 28n, 0n, 0n, 0n, 0n, 0n, 0n];
const CONFIG_BYPASS = 4n;

const configOf = (entry: Entry): bigint => ((entry[0] ?? 0n) >> 1n) & 7n;
const isValid = (entry: Entry): boolean => ((entry[0] ?? 0n) & 1n) !== 0n;
const s1dssOf = (entry: Entry): bigint => (entry[1] ?? 0n) & 3n;
const eatsOf = (entry: Entry): bigint => ((entry[1] ?? 0n) >> 28n) & 3n;
/** Whether an STE leads to a stage of translation. */
export const isTranslating = (entry: Entry): boolean => (configOf(entry) & 3n) !== 0n;
const stallsAtStage2 = (entry: Entry): boolean => (((entry[2] ?? 0n) >> 57n) & 1n) !== 0n;

/** What hardware looks at in an STE. */
export const usedOfSte: UsedBits = (entry) => {
  if (!isValid(entry)) return VALID;
  const config = configOf(entry);
  const parts = [VALID, CONFIG];
  if ((config & 1n) !== 0n) {
    parts.push(STAGE1);
    // IHI 0070 13.5: SHCFG counts where stage 1 is bypassed.
    if (s1dssOf(entry) === 1n) parts.push(SHCFG);
  }
  if ((config & 2n) !== 0n) parts.push(STAGE2);
  if (config === CONFIG_BYPASS) parts.push(SHCFG);
  return union(...parts);
};

/** MEV is a wish alone; full ATS may come and go where neither entry has split-stage ATS or stalls at stage 2. */
export const safeOfSte: SafeBits = (current, target) => {
  const split = (entry: Entry): boolean => eatsOf(entry) === 2n;
  const stalls = (entry: Entry): boolean => (configOf(entry) & 2n) !== 0n && stallsAtStage2(entry);
  const eatsIsSafe = ![current, target].some((entry) => split(entry) || stalls(entry));
  return eatsIsSafe ? union(MEV, EATS_FULL) : MEV;
};

const steOf = (fields: Partial<Ste>): Entry => doublewords(encode(STE, fields));

const INCOMING = { SHCFG: 'USE_INCOMING' } as const;

/** Every access ends in an abort. */
export const abortSte: Entry = steOf({ V: true, Config: 'ABORT' });
const abortIncoming: Entry = steOf({ V: true, Config: 'ABORT', ...INCOMING });

/** The same as the driver's release writes it. */
export function abortSteOf(driver: DriverState): Entry {
  return behavioursOf(driver).shcfg === 'incoming' ? abortIncoming : abortSte;
}

/** Addresses pass as they are. @param always SHCFG is there whether it counts or not */
export function bypassSte({ attrTypesOvr }: DriverFeatures, always = false): Entry {
  return steOf({ V: true, Config: 'BYPASS', ...(attrTypesOvr || always ? INCOMING : {}) });
}

/** Stage 1 by the CD table of the endpoint. */
export function cdTableSte(
  features: DriverFeatures,
  master: Master,
  table: CdTable,
  { ats, s1dss }: { readonly ats: boolean; readonly s1dss: Ste['S1DSS'] },
): Entry {
  const incoming = features.attrTypesOvr && s1dss === 'BYPASS';
  return steOf({
    V: true,
    Config: 'S1',
    S1Fmt: table.twoLevel ? 'TWO_LEVEL_64K' : 'LINEAR',
    S1ContextPtr: table.pa,
    S1CDMax: table.maxLog2,
    S1DSS: s1dss,
    S1CIR: 'WB_RA',
    S1COR: 'WB_RA',
    S1CSH: 'ISH',
    S1STALLD: features.stalls && !master.stallEnabled,
    EATS: ats ? 'FULL' : 'OFF',
    STRW: features.e2h ? 'NS_EL2' : 'NS_EL1',
    ...(incoming ? { SHCFG: 'USE_INCOMING' } : {}),
  });
}

/** Stage 2 alone. */
export function stage2Ste(
  features: DriverFeatures,
  master: Master,
  domain: Stage2Domain,
  ats: boolean,
): Entry {
  return steOf({
    V: true,
    Config: 'S2',
    EATS: ats ? 'FULL' : 'OFF',
    S2FWB: domain.table.fwb,
    ...(features.attrTypesOvr ? { SHCFG: 'USE_INCOMING' } : {}),
    S2VMID: domain.vmid,
    ...vtcrOf(domain.table),
    S2AA64: true,
    S2PTW: true,
    S2R: true,
    S2S: master.stallEnabled,
    S2TTB: domain.table.root,
  });
}

const word = (entry: Entry, at: number): bigint => present(entry[at], 'doubleword');
const EATS_BITS = 3n << 28n;
const MEV_BIT = 1n << 19n;

/**
 * What a vSTE becomes on hardware, over the stage 2 of its parent.
 * @param mev MEV=1 where the vSTE asks for stage 1
 */
export function nestedSte(stage2: Entry, vste: readonly [bigint, bigint], mev: boolean): Entry {
  const config = configOf(vste);
  if ((vste[0] & 1n) === 0n || config === 0n) return abortSte;
  if (config === CONFIG_BYPASS) return stage2;
  const nested = (vste[0] & ~0xen) | (7n << 1n);
  const second = word(stage2, 1) | (vste[1] & ~EATS_BITS) | (mev ? MEV_BIT : 0n);
  return [nested, second, ...stage2.slice(2)];
}
