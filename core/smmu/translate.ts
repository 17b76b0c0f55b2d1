/**
 * One transaction from StreamID to result: the numbered steps of smmuv3 section 7 (IHI 0070 3.3, 3.4,
 * 3.11, 5, 7.3.22), one early return a step. Non-secure, Untranslated.
 */
import type { Context } from '../machine.ts';
import type { Cd } from './cd.ts';
import { cachedCd, cachedSte, findCd, findSte, type Held, selectCd } from './configuration.ts';
import { eventRecords } from './event-record.ts';
import type { AccessKind } from './events.ts';
import type { Fault } from './fault.ts';
import { ordinary, type Updates } from './httu.ts';
import { fromPort } from './port-tlb.ts';
import { enabled, isE2h, reg } from './regs.ts';
import { type Output, translateStages } from './stages.ts';
import type { PortEntry, SmmuState } from './state.ts';
import { type Ste, steConfig } from './ste.ts';

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
  readonly tlb2?: number;
  /** The ATC's fill, for a Translated transaction. */
  readonly atc?: number;
}

export type Translation = Served | Refused;

export interface Served {
  readonly kind: 'ok';
  readonly pa: number;
  /** `atc`, `translated`: a Translated transaction, with an address of the ATC or of the device's own. */
  readonly via: 'bypass' | 'hit' | 'walk' | 'atc' | 'translated';
  readonly basis: Basis;
  /** What the stages gave; absent where none translated. */
  readonly output?: Output;
}

export interface Refused {
  readonly kind: 'refused';
  /** Absent where the access ends without a record. */
  readonly fault?: Fault;
  readonly why: string;
  readonly result: 'abort' | 'raz-wi' | 'stall';
  readonly basis: Basis;
  /** The access after the STE's overrides, as a record shows it (7.3); absent before them. */
  readonly seen?: Request;
  /** STE.MEV: records may be merged. */
  readonly mev?: boolean;
}

const NO_BASIS: Basis = { ste: 0, cd: 0, tlb: 0 };

/** Puts one access through the SMMU. `updates` says what hardware may do to descriptors on the way. */
export function translate(
  context: Context,
  smmu: SmmuState,
  request: Request,
  updates: Updates = ordinary,
): Translation {
  // T1: the SMMU is off (3.11, 6.3.14)
  if (!enabled.smmu(smmu)) return bypassDisabled(smmu, request);
  // T2: writes are data
  const asked = request.access === 'write' ? { ...request, exec: false } : request;
  const port = fromPort(smmu, asked);
  // T3, T4
  const ste = port === undefined ? findSte(context, smmu, asked.streamId) : cachedSte(smmu, port.ste);
  if (!ste.ok) return refuse({ ...NO_BASIS, ste: ste.fill }, ste.fault, recordsStreamFault(smmu, ste.fault));
  const config = steConfig(ste.held.value);
  const basis: Basis = { ste: ste.held.fill, cd: 0, tlb: 0 };
  // T5
  if (config === 'ABORT') return { kind: 'refused', why: 'STE.Config=0b0xx', result: 'abort', basis };
  // T6
  const access = overridden(asked, ste.held.value, smmu);
  const answer = translateConfigured(context, smmu, access, ste.held, basis, updates, port);
  return answer.kind === 'refused' ? { ...answer, seen: access, mev: ste.held.value.MEV } : answer;
}

