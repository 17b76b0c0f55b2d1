/**
 * One transaction from StreamID to result: the numbered steps of smmuv3 section 7 (IHI 0070 3.3, 3.4,
 * 3.11, 5, 7.3.22), one early return a step. Stage 1, Non-secure, Untranslated.
 */
import type { Context } from '../machine.ts';
import { permits } from './attributes.ts';
import type { Cd } from './cd.ts';
import { effectiveIps, type Half, halfOf, isEl2 } from './cd-rules.ts';
import { type Fault, findCd, findSte, type Held, isE2h, selectCd } from './configuration.ts';
import type { AccessKind, Regime } from './events.ts';
import { fillTlb } from './fills.ts';
import { type Granule, granuleByName, granules, spanLog2 } from './granule.ts';
import { contextKey } from './keys.ts';
import { enabled, reg } from './regs.ts';
import type { SmmuState, TlbEntry } from './state.ts';
import { type Ste, steConfig } from './ste.ts';
import { findAligned, type Leaf, type WalkContext, walkStage1 } from './walker.ts';

export interface Request {
  readonly streamId: number;
  readonly substreamId: number | undefined;
  readonly iova: bigint;
  readonly access: AccessKind;
  readonly exec: boolean;
  readonly privileged: boolean;
}

/** The fills an access rests on; 0 for none. */
export interface Basis {
  readonly ste: number;
  readonly cd: number;
  readonly tlb: number;
}

export type Translation =
  | {
      readonly kind: 'ok';
      readonly pa: number;
      readonly via: 'bypass' | 'hit' | 'walk';
      readonly basis: Basis;
    }
  | {
      readonly kind: 'refused';
      /** Absent where the access ends without a record. */
      readonly fault?: Fault;
      readonly why: string;
      readonly result: 'abort' | 'raz-wi' | 'stall';
      readonly basis: Basis;
      /** The access after the STE's overrides, as a record shows it (7.3); absent before them. */
      readonly seen?: Request;
    };

const NO_BASIS: Basis = { ste: 0, cd: 0, tlb: 0 };

export function translate(context: Context, smmu: SmmuState, request: Request): Translation {
  // T1: the SMMU is off (3.11, 6.3.14)
  if (!enabled.smmu(smmu)) return bypassDisabled(smmu, request);
  // T2: writes are data
  const asked = request.access === 'write' ? { ...request, exec: false } : request;
  // T3, T4
  const ste = findSte(context, smmu, asked.streamId);
  if (!ste.ok) return refuse({ ...NO_BASIS, ste: ste.fill }, ste.fault, recordsStreamFault(smmu, ste.fault));
  const config = steConfig(ste.held.value);
  const basis: Basis = { ste: ste.held.fill, cd: 0, tlb: 0 };
  // T5
  if (config === 'ABORT') return { kind: 'refused', why: 'STE.Config=0b0xx', result: 'abort', basis };
  // T6
  const access = overridden(asked, ste.held.value, smmu);
  const answer = translateConfigured(context, smmu, access, ste.held, basis);
  return answer.kind === 'refused' ? { ...answer, seen: access } : answer;
}

/** From T7 on: the STE is there, and its overrides are applied. */
function translateConfigured(
  context: Context,
  smmu: SmmuState,
  access: Request,
  ste: Held<Ste>,
  basis: Basis,
): Translation {
  // T7
  const selected = selectCd(ste.value, access.substreamId, smmu);
  if (selected.kind === 'fault') return refuse(basis, selected.fault, true);
  // T8, T11: no stage translates
  if (selected.kind === 'bypass') return bypassStage1(smmu, access, basis);
  // T9, T10
  const cd = findCd(context, smmu, access.streamId, ste.value, selected.index);
  if (!cd.ok) return refuse({ ...basis, cd: cd.fill }, cd.fault, true);
  // T11
  return translateStage1(context, smmu, access, ste, cd.held);
}

function refuse(basis: Basis, fault: Fault, recorded: boolean): Translation {
  const { record, why } = fault;
  return {
    kind: 'refused',
    why: `${record}: ${why}`,
    result: 'abort',
    basis,
    ...(recorded ? { fault } : {}),
  };
}

/** C_BAD_STREAMID is recorded only if CR2.RECINVSID=1 (6.3.12.2). */
function recordsStreamFault(smmu: SmmuState, fault: Fault): boolean {
  return fault.record !== 'C_BAD_STREAMID' || (reg(smmu, 'CR2') & 2) !== 0;
}

function bypassDisabled(smmu: SmmuState, { iova }: Request): Translation {
  const aborts = (reg(smmu, 'GBPA') & (1 << 20)) !== 0;
  if (aborts) return { kind: 'refused', why: 'GBPA.ABORT=1', result: 'abort', basis: NO_BASIS };
  if (iova >= 1n << BigInt(smmu.features.oas)) {
    return { kind: 'refused', why: 'the address is beyond OAS', result: 'abort', basis: NO_BASIS };
  }
  return { kind: 'ok', pa: Number(iova), via: 'bypass', basis: NO_BASIS };
}

