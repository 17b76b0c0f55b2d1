/**
 * A device's DMA: split at 4 KiB bounds, each piece translated on its own; the pieces of a refused
 * transaction that come before the refusal stand. A fault's event record is raised here and waits
 * for the Event queue's turn; an access that stalls waits for software.
 */

import { changed } from '../changed.ts';
import { findEndpoint } from '../endpoint/atc.ts';
import type { EndpointState } from '../endpoint/state.ts';
import type { EventOf } from '../event.ts';
import type { Context, Decider } from '../machine.ts';
import { storeBytes } from '../memory/access.ts';
import { inSpace } from '../memory/space.ts';
import type { StimulusOf } from '../stimulus.ts';
import { aboutPiece, type Dma, type Piece, pieceSize } from './dma.ts';
import { fillPort } from './port-tlb.ts';
import { prefetchNear } from './prefetch.ts';
import { raise } from './raise.ts';
import { stall } from './stalls.ts';
import type { SmmuState } from './state.ts';
import { type Refused, type Request, type Served, type Translation, translate } from './translate.ts';

export const accessDevice: Decider<'dma'> = (context, stimulus) => {
  const found = findEndpoint(context.state, stimulus.endpoint);
  if (found === undefined) return;
  const { endpoint, smmu } = found;
  goOn(context, smmu, dmaOf(endpoint, stimulus), 0);
};

/** The DMA that a stimulus asks of an endpoint. */
export function dmaOf({ config }: EndpointState, stimulus: StimulusOf<'dma'>): Dma {
  return {
    endpoint: config.name,
    streamId: config.streamId,
    // A bus carries 20 bits of it (3.2).
    substreamId: stimulus.ssid === undefined ? undefined : stimulus.ssid % 2 ** 20,
    iova: stimulus.iova,
    size: stimulus.size,
    access: stimulus.access,
    exec: stimulus.exec ?? false,
    privileged: stimulus.privileged ?? false,
    data: stimulus.data,
    stalls: config.stall ?? true,
  };
}

/** Does what is left of a DMA from byte `done` on, until it ends or stalls. */
export function goOn(context: Context, smmu: SmmuState, dma: Dma, done: number): void {
  for (let at = done; at < dma.size; ) {
    const iova = BigInt.asUintN(64, dma.iova + BigInt(at));
    const size = pieceSize(dma.size - at, iova);
    if (!accessPiece(context, smmu, dma, { iova, size, done: at })) return;
    at += size;
  }
}

/** One piece. Returns whether the transaction goes on. */
function accessPiece(context: Context, smmu: SmmuState, dma: Dma, piece: Piece): boolean {
  const { streamId, substreamId, access, exec, privileged } = dma;
  const request: Request = { streamId, substreamId, iova: piece.iova, access, exec, privileged };
  const answer = translate(context, smmu, request);
  return endPiece(context, smmu, dma, piece, request, answer);
}

/** Ends a piece as its translation says. Returns whether the transaction goes on. */
export function endPiece(
  context: Context,
  smmu: SmmuState,
  dma: Dma,
  piece: Piece,
  request: Request,
  answer: Translation,
): boolean {
  const { endpoint } = dma;
  if (answer.kind === 'refused') return refusePiece(context, smmu, dma, piece, request, answer);
  const at = inSpace(context.state, smmu.config.space, answer.pa);
  if (at === context.state.doorbell && dma.access === 'write' && piece.size === 4) {
    context.emit(endpoint, completed(smmu, dma, piece, answer));
    const about = { smmu: smmu.config.name, endpoint, streamId: dma.streamId, pa: at };
    context.emit('doorbell', { type: 'msi.received', ...about, data: messageOf(dma, piece) });
    return true;
  }
  if (!context.state.memory.isRam(at, piece.size)) {
    const reason = `0x${answer.pa.toString(16)} is not RAM`;
    const about = changed(aboutPiece(smmu, dma, piece), answer.basis);
    context.emit(endpoint, { type: 'access.terminated', ...about, result: 'bus-error', reason });
    return false;
  }
  context.emit(endpoint, completed(smmu, dma, piece, answer));
  fillPort(context, smmu, dma, piece, answer);
  if (dma.access === 'write' && dma.data !== undefined) {
    storeBytes(context, endpoint, at, dma.data.slice(piece.done, piece.done + piece.size));
  }
  prefetchNear(context, smmu, request, answer);
  return true;
}

/** What a message says: EventID of the device. */
function messageOf({ data }: Dma, { done }: Piece): bigint {
  return data === undefined
    ? 0n
    : BigInt(new DataView(data.buffer, data.byteOffset + done).getUint32(0, true));
}

/** Most accesses have nothing optional to tell: a plain literal costs a tenth of one that is put together. */
function completed(smmu: SmmuState, dma: Dma, piece: Piece, answer: Served): EventOf<'access.completed'> {
  const { pa, via, basis } = answer;
  const { ste, cd, tlb } = basis;
  if (dma.substreamId !== undefined || basis.tlb2 !== undefined || basis.atc !== undefined)
    return { type: 'access.completed', ...aboutPiece(smmu, dma, piece), ...basis, pa, via };
  const { endpoint, streamId, access } = dma;
  const { iova, size } = piece;
  const { name } = smmu.config;
  return {
    type: 'access.completed',
    smmu: name,
    endpoint,
    streamId,
    iova,
    size,
    access,
    ste,
    cd,
    tlb,
    pa,
    via,
  };
}

function refusePiece(
  context: Context,
  smmu: SmmuState,
  dma: Dma,
  piece: Piece,
  request: Request,
  answer: Refused,
): boolean {
  const { fault, why: reason, seen = request, mev = false } = answer;
  if (answer.result === 'stall' && fault !== undefined && dma.stalls)
    return stall(context, smmu, dma, piece, seen, { ...answer, fault });
  // A device that must not stall is aborted, and told of in a record that does not stall (3.12).
  const result = answer.result === 'stall' ? 'abort' : answer.result;
  if (fault !== undefined) raise(context, smmu, seen, fault, { mev });
  const about = changed(aboutPiece(smmu, dma, piece), answer.basis);
  context.emit(dma.endpoint, { type: 'access.terminated', ...about, result, reason });
  return result === 'raz-wi';
}