/** From T7 on: the STE is there, and its overrides are applied. `port`: its CD comes from beside the device. */
function translateConfigured(
  context: Context,
  smmu: SmmuState,
  access: Request,
  ste: Held<Ste>,
  basis: Basis,
  updates: Updates,
  port: PortEntry | undefined,
): Translation {
  // T7
  const selected = selectCd(ste.value, access.substreamId, smmu);
  if (selected.kind === 'fault') return refuse(basis, selected.fault, true);
  const stage2 = ste.value.Config === 'S2' || ste.value.Config === 'NESTED';
  if (selected.kind === 'bypass') {
    // T8, T11: stage 1 does not translate; its output is an IPA where stage 2 does (3.4)
    if (access.iova >= 1n << BigInt(stage2 ? smmu.features.ias : smmu.features.oas))
      return refuse(
        basis,
        { record: 'F_ADDR_SIZE', why: `the address is beyond ${stage2 ? 'IAS' : 'OAS'}` },
        true,
      );
    if (!stage2) return { kind: 'ok', pa: Number(access.iova), via: 'bypass', basis };
    return throughStages(context, smmu, access, ste.value, undefined, basis, updates);
  }
  // T9, T10
  const forgets = forgetsRecords(smmu, access.streamId, selected.index);
  const cd =
    port?.cd === undefined
      ? findCd(context, smmu, access.streamId, ste.value, selected.index, updates)
      : cachedCd(smmu, port.cd, ste.value);
  if (!cd.ok) return faulted(ste.value, undefined, { ...basis, cd: cd.fill }, cd.fault);
  return throughStages(
    context,
    smmu,
    access,
    ste.value,
    forgets ? { ...cd.held.value, R: false } : cd.held.value,
    { ...basis, cd: cd.held.fill },
    updates,
  );
}

/** An erratum: with a cached CD its R bit is lost. */
function forgetsRecords({ config, caches }: SmmuState, streamId: number, index: number): boolean {
  return config.choices['erratumFaultsUnrecorded'] === true && caches.cd.find(streamId, index) !== undefined;
}

/** T11 to T13. */
function throughStages(
  context: Context,
  smmu: SmmuState,
  access: Request,
  ste: Ste,
  cd: Cd | undefined,
  basis: Basis,
  updates: Updates,
): Translation {
  const answer = translateStages(context, smmu, {
    iova: access.iova,
    write: access.access === 'write',
    exec: access.exec,
    privileged: access.privileged,
    ste,
    cd,
    e2h: isE2h(smmu),
    updates,
    only: undefined,
  });
  const { ste: steFill, cd: cdFill } = basis;
  const { tlb, tlb2 } = answer;
  const rests: Basis =
    tlb2 === 0 ? { ste: steFill, cd: cdFill, tlb } : { ste: steFill, cd: cdFill, tlb, tlb2 };
  if (!answer.ok) return faulted(ste, cd, rests, answer.fault);
  return { kind: 'ok', pa: answer.address, via: answer.hit ? 'hit' : 'walk', basis: rests, output: answer };
}

/**
 * Terminated, recorded or stalled (3.12, 5.5): stage 1 as the CD says, stage 2 as the STE says with A taken
 * as 1, also for CDs and stage 1 tables; what is not about the translation always aborts and is recorded.
 */
function faulted(ste: Ste, cd: Cd | undefined, basis: Basis, fault: Fault): Translation {
  const refused = refuse(basis, fault, true);
  if (!eventRecords[fault.record].mayStall) return refused;
  const { s, r, a } =
    fault.s2 === true ? { s: ste.S2S, r: ste.S2R, a: true } : { s: cd?.S, r: cd?.R, a: cd?.A };
  if (s === true) return { ...refused, result: 'stall' };
  return { ...refuse(basis, fault, r === true), result: a === true ? 'abort' : 'raz-wi' };
}

/** An access that ends with an abort, and the record it raises when `recorded`. */
export function refuse(basis: Basis, fault: Fault, recorded: boolean): Refused {
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

/** STE.PRIVCFG and INSTCFG, where IDR1.ATTR_PERMS_OVR lets them (5.2). */
export function overridden(request: Request, ste: Ste, smmu: SmmuState): Request {
  if (!smmu.features.attrPermsOvr) return request;
  const privileged = ste.PRIVCFG === 'PRIVILEGED' || (ste.PRIVCFG !== 'UNPRIVILEGED' && request.privileged);
  const exec =
    request.access === 'read' && (ste.INSTCFG === 'INSTRUCTION' || (ste.INSTCFG !== 'DATA' && request.exec));
  return { ...request, privileged, exec };
}
