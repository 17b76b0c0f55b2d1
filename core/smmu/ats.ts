/**
 * Answering ATS Translation Requests: IHI 0070 3.9.1.2, 3.13.7, 13.6, 13.7. The configuration is looked up as
 * for an access (T1 to T10); then the stages are asked for a read, a write and an execution, and what they
 * allow is the answer. A, R and S never apply, and nothing stalls.
 */
import type { Context } from '../machine.ts';
import type { Cd } from './cd.ts';
import { findCd, findSte, selectCd } from './configuration.ts';
import { effectiveEats } from './eats.ts';
import { eventRecords } from './event-record.ts';
import type { Fault } from './fault.ts';
import type { Features } from './features.ts';
import { ordinary, type Updates } from './httu.ts';
import { raise } from './raise.ts';
import { checksTranslated, enabled, isE2h, recordsAts } from './regs.ts';
import { type Denied, type Output, translateStages } from './stages.ts';
import type { SmmuState } from './state.ts';
import { type Ste, steConfig } from './ste.ts';
import { type Basis, overridden, type Request } from './translate.ts';

/** A Translation Request for the page of `iova`; `access` is `write` when NW=0. */
export interface TranslationRequest extends Request {
  /** STUs asked for, this page's among them. */
  readonly stus: number;
}

export interface Unanswered {
  readonly answer: 'ur' | 'ca';
  readonly why: string;
  readonly basis: Basis;
  /** What is recorded of it, if anything is. */
  readonly record?: Fault;
}
export interface Answered {
  readonly answer: 'success';
  /** Translation of `iova` itself; without meaning where nothing is permitted. */
  readonly address: number;
  readonly sizeLog2: number;
  /** Letters of `rwxp`; no `r`, `w` or `x` means R=W=0. */
  readonly permissions: string;
  readonly why: string;
  readonly basis: Basis;
}
export type Completion = Unanswered | Answered;

/** Write permission is looked at, and nothing is marked dirty for it (13.7, NW=1). */
const unmarked: Updates = { af: true, dirty: 'refuse' };

/** log2 of the Smallest Translation Unit: the smallest granule (3.9.1). */
export function stuLog2({ granules }: Features): number {
  let least: number = 16;
  for (const pageLog2 of granules) least = Math.min(least, pageLog2);
  return least;
}

/** Whether an answer gives the endpoint anything. */
export function isGranted({ permissions }: Answered): boolean {
  return /[rwx]/.test(permissions);
}

/**
 * Answers for one page. @param least log2 of the size that the answer must have at least, or undefined comes
 * back before anything is marked dirty: for the second and later entries of a completion.
 */
export function answerRequest(
  context: Context,
  smmu: SmmuState,
  request: TranslationRequest,
  least = 0,
): Completion | undefined {
  const none: Basis = { ste: 0, cd: 0, tlb: 0 };
  if (!smmu.features.ats) return { answer: 'ur', why: 'IDR0.ATS=0', basis: none };
  if (!enabled.smmu(smmu)) return badRequest('SMMUEN=0', none);
  const ste = findSte(context, smmu, request.streamId);
  if (!ste.ok) return aborted(smmu, ste.fault, { ...none, ste: ste.fill });
  const { value, fill } = ste.held;
  const basis: Basis = { ...none, ste: fill };
  if (steConfig(value) === 'ABORT') return { answer: 'ur', why: 'STE.Config=0b0xx', basis };
  const eats = effectiveEats(value, smmu.features, checksTranslated(smmu));
  if (eats === 'OFF') return badRequest('the effective EATS is 0', basis);
  const selected = selectCd(value, request.substreamId, smmu);
  if (selected.kind === 'fault') return aborted(smmu, selected.fault, basis);
  if (selected.kind === 'bypass') {
    if (request.iova >= 1n << BigInt(smmu.features.oas))
      return denied(smmu, request, { record: 'F_ADDR_SIZE', why: 'the address is beyond OAS' }, basis);
    if (value.Config === 'S1') return identity(smmu, request, basis);
    return throughStages(context, smmu, request, value, undefined, basis, least);
  }
  const cd = findCd(context, smmu, request.streamId, value, selected.index);
  if (!cd.ok) return denied(smmu, request, cd.fault, { ...basis, cd: cd.fill });
  const held = { ...basis, cd: cd.held.fill };
  return throughStages(context, smmu, request, value, cd.held.value, held, least);
}

/** Raises the record of a request that was refused, if there is one. */
export function recordRequest(
  context: Context,
  smmu: SmmuState,
  request: TranslationRequest,
  { record }: Unanswered,
): void {
  if (record === undefined) return;
  // As they were asked, before the STE's overrides; Read is implied (7.3.6).
  const fields = {
    Span: request.stus & 15,
    P: request.privileged,
    X: request.exec,
    W: request.access === 'write',
    R: true,
    InputAddr: Number(request.iova - (request.iova & 0xfffn)),
  };
  // RnW of other records is UNKNOWN: a read.
  if (record.record === 'F_BAD_ATS_TREQ') raise(context, smmu, request, record, { fields });
  else raise(context, smmu, { ...request, access: 'read' }, record);
}

