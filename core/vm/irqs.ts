/**
 * Interrupts of a guest's device: the guest writes the capability of its MSIs, which traps; for a device of the host the
 * VMM asks VFIO for an eventfd (QEMU: vfio_msix_vector_do_use), and the address that the device gets is the host's.
 */
import { numbers } from '../kernel/uapi/enums.ts';
import type { Decider } from '../machine.ts';
import { beginTask } from '../tasks/begin.ts';
import type { Frame, FrameRow } from '../tasks/task.ts';
import { answerOf, call } from '../vmm/call.ts';
import { answer } from './answer.ts';
import { exitTo } from './exits.ts';
import { vmmUnit } from './state.ts';
import { findVm } from './vm.ts';

const { VFIO_IRQ_SET_DATA_NONE, VFIO_IRQ_SET_DATA_EVENTFD, VFIO_IRQ_SET_ACTION_TRIGGER } = numbers;
const STRUCT_BYTES = 20;
const EVENTFD_BYTES = 4;

/** One vector of MSI-X, on or off. */
export const changeInterrupts: Decider<'guest.irq'> = (context, { vm, endpoint, on }) => {
  const device = findVm(context.state, vm)?.devices[endpoint];
  if (device === undefined) return;
  exitTo(context, vm, { why: 'mmio.write', what: 'MSI-X' });
  // Messages of an emulated device are the VMM's own: they are never on a bus.
  if (device.kind === 'emulated') return answer(context, vm, {});
  const fields = {
    argsz: STRUCT_BYTES + (on ? EVENTFD_BYTES : 0),
    flags: VFIO_IRQ_SET_ACTION_TRIGGER | (on ? VFIO_IRQ_SET_DATA_EVENTFD : VFIO_IRQ_SET_DATA_NONE),
    index: numbers.VFIO_PCI_MSIX_IRQ_INDEX,
    count: on ? 1 : 0,
  };
  const then = { do: 'irqs.set', vm, about: context.state.outside };
  beginTask(context, vmmUnit(vm), 'interrupts', [call(vm, device.fd, 'VFIO_DEVICE_SET_IRQS', fields, then)]);
};

export const irqsRow: FrameRow<Frame & { readonly vm: string; readonly about: number }> = {
  run: (_, frame) => {
    const { vm, about } = frame;
    const { errno } = answerOf(frame);
    return [{ do: 'vm.answer', vm, about, ...(errno === undefined ? {} : { errno }) }];
  },
};
