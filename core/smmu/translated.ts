/**
 * Translated transactions: the address is a PA already, or an IPA with split-stage ATS. IHI 0070 3.9.1.1,
 * 3.9.1.3, in the order of its priorities. The Device Permission Table is out of scope: EATS=3 acts as 1.
 */
import type { Context } from '../machine.ts';
import { findCd, findSte, selectCd } from './configuration.ts';
import { effectiveEats } from './eats.ts';
import { eventRecords } from './event-record.ts';
import type { Fault } from './fault.ts';
import { ordinary } from './httu.ts';
import { checksTranslated, enabled, isE2h, recordsAts } from './regs.ts';
import { translateStages } from './stages.ts';
import type { SmmuState } from './state.ts';
import { type Ste, steConfig } from './ste.ts';
import { type Basis, overridden, type Refused, type Request, refuse, type Translation } from './translate.ts';

/**
 * Takes one Translated transaction through the SMMU. @param request its `iova` is the translated address.
 * @param atc the ATC entry that gave the address; 0 where the device made it up.
 */
export function admitTranslated(
  context: Context,
  smmu: SmmuState,
  request: Request,
  atc: number,
): Translation {
  const none: Basis = { ste: 0, cd: 0, tlb: 0, ...(atc === 0 ? {} : { atc }) };
  const via = atc === 0 ? 'translated' : 'atc';
  const { features } = smmu;
  if (!features.ats) return silent(none, 'IDR0.ATS=0'); // F_UUT of a Translated transaction is not recorded
  if (!enabled.smmu(smmu)) return forbidden(none, 'SMMUEN=0');
  if (!checksTranslated(smmu)) return asPa(smmu, request, none, via);
  const ste = findSte(context, smmu, request.streamId);
  if (!ste.ok) return misconfigured(smmu, ste.fault, { ...none, ste: ste.fill });
  const { value, fill } = ste.held;
  let basis: Basis = { ...none, ste: fill };
  if (steConfig(value) === 'ABORT') return silent(basis, 'STE.Config=0b0xx');
  const eats = effectiveEats(value, features, true);
  if (eats === 'OFF') return forbidden(basis, 'the effective EATS is 0');
  if (features.pasidtt) {
    const selected = selectCd(value, request.substreamId, smmu);
    if (selected.kind === 'fault') return misconfigured(smmu, selected.fault, basis);
    if (selected.kind === 'cd' && request.substreamId !== undefined) {
      const cd = findCd(context, smmu, request.streamId, value, selected.index);
      if (!cd.ok) return refusedFetch(smmu, value, cd.fault, { ...basis, cd: cd.fill });
      basis = { ...basis, cd: cd.held.fill };
    }
  }
  if (eats !== 'SPLIT') return asPa(smmu, request, basis, via);
  return throughStage2(context, smmu, request, value, basis, via);
}

type Via = 'atc' | 'translated';

/** The address goes out as it stands; beyond OAS, a choice of two (3.9.1.1). */
function asPa(smmu: SmmuState, { iova }: Request, basis: Basis, via: Via): Translation {
  const { oas } = smmu.features;
  const pa = BigInt.asUintN(oas, iova);
  if (pa !== iova && smmu.config.choices['truncateTranslated'] !== true)
    return silent(basis, 'the address is beyond OAS');
  return { kind: 'ok', pa: Number(pa), via, basis };
}

/** Split stage: an IPA, with ordinary recording, and always an abort (S2S=1 is ILLEGAL). */
function throughStage2(
  context: Context,
  smmu: SmmuState,
  request: Request,
  ste: Ste,
  basis: Basis,
  via: Via,
): Translation {
  if (request.iova >= 1n << BigInt(smmu.features.ias))
    return refuse(basis, { record: 'F_ADDR_SIZE', why: 'the IPA is beyond IAS' }, true);
  const seen = overridden(request, ste, smmu);
  const { iova, exec, privileged } = seen;
  const answer = translateStages(context, smmu, {
    iova,
    write: seen.access === 'write',
    exec,
    privileged,
    ste,
    cd: undefined,
    e2h: isE2h(smmu),
    updates: ordinary,
    only: undefined,
  });
  const rests = { ...basis, tlb: answer.tlb };
  if (!answer.ok) return { ...stage2Fault(rests, ste, answer.fault), seen, mev: ste.MEV };
  return { kind: 'ok', pa: answer.address, via, basis: rests, output: answer };
}

/** Recorded as of an ordinary transaction: where STE.S2R lets it (5.5). */
function stage2Fault(basis: Basis, ste: Ste, fault: Fault): Refused {
  return refuse(basis, fault, !eventRecords[fault.record].mayStall || ste.S2R);
}

/** A CD that cannot be used: its configuration, or the stage 2 translation of its address. */
function refusedFetch(smmu: SmmuState, ste: Ste, fault: Fault, basis: Basis): Refused {
  return eventRecords[fault.record].mayStall
    ? stage2Fault(basis, ste, fault)
    : misconfigured(smmu, fault, basis);
}

/** Recorded with CR2.REC_CFG_ATS; RECINVSID does not count here. */
function misconfigured(smmu: SmmuState, fault: Fault, basis: Basis): Refused {
  return refuse(basis, fault, recordsAts(smmu));
}

function forbidden(basis: Basis, why: string): Refused {
  return refuse(basis, { record: 'F_TRANSL_FORBIDDEN', why }, true);
}

function silent(basis: Basis, why: string): Refused {
  return { kind: 'refused', why, result: 'abort', basis };
}
