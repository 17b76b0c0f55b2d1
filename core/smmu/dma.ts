/** A device's DMA and its pieces: what access, stalls and endpoints share. */
import type { SmmuState } from './state.ts';

const PIECE_BYTES = 4096;

/** A DMA as it is under way. */
export interface Dma {
  readonly endpoint: string;
  readonly streamId: number;
  readonly substreamId: number | undefined;
  /** Address of its first byte, done or not. */
  readonly iova: bigint;
  readonly size: number;
  readonly access: 'read' | 'write';
  readonly exec: boolean;
  readonly privileged: boolean;
  /** What a write stores, from its first byte on. */
  readonly data: Uint8Array | undefined;
  /** The devices of its bus must not stall: it is terminated instead (3.12). */
  readonly stalls: boolean;
}

/** A part of a DMA within one 4 KiB page. */
export interface Piece {
  readonly iova: bigint;
  readonly size: number;
  /** Bytes of the DMA before it. */
  readonly done: number;
}

/** Bytes of the piece at `iova`, when `left` are left: to the next 4 KiB bound at most. */
export function pieceSize(left: number, iova: bigint): number {
  return Math.min(left, PIECE_BYTES - Number(iova & 0xfffn));
}

/** What an entry about a piece tells of it. */
export function aboutPiece(smmu: SmmuState, dma: Dma, { iova, size }: Piece) {
  const { endpoint, streamId, substreamId, access } = dma;
  const smmuName = smmu.config.name;
  return substreamId === undefined
    ? { smmu: smmuName, endpoint, streamId, iova, size, access }
    : { smmu: smmuName, endpoint, streamId, substreamId, iova, size, access };
}
