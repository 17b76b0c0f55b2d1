/** Doorbells: stores of a vCPU that KVM takes in the kernel (ioeventfd): a light exit, without the VMM. */
import type { Context } from '../machine.ts';
import { beginTask } from '../tasks/begin.ts';
import { exitTo } from '../vm/exits.ts';
import { workerUnit } from '../vm/state.ts';
import { findVm, virtualSmmuOf, vmOf } from '../vm/vm.ts';

/** The doorbell of a queue that the kernel works off: its worker wakes, where it does not work already. */
export function ringDoorbell(context: Context, vm: string, smmu: string, index: number): void {
  exitTo(context, vm, { why: 'doorbell', what: `VCMDQ${index}` });
  const { state } = context;
  if (findVm(state, vm) === undefined) return;
  const { iommufd } = vmOf(state, vm);
  const object = virtualSmmuOf(vmOf(state, vm), smmu).seconds?.[index]?.object ?? 0;
  const file = state.kernel?.files[state.kernel.names[iommufd] ?? -1];
  if (object === 0 || file?.kind !== 'iommufd') return;
  const unit = workerUnit(vm);
  const { context: held } = file;
  const waits = state.tasks.some(
    (task) => task.unit === unit && task.frames.some((frame) => frame['object'] === object),
  );
  if (!waits) beginTask(context, unit, `queue ${index}`, [{ do: 'vcmdq.work', context: held, object }]);
}
