/**
 * Hardware queues: a command queue in the memory of a VM that hardware reads itself. The memory is pinned and
 * cannot be unmapped while the queue is there. The numbers are those of the tables of checks in the reference.
 * linux: iommufd/viommu.c, iommufd_hw_queue_alloc_ioctl; tegra241-cmdqv.c, tegra241_vintf_alloc_lvcmdq_user.
 */
import type { State } from '../../state.ts';
import type { Errno } from '../errno.ts';
import { type Call, contextOf, failed, make, type Result, type Rows } from '../ioctl.ts';
import { kernelOf, switchOf } from '../kernel.ts';
import { PAGE_BYTES, type Run } from '../process/state.ts';
import { numbers } from '../uapi/enums.ts';
import { endAccess, makeAccess, pinRange, unpinRange } from './access.ts';
import { areasIn, areasOf, IOVA_LAST, isAligned } from './areas.ts';
import { cmdqvOf } from './cmdqv.ts';
import { closeQueue, openQueue } from './cmdqv-hardware.ts';
import type { KindRow } from './kinds.ts';
import { change, finalize, find, objectOf, objectsOf, refer } from './object.ts';
import { allocSoftwareQueue, closeSoftwareQueue, SOFTWARE_QUEUE } from './software-queue.ts';
import type { HwQueue, Span, Viommu } from './state.ts';

interface Asked {
  readonly index: number;
  /** In the parent's IOAS. */
  readonly iova: bigint;
  readonly length: bigint;
}

const PAGE = BigInt(PAGE_BYTES);
/** Pointers in the largest array that kmalloc gives with pages of 4 KiB. */
const PAGES_MAX = 2n ** 19n;
/** A queue of two commands. */
const LENGTH_MIN = 32n;
/** BASE.ADDR has bits 47:5. */
const BASE_END = 2 ** 48;
const COMMAND_LOG2 = 4n;

export const hwQueueRows: Rows = {
  IOMMU_HW_QUEUE_ALLOC: (call, arg) => {
    const { index, nesting_parent_iova: iova, length } = arg;
    const software = switchOf(kernelOf(call.machine.state), 'softwareQueue');
    if (software && arg.flags === 0 && arg.type === SOFTWARE_QUEUE) return allocSoftwareQueue(call, arg);
    if (arg.flags !== 0 || arg.type === numbers.IOMMU_HW_QUEUE_TYPE_DEFAULT) return failed('EOPNOTSUPP'); // 1
    if (length === 0n) return failed('EINVAL'); // 2
    if (iova + length - 1n > IOVA_LAST) return failed('EOVERFLOW'); // 3
    const viommu = find(contextOf(call), arg.viommu_id, 'viommu');
    if (viommu === undefined) return failed('ENOENT'); // 4
    const known = viommu.type === numbers.IOMMU_VIOMMU_TYPE_TEGRA241_CMDQV;
    if (!known || arg.type !== numbers.IOMMU_HW_QUEUE_TYPE_TEGRA241_CMDQV) return failed('EOPNOTSUPP'); // 5
    const bytes = (iova % PAGE) + length + PAGE - 1n;
    if (bytes > IOVA_LAST) return failed('ERANGE'); // 6
    if (bytes / PAGE > PAGES_MAX) return failed('ENOMEM');
    const { id, ...made } = allocQueue(call, viommu, { index, iova, length });
    return id === undefined ? made : { out: { out_hw_queue_id: id } };
  },
};

