/**
 * The calls of a VFIO container that an iommufd file takes, on the IOAS that IOMMU_VFIO_IOAS named. linux:
 * iommufd/vfio_compat.c. Dirty bitmaps and VADDR updates are refused, as there.
 */
import type { Errno } from '../errno.ts';
import { type Call, contextOf, copyIn, failed, type Result } from '../ioctl.ts';
import { kernelOf, switchOf } from '../kernel.ts';
import { holdBacking, holdSlices } from '../process/backing.ts';
import { structs } from '../uapi/data-structs.ts';
import { numbers } from '../uapi/enums.ts';
import type { ContainerIoctlName } from '../uapi/ioctls.ts';
import { decodeStruct, type Struct } from '../uapi/struct.ts';
import { areasOf, firstAreaIn, IOVA_LAST } from './areas.ts';
import { tellInfo } from './container-info.ts';
import { EVERYWHERE } from './filling.ts';
import { mapUser } from './ioas-map.ts';
import { unmapSpan } from './ioas-unmap.ts';
import { find } from './object.ts';
import { forbidHugePages } from './option.ts';
import type { Area, Ioas } from './state.ts';

const INFO = structs.vfio_iommu_type1_info;
const MAP = structs.vfio_iommu_type1_dma_map;
const UNMAP = structs.vfio_iommu_type1_dma_unmap;

/** By name; `argument` is an address, or a number. */
export const containerRows: { readonly [N in ContainerIoctlName]: (call: Call) => Result } = {
  VFIO_GET_API_VERSION: () => ({ ret: 0 }),

  VFIO_CHECK_EXTENSION: (call) => {
    const { VFIO_TYPE1_IOMMU, VFIO_TYPE1v2_IOMMU, VFIO_UNMAP_ALL, VFIO_DMA_CC_IOMMU } = numbers;
    const asked = Number(call.argument);
    if ([VFIO_TYPE1_IOMMU, VFIO_TYPE1v2_IOMMU, VFIO_UNMAP_ALL].includes(asked)) return { ret: 1 };
    if (asked !== VFIO_DMA_CC_IOMMU) return { ret: 0 };
    // A bind asks for coherence, so every HWPT has it.
    return withIoas(call, () => ({ ret: 1 }));
  },

  VFIO_SET_IOMMU: (call) => {
    const { VFIO_TYPE1_IOMMU, VFIO_TYPE1v2_IOMMU } = numbers;
    const type = Number(call.argument);
    if (type !== VFIO_TYPE1_IOMMU && type !== VFIO_TYPE1v2_IOMMU) return failed('EINVAL');
    return withIoas(call, (ioas) => {
      const errno = type === VFIO_TYPE1_IOMMU ? forbidHugePages(call.machine, call.context, ioas) : undefined;
      return errno === undefined ? {} : failed(errno);
    });
  },

  VFIO_IOMMU_GET_INFO: (call) => {
    const read = readArg(call, INFO, 16);
    if ('errno' in read) return read;
    const argsz = Number(read.values['argsz']);
    return withIoas(call, (ioas) => tellInfo(call, ioas, argsz));
  },

  VFIO_IOMMU_MAP_DMA: (call) => {
    const read = readArg(call, MAP, MAP.bytes);
    if ('errno' in read) return read;
    const { flags, vaddr, iova, size } = decodeStruct(MAP, read.bytes);
    const known = numbers.VFIO_DMA_MAP_FLAG_READ | numbers.VFIO_DMA_MAP_FLAG_WRITE;
    if ((flags & ~known) !== 0) return failed('EINVAL');
    return withIoas(call, (ioas) => {
      const source = { process: call.process };
      const wanted = { ioas, flags: mapFlags(flags), length: size, iova, source, address: vaddr };
      return { ...mapUser(call, wanted, undefined), copy: 'none' };
    });
  },

  VFIO_IOMMU_UNMAP_DMA: (call) => {
    const read = readArg(call, UNMAP, UNMAP.bytes);
    if ('errno' in read) return read;
    const { flags, iova, size } = decodeStruct(UNMAP, read.bytes);
    if ((flags & ~numbers.VFIO_DMA_UNMAP_FLAG_ALL) !== 0) return failed('EINVAL');
    return withIoas(call, (ioas) =>
      unmap(call, ioas, (flags & numbers.VFIO_DMA_UNMAP_FLAG_ALL) !== 0, iova, size),
    );
  },

  VFIO_IOMMU_DIRTY_PAGES: () => failed('ENOTTY'),
};