function badRequest(why: string, basis: Basis): Unanswered {
  return { answer: 'ur', why: `F_BAD_ATS_TREQ: ${why}`, basis, record: { record: 'F_BAD_ATS_TREQ', why } };
}

function aborted(smmu: SmmuState, fault: Fault, basis: Basis): Unanswered {
  const why = `${fault.record}: ${fault.why}`;
  return recordsAts(smmu, fault.record)
    ? { answer: 'ca', why, basis, record: fault }
    : { answer: 'ca', why, basis };
}

/** A fault of the translation denies access; any other is a Completer Abort (3.9.1.2). */
function denied(smmu: SmmuState, request: Request, fault: Fault, basis: Basis): Completion {
  if (!eventRecords[fault.record].mayStall) return aborted(smmu, fault, basis);
  return nothingGranted(smmu, request, `${fault.record}: ${fault.why}`, basis);
}

function nothingGranted(smmu: SmmuState, request: Request, why: string, basis: Basis): Answered {
  const permissions = request.privileged ? 'p' : '';
  return { answer: 'success', address: 0, sizeLog2: stuLog2(smmu.features), permissions, why, basis };
}

/** No stage translates a request without a PASID: S1DSS=1, stage 1 only (13.6.4). The span is all there is. */
function identity({ features }: SmmuState, { iova }: Request, basis: Basis): Answered {
  const why = 'S1DSS=1: bypass';
  return { answer: 'success', address: Number(iova), sizeLog2: features.oas, permissions: 'rw', why, basis };
}

/** Permissions that the stages give: 13.7.1, in its order. */
function throughStages(
  context: Context,
  smmu: SmmuState,
  request: TranslationRequest,
  ste: Ste,
  cd: Cd | undefined,
  basis: Basis,
  least: number,
): Completion | undefined {
  // A read of the device, as PRIVCFG and INSTCFG make it: INSTCFG=Instruction asks to execute instead.
  const asRead = overridden({ ...request, access: 'read', exec: false }, ste, smmu);
  const asExec = overridden({ ...request, access: 'read', exec: true }, ste, smmu);
  const { iova } = request;
  const { privileged } = asRead;
  const ask = (write: boolean, exec: boolean, updates: Updates): Output | Denied =>
    translateStages(context, smmu, {
      iova,
      write,
      exec,
      privileged,
      ste,
      cd,
      e2h: isE2h(smmu),
      updates,
      only: undefined,
    });
  const read = ask(false, asRead.exec, ordinary);
  if (!read.ok && !isOwnPermission(read.fault))
    return denied(smmu, request, read.fault, restsOn(basis, read));
  if (read.ok && read.sizeLog2 < least) return undefined;
  const write = wantsWrite(smmu, request)
    ? ask(true, false, request.access === 'write' ? ordinary : unmarked)
    : undefined;
  if (write?.ok === false && !isOwnPermission(write.fault))
    return denied(smmu, request, write.fault, restsOn(basis, write));
  // Executing implies reading; where the STE says what a read is, that decides.
  const overrides = asExec.exec === asRead.exec;
  const executes = request.exec && read.ok && (overrides || ask(false, true, ordinary).ok);
  const given = read.ok ? read : write?.ok === true ? write : undefined;
  if (given === undefined) return nothingGranted(smmu, request, whyNot(read), restsOn(basis, read));
  const split = ste.EATS === 'SPLIT';
  return {
    answer: 'success',
    address: split ? (given.ipa ?? Number(iova)) : given.address,
    sizeLog2: Math.max(given.sizeLog2, stuLog2(smmu.features)),
    permissions: [
      read.ok ? 'r' : '',
      write?.ok === true ? 'w' : '',
      executes ? 'x' : '',
      request.privileged ? 'p' : '',
    ].join(''),
    why: split ? 'split stage: an IPA' : given.hit ? 'hit' : 'walk',
    basis: restsOn(basis, given),
  };
}

/** W may be given to a request with NW=1 where the page is writable already (13.7). */
function wantsWrite(smmu: SmmuState, { access }: Request): boolean {
  return access === 'write' || smmu.config.choices['grantWriteUnasked'] !== false;
}

/** The page itself lacks the permission, not a table on the way to it. */
function isOwnPermission({ record, class: kind = 'IN' }: Fault): boolean {
  return record === 'F_PERMISSION' && kind === 'IN';
}

function whyNot(answer: Output | Denied): string {
  return answer.ok ? '' : `${answer.fault.record}: ${answer.fault.why}`;
}

function restsOn(basis: Basis, { tlb, tlb2 }: Output | Denied): Basis {
  return tlb2 === 0 ? { ...basis, tlb } : { ...basis, tlb, tlb2 };
}
