/**
 * Stage 2: from an IPA to a PA, for the access itself, for stage 1 descriptors and for CDs (IHI 0070
 * 3.4, 5.2, 7.3; Arm ARM D8). Tables and rules are one STE's.
 */
import type { Context } from '../machine.ts';
import { below, pow2 } from '../pow2.ts';
import { attribute2Bits, controlled2, isClean2, permits2, refusesTables } from './attributes2.ts';
import type { Fault, FaultClass } from './fault.ts';
import type { Features } from './features.ts';
import { fillTlb, takesFills } from './fills.ts';
import { granuleByName, granules } from './granule.ts';
import {
  ACCESS_FLAG,
  checksAccessFlag,
  isCacheable,
  marksDirty,
  type Updates,
  updateDescriptor,
} from './httu.ts';
import { contextKey } from './keys.ts';
import { leafEntry } from './leaf-entry.ts';
import { findEntry } from './look-up.ts';
import { effectiveS2ds, effectiveS2ps, stage2StartLevel, stage2TableLog2 } from './stage2-geometry.ts';
import type { SmmuState, TlbEntry } from './state.ts';
import type { Ste } from './ste.ts';
import { type Leaf, tableBase, type WalkContext, walkTables } from './walker.ts';

/** What one STE says of stage 2. */
export interface Stage2 {
  readonly walk: WalkContext;
  /** STE.S2PTW: a CD or a stage 1 table in Device memory is F_PERMISSION. */
  readonly ptw: boolean;
  readonly nested: boolean;
  readonly fwb: boolean;
  readonly xnx: boolean;
}

/** A use of stage 2. */
export interface Access2 {
  readonly class: FaultClass;
  readonly write: boolean;
  readonly exec: boolean;
  readonly privileged: boolean;
}

/** A leaf as it serves accesses: from a walk or from the TLB. */
export interface Entry2 {
  readonly pa: number;
  readonly sizeLog2: number;
  readonly attributes: number;
  readonly descriptorPa: number;
  /** What it was made from: the entry holds the descriptor whole, the leaf in halves. */
  readonly from: TlbEntry | Leaf;
  /** seq of the fill; 0 when it was not cached. */
  readonly fill: number;
  /** What rests on it may be cached. */
  readonly cacheable: boolean;
}

export type Translated2 =
  | { readonly ok: true; readonly pa: number; readonly entry: Entry2; readonly hit: boolean }
  | { readonly ok: false; readonly fault: Fault; readonly fill: number };

const remembered = new WeakMap<Ste, Stage2>();

/** The stage 2 of an STE with Config 0b11x. */
export function stage2Of(ste: Ste, features: Features): Stage2 {
  const known = remembered.get(ste);
  if (known !== undefined) return known;
  const granule = granuleByName[ste.S2TG] ?? granules[12];
  const inputBits = 64 - ste.S2T0SZ;
  const ds = effectiveS2ds(ste, features);
  const start = stage2StartLevel(granule, ste.S2SL0, ste.S2SL0_2, ds) ?? 3;
  const wide64 = granule.pageLog2 === 16 && features.oas >= 52;
  const size = effectiveS2ps(ste, features);
  const bits = granule.pageLog2 === 16 || ds ? size : Math.min(size, 48);
  const tableLog2 = stage2TableLog2(granule, start, inputBits);
  const made: Stage2 = {
    walk: {
      stage: 2,
      regime: 'EL1',
      vmid: ste.S2VMID,
      asid: 0,
      aset: false,
      granule,
      inputBits,
      start,
      firstEntries: pow2(tableLog2 - 3),
      base: tableBase(ste.S2TTB, tableLog2, size === 52),
      had: false,
      bigEndian: ste.S2ENDI,
      outputBits: bits,
      wide64,
      ds,
      checkAf: !ste.S2AFFD,
      ha: ste.S2HA && features.httu >= 1,
      hd: ste.S2HA && ste.S2HD && features.httu >= 2,
      haft: ste.S2HA && ste.S2HAFT && features.httu === 3,
      primary: contextKey('EL1', 2, ste.S2VMID, 0, false),
    },
    ptw: ste.S2PTW,
    nested: ste.Config === 'NESTED',
    fwb: ste.S2FWB && features.fwb,
    xnx: features.xnx,
  };
  remembered.set(ste, made);
  return made;
}

