/**
 * Dirty tracking of a HWPT's domain: on and off, and which pages were written. linux: iommufd/hw_pagetable.c,
 * iommufd/io_pagetable.c, iommufd/iova_bitmap.c.
 */
import { clearDirty, dirtyBitmap } from '../../driver/ops.ts';
import type { Errno } from '../errno.ts';
import { type Arg, type Call, contextOf, copyIn, copyOut, failed, hasUnknown, type Rows } from '../ioctl.ts';
import { numbers } from '../uapi/enums.ts';
import { areasIn, areasOf, IOVA_LAST, lengthOf } from './areas.ts';
import { EVERYWHERE } from './filling.ts';
import { find, objectOf } from './object.ts';
import type { HwptPaging, Ioas } from './state.ts';

const ENABLE = numbers.IOMMU_HWPT_DIRTY_TRACKING_ENABLE;
const NO_CLEAR = numbers.IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR;

export const dirtyRows: Rows = {
  IOMMU_HWPT_SET_DIRTY_TRACKING: (call, { flags, hwpt_id }) => {
    if (hasUnknown(call, 'iommufd_hwpt_set_dirty_tracking_flags', flags)) return failed('EOPNOTSUPP');
    const hwpt = find(contextOf(call), hwpt_id, 'hwpt_paging');
    if (hwpt === undefined) return failed('ENOENT');
    if (!hwpt.dirtyTracking) return failed('EOPNOTSUPP');
    // The driver has nothing to switch: what is mapped can always become dirty.
    if ((flags & ENABLE) !== 0) clearAll(call, hwpt);
    return {};
  },

  IOMMU_HWPT_GET_DIRTY_BITMAP: (call, arg) => {
    if (hasUnknown(call, 'iommufd_hwpt_get_dirty_bitmap_flags', arg.flags)) return failed('EOPNOTSUPP');
    if (arg.__reserved !== 0) return failed('EOPNOTSUPP');
    const hwpt = find(contextOf(call), arg.hwpt_id, 'hwpt_paging');
    if (hwpt === undefined) return failed('ENOENT');
    const errno = checkRange(arg, objectOf(call.machine.state, call.context, hwpt.ioas, 'ioas'));
    if (errno !== undefined) return failed(errno);
    if (!hwpt.dirtyTracking) return failed('EOPNOTSUPP');
    collect(call, arg, hwpt);
    return {};
  },
};

function checkRange(
  { iova, length, page_size }: Arg<'IOMMU_HWPT_GET_DIRTY_BITMAP'>,
  ioas: Ioas,
): Errno | undefined {
  const alignment = BigInt(ioas.alignment);
  if (length === 0n) return 'EINVAL';
  if (iova + length - 1n > IOVA_LAST) return 'EOVERFLOW';
  if (iova % alignment !== 0n || (iova + length) % alignment !== 0n) return 'EINVAL';
  if (page_size === 0n) return 'EINVAL';
  return iova % page_size !== 0n || (iova + length) % page_size !== 0n ? 'EINVAL' : undefined;
}

/** All that is mapped counts as clean from now on. */
function clearAll(call: Call, { ioas, domain }: HwptPaging): void {
  const { machine, context } = call;
  const areas = areasOf(contextOf(call), objectOf(machine.state, context, ioas, 'ioas'));
  for (const area of areasIn(areas, EVERYWHERE))
    clearDirty(machine, domain, { iova: area.iova, size: lengthOf(area), pageSize: lengthOf(area) });
}

/**
 * ORs a bit into the user's bitmap for each dirty page. A hole, or a bitmap that cannot be written, ends the
 * walk, and nobody hears of it (as of 7.3.4).
 */
function collect(call: Call, arg: Arg<'IOMMU_HWPT_GET_DIRTY_BITMAP'>, hwpt: HwptPaging): void {
  const { machine, context } = call;
  const span = { start: arg.iova, last: arg.iova + arg.length - 1n };
  const areas = areasOf(contextOf(call), objectOf(machine.state, context, hwpt.ioas, 'ioas'));
  const read = (arg.flags & NO_CLEAR) === 0 ? clearDirty : dirtyBitmap;
  for (const { iova, last } of areasIn(areas, span)) {
    const from = iova > span.start ? iova : span.start;
    const size = (last < span.last ? last : span.last) - from + 1n;
    const lead = (from - arg.iova) / arg.page_size;
    const start = arg.iova + lead * arg.page_size;
    const pages = read(machine, hwpt.domain, {
      iova: start,
      size: size + from - start,
      pageSize: arg.page_size,
    });
    for (const page of pages) if (!setBit(call, arg.data, lead + BigInt(page))) return;
  }
}

function setBit(call: Call, bitmap: bigint, bit: bigint): boolean {
  const at = bitmap + bit / 8n;
  const byte = copyIn(call, at, 1)?.[0];
  return byte !== undefined && copyOut(call, at, new Uint8Array([byte | (1 << Number(bit % 8n))]));
}
