/**
 * The stream table and the CDs as words: which fields count for a cache, and what they point at.
 * IHI 0070 5.1 to 5.4; 5.2.1 and 5.4.1 for the fields that TLB entries hold.
 */

import type { Words } from '../../core/layout/field.ts';
import { mask } from '../../core/layout/layout.ts';
import { CD } from '../../core/smmu/cd.ts';
import type { Regime } from '../../core/smmu/events.ts';
import type { Features } from '../../core/smmu/features.ts';
import { type Granule, granuleByName, spanLog2, startLevel } from '../../core/smmu/granule.ts';
import { STE } from '../../core/smmu/ste.ts';
import type { Reading } from './descriptor-change.ts';

const S1_FIELDS = Object.keys(STE.fields).filter((name) => /^S1/.test(name) || name === 'STRW');
const S2_FIELDS = Object.keys(STE.fields).filter((name) => /^S2/.test(name) && name !== 'S2VMID');
const STE_ALL = mask(STE);
const STE_UNUSED = mask(STE, ['SW_RESERVED', 'CONT', 'IMPDEF0', 'IMPDEF1', 'IMPDEF2']);
const STE_S1 = mask(STE, S1_FIELDS);
const STE_S2 = mask(STE, S2_FIELDS);
/** All that an abort STE says. */
const STE_ABORT = mask(STE, ['V', 'Config']);

/** A structure's bytes as words. */
export function structureWords(bytes: Uint8Array): Words {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Array.from({ length: bytes.length / 4 }, (_, at) => view.getUint32(at * 4, true));
}

/** Whether two STEs are the same to hardware: IGNORED fields do not count (5.2). */
export function sameSte(before: Words, after: Words): boolean {
  const a = steMask(before);
  const b = steMask(after);
  for (let at = 0; at < 16; at += 1) {
    if ((((before[at] ?? 0) & (a[at] ?? 0)) ^ ((after[at] ?? 0) & (b[at] ?? 0))) !== 0) return false;
  }
  return true;
}

function steMask(words: Words): Uint32Array {
  if (!STE.fields.V.read(words)) return new Uint32Array(16);
  const config = ((words[0] ?? 0) >>> 1) & 7;
  if ((config & 4) === 0) return STE_ABORT;
  const out = Uint32Array.from(STE_ALL);
  for (let at = 0; at < 16; at += 1) {
    let bits = (out[at] ?? 0) & ~(STE_UNUSED[at] ?? 0);
    if ((config & 1) === 0) bits &= ~(STE_S1[at] ?? 0);
    if ((config & 2) === 0) bits &= ~(STE_S2[at] ?? 0);
    out[at] = bits >>> 0;
  }
  return out;
}

/** What a valid stage 1-only STE leads to. */
export interface SteView {
  readonly regime: Regime;
  readonly vmid: number;
  readonly contexts: number;
  /** log2 of the CDs behind one level 1 descriptor; 0: one array of CDs. */
  readonly leafLog2: number;
  readonly cdMax: number;
}

/** Undefined when no CD is reachable. Nested streams are not followed: their pointers are IPAs. */
export function viewSte(words: Words, features: Features, e2h: boolean): SteView | undefined {
  const { fields } = STE;
  if (!features.s1p || !fields.V.read(words) || fields.Config.read(words) !== 'S1') return undefined;
  const el2 = features.hyp && fields.STRW.read(words) === 'NS_EL2';
  const cdMax = features.ssidBits === 0 ? 0 : fields.S1CDMax.read(words);
  if (cdMax > features.ssidBits) return undefined;
  const format = fields.S1Fmt.read(words);
  const leafLog2 = cdMax === 0 ? 0 : format === 'TWO_LEVEL_4K' ? 6 : format === 'TWO_LEVEL_64K' ? 10 : 0;
  const pointer = fields.S1ContextPtr.read(words);
  const alignLog2 = leafLog2 === 0 ? cdMax + 6 : Math.max(6, cdMax - leafLog2 + 3);
  return {
    regime: el2 ? (e2h ? 'EL2_E2H' : 'EL2') : 'EL1',
    vmid: features.s2p && !el2 ? fields.S2VMID.read(words) : 0,
    contexts: pointer - (pointer % 2 ** alignLog2),
    leafLog2,
    cdMax,
  };
}

/** CD fields that change only the CD: all others are held in TLB entries too (8.3). */
const CD_ONLY = mask(CD, ['A', 'R', 'S', 'PARTID', 'PMG', 'IMPDEF']);
const CD_ALL = mask(CD);
const CD_IGNORED = mask(CD, ['IMPDEF']);
/** Fields that name a tree; a change of them gives another root. */
const CD_ROOT = mask(CD, ['V', 'ASID', 'T0SZ', 'TG0', 'EPD0', 'T1SZ', 'TG1', 'EPD1', 'TTB0', 'TTB1']);