/** Takes an IPA through stage 2. */
export function translateStage2(
  context: Context,
  smmu: SmmuState,
  stage2: Stage2,
  ipa: number,
  access: Access2,
  updates: Updates,
): Translated2 {
  const { walk } = stage2;
  if (ipa >= pow2(walk.inputBits)) return refused('F_TRANSLATION', 'the IPA is beyond S2T0SZ', ipa, access);
  const page = Math.floor(ipa / 4096);
  const held = lookUp(smmu, stage2, page);
  if (held !== undefined) {
    const why = refusal(stage2, held.attributes, access, updates);
    if (why !== undefined) return refused('F_PERMISSION', why, ipa, access, held.id);
    // A clean page must be marked in memory, so the descriptor is read again (Arm ARM D8.5).
    const marks = marksDirty(walk, isClean2(held.attributes), access.write, updates);
    if (!marks)
      return { ok: true, pa: held.pa + below(ipa, pow2(held.sizeLog2)), entry: heldEntry(held), hit: true };
  }
  const walked = walkTables(context, smmu, walk, ipa, page, updates);
  if (!walked.ok) return { ok: false, fault: about(walked.fault, ipa, access), fill: 0 };
  const leaf = withControls(stage2, walked.leaf);
  if (!leaf.accessFlag && checksAccessFlag(smmu, walk))
    return refused('F_ACCESS', `AF=0 at level ${leaf.level}`, ipa, access);
  const why = refusal(stage2, leaf.attributes, access, updates);
  if (why !== undefined) {
    const keep = smmu.config.choices['cacheRefusedLeaf'] !== false && isCacheable(walk, leaf);
    const kept = keep ? fill(context, smmu, walk, page, leaf) : 0;
    return refused('F_PERMISSION', `${why} at level ${leaf.level}`, ipa, access, kept);
  }
  const marks = marksDirty(walk, isClean2(leaf.attributes), access.write, updates);
  const now =
    marks || (walk.ha && updates.af && !leaf.accessFlag) ? touched(context, smmu, walk, leaf, marks) : leaf;
  const entry: Entry2 = {
    pa: now.pa,
    sizeLog2: now.sizeLog2,
    attributes: now.attributes,
    descriptorPa: now.descriptorPa,
    from: now,
    fill: isCacheable(walk, now) ? fill(context, smmu, walk, page, now) : 0,
    cacheable: isCacheable(walk, now),
  };
  return { ok: true, pa: now.pa + below(ipa, pow2(now.sizeLog2)), entry, hit: false };
}

function refused(record: Fault['record'], why: string, ipa: number, access: Access2, fill = 0): Translated2 {
  return { ok: false, fault: about({ record, why }, ipa, access), fill };
}

/** What a record of stage 2 tells besides (7.3): the IPA, the class, and of a refused descriptor how it was used. */
function about(fault: Fault, ipa: number, access: Access2): Fault {
  const kind = access.class;
  const ttrnw = fault.record === 'F_PERMISSION' && kind === 'TT' ? { ttrnw: !access.write } : {};
  return { ...fault, s2: true, class: kind, ipa, ...ttrnw };
}

/** Why stage 2 refuses the access, or undefined. */
function refusal(stage2: Stage2, attributes: number, access: Access2, updates: Updates): string | undefined {
  if (stage2.nested && access.class !== 'IN' && refusesTables(attributes, stage2.fwb))
    return 'S2PTW=1 and Device memory';
  const hd = stage2.walk.hd && updates.dirty !== 'refuse';
  return permits2(attributes, access, hd, stage2.xnx) ? undefined : 'not permitted by stage 2';
}

function withControls({ ptw, fwb, walk: { hd } }: Stage2, leaf: Leaf): Leaf {
  const attributes = controlled2(leaf.attributes, { ptw, fwb, hd });
  return attributes === leaf.attributes ? leaf : { ...leaf, attributes };
}

/** Sets AF, and S2AP[1] when the leaf is to be dirty; one store (3.13). */
function touched(context: Context, smmu: SmmuState, walk: WalkContext, leaf: Leaf, dirty: boolean): Leaf {
  const lo = (leaf.lo | ACCESS_FLAG | (dirty ? 1 << 7 : 0)) >>> 0;
  const { descriptorPa: pa, descriptorAddress: address } = leaf;
  updateDescriptor(context, smmu, walk, { pa, address, lo: leaf.lo, hi: leaf.hi }, lo, leaf.hi);
  const attributes = dirty ? leaf.attributes | attribute2Bits.WRITE : leaf.attributes;
  return { ...leaf, lo, attributes, accessFlag: true };
}

function lookUp(smmu: SmmuState, { walk }: Stage2, page: number): TlbEntry | undefined {
  if (smmu.caches.tlb.size === 0) return undefined;
  for (const sizeLog2 of smmu.spans) {
    const found = findEntry(smmu, 'tlb', walk.primary, page, sizeLog2);
    if (found !== undefined) return found;
  }
  return undefined;
}

function heldEntry(held: TlbEntry): Entry2 {
  const { pa, sizeLog2, attributes, descriptorPa, id } = held;
  return { pa, sizeLog2, attributes, descriptorPa, from: held, fill: id, cacheable: true };
}

function fill(context: Context, smmu: SmmuState, walk: WalkContext, page: number, leaf: Leaf): number {
  if (!takesFills(smmu, 'tlb')) return 0;
  return fillTlb(context, smmu, leafEntry(smmu, walk, page, leaf, leaf.sizeLog2));
}
