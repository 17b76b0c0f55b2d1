/**
 * The PRI queue: IHI 0070 8.1, 8.2, 6.3.36. A Page Request waits in the state until this unit's turn; it is
 * written, or it is lost, and then the SMMU answers it itself where somebody waits for an answer.
 */
import type { Context } from '../machine.ts';
import { storeBytes } from '../memory/access.ts';
import { inSpace } from '../memory/space.ts';
import type { PrgResponse } from './codes.ts';
import { findSte } from './configuration.ts';
import { interrupt, isActive, raiseError } from './gerror.ts';
import { advance, entryAddress, isEmpty, isFull, pointer, type Queue } from './queue.ts';
import { raise } from './raise.ts';
import { isPriqEnabled, recordsAts, reg } from './regs.ts';
import { ring } from './rings.ts';
import { isStopMarker, type PageRequest, type SmmuState } from './state.ts';
import { updateRegister } from './update-register.ts';

const OVFLG = 2 ** 31;

/** The queue that PRIQ_BASE describes. */
export function priQueue(smmu: SmmuState): Queue {
  return ring(smmu, 'PRIQ');
}

/** Whether a Page Request waits. */
export function writePageReady(smmu: SmmuState): boolean {
  return smmu.pageRequests.length > 0;
}

/** Writes the oldest Page Request that waits, or loses it. */
export function writePage(context: Context, smmu: SmmuState): void {
  const next = smmu.pageRequests[0];
  if (next === undefined) return;
  const queue = priQueue(smmu);
  const prod = reg(smmu, 'PRIQ_PROD');
  const cons = reg(smmu, 'PRIQ_CONS');
  const unusable = unusableBecause(smmu);
  if (unusable !== undefined) return refuse(context, smmu, next, unusable);
  if (isOverflown(prod, cons)) return overflow(context, smmu, next, 'an overflow is active');
  if (isFull(queue, prod, cons)) {
    return overflow(context, smmu, next, 'the queue is full', () =>
      updateRegister(context, smmu, 'PRIQ_PROD', prod >= OVFLG ? prod - OVFLG : prod + OVFLG),
    );
  }
  const name = smmu.config.name;
  const index = pointer(queue, prod);
  const pa = entryAddress(queue, index);
  const at = inSpace(context.state, smmu.config.space, pa);
  if (!context.state.memory.isRam(at, queue.entryBytes)) {
    const raised = (): void => raiseError(context, smmu, 'PRIQ_ABT_ERR');
    return refuse(context, smmu, next, 'the write of the entry aborted', raised);
  }
  storeBytes(context, name, at, next.words);
  context.emit(name, { type: 'page.queued', ...about(smmu, next), requested: next.id, index, pa });
  updateRegister(context, smmu, 'PRIQ_PROD', advance(queue, prod));
  if (isLastOnly(smmu) ? next.last : isEmpty(queue, prod, cons)) interrupt(context, smmu, 'PRIQ');
}

/** Why nothing can be written at all (8.2), or undefined. */
function unusableBecause(smmu: SmmuState): string | undefined {
  if (!isPriqEnabled(smmu)) return 'PRIQEN=0';
  return isActive(smmu, 'PRIQ_ABT_ERR') ? 'PRIQ_ABT_ERR is active' : undefined;
}

function isOverflown(prod: number, cons: number): boolean {
  return prod >= OVFLG !== cons >= OVFLG;
}

/** PRIQ_IRQ_CFG2.LO: interrupts for Last=1 alone. */
function isLastOnly(smmu: SmmuState): boolean {
  return reg(smmu, 'PRIQ_IRQ_CFG2') >= OVFLG;
}

/** Lost, and answered with a failure, whatever Last says. */
function refuse(
  context: Context,
  smmu: SmmuState,
  request: PageRequest,
  why: string,
  before?: () => void,
): void {
  drop(context, smmu, request, why);
  before?.();
  if (!isStopMarker(request)) respond(context, smmu, request, 'RESPONSE_FAILURE', false);
}

/** Lost to an overflow: the last of a group is answered, so that the endpoint asks again (8.1). */
function overflow(
  context: Context,
  smmu: SmmuState,
  request: PageRequest,
  why: string,
  before?: () => void,
): void {
  drop(context, smmu, request, why);
  before?.();
  if (!request.last) return;
  if (!isStopMarker(request)) {
    const [response, pasid] = automaticResponse(context, smmu, request);
    respond(context, smmu, request, response, pasid);
  }
  if (isLastOnly(smmu)) interrupt(context, smmu, 'PRIQ');
}

/** Response of an overflow, and whether it has the PASID of the request (8.1). */
function automaticResponse(
  context: Context,
  smmu: SmmuState,
  { streamId, substreamId }: PageRequest,
): readonly [PrgResponse, boolean] {
  const { ssidBits, pps } = smmu.features;
  if (substreamId === undefined || ssidBits === 0) return ['SUCCESS', false];
  if (pps) return ['SUCCESS', true];
  const ste = findSte(context, smmu, streamId);
  if (ste.ok) return ['SUCCESS', ste.held.value.PPAR];
  if (recordsAts(smmu, ste.fault.record)) {
    const request = {
      streamId,
      substreamId,
      iova: 0n,
      access: 'read',
      exec: false,
      privileged: false,
    } as const;
    raise(context, smmu, request, ste.fault);
  }
  return ['RESPONSE_FAILURE', false];
}

function drop({ emit }: Context, smmu: SmmuState, request: PageRequest, why: string): void {
  emit(smmu.config.name, { type: 'page.dropped', ...about(smmu, request), requested: request.id, why });
}

function respond(
  { emit }: Context,
  smmu: SmmuState,
  request: PageRequest,
  response: PrgResponse,
  withPasid: boolean,
): void {
  const { substreamId, ...rest } = about(smmu, request);
  const pasid = withPasid && substreamId !== undefined ? { substreamId } : {};
  emit(smmu.config.name, { type: 'page.responded', ...rest, ...pasid, response, fetched: 0 });
}

function about(
  smmu: SmmuState,
  { endpoint, streamId, substreamId, prgIndex }: PageRequest,
): { smmu: string; endpoint: string; streamId: number; substreamId?: number; prgIndex: number } {
  const of = { smmu: smmu.config.name, endpoint, streamId, prgIndex };
  return substreamId === undefined ? of : { ...of, substreamId };
}
