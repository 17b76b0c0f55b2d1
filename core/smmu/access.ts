/**
 * A device's DMA: split at 4 KiB bounds, each piece translated on its own; the pieces of a refused
 * transaction that come before the refusal stand. A fault's event record is raised here and waits
 * for the Event queue's turn.
 */

import { assert } from '../assert.ts';
import { encode } from '../layout/layout.ts';
import { own } from '../lookup.ts';
import type { Context, Decider } from '../machine.ts';
import { storeBytes } from '../memory/access.ts';
import type { State } from '../state.ts';
import type { StimulusOf } from '../stimulus.ts';
import type { Fault } from './configuration.ts';
import { type EventRecordFields, type EventRecordName, eventRecords } from './event-record.ts';
import { limits, type SmmuState } from './state.ts';
import { type Request, translate } from './translate.ts';

const PIECE_BYTES = 4096;

export const accessDevice: Decider<'dma'> = (context, stimulus) => {
  const { endpoint, smmu } = find(context.state, stimulus.endpoint);
  if (endpoint === undefined || smmu === undefined) return;
  let done = 0;
  while (done < stimulus.size) {
    const iova = BigInt.asUintN(64, stimulus.iova + BigInt(done));
    const size = Math.min(stimulus.size - done, PIECE_BYTES - Number(iova & 0xfffn));
    const request: Request = {
      streamId: endpoint.config.streamId,
      // A bus carries 20 bits of it (3.2).
      substreamId: stimulus.ssid === undefined ? undefined : stimulus.ssid % 2 ** 20,
      iova,
      access: stimulus.access,
      exec: stimulus.exec ?? false,
      privileged: stimulus.privileged ?? false,
    };
    if (!accessPiece(context, smmu, stimulus, request, size, done)) return;
    done += size;
  }
};

/** One piece. Returns whether the transaction goes on. */
function accessPiece(
  context: Context,
  smmu: SmmuState,
  stimulus: StimulusOf<'dma'>,
  request: Request,
  size: number,
  offset: number,
): boolean {
  const answer = translate(context, smmu, request);
  const { streamId, substreamId, iova, access } = request;
  const about = {
    smmu: smmu.config.name,
    endpoint: stimulus.endpoint,
    streamId,
    ...(substreamId === undefined ? {} : { substreamId }),
    iova,
    size,
    access,
    ...answer.basis,
  };
  if (answer.kind === 'refused') {
    if (answer.fault !== undefined) raise(context, smmu, answer.seen ?? request, answer.fault, answer.result);
    const { result, why: reason } = answer;
    context.emit(stimulus.endpoint, { type: 'access.terminated', ...about, result, reason });
    return result === 'raz-wi';
  }
  if (!context.state.memory.isRam(answer.pa, size)) {
    const reason = `0x${answer.pa.toString(16)} is not RAM`;
    context.emit(stimulus.endpoint, { type: 'access.terminated', ...about, result: 'bus-error', reason });
    return false;
  }
  context.emit(stimulus.endpoint, { type: 'access.completed', ...about, pa: answer.pa, via: answer.via });
  if (access === 'write' && stimulus.data !== undefined) {
    storeBytes(context, stimulus.endpoint, answer.pa, stimulus.data.slice(offset, offset + size));
  }
  return true;
}

/** Raises the event record of a fault (7.3). More than the architecture can hold waiting are lost. */
function raise(context: Context, smmu: SmmuState, request: Request, fault: Fault, result: string): void {
  const name = smmu.config.name;
  if (smmu.records.length >= limits.pendingRecords) {
    context.emit(name, { type: 'misuse.noted', smmu: name, rule: 'record-lost', detail: fault.record });
    return;
  }
  const { oas } = smmu.features;
  const words = new Uint8Array(recordWords(request, fault, result === 'stall', oas).buffer);
  context.emit(name, {
    type: 'record.raised',
    smmu: name,
    record: fault.record,
    streamId: request.streamId,
    words,
  });
}

/** The record with every field that its layout has and the fault knows. */
function recordWords(request: Request, fault: Fault, stalled: boolean, oas: number): Uint32Array {
  const { layout, number } = eventRecords[fault.record as EventRecordName];
  // Bits [2:0], and those at OAS and above, are 0 (7.3.4).
  const fetchAddr = (fault.fetchAddr ?? 0) % 2 ** oas;
  const known: Record<string, unknown> = {
    EventID: number,
    SSV: request.substreamId !== undefined,
    SubstreamID: request.substreamId ?? 0,
    StreamID: request.streamId,
    PnU: request.privileged,
    InD: request.exec,
    RnW: request.access === 'read',
    CLASS: fault.record === 'F_WALK_EABT' ? 'TT' : 'IN',
    InputAddr: request.iova,
    FetchAddr: fetchAddr - (fetchAddr % 8),
    Stall: stalled,
  };
  const fields = Object.fromEntries(Object.entries(known).filter(([name]) => name in layout.fields));
  return encode(layout, fields as Partial<EventRecordFields>);
}

function find(
  state: State,
  name: string,
): { endpoint: State['endpoints'][string] | undefined; smmu: SmmuState | undefined } {
  const endpoint = own(state.endpoints, name);
  const smmu = endpoint === undefined ? undefined : state.smmus[endpoint.config.smmu];
  assert(endpoint === undefined || smmu !== undefined, `${name} hangs on an SMMU`);
  return { endpoint, smmu };
}