function withIoas(call: Call, run: (ioas: Ioas) => Result): Result {
  const ioas = find(contextOf(call), contextOf(call).vfioIoas, 'ioas');
  return ioas === undefined ? failed('ENODEV') : run(ioas);
}

function readArg(
  call: Call,
  of: Struct,
  min: number,
):
  | { readonly bytes: Uint8Array; readonly values: Readonly<Record<string, unknown>> }
  | { readonly errno: Errno } {
  const bytes = copyIn(call, call.argument, min);
  if (bytes === undefined) return { errno: 'EFAULT' };
  const values = decodeStruct(of, bytes);
  return Number(values['argsz']) < min ? { errno: 'EINVAL' } : { bytes, values };
}

function mapFlags(flags: number): number {
  const { IOMMU_IOAS_MAP_FIXED_IOVA, IOMMU_IOAS_MAP_READABLE, IOMMU_IOAS_MAP_WRITEABLE } = numbers;
  const readable = (flags & numbers.VFIO_DMA_MAP_FLAG_READ) === 0 ? 0 : IOMMU_IOAS_MAP_READABLE;
  const writeable = (flags & numbers.VFIO_DMA_MAP_FLAG_WRITE) === 0 ? 0 : IOMMU_IOAS_MAP_WRITEABLE;
  return IOMMU_IOAS_MAP_FIXED_IOVA | readable | writeable;
}

function unmap(call: Call, ioas: Ioas, all: boolean, iova: bigint, size: bigint): Result {
  const none = switchOf(kernelOf(call.machine.state), 'unmapDmaEmpty') === 'ENOENT' ? 'ENOENT' : undefined;
  const how = { field: 'size', none, always: true } as const;
  if (all) {
    if (iova !== 0n || size !== 0n) return failed('EINVAL');
    return unmapSpan(call, ioas, EVERYWHERE, { ...how, none: undefined });
  }
  if (!ioas.hugePages) {
    const errno =
      cut(call, ioas, BigInt.asUintN(64, iova + size - 1n)) ??
      (iova === 0n ? undefined : cut(call, ioas, iova - 1n));
    if (errno !== undefined) return failed(errno);
  }
  const errno = size === 0n ? 'EINVAL' : iova + size - 1n > IOVA_LAST ? 'EOVERFLOW' : undefined;
  if (errno !== undefined) return { errno, out: { size: 0n }, copy: 'always' };
  return unmapSpan(call, ioas, { start: iova, last: iova + size - 1n }, how);
}

/** Splits the area that the address is in, which becomes the last of the lower one. */
function cut(call: Call, ioas: Ioas, last: bigint): Errno | undefined {
  const area = firstAreaIn(areasOf(contextOf(call), ioas), { start: last, last });
  // linux: iopt_area_split takes either end for a place where nothing is to be cut.
  if (area === undefined || last === area.iova || last === area.last) return undefined;
  const errno = cutProblem(area, ioas, last);
  if (errno !== undefined) return errno;
  const { machine, context } = call;
  machine.emit('kernel', { type: 'area.split', context, ioas: ioas.id, iova: area.iova, last });
  holdSecondHalf(call, ioas, area, last + 1n);
  return undefined;
}

/** Both halves hold the file; a backing that both have pinned is held twice. */
function holdSecondHalf(
  { machine, context }: Call,
  ioas: Ioas,
  { source, pins = [] }: Area,
  iova: bigint,
): void {
  if ('backing' in source) holdBacking(machine, source.backing, 1);
  const above = firstAreaIn(kernelOf(machine.state).contexts[context]?.areas.get(ioas.id), {
    start: iova,
    last: iova,
  });
  const below = firstAreaIn(kernelOf(machine.state).contexts[context]?.areas.get(ioas.id), {
    start: iova - 1n,
    last: iova - 1n,
  });
  const count = (above?.pins?.length ?? 0) + (below?.pins?.length ?? 0) - pins.length;
  if (count > 0) holdSlices(machine, (above?.pins ?? []).slice(0, count), 1);
}

function cutProblem(area: Area, { alignment }: Ioas, last: bigint): Errno | undefined {
  if (area.locks > 0) return 'EBUSY';
  const start = last + 1n;
  if (start % BigInt(alignment) !== 0n || (area.address + start - area.iova) % BigInt(alignment) !== 0n)
    return 'EINVAL';
  return area.accesses > 0 ? 'EINVAL' : undefined;
}
