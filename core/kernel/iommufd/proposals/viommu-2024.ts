/**
 * vIOMMUs as proposed from April to August 2024: virtual StreamIDs set and unset by calls, device
 * invalidation, queues, and devices that reach a shared stage 2 through a nested domain that the kernel makes.
 * Sources: mails `viommu`, `setDevId`, `vqueue`, `viommuParts`, `vdevId`; what they leave open is derived.
 */
import { canNest } from '../../../driver/ops.ts';
import { type Call, contextOf, copyIn, failed, type Result, type Rows } from '../../ioctl.ts';
import { numbers } from '../../uapi/enums.ts';
import { proposedEnums, proposedStructs } from '../../uapi/proposed-structs.ts';
import { decodeStruct, type Values } from '../../uapi/struct.ts';
import { hasCmdqv } from '../cmdqv.ts';
import { deviceOf, hardwareAt } from '../device.ts';
import { allocQueue } from '../hw-queue.ts';
import { readEntries } from '../invalidate-entries.ts';
import { counted, issue } from '../invalidation.ts';
import { change, find } from '../object.ts';
import type { Device, Viommu } from '../state.ts';
import { allocViommu, nameDevice } from '../viommu-object.ts';

type Arg<N extends keyof typeof proposedStructs> = Values<(typeof proposedStructs)[N]>;
const QUEUE = proposedStructs.iommu_vqueue_tegra241_cmdqv;
const types = proposedEnums.iommu_viommu_type.members;
const TEGRA241 = types.IOMMU_VIOMMU_TYPE_TEGRA241_CMDQV[0];
const COMMAND_LOG2 = 4;
const LOG2_MAX = 19;
/** CMD_ATC_INV (IHI 0070 4.5.1): the only command of a device's own cache. */
const ATC_INV = 0x40n;

/** Whether a struct of VIOMMU_ALLOC is that of the proposal: it has no driver data. */
export function isEarlyViommu(arg: object): arg is Arg<'iommu_viommu_alloc 2024-05'> {
  return !('data_len' in arg);
}

/** The default type is good for any IOMMU that nests. */
export function allocEarlyViommu(call: Call, arg: Arg<'iommu_viommu_alloc 2024-05'>): Result {
  const { state } = call.machine;
  if (arg.flags !== 0) return failed('EOPNOTSUPP');
  const device = deviceOf(call, arg.dev_id);
  if (device === undefined) return failed('ENOENT');
  const { smmu } = hardwareAt(state, device);
  const known =
    arg.type === types.IOMMU_VIOMMU_TYPE_DEFAULT[0] || (arg.type === TEGRA241 && hasCmdqv(state, smmu));
  if (!known || !canNest(state, smmu)) return failed('EOPNOTSUPP');
  const hwpt = find(contextOf(call), arg.hwpt_id, 'hwpt_paging');
  if (hwpt === undefined) return failed('ENOENT');
  if (!hwpt.nestParent || hwpt.smmu !== smmu) return failed('EINVAL');
  // The type by today's number.
  const type =
    arg.type === TEGRA241 ? numbers.IOMMU_VIOMMU_TYPE_TEGRA241_CMDQV : numbers.IOMMU_VIOMMU_TYPE_ARM_SMMUV3;
  const { id: _, ...made } = allocViommu(call, { type }, hwpt);
  return made;
}

interface Pair {
  readonly viommu: Viommu;
  readonly device: Device;
}

/** Steps that the calls on a vIOMMU and a device begin with. */
function pairOf(
  call: Call,
  arg: { readonly viommu_id: number; readonly dev_id: number; readonly __reserved: number },
): Pair | Result {
  if (arg.__reserved !== 0) return failed('EOPNOTSUPP');
  const viommu = find(contextOf(call), arg.viommu_id, 'viommu');
  const device = deviceOf(call, arg.dev_id);
  if (viommu === undefined || device === undefined) return failed('ENOENT');
  return hardwareAt(call.machine.state, device).smmu === viommu.smmu ? { viommu, device } : failed('EINVAL');
}

