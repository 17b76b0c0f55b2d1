/** IOMMU_OPTION and what else is said about a context as a whole: VFIO_IOAS, CHANGE_PROCESS. */
import type { Context as Machine } from '../../machine.ts';
import type { Errno } from '../errno.ts';
import { type Arg, type Call, contextOf, failed, type Result, type Rows } from '../ioctl.ts';
import { kernelOf, switchOf } from '../kernel.ts';
import { PAGE_BYTES } from '../process/state.ts';
import { numbers } from '../uapi/enums.ts';
import { areasIn, areasOf, firstAreaIn, IOVA_LAST } from './areas.ts';
import { EVERYWHERE } from './filling.ts';
import { isMisaligned, realign } from './linking.ts';
import { change, find, objectsOf } from './object.ts';
import type { Ioas } from './state.ts';

const { IOMMU_OPTION_OP_GET, IOMMU_OPTION_OP_SET, IOMMU_OPTION_RLIMIT_MODE, IOMMU_OPTION_HUGE_PAGES } =
  numbers;
const { IOMMU_VFIO_IOAS_GET, IOMMU_VFIO_IOAS_SET, IOMMU_VFIO_IOAS_CLEAR } = numbers;

export const optionRows: Rows = {
  IOMMU_OPTION: (call, arg) => {
    if (arg.__reserved !== 0) return failed('EOPNOTSUPP');
    if (arg.option_id === IOMMU_OPTION_RLIMIT_MODE) return rlimitMode(call, arg);
    if (arg.option_id !== IOMMU_OPTION_HUGE_PAGES) return failed('EOPNOTSUPP');
    const ioas = find(contextOf(call), arg.object_id, 'ioas');
    return ioas === undefined ? failed('ENOENT') : hugePages(call, arg, ioas);
  },

  IOMMU_VFIO_IOAS: (call, { ioas_id, op, __reserved }) => {
    if (__reserved !== 0) return failed('EOPNOTSUPP');
    const { vfioIoas } = contextOf(call);
    if (op === IOMMU_VFIO_IOAS_GET) return vfioIoas === 0 ? failed('ENODEV') : { out: { ioas_id: vfioIoas } };
    if (op === IOMMU_VFIO_IOAS_SET && find(contextOf(call), ioas_id, 'ioas') === undefined)
      return failed('ENOENT');
    if (op !== IOMMU_VFIO_IOAS_SET && op !== IOMMU_VFIO_IOAS_CLEAR) return failed('EOPNOTSUPP');
    const set = { vfioIoas: op === IOMMU_VFIO_IOAS_SET ? ioas_id : 0 };
    call.machine.emit('kernel', { type: 'context.changed', context: call.context, set });
    return { copy: 'none' };
  },

  // Memory is accounted to nobody here; what remains is whether the call is allowed.
  IOMMU_IOAS_CHANGE_PROCESS: (call, { __reserved }) => {
    if (__reserved !== 0) return failed('EOPNOTSUPP');
    for (const ioas of objectsOf(contextOf(call), 'ioas')) {
      for (const { source } of areasIn(areasOf(contextOf(call), ioas), EVERYWHERE))
        if ('process' in source) return failed('EINVAL');
    }
    return { copy: 'none' };
  },

  // No HWPT here is of a device without an IOMMU, so what is asked is never answered.
  IOMMU_IOAS_NOIOMMU_GET_PA: (call, { flags, ioas_id, __reserved, iova, length }) => {
    if (!switchOf(kernelOf(call.machine.state), 'noiommu')) return failed('ENOTTY');
    if (flags !== 0 || __reserved !== 0) return failed('EOPNOTSUPP');
    if (length === 0n) return failed('EINVAL');
    if (iova >= IOVA_LAST) return failed('EOVERFLOW');
    const ioas = find(contextOf(call), ioas_id, 'ioas');
    if (ioas === undefined) return failed('ENOENT');
    const area = firstAreaIn(areasOf(contextOf(call), ioas), { start: iova, last: iova });
    return failed(area === undefined ? 'ENOENT' : 'EOPNOTSUPP');
  },
};

/** Only `val64` is told, and only where the call succeeds. */
const told = (val64: bigint): Result => ({ out: { val64 }, copy: ['val64'] });

function rlimitMode(call: Call, { object_id, op, val64 }: Arg<'IOMMU_OPTION'>): Result {
  const { accounting, objects } = contextOf(call);
  if (object_id !== 0) return failed('EOPNOTSUPP');
  if (op === IOMMU_OPTION_OP_GET) return told(accounting === 'mm' ? 1n : 0n);
  if (op !== IOMMU_OPTION_OP_SET) return failed('EOPNOTSUPP');
  if (objects.size > 0) return failed('EBUSY');
  if (val64 > 1n) return failed('EINVAL');
  const set = { accounting: val64 === 1n ? ('mm' as const) : ('user' as const) };
  call.machine.emit('kernel', { type: 'context.changed', context: call.context, set });
  return told(val64);
}

function hugePages({ machine, context }: Call, { op, val64 }: Arg<'IOMMU_OPTION'>, ioas: Ioas): Result {
  if (op === IOMMU_OPTION_OP_GET) return told(ioas.hugePages ? 1n : 0n);
  if (op !== IOMMU_OPTION_OP_SET) return failed('EOPNOTSUPP');
  if (val64 > 1n) return failed('EINVAL');
  const errno =
    val64 === 1n ? allowHugePages(machine, context, ioas) : forbidHugePages(machine, context, ioas);
  return errno === undefined ? told(val64) : failed(errno);
}

function allowHugePages(machine: Machine, context: number, ioas: Ioas): undefined {
  if (!ioas.hugePages) change(machine, context, ioas, { hugePages: true });
  realign(machine, { context, ioas: ioas.id });
}

/** Small pages alone, so that areas can be cut anywhere. */
export function forbidHugePages(machine: Machine, context: number, ioas: Ioas): Errno | undefined {
  if (!ioas.hugePages) return undefined;
  const place = { context, ioas: ioas.id };
  const areas = kernelOf(machine.state).contexts[context]?.areas.get(ioas.id);
  if (ioas.hwpts.length > 0 && (areas?.size ?? 0) > 0) return 'EINVAL';
  if (isMisaligned(machine, place, PAGE_BYTES)) return 'EADDRINUSE';
  change(machine, context, ioas, { hugePages: false });
  realign(machine, place);
  return undefined;
}
