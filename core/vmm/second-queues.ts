/**
 * Queues of a guest beside the main one, as its VMM has them: where the guest puts them is remembered, and the
 * enabling of one makes the kernel's object; errors come through a vEVENTQ of their own, as a map of queues. They
 * are destroyed in descending order. QEMU: hw/arm/tegra241-cmdqv.c.
 */
import type { SecondPlace } from '../driver/second-queue.ts';
import { SOFTWARE_QUEUE } from '../kernel/iommufd/software-queue.ts';
import { structs } from '../kernel/uapi/data-structs.ts';
import { numbers } from '../kernel/uapi/enums.ts';
import type { Context } from '../machine.ts';
import type { Frame, FrameRow } from '../tasks/task.ts';
import { vmmTells } from '../vm/exits.ts';
import type { SecondOfGuest, VirtualSmmu, VmState } from '../vm/state.ts';
import { findVm, virtualSmmuOf, vmOf } from '../vm/vm.ts';
import { answerOf, call } from './call.ts';
import { readFile } from './vevents.ts';

const EVENTS = 16;
const ENTRY_BYTES = 16;
const PAGE = 0x1000;

interface OfQueue extends Frame {
  readonly vm: string;
  readonly smmu: string;
  readonly index: number;
}

type WrittenFrame = OfQueue & { readonly kind: SecondPlace['kind'] };

/** After a write: queues that have all they need are made, those that lost it are ended, the highest first. */
export const secondWrittenRow: FrameRow<WrittenFrame> = {
  run: ({ state }, { vm, smmu, kind }) => {
    const owner = findVm(state, vm);
    if (owner === undefined) return undefined;
    const { viommu, seconds = {}, secondUnit, secondEventq = 0 } = virtualSmmuOf(owner, smmu);
    if (viommu === 0) return undefined;
    const wanted = ({ base, enabled, allocated }: SecondOfGuest): boolean => {
      if (kind === 'software') return enabled;
      return base !== 0n && allocated && secondUnit?.unit === true && secondUnit.vintf;
    };
    const all = Object.entries(seconds).map(([index, queue]) => [Number(index), queue] as const);
    const ending = all.filter(([, queue]) => queue.object !== 0 && !wanted(queue)).reverse();
    const making = all.filter(([, queue]) => queue.object === 0 && wanted(queue));
    const gone = ending.map(([index, { object }]) =>
      call(vm, owner.iommufd, 'IOMMU_DESTROY', { id: object }, { do: 'second.gone', vm, smmu, index }),
    );
    const made = making.map(([index, { base }]) =>
      allocation(owner, { vm, smmu, viommu, index, kind, base }),
    );
    const events = {
      viommu_id: viommu,
      type: numbers.IOMMU_VEVENTQ_TYPE_TEGRA241_CMDQV,
      veventq_depth: EVENTS,
    };
    const then = { do: 'second.events', vm, smmu, index: 0 };
    const opening =
      made.length > 0 && secondEventq === 0
        ? [call(vm, owner.iommufd, 'IOMMU_VEVENTQ_ALLOC', events, then)]
        : [];
    return [...gone, ...opening, ...made];
  },
};

interface About {
  readonly vm: string;
  readonly smmu: string;
  readonly viommu: number;
  readonly index: number;
  readonly kind: SecondPlace['kind'];
  readonly base: bigint;
}

function allocation({ iommufd }: VmState, { vm, smmu, viommu, index, kind, base }: About): Frame {
  const bytes = BigInt(ENTRY_BYTES) << (base & 0x1fn);
  const software = kind === 'software';
  const fields = {
    viommu_id: viommu,
    type: software ? SOFTWARE_QUEUE : numbers.IOMMU_HW_QUEUE_TYPE_TEGRA241_CMDQV,
    index,
    nesting_parent_iova: base - (base & 0x1fn),
    length: software ? bytes + BigInt(PAGE) : bytes,
  };
  return call(vm, iommufd, 'IOMMU_HW_QUEUE_ALLOC', fields, { do: 'second.made', vm, smmu, index });
}

function setObject(context: Context, { vm, smmu, index }: OfQueue, object: number): void {
  const { seconds = {} } = virtualSmmuOf(vmOf(context.state, vm), smmu);
  const queue = seconds[index];
  if (queue === undefined) return;
  const set = { seconds: { ...seconds, [index]: { ...queue, object } } };
  context.emit(vm, { type: 'vsmmu.changed', vm, smmu, set });
}

export const secondGoneRow: FrameRow<OfQueue> = {
  run: (context, frame) => {
    if (answerOf(frame).errno === undefined) setObject(context, frame, 0);
  },
};

export const secondMadeRow: FrameRow<OfQueue> = {
  run: (context, frame) => {
    const { errno, out } = answerOf(frame);
    if (errno === undefined) setObject(context, frame, Number(out['out_hw_queue_id']));
  },
};

export const secondEventsRow: FrameRow<OfQueue> = {
  run: ({ emit }, frame) => {
    const { errno, out } = answerOf(frame);
    if (errno !== undefined) return;
    const set = {
      secondEventq: Number(out['out_veventq_id']),
      secondEventFd: Number(out['out_veventq_fd']),
    };
    emit(frame.vm, { type: 'vsmmu.changed', vm: frame.vm, smmu: frame.smmu, set });
  },
};

/** The objects of an emulated SMMU's queues, the highest index first, and their vEVENTQ. */
export function secondObjects({ seconds = {}, secondEventq = 0 }: VirtualSmmu): readonly number[] {
  const descending = Object.entries(seconds).sort(([one], [other]) => Number(other) - Number(one));
  return [...descending.map(([, { object }]) => object), secondEventq];
}

const HEADER = structs.iommufd_vevent_header;
const MAP_BYTES = structs.iommu_vevent_tegra241_cmdqv.bytes;

/** A map of queues that have stopped: the guest's interrupt. */
export const secondReadRow: FrameRow<Frame & { readonly vm: string; readonly smmu: string }> = {
  run: (context, { vm, smmu }) => {
    const owner = findVm(context.state, vm);
    if (owner === undefined) return;
    const data = readFile(context, virtualSmmuOf(owner, smmu).secondEventFd ?? -1);
    if (data === undefined || data.length < HEADER.bytes + MAP_BYTES) return;
    const map = new DataView(data.buffer, data.byteOffset + HEADER.bytes).getBigUint64(0, true);
    vmmTells(context, vm, 'second queues stopped', `0x${map.toString(16)}`);
    context.emit(vm, { type: 'interrupt.raised', smmu, source: 'VCMDQ' });
  },
};
