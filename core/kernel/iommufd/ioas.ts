/** IOAS objects: made, ended; the ranges of IOVA that can be used, and those that may be chosen. */
import type { Context as Machine } from '../../machine.ts';
import type { Frame } from '../../tasks/task.ts';
import { type Call, contextOf, copyIn, copyOut, failed, make, type Rows } from '../ioctl.ts';
import { structs } from '../uapi/data-structs.ts';
import { decodeStruct, encodeStruct } from '../uapi/struct.ts';
import { meets } from './areas.ts';
import { EVERYWHERE } from './filling.ts';
import { removeAreas } from './ioas-unmap.ts';
import type { KindRow } from './kinds.ts';
import { byStart } from './linking.ts';
import { change, find } from './object.ts';
import { holes } from './placing.ts';
import type { NewObject, Span } from './state.ts';

const RANGE = structs.iommu_iova_range;

export const newIoas: NewObject = {
  kind: 'ioas',
  reserved: [],
  allowed: [],
  hugePages: true,
  alignment: 1,
  hwpts: [],
  accesses: [],
};

export const ioasKind: KindRow<'ioas'> = {
  end: (machine: Machine, context: number, ioas): readonly Frame[] => {
    removeAreas(machine, { context, ioas: ioas.id }, EVERYWHERE);
    return [];
  },
};

export const ioasRows: Rows = {
  IOMMU_IOAS_ALLOC: (call, { flags }) => {
    if (flags !== 0) return failed('EOPNOTSUPP');
    const out_ioas_id = make(call, newIoas);
    return out_ioas_id === undefined ? failed('ENOMEM') : { out: { out_ioas_id } };
  },

  IOMMU_IOAS_IOVA_RANGES: (call, { ioas_id, num_iovas, __reserved, allowed_iovas }) => {
    if (__reserved !== 0) return failed('EOPNOTSUPP');
    const ioas = find(contextOf(call), ioas_id, 'ioas');
    if (ioas === undefined) return failed('ENOENT');
    const ranges = [...holes(ioas.reserved, undefined, EVERYWHERE)];
    for (const [at, range] of ranges.slice(0, num_iovas).entries()) {
      if (!copyOut(call, allowed_iovas + BigInt(at * RANGE.bytes), encodeStruct(RANGE, range)))
        return failed('EFAULT');
    }
    const out = { num_iovas: ranges.length, out_iova_alignment: BigInt(ioas.alignment) };
    return ranges.length > num_iovas ? { errno: 'EMSGSIZE', out, copy: 'always' } : { out };
  },

  IOMMU_IOAS_ALLOW_IOVAS: (call, { ioas_id, num_iovas, __reserved, allowed_iovas }) => {
    if (__reserved !== 0) return failed('EOPNOTSUPP');
    const ioas = find(contextOf(call), ioas_id, 'ioas');
    if (ioas === undefined) return failed('ENOENT');
    const allowed = readRanges(call, allowed_iovas, num_iovas);
    if ('errno' in allowed) return allowed;
    if (allowed.ranges.some((each) => ioas.reserved.some((other) => meets(each, other))))
      return failed('EADDRINUSE');
    change(call.machine, call.context, ioas, { allowed: allowed.ranges });
    return { copy: 'none' };
  },
};

/** Ranges of more than one byte, none of which meets another. */
function readRanges(
  call: Call,
  va: bigint,
  count: number,
): { readonly ranges: readonly Span[] } | (ReturnType<typeof failed> & { readonly errno: string }) {
  const ranges: Span[] = [];
  for (let at = 0; at < count; at += 1) {
    const bytes = copyIn(call, va + BigInt(at * RANGE.bytes), RANGE.bytes);
    if (bytes === undefined) return { errno: 'EFAULT' };
    const range = decodeStruct(RANGE, bytes);
    if (range.start >= range.last) return { errno: 'EINVAL' };
    const place = ranges.findIndex(({ start }) => start > range.start);
    const index = place < 0 ? ranges.length : place;
    const neighbours = [ranges[index - 1], ranges[index]];
    if (neighbours.some((each) => each !== undefined && meets(each, range))) return { errno: 'EINVAL' };
    ranges.splice(index, 0, range);
  }
  return { ranges: ranges.sort(byStart) };
}