/** The queue's id comes first, then that of its access. */
export function allocQueue(call: Call, viommu: Viommu, asked: Asked): Result & { readonly id?: number } {
  const { machine, context } = call;
  const { index, iova, length } = asked;
  const made = { viommu: viommu.id, access: 0, index, pa: 0, bytes: 0, iova, below: 0 } as const;
  const id = make(call, { kind: 'hw_queue', ...made });
  if (id === undefined) return failed('ENOMEM');
  refer(machine, context, viommu.id, 1);
  const parent = objectOf(machine.state, context, viommu.hwpt, 'hwpt_paging');
  const access = makeAccess(machine, context, parent.ioas, true);
  if ('errno' in access) return failed(access.errno);
  const pinned = pinQueue(call, access.id, parent.ioas, spanOf(iova, length)); // 7, 8
  if ('errno' in pinned) {
    endAccess(machine, context, access.id);
    return failed(pinned.errno);
  }
  const queue = objectOf(machine.state, context, id, 'hw_queue');
  const pa = pinned.run.pa + Number(iova % PAGE);
  change(machine, context, queue, { access: access.id, pa, bytes: Number(length) });
  finalize(machine, context, access.id);
  refer(machine, context, access.id, 1);
  const errno = checkQueue(machine.state, call, viommu, { ...asked, pa }); // 9
  if (errno !== undefined) return failed(errno);
  const below = queueAt(call, viommu, index - 1);
  if (below !== undefined) {
    refer(machine, context, below.id, 1);
    change(machine, context, objectOf(machine.state, context, id, 'hw_queue'), { below: below.id });
  }
  openQueue(machine, viommu, index, pa, Number(length));
  return { id };
}

/** Whole pages. */
function spanOf(iova: bigint, length: bigint): Span {
  const start = iova - (iova % PAGE);
  return { start, last: ((iova + length + PAGE - 1n) / PAGE) * PAGE - 1n };
}

function pinQueue(
  call: Call,
  access: number,
  ioas: number,
  span: Span,
): { readonly run: Run } | { readonly errno: Errno } {
  const { machine, context } = call;
  const areas = areasOf(contextOf(call), objectOf(machine.state, context, ioas, 'ioas'));
  const pinned = pinRange(machine, context, access, span, false);
  if ('errno' in pinned) return pinned;
  let errno: Errno | undefined;
  for (const area of areasIn(areas, span)) {
    if (!isAligned(area, PAGE_BYTES)) errno ??= 'EINVAL';
    else if (!area.readable) errno ??= 'EPERM';
  }
  const [run, ...others] = pinned.runs;
  if (errno === undefined && run !== undefined && others.length === 0) return { run };
  unpinRange(machine, context, access, span);
  return { errno: errno ?? 'EFAULT' };
}

function checkQueue(
  state: State,
  call: Call,
  viommu: Viommu,
  { index, length, pa }: Asked & { readonly pa: number },
): Errno | undefined {
  if (index >= 2 ** (cmdqvOf(state, viommu.smmu)?.queuesLog2 ?? 0)) return 'EINVAL'; // 1
  if (queueAt(call, viommu, index) !== undefined) return 'EEXIST'; // 2
  if (index > 0 && queueAt(call, viommu, index - 1) === undefined) return 'EIO'; // 3
  const longest = 1n << (BigInt(state.smmus[viommu.smmu]?.features.cmdqsLog2 ?? 0) + COMMAND_LOG2);
  if ((length & (length - 1n)) !== 0n || length < LENGTH_MIN || length > longest) return 'EINVAL'; // 4
  return pa >= BASE_END || BigInt(pa) % length !== 0n ? 'EINVAL' : undefined; // 5
}

/** The published queue of that index. */
function queueAt(call: Call, { id }: Viommu, index: number): HwQueue | undefined {
  for (const queue of objectsOf(contextOf(call), 'hw_queue'))
    if (queue.ready && queue.viommu === id && queue.index === index) return queue;
  return undefined;
}

export const hwQueueKind: KindRow<'hw_queue'> = {
  end: (machine, context, queue) => {
    const { viommu, access, below, iova, bytes } = queue;
    const owner = objectOf(machine.state, context, viommu, 'viommu');
    if (queue.software !== undefined) closeSoftwareQueue(machine, context, queue);
    // One that failed on its way was never given its memory.
    const frames = queue.software === undefined && queue.ready ? closeQueue(machine, owner, queue) : [];
    if (access !== 0) {
      unpinRange(machine, context, access, spanOf(iova, BigInt(bytes)));
      endAccess(machine, context, access);
    }
    if (below !== 0) refer(machine, context, below, -1);
    refer(machine, context, viommu, -1);
    return frames;
  },
};
