/**
 * Guest memory that comes and goes while the VM runs (hot-plug, ballooning by whole slots): KVM's slot, the VMM's
 * memory, and the mapping in the nesting parent, which the kernel takes away with all that hardware may hold of it.
 */
import { allocate, unmap } from '../kernel/process/process.ts';
import type { Context, Decider } from '../machine.ts';
import { beginTask } from '../tasks/begin.ts';
import type { Frame, FrameRow } from '../tasks/task.ts';
import { answerOf } from '../vmm/call.ts';
import { mapSlot, unmapSlot } from '../vmm/map-slots.ts';
import { hasQuirk } from './exits.ts';
import { backMemory } from './memory.ts';
import { vmmUnit } from './state.ts';
import { findVm, vmOf } from './vm.ts';

/** A slot that is there goes; one that is not comes, with new memory. */
export const changeSlot: Decider<'vm.slot'> = (context, { vm, gpa, bytes, present }) => {
  const owner = findVm(context.state, vm);
  if (owner === undefined) return;
  const about = { vm, gpa, bytes, about: context.state.outside };
  const held = owner.slots.find((slot) => slot.gpa === gpa && slot.bytes === bytes);
  if (present === (held !== undefined)) return answer(context, about, {});
  if (present) return addSlot(context, about);
  // The guest has no memory there any more, whatever the device still reaches.
  const left = owner.slots.filter((slot) => slot !== held);
  backMemory(context, vm, left);
  const last = { do: 'slot.gone', ...about, va: held?.va ?? 0 };
  const kept = !owner.mapped || hasQuirk(context.state, vm, 'keep-slot-mapped');
  const frames = kept ? [] : [unmapSlot(context.state, vm, gpa, bytes, { do: 'slot.unmapped', ...about })];
  beginTask(context, vmmUnit(vm), 'slot', [...frames, last]);
};

interface About {
  readonly vm: string;
  readonly gpa: number;
  readonly bytes: number;
  readonly about: number;
}

function addSlot(context: Context, about: About): void {
  const { vm, gpa, bytes } = about;
  const va = allocate(context, vm, bytes, 'contiguous');
  if (va === undefined) return answer(context, about, { errno: 'ENOMEM' });
  const slot = { gpa, bytes, va };
  const { slots, mapped } = vmOf(context.state, vm);
  const sorted = [...slots, slot].sort((one, other) => one.gpa - other.gpa);
  backMemory(context, vm, sorted);
  const mapping = mapped ? [mapSlot(context.state, vm, slot, { do: 'slot.unmapped', ...about })] : [];
  beginTask(context, vmmUnit(vm), 'slot', [...mapping, { do: 'vm.answer', vm, about: about.about }]);
}

function answer({ emit }: Context, { vm, about }: About, told: { readonly errno?: string }): void {
  emit(vm, { type: 'vm.answered', vm, about, ...told });
}

/** What the kernel refuses is the answer, and nothing more is done. */
export const slotUnmappedRow: FrameRow<Frame & About> = {
  run: (_, frame) => {
    const { errno } = answerOf(frame);
    if (errno === undefined) return undefined;
    return { instead: [{ do: 'vm.answer', vm: frame.vm, about: frame.about, errno }] };
  },
};

/** The VMM gives its memory back. */
export const slotGoneRow: FrameRow<Frame & About & { readonly va: number }> = {
  run: (context, { vm, about, va }) => {
    if (findVm(context.state, vm) === undefined) return undefined;
    unmap(context, vm, va);
    return [{ do: 'vm.answer', vm, about }];
  },
};
