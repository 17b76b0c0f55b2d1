/**
 * Accesses of emulated devices behind a virtio-iommu, and the reports of those that fault: the device fills a
 * buffer of the event queue, and the driver reads it and gives the buffer back (linux: viommu_event_handler).
 * Without a buffer a report is lost. Faults of assigned devices are the host's, and no guest hears of them.
 */
import type { Context } from '../machine.ts';
import { beginTask } from '../tasks/begin.ts';
import { cpuUnit } from '../tasks/cpu.ts';
import type { Frame, FrameRow } from '../tasks/task.ts';
import { vmmUnit } from '../vm/state.ts';
import { notifyDevice } from './doorbell.ts';
import { memoryFor } from './guest-memory.ts';
import { interruptNeeded, popChain, pushUsed } from './queue-device.ts';
import { addChain, kick, pollUsed } from './queue-driver.ts';
import { actorOf } from './requests.ts';
import { type EndpointAccess, showFault, type Translated, translateAccess } from './translate.ts';
import { driverIn, virtioIn } from './virtio.ts';
import { scatter } from './virtqueue.ts';

/** An access of an emulated device: where it goes, or that it faults, which is reported. */
export function accessEmulated(context: Context, vm: string, access: EndpointAccess): Translated {
  const found = translateAccess(virtioIn(context.state, vm).device, access);
  if (found.kind === 'fault') report(context, vm, access, found.report);
  return found;
}

function report(context: Context, vm: string, { endpoint, iova }: EndpointAccess, bytes: Uint8Array): void {
  const actor = vmmUnit(vm);
  const queue = virtioIn(context.state, vm).queues.event;
  const memory = memoryFor(context, vm, actor);
  const popped = queue === undefined ? undefined : popChain(memory, queue);
  const reported = popped?.kind === 'chain';
  const decoded = showFault(bytes);
  context.emit(actor, { type: 'virtio.faulted', vm, endpoint, iova, bytes, decoded, reported });
  if (popped?.kind !== 'chain') return;
  const { head, writable } = popped.chain;
  const pushed = pushUsed(memory, popped.queue, head, scatter(memory, writable, bytes));
  if (pushed === undefined) return;
  const { availIdx, usedIdx } = pushed;
  context.emit(actor, { type: 'virtqueue.moved', vm, queue: 'event', availIdx, usedIdx });
  if (
    virtioIn(context.state, vm).driver !== undefined &&
    interruptNeeded(memory, pushed, popped.queue.usedIdx)
  )
    beginTask(context, cpuUnit(vm, 0), 'virtio-iommu reports', [{ do: 'vdriver.reports', vm }]);
}

/** The handler of the event queue's interrupt: all reports that are there, and their buffers back. */
export const reportsRow: FrameRow<Frame & { readonly vm: string }> = {
  run: (context, { vm }) => {
    const actor = actorOf(context, vm);
    const memory = memoryFor(context, vm, actor);
    const { queues, eventBuffers: buffers } = driverIn(context.state, vm);
    let queue = queues.event;
    for (let count = 0; count < queue.size; count += 1) {
      const polled = pollUsed(memory, queue, false);
      if (polled === undefined) break;
      const part = { gpa: buffers.gpa + polled.head * buffers.slotBytes, bytes: buffers.slotBytes };
      const bytes = memory.read(part.gpa, polled.length) ?? new Uint8Array();
      context.emit(actor, { type: 'vdriver.reported', vm, bytes, decoded: showFault(bytes) });
      queue = addChain(memory, polled.queue, { readable: [], writable: [part] })?.queue ?? polled.queue;
    }
    const told = kick(memory, queue);
    context.emit(actor, { type: 'vdriver.moved', vm, queue: 'event', to: told.queue });
    if (told.needed) notifyDevice(context, vm, 'event');
  },
};