const CD_MAIR = mask(CD, ['MAIR0', 'MAIR1', 'AMAIR0', 'AMAIR1']);

/** Whether the two CDs give a memory type to the indices of descriptors that is not the same (5.4, MAIR). */
export function hasOtherMair(before: Words, after: Words): boolean {
  return CD_MAIR.some((bits, at) => (((before[at] ?? 0) ^ (after[at] ?? 0)) & bits) !== 0);
}

/** What an STE says of the attributes of accesses that stage 1 does not translate (5.2). */
const STE_ATTRIBUTES = mask(STE, ['MTCFG', 'MemAttr', 'SHCFG']);

/** Whether accesses that stage 1 does not translate get other attributes by one STE than by the other. */
export function hasOtherAttributes(before: Words, after: Words): boolean {
  return STE_ATTRIBUTES.some((bits, at) => (((before[at] ?? 0) ^ (after[at] ?? 0)) & bits) !== 0);
}

/** What differs between two CDs as hardware sees them: a CD with V=0 says nothing else. */
export function cdDifference(before: Words, after: Words): 'none' | 'config' | 'root' | 'tlb' {
  const was = CD.fields.V.read(before);
  const is = CD.fields.V.read(after);
  if (!was && !is) return 'none';
  let config = false;
  let root = was !== is;
  for (let at = 0; at < 16; at += 1) {
    const bits = ((before[at] ?? 0) ^ (after[at] ?? 0)) & (CD_ALL[at] ?? 0) & ~(CD_IGNORED[at] ?? 0);
    if (bits === 0) continue;
    config = true;
    if ((bits & (CD_ROOT[at] ?? 0)) !== 0) root = true;
    else if (was && is && (bits & ~(CD_ONLY[at] ?? 0)) !== 0) return 'tlb';
  }
  return root ? 'root' : config ? 'config' : 'none';
}

/** One TTB that walks may use. */
export interface TreeView {
  readonly asid: number;
  /** CD.ASET: broadcasts by ASID leave its entries alone. */
  readonly aset: boolean;
  readonly va: bigint;
  readonly inputBits: number;
  readonly pa: number;
  readonly level: number;
  readonly entries: number;
  readonly reading: Reading;
}

/** The trees of a CD: none when it is not valid. */
export function viewCd(words: Words, regime: Regime, oas: number): readonly TreeView[] {
  const { fields } = CD;
  if (!fields.V.read(words) || !fields.AA64.read(words)) return [];
  const common = {
    asid: regime === 'EL2' ? 0 : fields.ASID.read(words),
    aset: fields.ASET.read(words),
    ds: fields.DS.read(words),
    bigEndian: fields.ENDI.read(words),
    ignoresAf: fields.AFFD.read(words) || fields.HA.read(words),
    oas,
  };
  const trees: TreeView[] = [];
  const lower = granuleByName[fields.TG0.read(words)];
  if ((regime === 'EL2' || !fields.EPD0.read(words)) && lower !== undefined) {
    trees.push(
      ...tree(common, { granule: lower, tsz: fields.T0SZ.read(words), ttb: fields.TTB0.read(words) }, false),
    );
  }
  const upper = granuleByName[fields.TG1.read(words)];
  if (regime !== 'EL2' && !fields.EPD1.read(words) && upper !== undefined) {
    trees.push(
      ...tree(common, { granule: upper, tsz: fields.T1SZ.read(words), ttb: fields.TTB1.read(words) }, true),
    );
  }
  return trees;
}

interface Common {
  readonly asid: number;
  readonly aset: boolean;
  readonly ds: boolean;
  readonly bigEndian: boolean;
  readonly ignoresAf: boolean;
  readonly oas: number;
}

function tree(
  { asid, aset, ds, bigEndian, ignoresAf, oas }: Common,
  half: { readonly granule: Granule; readonly tsz: number; readonly ttb: number },
  isUpper: boolean,
): readonly TreeView[] {
  const { granule, tsz, ttb } = half;
  if (tsz < 12 || tsz > 48) return []; // ILLEGAL: never walked
  const inputBits = 64 - tsz;
  const level = startLevel(granule, inputBits);
  if (level > 3) return [];
  const entriesLog2 = inputBits - spanLog2(granule, level);
  const align = 2 ** Math.max(entriesLog2 + 3, ds ? 6 : 4);
  return [
    {
      asid,
      aset,
      va: isUpper ? 2n ** 64n - 2n ** BigInt(inputBits) : 0n,
      inputBits,
      pa: ttb - (ttb % align),
      level,
      entries: 2 ** entriesLog2,
      reading: { stage: 1, granule, wide: granule.pageLog2 === 16 ? oas > 48 : ds, bigEndian, ignoresAf },
    },
  ];
}
