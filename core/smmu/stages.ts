/**
 * T11 and T12 of an access: stage 1 and stage 2 together, through the TLB (IHI 0070 3.4, 3.17, 16.2). A
 * nested stream's translation is cached as one combined entry, or as an entry of each stage (choice
 * `combinedEntries`); what stage 2 did for descriptors and CDs is always an entry of stage 2.
 */
import { assert } from '../assert.ts';
import type { Context } from '../machine.ts';
import { pow2 } from '../pow2.ts';
import { isClean } from './attributes.ts';
import { isClean2, permits2 } from './attributes2.ts';
import type { Cd } from './cd.ts';
import type { Fault } from './fault.ts';
import { fillTlb, takesFills } from './fills.ts';
import { isCacheable, marksDirty, type Updates } from './httu.ts';
import { pageOf } from './keys.ts';
import { descriptorOf, leafEntry } from './leaf-entry.ts';
import { findEntry } from './look-up.ts';
import {
  allows1,
  heldAttributes,
  rangeProblem,
  reachLeaf,
  type Stage1,
  stage1ByZeros,
  stage1Of,
} from './stage1.ts';
import { type Access2, type Entry2, type Stage2, stage2Of, translateStage2 } from './stage2.ts';
import type { SmmuState, TlbEntry } from './state.ts';
import type { Ste } from './ste.ts';
import type { Leaf, Resolve } from './walker.ts';

/** An access whose configuration is known. */
export interface Asked {
  readonly iova: bigint;
  readonly write: boolean;
  readonly exec: boolean;
  readonly privileged: boolean;
  readonly ste: Ste;
  /** Absent: stage 1 is bypassed, and `iova` is an IPA. */
  readonly cd: Cd | undefined;
  readonly e2h: boolean;
  readonly updates: Updates;
  /** 1: the output of stage 1 is asked for, descriptors still go through stage 2. */
  readonly only: 1 | undefined;
}

/** What the stages gave. */
export interface Output {
  readonly ok: true;
  readonly address: number;
  readonly hit: boolean;
  /** Entries the answer rests on; 0 for none. */
  readonly tlb: number;
  readonly tlb2: number;
  /** log2 of the bytes for which the answer holds. */
  readonly sizeLog2: number;
  /** The address that went into stage 2, where it translated. */
  readonly ipa?: number;
  /** Attributes of the leaf of each stage that translated. */
  readonly attributes: number | undefined;
  readonly attributes2: number | undefined;
}
export interface Denied {
  readonly ok: false;
  readonly fault: Fault;
  readonly tlb: number;
  readonly tlb2: number;
}

const deny = (fault: Fault, tlb = 0, tlb2 = 0): Denied => ({ ok: false, fault, tlb, tlb2 });

/** T11 and T12: from the TLB where it serves, by a walk where it does not. */
export function translateStages(context: Context, smmu: SmmuState, asked: Asked): Output | Denied {
  const { ste, cd } = asked;
  const nested = ste.Config === 'NESTED';
  const stage2 = nested || ste.Config === 'S2' ? stage2Of(ste, smmu.features) : undefined;
  if (cd === undefined) {
    assert(stage2 !== undefined, 'some stage translates');
    return onlyStage2(context, smmu, asked, stage2);
  }
  const stage1 = tableFor(smmu, asked, cd);
  if (typeof stage1 === 'string') return deny({ record: 'F_TRANSLATION', why: stage1 });
  const page = pageOf(asked.iova);
  const combined = stage2 !== undefined && smmu.config.choices['combinedEntries'] !== false;
  const held = lookUp(smmu, stage1, combined, page);
  if (held !== undefined) {
    const answer = combined
      ? fromCombined(asked, stage1, stage2, held)
      : fromStage1(context, smmu, asked, stage1, stage2, held);
    if (answer !== undefined) return answer;
  }
  return fromWalk(context, smmu, asked, stage1, stage2, combined, page);
}

/** The table that an access is for, or why there is none. */
function tableFor(smmu: SmmuState, { ste, e2h, iova, privileged }: Asked, cd: Cd): Stage1 | string {
  if (smmu.config.choices['erratumTableByZeros'] === true)
    return stage1ByZeros(cd, ste, e2h, smmu.features, iova) ?? 'the address has no zeros above TxSZ';
  const stage1 = stage1Of(cd, ste, e2h, smmu.features, iova);
  return rangeProblem(stage1, iova, privileged) ?? stage1;
}

