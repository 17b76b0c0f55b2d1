/** IOMMU_IOAS_COPY: the same pages at a second place, one area for each that the source range touches. */

import type { Frame } from '../../tasks/task.ts';
import { type Call, contextOf, failed, type Result, type Rows } from '../ioctl.ts';
import { allocates } from '../kernel.ts';
import { holdBacking } from '../process/backing.ts';
import { PAGE_BYTES } from '../process/state.ts';
import { numbers } from '../uapi/enums.ts';
import { areasIn, areasOf, heldBy, IOVA_LAST } from './areas.ts';
import { areaAt, fillArea, ioasAt, undoing } from './filling.ts';
import { mapProblem } from './ioas-map.ts';
import { removeAreas } from './ioas-unmap.ts';
import { find } from './object.ts';
import { keepPinned, pinsOfPart } from './pins.ts';
import { place } from './placing.ts';
import type { Area, Ioas, Span } from './state.ts';

const { IOMMU_IOAS_MAP_FIXED_IOVA, IOMMU_IOAS_MAP_READABLE, IOMMU_IOAS_MAP_WRITEABLE } = numbers;

/** A part of a source area. */
interface Piece {
  readonly area: Area;
  /** From the area's first byte. */
  readonly offset: bigint;
  readonly length: bigint;
}

export const copyRows: Rows = {
  IOMMU_IOAS_COPY: (call, { flags, dst_ioas_id, src_ioas_id, length, dst_iova, src_iova }) => {
    const errno = mapProblem(call, flags, [length, src_iova, dst_iova]);
    if (errno !== undefined) return failed(errno);
    const source = find(contextOf(call), src_ioas_id, 'ioas');
    if (source === undefined) return failed('ENOENT');
    if (length === 0n) return failed('EINVAL');
    const span = { start: src_iova, last: src_iova + length - 1n };
    if (span.last > IOVA_LAST) return failed('EOVERFLOW');
    const pieces = piecesOf(call, source, span);
    if (pieces === undefined) return failed('ENOENT');
    const target = find(contextOf(call), dst_ioas_id, 'ioas');
    if (target === undefined) return failed('ENOENT');
    return copyPieces(call, target, pieces, { flags, length, iova: dst_iova });
  },
};

/** The areas of a span, without a hole between them; undefined where there is one. */
function piecesOf(call: Call, ioas: Ioas, { start, last }: Span): readonly Piece[] | undefined {
  const pieces: Piece[] = [];
  let from = start;
  for (const area of areasIn(areasOf(contextOf(call), ioas), { start, last })) {
    if (area.iova > from) return undefined;
    const end = area.last < last ? area.last : last;
    pieces.push({ area, offset: from - area.iova, length: end - from + 1n });
    from = end + 1n;
  }
  return from > last ? pieces : undefined;
}

function copyPieces(
  call: Call,
  ioas: Ioas,
  pieces: readonly Piece[],
  { flags, length, iova: asked }: { readonly flags: number; readonly length: bigint; readonly iova: bigint },
): Result {
  const { machine, context } = call;
  if (!allocates(machine, 'areas')) return failed('ENOMEM');
  const [first] = pieces;
  const address = first === undefined ? 0n : first.area.address + first.offset;
  const fixed = (flags & IOMMU_IOAS_MAP_FIXED_IOVA) === 0 ? undefined : asked;
  const placed = place(ioas, heldBy(contextOf(call), ioas), length, address, fixed);
  if ('errno' in placed) return placed;
  const writeable = (flags & IOMMU_IOAS_MAP_WRITEABLE) !== 0;
  const readable = (flags & IOMMU_IOAS_MAP_READABLE) !== 0;
  for (const { area, offset } of pieces) {
    if (writeable && !area.pagesWriteable) return failed('EPERM');
    if (((area.address + offset) % BigInt(PAGE_BYTES)) % BigInt(ioas.alignment) !== 0n)
      return failed('EINVAL');
  }
  let { iova } = placed;
  for (const piece of pieces) {
    const { source, pagesWriteable, address: of } = piece.area;
    const area = { source, address: of + piece.offset, readable, writeable, pagesWriteable };
    const last = iova + piece.length - 1n;
    machine.emit('kernel', { type: 'area.added', context, ioas: ioas.id, iova, last, ...area });
    if ('backing' in source) holdBacking(machine, source.backing, 1);
    iova = last + 1n;
  }
  return fillPieces(call, ioas.id, pieces, placed.iova, length);
}

function fillPieces(
  call: Call,
  ioas: number,
  pieces: readonly Piece[],
  dst_iova: bigint,
  length: bigint,
): Result {
  const { machine, context } = call;
  const at = { context, ioas };
  const { hwpts } = ioasAt(machine, at);
  const filled: Area[] = [];
  const after: Frame[] = [];
  const span = { start: dst_iova, last: dst_iova + length - 1n };
  let iova = dst_iova;
  for (const piece of pieces) {
    const pins = hwpts.length === 0 ? undefined : pinsOfPart(piece.area, piece.offset, piece.length);
    if (pins !== undefined) keepPinned(machine, at, areaAt(machine, at, iova), pins);
    const { errno, frames } = fillArea(machine, at, iova);
    if (errno !== undefined) {
      const waits = after.length + frames.length > 0;
      const undone: Frame[] = filled.flatMap((area) => [...undoing(machine, at, area, hwpts, waits)]);
      if (after.length + frames.length + undone.length > 0)
        return { errno, frames: [...after, ...frames, ...undone, { do: 'areas.remove', ...at, ...span }] };
      removeAreas(machine, at, span);
      return failed(errno);
    }
    after.push(...frames);
    filled.push(areaAt(machine, at, iova));
    iova += piece.length;
  }
  if (after.length > 0) after.push({ do: 'areas.check', ioctl: call.id, ...at, ...span });
  return { out: { dst_iova }, frames: after };
}
