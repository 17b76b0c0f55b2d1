/**
 * IOMMU_IOAS_MAP and IOMMU_IOAS_MAP_FILE. An area is added first; where the IOAS has HWPTs its pages are then
 * pinned and mapped into each, and when that fails the area is taken away again.
 */
import { own } from '../../lookup.ts';
import type { Errno } from '../errno.ts';
import { type Call, contextOf, failed, hasUnknown, type Result, type Rows } from '../ioctl.ts';
import { allocates, kernelOf, switchOf } from '../kernel.ts';
import { holdBacking } from '../process/backing.ts';
import { PAGE_BYTES } from '../process/state.ts';
import { numbers } from '../uapi/enums.ts';
import { heldBy, IOVA_LAST } from './areas.ts';
import { fillArea } from './filling.ts';
import { removeAreas } from './ioas-unmap.ts';
import { find } from './object.ts';
import { place } from './placing.ts';
import type { Area, Ioas } from './state.ts';

const { IOMMU_IOAS_MAP_FIXED_IOVA, IOMMU_IOAS_MAP_READABLE, IOMMU_IOAS_MAP_WRITEABLE } = numbers;

/** The new area as the caller wants it. */
export interface Wanted {
  readonly ioas: Ioas;
  readonly flags: number;
  readonly length: bigint;
  /** Where it shall be, with a fixed IOVA. */
  readonly iova: bigint;
  readonly source: Area['source'];
  readonly address: bigint;
}

export const mapRows: Rows = {
  IOMMU_IOAS_MAP: (call, { flags, ioas_id, __reserved, user_va, length, iova }) => {
    if (__reserved !== 0) return failed('EOPNOTSUPP');
    const errno = mapProblem(call, flags, [iova, length]);
    if (errno !== undefined) return failed(errno);
    const ioas = find(contextOf(call), ioas_id, 'ioas');
    if (ioas === undefined) return failed('ENOENT');
    const source = { process: call.process };
    return mapUser(call, { ioas, flags, length, iova, source, address: user_va }, 'iova');
  },

  IOMMU_IOAS_MAP_FILE: (call, { flags, ioas_id, fd, start, length, iova }) => {
    const errno = mapProblem(call, flags, [iova, length]);
    if (errno !== undefined) return failed(errno);
    const ioas = find(contextOf(call), ioas_id, 'ioas');
    if (ioas === undefined) return failed('ENOENT');
    const kernel = kernelOf(call.machine.state);
    const span = spanProblem(start, length);
    // linux: iopt_map_file_pages; where it asks for a dma-buf first, the span comes before the file.
    if (span !== undefined && switchOf(kernel, 'mapFileDmabuf')) return failed(span);
    const file = own(kernel.files, String(fd));
    if (file === undefined) return failed('EBADF');
    if (span !== undefined) return failed(span);
    // Other files are refused when something pins them; here nothing else can be read.
    if (file.kind !== 'memfd') return failed('EINVAL');
    const source = { backing: file.backing };
    return mapArea(call, { ioas, flags, length, iova, source, address: start }, 'iova');
  },
};

/** What is wrong with a part of a file. linux: iopt_map_file_pages, iopt_alloc_pages */
function spanProblem(start: bigint, length: bigint): Errno | undefined {
  if (length === 0n) return 'EINVAL';
  if (start + length - 1n > IOVA_LAST) return 'EOVERFLOW';
  return length > IOVA_LAST - BigInt(PAGE_BYTES) ? 'EINVAL' : undefined;
}

/** Flags and ranges of MAP, MAP_FILE and COPY. */
export function mapProblem(call: Call, flags: number, below: readonly bigint[]): Errno | undefined {
  if (hasUnknown(call, 'iommufd_ioas_map_flags', flags)) return 'EOPNOTSUPP';
  if (below.some((value) => value >= IOVA_LAST)) return 'EOVERFLOW';
  if ((flags & (IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE)) === 0) return 'EINVAL';
  return undefined;
}

/** Maps memory of a process. linux: iopt_map_user_pages, iopt_alloc_pages. */
export function mapUser(call: Call, wanted: Wanted, field: string | undefined): Result {
  const { address, length } = wanted;
  if (address + length > IOVA_LAST) return failed('EOVERFLOW');
  if (length === 0n || length > IOVA_LAST - BigInt(PAGE_BYTES)) return failed('EINVAL');
  return mapArea(call, wanted, field);
}

/** Adds one area and fills it. @param field of the struct that tells where it is. */
function mapArea(call: Call, wanted: Wanted, field: string | undefined): Result {
  const { machine, context } = call;
  const { ioas, flags, length, source, address } = wanted;
  if (!allocates(machine, 'area')) return failed('ENOMEM');
  const fixed = (flags & IOMMU_IOAS_MAP_FIXED_IOVA) === 0 ? undefined : wanted.iova;
  const placed = place(ioas, heldBy(contextOf(call), ioas), length, address, fixed);
  if ('errno' in placed) return placed;
  if ((address % BigInt(PAGE_BYTES)) % BigInt(ioas.alignment) !== 0n) return failed('EINVAL');
  const { iova } = placed;
  const writeable = (flags & IOMMU_IOAS_MAP_WRITEABLE) !== 0;
  machine.emit('kernel', {
    type: 'area.added',
    context,
    ioas: ioas.id,
    iova,
    last: iova + length - 1n,
    source,
    address,
    readable: (flags & IOMMU_IOAS_MAP_READABLE) !== 0,
    writeable,
    pagesWriteable: writeable,
  });
  if ('backing' in source) holdBacking(machine, source.backing, 1);
  const at = { context, ioas: ioas.id };
  const { errno, frames } = fillArea(machine, at, iova);
  const span = { start: iova, last: iova + length - 1n };
  if (errno === undefined) {
    const check = { do: 'areas.check', ioctl: call.id, ...at, ...span };
    const left = frames.length === 0 ? [] : [...frames, check];
    return { ...(field === undefined ? {} : { out: { [field]: iova } }), frames: left };
  }
  if (frames.length === 0) {
    removeAreas(machine, at, span);
    return failed(errno);
  }
  return { errno, frames: [...frames, { do: 'areas.remove', ...at, ...span }] };
}