/** Takes an IPA through stage 2 for the access itself. */
export function onlyStage2(context: Context, smmu: SmmuState, asked: Asked, stage2: Stage2): Output | Denied {
  const { write, exec, privileged } = asked;
  const access = { class: 'IN', write, exec, privileged } as const;
  const answer = translateStage2(context, smmu, stage2, Number(asked.iova), access, asked.updates);
  if (!answer.ok) return deny(answer.fault, answer.fill);
  const { entry, hit, pa: address } = answer;
  return {
    ok: true,
    address,
    hit,
    tlb: entry.fill,
    tlb2: 0,
    sizeLog2: entry.sizeLog2,
    ipa: Number(asked.iova),
    attributes: undefined,
    attributes2: entry.attributes,
  };
}

/** The entry that serves the page: the smallest span first, the ASID's own before a global one. */
function lookUp(smmu: SmmuState, stage1: Stage1, combined: boolean, page: number): TlbEntry | undefined {
  if (smmu.caches.tlb.size === 0) return undefined;
  const own = combined ? stage1.combined : stage1.walk.primary;
  const globals = combined ? stage1.combinedGlobals : stage1.globals;
  for (const sizeLog2 of smmu.spans) {
    const found =
      findEntry(smmu, 'tlb', own, page, sizeLog2) ?? findEntry(smmu, 'tlb', globals, page, sizeLog2);
    if (found !== undefined) return found;
  }
  return undefined;
}

const REFUSED = 'not permitted by the cached descriptor';

/** Undefined: the descriptors must be read again, to mark one dirty. */
function fromCombined(
  asked: Asked,
  stage1: Stage1,
  { walk: walk2, xnx }: Stage2,
  held: TlbEntry,
): Output | Denied | undefined {
  const { attributes2 = 0, sizeLog2, id } = held;
  const attributes = heldAttributes(stage1, held);
  const { updates, write } = asked;
  const within = Number(BigInt.asUintN(sizeLog2, asked.iova));
  if (!allows1(stage1, attributes, asked, updates)) return deny({ record: 'F_PERMISSION', why: REFUSED }, id);
  const ipa = (held.ipa ?? 0) + within;
  const dirties = marksDirty(stage1.walk, isClean(attributes), write, updates);
  if (asked.only === 1)
    return dirties
      ? undefined
      : { ok: true, address: ipa, hit: true, tlb: id, tlb2: 0, sizeLog2, attributes, attributes2: undefined };
  // The update of the stage 1 descriptor comes before stage 2 of the output (7.3.22).
  if (dirties) return undefined;
  if (!permits2(attributes2, asked, walk2.hd && updates.dirty !== 'refuse', xnx)) {
    const why = 'not permitted by stage 2 of the cached entry';
    return deny({ record: 'F_PERMISSION', why, s2: true, class: 'IN', ipa }, id);
  }
  if (marksDirty(walk2, isClean2(attributes2), write, updates)) return undefined;
  return {
    ok: true,
    address: held.pa + within,
    hit: true,
    tlb: id,
    tlb2: 0,
    sizeLog2,
    ipa,
    attributes,
    attributes2,
  };
}

function fromStage1(
  context: Context,
  smmu: SmmuState,
  asked: Asked,
  stage1: Stage1,
  stage2: Stage2 | undefined,
  held: TlbEntry,
): Output | Denied | undefined {
  const { sizeLog2, id } = held;
  const attributes = heldAttributes(stage1, held);
  if (!allows1(stage1, attributes, asked, asked.updates))
    return deny({ record: 'F_PERMISSION', why: REFUSED }, id);
  if (marksDirty(stage1.walk, isClean(attributes), asked.write, asked.updates)) return undefined;
  const address = held.pa + Number(BigInt.asUintN(sizeLog2, asked.iova));
  return finish(context, smmu, asked, stage2, { address, hit: true, tlb: id, sizeLog2, attributes });
}

interface AfterStage1 {
  readonly address: number;
  readonly hit: boolean;
  readonly tlb: number;
  readonly sizeLog2: number;
  readonly attributes: number;
}

/** Stage 1 alone. A literal, for this is what most accesses come to. */
function asIs({ address, hit, tlb, sizeLog2, attributes }: AfterStage1): Output {
  return { ok: true, address, hit, tlb, tlb2: 0, sizeLog2, attributes, attributes2: undefined };
}

/** Stage 2 of the output of stage 1, where there is one and it is asked for. */
function finish(
  context: Context,
  smmu: SmmuState,
  asked: Asked,
  stage2: Stage2 | undefined,
  after: AfterStage1,
): Output | Denied {
  if (stage2 === undefined || asked.only === 1) return asIs(after);
  const second = final(context, smmu, asked, stage2, after.address);
  if (!second.ok) return deny(second.fault, after.tlb, second.fill);
  const { entry, pa: address, hit } = second;
  const sizeLog2 = Math.min(after.sizeLog2, entry.sizeLog2);
  return {
    ...after,
    ok: true,
    address,
    hit: after.hit && hit,
    tlb2: entry.fill,
    sizeLog2,
    ipa: after.address,
    attributes2: entry.attributes,
  };
}

