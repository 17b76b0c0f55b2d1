/**
 * Stage 1 of one CD: its two tables as walks see them, what needs no memory (range, EPD, E0PD), the
 * permission test, and the walk to a leaf with its access flag and dirty state (IHI 0070 3.4, 3.13,
 * 5.4; Arm ARM D8).
 */
import type { Context } from '../machine.ts';
import { pow2 } from '../pow2.ts';
import { attributeBits, controlled, isClean, permits, uncontrolled } from './attributes.ts';
import type { Cd } from './cd.ts';
import { effectiveIps, type Half, halfOf, isEl2 } from './cd-rules.ts';
import type { Regime } from './events.ts';
import type { Fault } from './fault.ts';
import type { Features } from './features.ts';
import { type Granule, granuleByName, granules, spanLog2, startLevel } from './granule.ts';
import { ACCESS_FLAG, checksAccessFlag, marksDirty, type Updates, updateDescriptor } from './httu.ts';
import { contextKey } from './keys.ts';
import type { SmmuState, TlbEntry } from './state.ts';
import type { Ste } from './ste.ts';
import { type Leaf, type Resolve, tableBase, type WalkContext, type Walked, walkTables } from './walker.ts';

/** One of the two tables of a CD as a stream uses it. */
export interface Stage1 {
  readonly walk: WalkContext;
  readonly half: Half;
  readonly upper: boolean;
  readonly cd: Cd;
  readonly epan: boolean;
  readonly e0pd: boolean;
  /** Keys of the context's global entries, and of its entries that stage 2 is part of. */
  readonly globals: number;
  readonly combined: number;
  readonly combinedGlobals: number;
}

/** What the permission test and the range test look at. */
export interface Access1 {
  readonly write: boolean;
  readonly exec: boolean;
  readonly privileged: boolean;
}

interface Remembered {
  readonly ste: Ste;
  readonly e2h: boolean;
  lower?: Stage1;
  upper?: Stage1;
}
const remembered = new WeakMap<Cd, Remembered>();

/** The regime of a stream that uses stage 1 (3.3.3). */
export function regimeOf(ste: Ste, features: Features, e2h: boolean): Regime {
  return isEl2(ste, features) ? (e2h ? 'EL2_E2H' : 'EL2') : 'EL1';
}

/** The table that translates `iova`: bit 55 selects, where the regime has two. */
export function stage1Of(cd: Cd, ste: Ste, e2h: boolean, features: Features, iova: bigint): Stage1 {
  const upper = ((iova >> 55n) & 1n) === 1n && regimeOf(ste, features, e2h) !== 'EL2';
  return tableOf(cd, ste, e2h, features, upper);
}

/** An erratum: the first table that is not off, and above whose TxSZ the address has zeros. None: F_TRANSLATION. */
export function stage1ByZeros(
  cd: Cd,
  ste: Ste,
  e2h: boolean,
  features: Features,
  iova: bigint,
): Stage1 | undefined {
  const halves = regimeOf(ste, features, e2h) === 'EL2' ? [false] : [false, true];
  const tables = halves.map((upper) => tableOf(cd, ste, e2h, features, upper));
  return tables.find(({ half: { off, tsz, tbi } }) => !off && isBelow(iova, tbi ? 56 : 64, 64 - tsz));
}

/** Whether the low `top` bits of an address have zeros from bit `bits` on. */
function isBelow(iova: bigint, top: number, bits: number): boolean {
  return BigInt.asUintN(top, iova) >> BigInt(bits) === 0n;
}

function tableOf(cd: Cd, ste: Ste, e2h: boolean, features: Features, upper: boolean): Stage1 {
  let known = remembered.get(cd);
  if (known === undefined || known.ste !== ste || known.e2h !== e2h) {
    known = { ste, e2h };
    remembered.set(cd, known);
  }
  const regime = regimeOf(ste, features, e2h);
  if (upper) {
    known.upper ??= makeStage1(cd, ste, features, regime, true);
    return known.upper;
  }
  known.lower ??= makeStage1(cd, ste, features, regime, false);
  return known.lower;
}

function makeStage1(cd: Cd, ste: Ste, features: Features, regime: Regime, upper: boolean): Stage1 {
  const half = halfOf(cd, upper, regime === 'EL2');
  const granule = granuleByName[half.tg] ?? granules[12];
  const inputBits = 64 - half.tsz;
  const start = startLevel(granule, inputBits);
  const vmid = features.s2p && regime === 'EL1' ? ste.S2VMID : 0;
  const asid = regime === 'EL2' ? 0 : cd.ASID;
  // Without ASIDs a tag all the same: what a PE broadcasts by address may leave such an entry alone (3.17).
  const aset = cd.ASET;
  const tableLog2 = inputBits - spanLog2(granule, start) + 3;
  const wide64 = granule.pageLog2 === 16 && features.oas >= 52;
  const ds = cd.DS && features.ds && granule.pageLog2 !== 16;
  const bits = outputBits(cd, granule, features);
  return {
    half,
    upper,
    cd,
    epan: cd.EPAN && features.epan,
    e0pd: half.e0pd && features.e0pd && regime !== 'EL2',
    globals: contextKey(regime, 1, vmid, 0, true, aset),
    combined: contextKey(regime, 12, vmid, asid, false),
    combinedGlobals: contextKey(regime, 12, vmid, 0, true, aset),
    walk: {
      stage: 1,
      regime,
      vmid,
      asid,
      aset,
      granule,
      inputBits,
      start,
      firstEntries: pow2(tableLog2 - 3),
      base: tableBase(half.ttb, tableLog2, effectiveIps(cd, features) === 52),
      had: half.had && features.had,
      bigEndian: cd.ENDI,
      outputBits: bits,
      wide64,
      ds,
      checkAf: !cd.AFFD,
      ha: cd.HA && features.httu >= 1,
      hd: cd.HA && cd.HD && features.httu >= 2,
      haft: cd.HA && cd.HAFT && features.httu === 3,
      primary: contextKey(regime, 1, vmid, asid, false),
    },
  };
}