/** An address beyond OAS aborts and is recorded whatever A, R and S say (3.4). */
function bypassStage1(smmu: SmmuState, { iova }: Request, basis: Basis): Translation {
  if (iova >= 1n << BigInt(smmu.features.oas)) {
    return refuse(basis, { record: 'F_ADDR_SIZE', why: 'the address is beyond OAS' }, true);
  }
  return { kind: 'ok', pa: Number(iova), via: 'bypass', basis };
}

/** STE.PRIVCFG and INSTCFG, where IDR1.ATTR_PERMS_OVR lets them (5.2). */
function overridden(request: Request, ste: Ste, smmu: SmmuState): Request {
  if (!smmu.features.attrPermsOvr) return request;
  const privileged = ste.PRIVCFG === 'PRIVILEGED' || (ste.PRIVCFG !== 'UNPRIVILEGED' && request.privileged);
  const exec =
    request.access === 'read' && (ste.INSTCFG === 'INSTRUCTION' || (ste.INSTCFG !== 'DATA' && request.exec));
  return { ...request, privileged, exec };
}

function translateStage1(
  context: Context,
  smmu: SmmuState,
  request: Request,
  ste: Held<Ste>,
  cd: Held<Cd>,
): Translation {
  const basis: Basis = { ste: ste.fill, cd: cd.fill, tlb: 0 };
  const el2 = isEl2(ste.value, smmu.features);
  const regime: Regime = el2 ? (isE2h(smmu) ? 'EL2_E2H' : 'EL2') : 'EL1';
  const upper = regime !== 'EL2' && ((request.iova >> 55n) & 1n) === 1n;
  const half = halfOf(cd.value, upper, regime === 'EL2');
  const stage1 = (fault: Fault, tlb = 0): Translation => stage1Fault(cd.value, { ...basis, tlb }, fault);

  const range = rangeProblem(half, request, upper, regime, smmu.features.e0pd);
  if (range !== undefined) return stage1({ record: 'F_TRANSLATION', why: range });
  const granule = granuleByName[half.tg] ?? granules[12];
  const walk: WalkContext = {
    regime,
    vmid: smmu.features.s2p && !el2 ? ste.value.S2VMID : 0,
    asid: regime === 'EL2' ? 0 : cd.value.ASID,
    granule,
    inputBits: 64 - half.tsz,
    ttb: half.ttb,
    had: half.had && smmu.features.had,
    bigEndian: cd.value.ENDI,
    outputBits: outputBits(cd.value, granule, smmu),
    wide64: granule.pageLog2 === 16 && smmu.features.oas >= 52,
    ds: cd.value.DS && smmu.features.ds && granule.pageLog2 !== 16,
  };
  const va = half.tbi ? signExtended(request.iova) : request.iova;
  const hit = lookUp(smmu, walk, va);
  const served =
    hit === undefined
      ? fromWalk(context, smmu, walk, va, request, cd.value)
      : fromEntry(smmu, hit, va, request, cd.value);
  if (!served.ok) return stage1(served.fault, served.tlb);
  return {
    kind: 'ok',
    pa: served.pa,
    via: hit === undefined ? 'walk' : 'hit',
    basis: { ...basis, tlb: served.tlb },
  };
}

/** Terminated, recorded or stalled as the CD says (3.12, 5.5); walk aborts always abort and record. */
function stage1Fault(cd: Cd, basis: Basis, fault: Fault): Translation {
  if (fault.record === 'F_WALK_EABT') return refuse(basis, fault, true);
  if (cd.S) return { ...refuse(basis, fault, true), result: 'stall' } as Translation;
  return { ...refuse(basis, fault, cd.R), result: cd.A ? 'abort' : 'raz-wi' } as Translation;
}

/** EPD, the input range and E0PD need no memory, and come before any look-up (7.2). */
function rangeProblem(
  half: Half,
  request: Request,
  upper: boolean,
  regime: Regime,
  hasE0pd: boolean,
): string | undefined {
  if (half.off) return upper ? 'EPD1=1' : 'EPD0=1';
  const top = half.tbi ? 56n : 64n;
  const bits = 64n - BigInt(half.tsz);
  const above = BigInt.asUintN(Number(top), request.iova) >> bits;
  const expected = upper ? (1n << (top - bits)) - 1n : 0n;
  if (above !== expected) return `the address is beyond T${upper ? 1 : 0}SZ`;
  if (half.e0pd && hasE0pd && !request.privileged && regime !== 'EL2') return `E0PD${upper ? 1 : 0}=1`;
  return undefined;
}

function signExtended(iova: bigint): bigint {
  return BigInt.asUintN(64, BigInt.asIntN(56, iova));
}