export const viommu2024Rows: Rows = {
  IOMMU_VIOMMU_SET_VDEV_ID: (call, arg) => {
    const { vdev_id } = arg as Arg<'iommu_viommu_set_vdev_id'>;
    const pair = pairOf(call, arg as Arg<'iommu_viommu_set_vdev_id'>);
    if (!('viommu' in pair)) return pair;
    const { vdevices } = pair.viommu;
    const has = Object.values(vdevices).some(({ endpoint }) => endpoint === pair.device.endpoint);
    if (has || vdevices[String(vdev_id)] !== undefined) return failed('EEXIST');
    nameDevice(call, pair.viommu, vdev_id, { endpoint: pair.device.endpoint, object: 0 });
    return {};
  },

  IOMMU_VIOMMU_UNSET_VDEV_ID: (call, arg) => {
    const { vdev_id } = arg as Arg<'iommu_viommu_unset_vdev_id'>;
    const pair = pairOf(call, arg as Arg<'iommu_viommu_unset_vdev_id'>);
    if (!('viommu' in pair)) return pair;
    const { [String(vdev_id)]: named, ...vdevices } = pair.viommu.vdevices;
    if (named?.endpoint !== pair.device.endpoint) return failed('EINVAL');
    change(call.machine, call.context, pair.viommu, { vdevices });
    return {};
  },

  /** From now on the device reaches the parent of the vIOMMU through it. */
  IOMMU_VIOMMU_ATTACH: (call, arg) => {
    const pair = pairOf(call, arg as Arg<'iommu_viommu_attach'>);
    if (!('viommu' in pair)) return pair;
    if (pair.device.viommu !== 0) return failed('EBUSY');
    change(call.machine, call.context, pair.device, { viommu: pair.viommu.id });
    return {};
  },

  /** What the commands say of a stream means the device. */
  IOMMU_DEV_INVALIDATE: (call, arg) => {
    const { dev_id, data_uptr, data_type, entry_len, entry_num, __reserved } =
      arg as Arg<'iommu_dev_invalidate'>;
    if (__reserved !== 0) return counted('EOPNOTSUPP');
    if (entry_num !== 0 && (data_uptr === 0n || entry_len === 0)) return counted('EINVAL');
    const device = deviceOf(call, dev_id);
    if (device === undefined) return counted('ENOENT');
    const array = { type: data_type, va: data_uptr, length: entry_len, count: entry_num };
    const entries = readEntries(call, array, numbers.IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3);
    if ('errno' in entries) return counted(entries.errno, entries.handled);
    const bad = entries.commands.findIndex(([lo]) => (lo & 0xffn) !== ATC_INV);
    if (bad >= 0) return counted('EIO', bad);
    const { smmu, master } = hardwareAt(call.machine.state, device);
    const named = entries.commands.map(([lo]) => [String(lo >> 32n), master.streams[0] ?? 0]);
    const view = { vmid: 0, streams: Object.fromEntries(named) as Record<string, number> };
    return {
      ...counted(undefined),
      frames: issue(call, { smmu, view }, entries.commands, { form: 'count' }),
    };
  },

  IOMMU_VQUEUE_ALLOC: (call, arg) => {
    const { flags, viommu_id, data_type, data_len, data_uptr } = arg as Arg<'iommu_vqueue_alloc'>;
    if (flags !== 0) return failed('EOPNOTSUPP');
    const viommu = find(contextOf(call), viommu_id, 'viommu');
    if (viommu === undefined) return failed('ENOENT');
    const tegra = viommu.type === numbers.IOMMU_VIOMMU_TYPE_TEGRA241_CMDQV;
    if (
      !tegra ||
      data_type !== proposedEnums.iommu_vqueue_data_type.members.IOMMU_VQUEUE_DATA_TEGRA241_CMDQV[0]
    )
      return failed('EOPNOTSUPP');
    if (data_len !== QUEUE.bytes) return failed('EINVAL');
    const bytes = copyIn(call, data_uptr, QUEUE.bytes);
    if (bytes === undefined) return failed('EFAULT');
    const { vcmdq_id: index, vcmdq_log2size, vcmdq_base: iova } = decodeStruct(QUEUE, bytes);
    if (vcmdq_log2size > LOG2_MAX) return failed('EINVAL');
    const length = 1n << BigInt(vcmdq_log2size + COMMAND_LOG2);
    const { id, ...made } = allocQueue(call, viommu, { index, iova, length });
    return id === undefined ? made : { out: { out_vqueue_id: id } };
  },
};