function outputBits(cd: Cd, granule: Granule, features: Features): number {
  const bits = effectiveIps(cd, features);
  return granule.pageLog2 === 16 || (cd.DS && features.ds) ? bits : Math.min(bits, 48);
}

/** Faults that need no memory, and come before any look-up (7.2). */
export function rangeProblem(
  { half, upper, e0pd }: Stage1,
  iova: bigint,
  privileged: boolean,
): string | undefined {
  if (half.off) return upper ? 'EPD1=1' : 'EPD0=1';
  const top = half.tbi ? 56 : 64;
  const bits = 64 - half.tsz;
  const above = BigInt.asUintN(top, iova) >> BigInt(bits);
  const expected = upper ? (1n << BigInt(top - bits)) - 1n : 0n;
  if (above !== expected) return `the address is beyond T${upper ? 1 : 0}SZ`;
  return e0pd && !privileged ? `E0PD${upper ? 1 : 0}=1` : undefined;
}

/** Whether stage 1 allows the access; the attributes say what the CD said when the leaf was read. */
export function allows1({ walk }: Stage1, attributes: number, access: Access1, updates: Updates): boolean {
  const el2 = walk.regime === 'EL2';
  const hd = walk.hd && updates.dirty !== 'refuse';
  return permits(attributes, access, { el2, hd });
}

function controls({ cd, epan, walk }: Stage1, attributes: number): number {
  return controlled(attributes, { wxn: cd.WXN, pan: cd.PAN, epan, hd: walk.hd });
}

/** A global entry stands for every ASID: each CD adds its own controls. Others keep those of their fill (5.4.1). */
export function heldAttributes(stage1: Stage1, { attributes, global }: TlbEntry): number {
  return global ? controls(stage1, uncontrolled(attributes)) : attributes;
}

function withControls(stage1: Stage1, leaf: Leaf): Leaf {
  const attributes = controls(stage1, leaf.attributes);
  return attributes === leaf.attributes ? leaf : { ...leaf, attributes };
}

export type Reached =
  | { readonly ok: true; readonly leaf: Leaf }
  /** `refused`: the leaf that did not permit the access. */
  | { readonly ok: false; readonly fault: Fault; readonly refused?: Leaf };

/** Walks to the leaf and makes it usable: F_ACCESS before F_PERMISSION, then the update (7.6, 7.7). */
export function reachLeaf(
  context: Context,
  smmu: SmmuState,
  stage1: Stage1,
  iova: bigint,
  page: number,
  access: Access1,
  updates: Updates,
  resolve?: Resolve,
): Reached {
  const { walk } = stage1;
  // The in-range part of an input address fits a number: 52 bits at the most.
  const input = Number(BigInt.asUintN(walk.inputBits, iova));
  const walked: Walked = walkTables(context, smmu, walk, input, page, updates, resolve);
  if (!walked.ok) return walked;
  const leaf = withControls(stage1, walked.leaf);
  if (!leaf.accessFlag && checksAccessFlag(smmu, walk))
    return { ok: false, fault: { record: 'F_ACCESS', why: `AF=0 at level ${leaf.level}` } };
  if (!allows1(stage1, leaf.attributes, access, updates))
    return {
      ok: false,
      fault: { record: 'F_PERMISSION', why: `not permitted at level ${leaf.level}` },
      refused: leaf,
    };
  const dirty = marksDirty(walk, isClean(leaf.attributes), access.write, updates);
  if (!dirty && (leaf.accessFlag || !walk.ha || !updates.af)) return { ok: true, leaf };
  const lo = (dirty ? (leaf.lo | ACCESS_FLAG) & ~(1 << 7) : leaf.lo | ACCESS_FLAG) >>> 0;
  const { descriptorPa: pa, descriptorAddress: address } = leaf;
  const fault = updateDescriptor(
    context,
    smmu,
    walk,
    { pa, address, lo: leaf.lo, hi: leaf.hi },
    lo,
    leaf.hi,
    resolve,
  );
  if (fault !== undefined) return { ok: false, fault };
  const attributes = dirty ? leaf.attributes & ~attributeBits.AP2 : leaf.attributes;
  return { ok: true, leaf: { ...leaf, lo, attributes, accessFlag: true } };
}
