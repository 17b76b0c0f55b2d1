/**
 * Translated DMA of an endpoint: with the address that its ATC holds, or, where it holds none, with the
 * address as it stands, as a device does that makes up addresses. IHI 0070 3.9.1.3, 13.7.
 */
import type { Context, Decider } from '../machine.ts';
import { accessDevice, dmaOf, endPiece } from '../smmu/access.ts';
import { aboutPiece, type Dma, type Piece, pieceSize } from '../smmu/dma.ts';
import type { SmmuState } from '../smmu/state.ts';
import type { Request } from '../smmu/translate.ts';
import { admitTranslated } from '../smmu/translated.ts';
import { aboutRequest, findAtc, findEndpoint } from './atc.ts';
import type { EndpointState } from './state.ts';

/** A DMA, translated by the SMMU or by the endpoint. */
export const accessMemory: Decider<'dma'> = (context, stimulus) => {
  if (stimulus.translated !== true) return accessDevice(context, stimulus);
  const found = findEndpoint(context.state, stimulus.endpoint);
  if (found === undefined) return;
  const { endpoint, smmu } = found;
  const dma = dmaOf(endpoint, stimulus);
  if (!endpoint.ats) {
    const about = { ...aboutRequest(endpoint, dma.substreamId), request: 'translated', iova: dma.iova };
    context.emit(endpoint.config.name, { type: 'request.withheld', ...about, why: 'ATS is off' });
    return;
  }
  for (let done = 0; done < dma.size; ) {
    const iova = BigInt.asUintN(64, dma.iova + BigInt(done));
    const size = pieceSize(dma.size - done, iova);
    if (!accessTranslated(context, smmu, endpoint, dma, { iova, size, done })) return;
    done += size;
  }
};

/** One piece. Returns whether the DMA goes on. */
function accessTranslated(
  context: Context,
  smmu: SmmuState,
  endpoint: EndpointState,
  dma: Dma,
  piece: Piece,
): boolean {
  const { streamId, substreamId, access } = dma;
  const tagged = substreamId !== undefined;
  const exec = tagged && dma.exec && access === 'read';
  const privileged = tagged && dma.privileged;
  const held = findAtc(endpoint, substreamId, privileged, piece.iova);
  const needed = access === 'write' ? 'w' : exec ? 'x' : 'r';
  if (held !== undefined && !held.permissions.includes(needed)) {
    const about = { ...aboutPiece(smmu, dma, piece), ste: 0, cd: 0, tlb: 0, atc: held.id };
    const reason = `the ATC entry allows ${held.permissions}, not ${needed}: nothing is sent`;
    context.emit(dma.endpoint, { type: 'access.terminated', ...about, result: 'abort', reason });
    return false;
  }
  const address = held === undefined ? piece.iova : BigInt(held.pa) + (piece.iova - held.iova);
  // A PASID goes along where the SMMU takes one (3.9.1.3).
  const carried = tagged && smmu.features.pasidtt;
  const request: Request = {
    streamId,
    substreamId: carried ? substreamId : undefined,
    iova: address,
    access,
    exec: carried && exec,
    privileged: carried && privileged,
  };
  const answer = admitTranslated(context, smmu, request, held?.id ?? 0);
  return endPiece(context, smmu, dma, piece, request, answer);
}
