/**
 * Writing event records: IHI 0070 3.5.3, 7.2, 7.4. A fault's record waits in the state until this
 * unit's turn; a record that finds the queue full is lost and the overflow flag toggles.
 */
import type { Context } from '../machine.ts';
import { storeBytes } from '../memory/access.ts';
import { inSpace } from '../memory/space.ts';
import { asStored } from './errata.ts';
import { interrupt, isActive, raiseError } from './gerror.ts';
import { advance, entryAddress, isEmpty, isFull, pointer, type Queue } from './queue.ts';
import { enabled, reg } from './regs.ts';
import { ring } from './rings.ts';
import type { PendingRecord, SmmuState } from './state.ts';
import { updateRegister } from './update-register.ts';

const OVFLG = 2 ** 31;

/** The ring that EVENTQ_BASE describes. */
export function eventQueue(smmu: SmmuState): Queue {
  return ring(smmu, 'EVENTQ');
}

/** The record whose turn it is: a stall record waits for room, and those behind it do not wait for it (7.2). */
function nextRecord(smmu: SmmuState): PendingRecord | undefined {
  if (smmu.records.length === 0) return undefined;
  const writable = lostBecause(smmu, isQueueFull(smmu), false) === undefined;
  return writable ? smmu.records[0] : smmu.records.find((record) => record.stag === undefined);
}

function isQueueFull(smmu: SmmuState): boolean {
  return isFull(eventQueue(smmu), reg(smmu, 'EVENTQ_PROD'), reg(smmu, 'EVENTQ_CONS'));
}

/** A record can be written now, or has to be dropped. */
export function writeRecordReady(smmu: SmmuState): boolean {
  return nextRecord(smmu) !== undefined;
}

/** Writes all records that can be written, and loses those that must be lost. */
export function writeRecords(context: Context, smmu: SmmuState): void {
  for (let left = smmu.records.length; left > 0; left -= 1) writeRecord(context, smmu);
}

/** Writes the oldest waiting record, or loses it. */
export function writeRecord(context: Context, smmu: SmmuState): void {
  const next = nextRecord(smmu);
  if (next === undefined) return;
  const name = smmu.config.name;
  const queue = eventQueue(smmu);
  const prod = reg(smmu, 'EVENTQ_PROD');
  const cons = reg(smmu, 'EVENTQ_CONS');
  const index = pointer(queue, prod);
  const pa = entryAddress(queue, index);
  const at = inSpace(context.state, smmu.config.space, pa);
  const aborts = !context.state.memory.isRam(at, queue.entryBytes);
  const why = lostBecause(smmu, isFull(queue, prod, cons), aborts);
  const { record, raised } = next;
  if (why !== undefined) {
    context.emit(name, { type: 'record.dropped', smmu: name, record, why, raised });
    const asAbort = why === FULL && smmu.config.emulator?.eventqFull === 'abt-err';
    if (why === FULL && !asAbort) markOverflow(context, smmu, prod, cons);
    if (why === ABORTED || asAbort) raiseError(context, smmu, 'EVENTQ_ABT_ERR');
    return;
  }
  storeBytes(context, name, at, asStored(next.words, smmu.config.choices));
  context.emit(name, { type: 'record.written', smmu: name, record, index, pa, raised });
  updateRegister(context, smmu, 'EVENTQ_PROD', advance(queue, prod));
  const silent = smmu.config.choices['erratumEventInterrupt'] === true;
  if (isEmpty(queue, prod, cons) && !silent) interrupt(context, smmu, 'EVENTQ');
}

const FULL = 'the queue is full';
const ABORTED = 'the write of the record aborted';

/** Why a non-stall record is lost (3.5.3, 7.2), first reason first. */
function lostBecause(smmu: SmmuState, full: boolean, aborts: boolean): string | undefined {
  if (!enabled.eventq(smmu)) return 'EVENTQEN=0';
  if (isActive(smmu, 'EVENTQ_ABT_ERR')) return 'EVENTQ_ABT_ERR is active';
  if (full) return FULL;
  return aborts ? ABORTED : undefined;
}

/** An overflow that is not acknowledged yet is not marked again (7.4). */
export function markOverflow(context: Context, smmu: SmmuState, prod: number, cons: number): void {
  if (prod >= OVFLG === cons >= OVFLG)
    updateRegister(context, smmu, 'EVENTQ_PROD', prod >= OVFLG ? prod - OVFLG : prod + OVFLG);
}
