/**
 * Interrupts of a guest's device: the guest writes the capability of its MSIs, which traps; for a device of the host the
 * VMM asks VFIO for an eventfd (QEMU: vfio_msix_vector_do_use), and the address that the device gets is the host's.
 */
import { numbers } from '../kernel/uapi/enums.ts';
import type { Decider } from '../machine.ts';
import { beginTask } from '../tasks/begin.ts';
import type { Frame, FrameRow } from '../tasks/task.ts';
import { answerOf, call } from '../vmm/call.ts';
import { routeMessages } from '../vmm/msi-route.ts';
import { type AnswerValue, answer } from './answer.ts';
import { exitTo } from './exits.ts';
import { vmmUnit } from './state.ts';
import { findVm } from './vm.ts';

const { VFIO_IRQ_SET_DATA_NONE, VFIO_IRQ_SET_DATA_EVENTFD, VFIO_IRQ_SET_ACTION_TRIGGER } = numbers;
const STRUCT_BYTES = 20;
const EVENTFD_BYTES = 4;

/** One vector of MSI-X, on or off; with the address that the guest writes there, the route of KVM comes first. */
export const changeInterrupts: Decider<'guest.irq'> = (context, { vm, endpoint, on, iova }) => {
  const owner = findVm(context.state, vm);
  const device = owner?.devices[endpoint];
  if (owner === undefined || device === undefined) return;
  exitTo(context, vm, { why: 'mmio.write', what: 'MSI-X' });
  // Messages of an emulated device are the VMM's own: they are never on a bus.
  if (device.kind === 'emulated') return answer(context, vm, {});
  const gpa = on && iova !== undefined ? routeMessages(context, owner, device, iova) : undefined;
  const fields = {
    argsz: STRUCT_BYTES + (on ? EVENTFD_BYTES : 0),
    flags: VFIO_IRQ_SET_ACTION_TRIGGER | (on ? VFIO_IRQ_SET_DATA_EVENTFD : VFIO_IRQ_SET_DATA_NONE),
    index: numbers.VFIO_PCI_MSIX_IRQ_INDEX,
    count: on ? 1 : 0,
  };
  const value = gpa === undefined ? {} : { value: { gpa } };
  const then = { do: 'irqs.set', vm, about: context.state.outside, ...value };
  beginTask(context, vmmUnit(vm), 'interrupts', [call(vm, device.fd, 'VFIO_DEVICE_SET_IRQS', fields, then)]);
};

interface SetFrame extends Frame {
  readonly vm: string;
  readonly about: number;
  readonly value?: AnswerValue;
}

export const irqsRow: FrameRow<SetFrame> = {
  run: (_, frame) => {
    const { vm, about, value } = frame;
    const { errno } = answerOf(frame);
    const told = { ...(errno === undefined ? {} : { errno }), ...(value === undefined ? {} : { value }) };
    return [{ do: 'vm.answer', vm, about, ...told }];
  },
};
