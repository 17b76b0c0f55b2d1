/**
 * Writing event records: IHI 0070 3.5.3, 7.2, 7.4. A fault's record waits in the state until this
 * unit's turn; a record that finds the queue full is lost and the overflow flag toggles.
 */
import type { Context } from '../machine.ts';
import { storeBytes } from '../memory/access.ts';
import { queues } from './codes.ts';
import { interrupt, isActive, raiseError } from './gerror.ts';
import { advance, entryAddress, isEmpty, isFull, pointer, type Queue, queueOf } from './queue.ts';
import { enabled, reg, regHigh, regValue } from './regs.ts';
import type { SmmuState } from './state.ts';

const OVFLG = 2 ** 31;

export function eventQueue(smmu: SmmuState): Queue {
  return queueOf(
    reg(smmu, 'EVENTQ_BASE'),
    regHigh(smmu, 'EVENTQ_BASE'),
    queues.EVENTQ.entryBytes,
    smmu.features.eventqsLog2,
  );
}

export function writeRecordReady(smmu: SmmuState): boolean {
  return smmu.records.length > 0;
}

/** Writes the oldest waiting record, or loses it. */
export function writeRecord(context: Context, smmu: SmmuState): void {
  const next = smmu.records[0];
  if (next === undefined) return;
  const name = smmu.config.name;
  const drop = (why: string): void => {
    context.emit(name, { type: 'record.dropped', smmu: name, record: next.record, why });
  };
  if (!enabled.eventq(smmu)) return drop('EVENTQEN=0');
  if (isActive(smmu, 'EVENTQ_ABT_ERR')) return drop('EVENTQ_ABT_ERR is active');
  const queue = eventQueue(smmu);
  const prod = reg(smmu, 'EVENTQ_PROD');
  const cons = reg(smmu, 'EVENTQ_CONS');
  if (isFull(queue, prod, cons)) {
    drop('the queue is full');
    // An overflow that is not acknowledged yet is not marked again (7.4).
    if (prod >= OVFLG === cons >= OVFLG) putProd(context, smmu, prod >= OVFLG ? prod - OVFLG : prod + OVFLG);
    return;
  }
  const pa = entryAddress(queue, pointer(queue, prod));
  if (!context.state.memory.isRam(pa, queue.entryBytes)) {
    drop('the write of the record aborted');
    return raiseError(context, smmu, 'EVENTQ_ABT_ERR');
  }
  const wasEmpty = isEmpty(queue, prod, cons);
  storeBytes(context, name, pa, next.words);
  context.emit(name, {
    type: 'record.written',
    smmu: name,
    record: next.record,
    index: pointer(queue, prod),
    pa,
  });
  putProd(context, smmu, advance(queue, prod));
  if (wasEmpty) interrupt(context, smmu, 'EVENTQ');
}

function putProd({ emit }: Context, smmu: SmmuState, value: number): void {
  const name = smmu.config.name;
  emit(name, {
    type: 'register.updated',
    smmu: name,
    register: 'EVENTQ_PROD',
    value: BigInt(value),
    old: regValue(smmu, 'EVENTQ_PROD'),
  });
}
