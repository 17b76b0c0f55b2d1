/**
 * The vIOMMU of a guest with queues of hardware: what the unit has is compared with what the guest is shown, then the
 * vIOMMU takes an interface, and the VMM maps its page. QEMU: hw/arm/tegra241-cmdqv.c, tegra241_cmdqv_probe,
 * tegra241_cmdqv_alloc_viommu.
 */
import { present } from '../assert.ts';
import { mapRegion, unmapRegion, vintfAt } from '../kernel/mmap.ts';
import { readUser } from '../kernel/process/memory.ts';
import { structs } from '../kernel/uapi/data-structs.ts';
import { numbers } from '../kernel/uapi/enums.ts';
import { decodeStruct } from '../kernel/uapi/struct.ts';
import type { Context } from '../machine.ts';
import type { State } from '../state.ts';
import type { Frame, FrameRow } from '../tasks/task.ts';
import { findVm, vmOf } from '../vm/vm.ts';
import { answerOf, type CallAnswer, call } from './call.ts';

const INFO = structs.iommu_hw_info_tegra241_cmdqv;
const REGION = structs.iommu_viommu_tegra241_cmdqv;
/** What the guest is shown: an interface with two queues and 16 pairs of StreamIDs. */
const SHOWN = { log2vcmdqs: 1, log2vsids: 4 } as const;

interface About {
  readonly smmu: string;
  readonly endpoint: string;
  readonly deviceId: number;
  readonly hwpt: number;
}

/** IOMMU_GET_HW_INFO of the unit, and the vIOMMU. */
export function allocWithQueues(state: State, vm: string, about: About): readonly Frame[] {
  const { deviceId, hwpt, endpoint } = about;
  const { iommufd } = vmOf(state, vm);
  const asked = {
    flags: numbers.IOMMU_HW_INFO_FLAG_INPUT_TYPE,
    dev_id: deviceId,
    data_len: INFO.bytes,
    in_data_type: numbers.IOMMU_HW_INFO_TYPE_TEGRA241_CMDQV,
  };
  const made = {
    type: numbers.IOMMU_VIOMMU_TYPE_TEGRA241_CMDQV,
    dev_id: deviceId,
    hwpt_id: hwpt,
    data_len: REGION.bytes,
  };
  const { smmu } = about;
  return [
    call(
      vm,
      iommufd,
      'IOMMU_GET_HW_INFO',
      asked,
      { do: 'cmdqv.info', vm, endpoint },
      { data_uptr: new Uint8Array(INFO.bytes) },
    ),
    call(
      vm,
      iommufd,
      'IOMMU_VIOMMU_ALLOC',
      made,
      { do: 'cmdqv.made', vm, smmu, endpoint },
      { data_uptr: new Uint8Array(REGION.bytes) },
    ),
  ];
}

/** What the kernel has put behind data_uptr. */
function dataOf({ state }: Context, vm: string, { out }: CallAnswer, bytes: number): Uint8Array {
  return present(readUser(state, vm, BigInt(out['data_uptr'] ?? 0), bytes), 'data of a call');
}

interface Answered extends Frame {
  readonly vm: string;
  readonly smmu: string;
  readonly endpoint: string;
}

export const cmdqvInfoRow: FrameRow<Answered> = {
  run: (context, frame) => {
    const { vm } = frame;
    const answer = answerOf(frame);
    const refused = (why: string) => [{ do: 'plug.refused', vm, why }];
    if (answer.errno !== undefined) return refused(`IOMMU_GET_HW_INFO of a CMDQV: ${answer.errno}`);
    const { log2vcmdqs, log2vsids } = decodeStruct(INFO, dataOf(context, vm, answer, INFO.bytes));
    if (log2vcmdqs < SHOWN.log2vcmdqs)
      return refused(`CMDQV: log2vcmdqs ${log2vcmdqs}, at least ${SHOWN.log2vcmdqs} is needed`);
    if (log2vsids < SHOWN.log2vsids)
      return refused(`CMDQV: log2vsids ${log2vsids}, at least ${SHOWN.log2vsids} is needed`);
    return undefined;
  },
};

/** The vIOMMU is there: its page is mapped for the VMM. */
export const cmdqvMadeRow: FrameRow<Answered> = {
  run: (context, frame) => {
    const { vm, smmu } = frame;
    const owner = findVm(context.state, vm);
    const answer = answerOf(frame);
    if (owner === undefined) return undefined;
    if (answer.errno !== undefined)
      return [{ do: 'plug.refused', vm, why: `vIOMMU of a CMDQV: ${answer.errno}` }];
    const region = decodeStruct(REGION, dataOf(context, vm, answer, REGION.bytes));
    const at = region.out_vintf_mmap_offset;
    const errno = mapRegion(context, { fd: owner.iommufd, at, length: region.out_vintf_mmap_length });
    if (errno !== undefined) return [{ do: 'plug.refused', vm, why: `mmap of a VINTF: ${errno}` }];
    const viommu = Number(answer.out['out_viommu_id']);
    const set = { viommu, secondAt: at, secondVintf: vintfAt(context, owner.iommufd, at) };
    context.emit(vm, { type: 'vsmmu.changed', vm, smmu, set });
    return undefined;
  },
};

interface UnmapFrame extends Frame {
  readonly vm: string;
  readonly fd: string;
  readonly at: bigint;
}

/** The VMM lets go of the page, before its vIOMMU goes. */
export const cmdqvUnmapRow: FrameRow<UnmapFrame> = {
  run: (context, { vm, fd, at }) => {
    if (findVm(context.state, vm) !== undefined) unmapRegion(context, fd, at);
  },
};
