/**
 * Exits: a vCPU leaves the guest for the VMM. What the VMM can do at once is done before the guest's next
 * instruction; for more, the vCPU is held, the VMM's unit does the work, and the exit ends when it is done.
 * Exits of one VM are worked off in the order they came, as under QEMU's big lock.
 */
import type { Context } from '../machine.ts';
import type { State } from '../state.ts';
import { beginTask } from '../tasks/begin.ts';
import type { Frame, FrameRow } from '../tasks/task.ts';
import type { VmmQuirkName } from '../vmm/quirks.ts';
import { vmmUnit } from './state.ts';
import { findVm, vmOf } from './vm.ts';

/** `doorbell`: KVM takes it in the kernel and the vCPU goes on; all others reach the VMM. */
export type ExitReason = 'mmio.read' | 'mmio.write' | 'notify' | 'doorbell';

/** A vCPU (or the interrupt handler that runs on one) leaves the guest; `work` is what the VMM has to wait for. */
export function exitTo(
  context: Context,
  vm: string,
  { why, what }: { readonly why: ExitReason; readonly what: string },
  work: readonly Frame[] = [],
): void {
  const unit = context.unit ?? vm;
  if (work.length === 0) {
    context.emit(unit, { type: 'exit.taken', vm, unit, why, what });
    return;
  }
  context.emit(unit, { type: 'exit.taken', vm, unit, why, what, held: 'yes' });
  beginTask(context, vmmUnit(vm), `${why} ${what}`, [...work, { do: 'exit.end', vm, unit }]);
}

interface EndFrame extends Frame {
  readonly vm: string;
  readonly unit: string;
}

export const exitEndRow: FrameRow<EndFrame> = {
  run: ({ state, emit }, { vm, unit }) => {
    if (findVm(state, vm)?.held[unit] !== undefined) emit(vm, { type: 'exit.ended', vm, unit });
  },
};

/** Whether a unit is a vCPU (or a handler on one) whose exit has not ended. */
export function isHeld({ vms }: State, unit: string): boolean {
  for (const name in vms) if (vms[name]?.held[unit] !== undefined) return true;
  return false;
}

/** Whether the VMM has work for the VM. */
export function isVmmBusy({ tasks }: State, vm: string): boolean {
  const unit = vmmUnit(vm);
  return tasks.some((task) => task.unit === unit);
}

/** A line of the VMM's log. */
export function vmmTells({ emit }: Context, vm: string, what: string, detail = ''): void {
  emit(vmmUnit(vm), { type: 'vmm.told', vm, what, detail });
}

/** A deliberate fault of the VMM is switched on. */
export function hasQuirk(state: State, vm: string, quirk: VmmQuirkName): boolean {
  return vmOf(state, vm).quirks[quirk] === true;
}