function outputBits(cd: Cd, granule: Granule, smmu: SmmuState): number {
  const bits = effectiveIps(cd, smmu.features);
  return granule.pageLog2 === 16 || (cd.DS && smmu.features.ds) ? bits : Math.min(bits, 48);
}

/**
 * The entry that serves `va`: the smallest span first, the ASID's own before a global one. Spans of
 * other granules are tried as well: entries may be left from an earlier configuration.
 */
function lookUp(smmu: SmmuState, walk: WalkContext, va: bigint): TlbEntry | undefined {
  const cache = smmu.caches.tlb;
  if (cache.size === 0) return undefined;
  const own = contextKey(walk.regime, 1, walk.vmid, walk.asid, false);
  const global = contextKey(walk.regime, 1, walk.vmid, 0, true);
  for (const pageLog2 of smmu.granules) {
    const granule = granules[pageLog2 as keyof typeof granules];
    for (let level = 3; level >= 0; level -= 1) {
      const span = spanLog2(granule, level);
      const found = findAligned(cache, own, va, span) ?? findAligned(cache, global, va, span);
      if (found !== undefined) return found;
    }
  }
  return undefined;
}

type Served =
  | { readonly ok: true; readonly pa: number; readonly tlb: number }
  | { readonly ok: false; readonly fault: Fault; readonly tlb: number };

function fromEntry(smmu: SmmuState, entry: TlbEntry, va: bigint, request: Request, cd: Cd): Served {
  if (!allowed(smmu, entry.attributes, request, cd, entry.regime)) {
    return {
      ok: false,
      fault: { record: 'F_PERMISSION', why: 'not permitted by the cached descriptor' },
      tlb: entry.id,
    };
  }
  return { ok: true, pa: entry.pa + offsetIn(va, entry.sizeLog2), tlb: entry.id };
}

function fromWalk(
  context: Context,
  smmu: SmmuState,
  walk: WalkContext,
  va: bigint,
  request: Request,
  cd: Cd,
): Served {
  const walked = walkStage1(context, smmu, walk, va);
  if (!walked.ok) {
    const { record, why, fetchAddr } = walked;
    return {
      ok: false,
      fault: fetchAddr === undefined ? { record, why } : { record, why, fetchAddr },
      tlb: 0,
    };
  }
  const { leaf } = walked;
  // F_ACCESS comes before F_PERMISSION, and such a leaf is not cached (7.7, 8.1).
  if (!leaf.accessFlag && checksAccessFlag(smmu, cd)) {
    return { ok: false, fault: { record: 'F_ACCESS', why: `AF=0 at level ${leaf.level}` }, tlb: 0 };
  }
  const permitted = allowed(smmu, leaf.attributes, request, cd, walk.regime);
  const keep = permitted || smmu.config.choices['cacheRefusedLeaf'] !== false;
  const tlb = keep ? fillLeaf(context, smmu, walk, va, leaf) : 0;
  if (!permitted)
    return { ok: false, fault: { record: 'F_PERMISSION', why: `not permitted at level ${leaf.level}` }, tlb };
  return { ok: true, pa: leaf.pa + offsetIn(va, leaf.sizeLog2), tlb };
}

/** With HA the flag is the hardware's to set; that store is not modelled, but neither is it a fault. */
function checksAccessFlag(smmu: SmmuState, cd: Cd): boolean {
  const updates = cd.HA && smmu.features.httu > 0;
  return !cd.AFFD && !updates && smmu.config.choices['checkAccessFlag'] !== false;
}

function fillLeaf(context: Context, smmu: SmmuState, walk: WalkContext, va: bigint, leaf: Leaf): number {
  return fillTlb(context, smmu, {
    cache: 'tlb',
    regime: walk.regime,
    stage: 1,
    vmid: walk.vmid,
    asid: walk.asid,
    // nG has no effect in EL2 (3.17).
    global: leaf.global && walk.regime !== 'EL2',
    va: (va >> BigInt(leaf.sizeLog2)) << BigInt(leaf.sizeLog2),
    sizeLog2: leaf.sizeLog2,
    granuleLog2: walk.granule.pageLog2,
    level: leaf.level,
    leaf: true,
    pa: leaf.pa,
    attributes: leaf.attributes,
    descriptorPa: leaf.descriptorPa,
    descriptor: (BigInt(leaf.hi) << 32n) | BigInt(leaf.lo),
    parent: leaf.parent,
  });
}

function allowed(
  smmu: SmmuState,
  attributes: number,
  { access, exec, privileged }: Request,
  cd: Cd,
  regime: Regime,
): boolean {
  return permits(
    attributes,
    { write: access === 'write', exec, privileged },
    { el2: regime === 'EL2', wxn: cd.WXN, pan: cd.PAN, epan: cd.EPAN && smmu.features.epan },
  );
}

function offsetIn(va: bigint, sizeLog2: number): number {
  return Number(BigInt.asUintN(sizeLog2, va));
}
