/** The guest's memory in the VMM's IOAS: all slots at once, or a slot that came or goes later. */
import type { State } from '../state.ts';
import type { Frame, FrameRow } from '../tasks/task.ts';
import type { Slot } from '../vm/state.ts';
import { findVm, vmOf } from '../vm/vm.ts';
import { answerOf, call } from './call.ts';

/** IOMMU_IOAS_MAP_FIXED_IOVA, WRITEABLE, READABLE. */
const FLAGS = 7;

/** Maps every slot, the first time. */
export function mapSlots(state: State, vm: string): readonly Frame[] {
  const { mapped, slots } = vmOf(state, vm);
  if (mapped) return [];
  return [...slots.map((slot) => mapSlot(state, vm, slot)), { do: 'slots.mapped', vm }];
}

/** IOMMU_IOAS_MAP of one slot: the kernel pins it. */
export function mapSlot(
  state: State,
  vm: string,
  { gpa, bytes, va }: Slot,
  then: Frame = { do: 'slot.answered', vm },
): Frame {
  const { iommufd, ioas } = vmOf(state, vm);
  const fields = {
    flags: FLAGS,
    ioas_id: ioas,
    user_va: BigInt(va),
    length: BigInt(bytes),
    iova: BigInt(gpa),
  };
  return call(vm, iommufd, 'IOMMU_IOAS_MAP', fields, then);
}

/** IOMMU_IOAS_UNMAP of a range that a slot had. */
export function unmapSlot(state: State, vm: string, gpa: number, bytes: number, then?: Frame): Frame {
  const { iommufd, ioas } = vmOf(state, vm);
  const fields = { ioas_id: ioas, iova: BigInt(gpa), length: BigInt(bytes) };
  return call(vm, iommufd, 'IOMMU_IOAS_UNMAP', fields, then);
}

type OfVm = Frame & { readonly vm: string };

export const slotAnsweredRow: FrameRow<OfVm> = {
  run: (_, frame) => {
    const { errno } = answerOf(frame);
    return errno === undefined
      ? undefined
      : [{ do: 'plug.refused', vm: frame.vm, why: `IOMMU_IOAS_MAP: ${errno}` }];
  },
};

export const slotsMappedRow: FrameRow<OfVm> = {
  run: ({ state, emit }, { vm }) => {
    if (findVm(state, vm) !== undefined) emit(vm, { type: 'vm.changed', vm, set: { mapped: true } });
  },
};
