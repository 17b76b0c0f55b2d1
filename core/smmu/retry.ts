/** The end of a stall: the access is tried again from where it stood, or terminated. IHI 0070 3.12.2, 4.7. */
import type { Context } from '../machine.ts';
import { goOn } from './access.ts';
import { aboutPiece, type Dma, pieceSize } from './dma.ts';
import { nextStall } from './stalls.ts';
import type { SmmuState } from './state.ts';

/** Ends the wait of one access. */
export function endStall(context: Context, smmu: SmmuState): void {
  const next = nextStall(smmu);
  if (next === undefined) return;
  const how = next.fate ?? 'retry';
  const name = smmu.config.name;
  // A record of it that nobody has seen may vanish (4.7.2).
  const record = smmu.records.find((each) => each.stag === next.stag && each.streamId === next.streamId);
  if (record !== undefined && !next.held)
    context.emit(name, {
      type: 'record.withdrawn',
      smmu: name,
      record: record.record,
      raised: record.raised,
    });
  context.emit(name, { type: 'stall.ended', smmu: name, stalled: next.id, how });
  const { total, done, exec, privileged } = next.request;
  const dma: Dma = {
    endpoint: next.endpoint,
    streamId: next.streamId,
    substreamId: next.substreamId,
    iova: BigInt.asUintN(64, next.iova - BigInt(done)),
    size: total,
    access: next.access,
    exec,
    privileged,
    data: next.data,
    stalls: true,
  };
  if (how === 'retry') return goOn(context, smmu, dma, done);
  const size = pieceSize(total - done, next.iova);
  const about = aboutPiece(smmu, dma, { iova: next.iova, size, done });
  const reason = 'the stall was terminated';
  context.emit(next.endpoint, {
    type: 'access.terminated',
    ...about,
    result: how,
    reason,
    ste: 0,
    cd: 0,
    tlb: 0,
  });
  if (how === 'raz-wi') goOn(context, smmu, dma, done + size);
}