function final(
  context: Context,
  smmu: SmmuState,
  { write, exec, privileged, updates }: Asked,
  stage2: Stage2,
  ipa: number,
): ReturnType<typeof translateStage2> {
  return translateStage2(context, smmu, stage2, ipa, { class: 'IN', write, exec, privileged }, updates);
}

function fromWalk(
  context: Context,
  smmu: SmmuState,
  asked: Asked,
  stage1: Stage1,
  stage2: Stage2 | undefined,
  combined: boolean,
  page: number,
): Output | Denied {
  const resolve = stage2 === undefined ? undefined : descriptorsThrough(context, smmu, stage2, asked.updates);
  const reached = reachLeaf(context, smmu, stage1, asked.iova, page, asked, asked.updates, resolve);
  if (!reached.ok) {
    const { refused, fault } = reached;
    const keep =
      refused !== undefined &&
      !combined &&
      isCacheable(stage1.walk, refused) &&
      smmu.config.choices['cacheRefusedLeaf'] !== false;
    return deny(fault, keep ? fillStage1(context, smmu, stage1, page, refused) : 0);
  }
  const { leaf } = reached;
  const address = leaf.pa + Number(BigInt.asUintN(leaf.sizeLog2, asked.iova));
  const { sizeLog2, attributes } = leaf;
  const cacheable = isCacheable(stage1.walk, leaf);
  if (!combined) {
    const tlb = cacheable ? fillStage1(context, smmu, stage1, page, leaf) : 0;
    return finish(context, smmu, asked, stage2, { address, hit: false, tlb, sizeLog2, attributes });
  }
  if (stage2 === undefined || asked.only === 1)
    return { ok: true, address, hit: false, tlb: 0, tlb2: 0, sizeLog2, attributes, attributes2: undefined };
  const second = final(context, smmu, asked, stage2, address);
  if (!second.ok) return deny(second.fault, 0, second.fill);
  const { entry, pa } = second;
  const tlb =
    cacheable && entry.cacheable ? fillCombined(context, smmu, stage1, page, leaf, address, pa, entry) : 0;
  return {
    ok: true,
    address: pa,
    hit: false,
    tlb,
    tlb2: tlb === 0 ? entry.fill : 0,
    sizeLog2: Math.min(sizeLog2, entry.sizeLog2),
    ipa: address,
    attributes,
    attributes2: entry.attributes,
  };
}

const READ: Access2 = { class: 'TT', write: false, exec: false, privileged: true };
const UPDATE: Access2 = { ...READ, write: true };

/** Stage 2 of the addresses of stage 1 descriptors (7.5). */
function descriptorsThrough(context: Context, smmu: SmmuState, stage2: Stage2, updates: Updates): Resolve {
  return (address, update) => {
    const answer = translateStage2(context, smmu, stage2, address, update ? UPDATE : READ, updates);
    return answer.ok ? { ok: true, pa: answer.pa, fill: answer.entry.fill } : answer;
  };
}

function fillStage1(context: Context, smmu: SmmuState, stage1: Stage1, page: number, leaf: Leaf): number {
  if (!takesFills(smmu, 'tlb')) return 0;
  const entry = leafEntry(smmu, stage1.walk, page, leaf, leaf.sizeLog2);
  if (stage1.walk.aset) entry.aset = true;
  if (leaf.rests.length > 0) entry.rests = leaf.rests;
  return fillTlb(context, smmu, entry);
}

/** One entry for both stages: of the smaller of the two leaves. */
function fillCombined(
  context: Context,
  smmu: SmmuState,
  stage1: Stage1,
  page: number,
  leaf: Leaf,
  ipa: number,
  pa: number,
  second: Entry2,
): number {
  if (!takesFills(smmu, 'tlb')) return 0;
  const sizeLog2 = Math.min(leaf.sizeLog2, second.sizeLog2);
  const size = pow2(sizeLog2);
  const entry = leafEntry(smmu, stage1.walk, page, leaf, sizeLog2);
  entry.stage = 12;
  entry.pa = pa - (pa % size);
  entry.ipa = ipa - (ipa % size);
  entry.attributes2 = second.attributes;
  entry.size2Log2 = second.sizeLog2;
  entry.descriptor2Pa = second.descriptorPa;
  entry.descriptor2 = descriptorOf(second.from);
  if (stage1.walk.aset) entry.aset = true;
  if (leaf.sizeLog2 > sizeLog2) entry.blockLog2 = leaf.sizeLog2;
  const rests = second.fill === 0 ? leaf.rests : [...leaf.rests, second.fill];
  if (rests.length > 0) entry.rests = rests;
  return fillTlb(context, smmu, entry);
}
