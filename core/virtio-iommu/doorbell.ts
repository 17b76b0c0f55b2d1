/**
 * The doorbell of a virtqueue: a light exit. The vCPU goes on at once, and a thread of the VMM works off what is
 * in the queue.
 */
import type { Context } from '../machine.ts';
import { beginTask } from '../tasks/begin.ts';
import { exitTo } from '../vm/exits.ts';
import { vmmUnit } from '../vm/state.ts';
import type { QueueName } from './structs.ts';

/** The driver tells the device of what it has added. */
export function notifyDevice(context: Context, vm: string, queue: QueueName): void {
  exitTo(context, vm, { why: 'notify', what: `virtio-iommu ${queue} queue` });
  // Buffers of the event queue wait until there is a fault to report.
  if (queue === 'request')
    beginTask(context, vmmUnit(vm), 'virtio-iommu requests', [{ do: 'virtio.serve', vm }]);
}
