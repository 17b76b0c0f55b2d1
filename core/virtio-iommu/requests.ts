/**
 * The request queue of the guest's driver (linux: viommu_add_req, viommu_sync_req, viommu_send_req_sync): one
 * spinlock around it. A request is added without telling the device; a sync tells it and spins, with the lock
 * held, until all that was added has come back. The status of a request that nobody sent for itself is lost.
 */
import { present } from '../assert.ts';
import type { Context } from '../machine.ts';
import type { State } from '../state.ts';
import type { Frame, FrameRow } from '../tasks/task.ts';
import { statusOf, writableBytes } from './codec.ts';
import { notifyDevice } from './doorbell.ts';
import { lookAt, memoryFor } from './guest-memory.ts';
import type { VirtioDriver } from './guest-state.ts';
import { addChain, hasUsed, kick, pollUsed, writablePart } from './queue-driver.ts';
import type { RequestName, StatusName } from './structs.ts';
import { driverIn } from './virtio.ts';

/** Bytes of a slot's indirect table, in front of the request. */
const TABLE_BYTES = 64;

/** A request that is sent and waited for. */
export interface SendFrame extends Frame {
  readonly do: 'virtio.send';
  readonly vm: string;
  readonly name: RequestName;
  readonly bytes: Uint8Array;
  /** Runs next, with `status` and what the device has `written`. */
  readonly then: Frame;
}

export interface SyncFrame extends Frame {
  readonly do: 'virtio.sync';
  readonly vm: string;
}

interface SpinFrame extends Frame {
  readonly do: 'virtio.spin';
  readonly vm: string;
  /** The request whose answer is waited for. */
  readonly head?: number;
  readonly then?: Frame;
}

/** What a request that was waited for came to. */
export interface Sent extends Frame {
  readonly status: StatusName;
  readonly written: Uint8Array;
}

/** Waits until all that was added has come back. */
export function syncFrame(vm: string): SyncFrame {
  return { do: 'virtio.sync', vm };
}

/** Sends a request and waits. @param then runs with its answer */
export function sendFrame(vm: string, name: RequestName, bytes: Uint8Array, then: Frame): SendFrame {
  return { do: 'virtio.send', vm, name, bytes, then };
}

/** Bytes of the slot of a request: the largest that there is. */
export function slotBytes(probeSize: number): number {
  return 2 ** Math.ceil(Math.log2(TABLE_BYTES + 72 + writableBytes('PROBE', probeSize)));
}

/** The lock is free: whoever spins with it has it until all is back. */
export function isUnlocked(state: State, vm: string): boolean {
  return driverIn(state, vm).lock === '';
}

/** Puts a request into the queue. Undefined where the queue is full; otherwise its head. */
export function addRequest(
  context: Context,
  vm: string,
  name: RequestName,
  bytes: Uint8Array,
): number | undefined {
  const driver = driverIn(context.state, vm);
  const { queues, buffers, indirect, probeSize } = driver;
  const memory = memoryFor(context, vm, actorOf(context, vm));
  const slot = buffers.gpa + queues.request.free * buffers.slotBytes;
  const readable = [{ gpa: slot + TABLE_BYTES, bytes: bytes.length }];
  const writable = [{ gpa: slot + TABLE_BYTES + bytes.length, bytes: writableBytes(name, probeSize) }];
  if (queues.request.freeCount < (indirect ? 1 : 2)) return undefined;
  memory.write(slot + TABLE_BYTES, bytes);
  const added = present(
    addChain(memory, queues.request, { readable, writable }, indirect ? slot : undefined),
    'free descriptor',
  );
  context.emit(actorOf(context, vm), { type: 'vdriver.moved', vm, queue: 'request', to: added.queue });
  return added.head;
}

/** Who runs the driver: the CPU whose turn it is. */
export function actorOf({ unit }: Context, vm: string): string {
  return unit ?? vm;
}

export const sendRow: FrameRow<SendFrame> = {
  ready: (state, { vm }) => isUnlocked(state, vm),
  run: (context, frame) => {
    const { vm, name, bytes, then } = frame;
    const head = addRequest(context, vm, name, bytes);
    tellDevice(context, vm);
    return head === undefined ? [spinFor(vm), frame] : [{ ...spinFor(vm), head, then }];
  },
};

export const syncRow: FrameRow<SyncFrame> = {
  ready: (state, { vm }) => isUnlocked(state, vm),
  run: (context, { vm }) => {
    tellDevice(context, vm);
    return [spinFor(vm)];
  },
};

function spinFor(vm: string): SpinFrame {
  return { do: 'virtio.spin', vm };
}

/** Takes the lock and rings the doorbell, where the device has asked for it. */
function tellDevice(context: Context, vm: string): void {
  const actor = actorOf(context, vm);
  const { queues } = driverIn(context.state, vm);
  context.emit(actor, { type: 'vdriver.locked', vm, by: actor });
  const { queue, needed } = kick(memoryFor(context, vm, actor), queues.request);
  if (queue.toldIdx !== queues.request.toldIdx)
    context.emit(actor, { type: 'vdriver.moved', vm, queue: 'request', to: queue });
  if (needed) notifyDevice(context, vm, 'request');
}

function isAllBack({ queues }: VirtioDriver): boolean {
  return queues.request.freeCount === queues.request.size;
}

export const spinRow: FrameRow<SpinFrame> = {
  ready: (state, { vm }) => {
    const driver = driverIn(state, vm);
    return isAllBack(driver) || hasUsed(lookAt(state, vm), driver.queues.request);
  },
  run: (context, frame) => {
    const { vm } = frame;
    const actor = actorOf(context, vm);
    let answer: { readonly status: StatusName; readonly written: Uint8Array } | undefined;
    while (!isAllBack(driverIn(context.state, vm))) {
      const back = pollOne(context, vm, actor, frame.head);
      if (back === undefined) break;
      if (back.head === frame.head) answer = back;
    }
    const then = answer === undefined ? frame.then : { ...frame.then, ...answer };
    if (!isAllBack(driverIn(context.state, vm))) return [{ ...frame, ...(then && { then }) } as SpinFrame];
    context.emit(actor, { type: 'vdriver.locked', vm, by: '' });
    return then === undefined ? [] : [then as Frame];
  },
};

/** The next request that came back, its status, and what the device wrote. */
function pollOne(
  context: Context,
  vm: string,
  actor: string,
  wanted: number | undefined,
): { readonly head: number; readonly status: StatusName; readonly written: Uint8Array } | undefined {
  const { queues } = driverIn(context.state, vm);
  const memory = memoryFor(context, vm, actor);
  const polled = pollUsed(memory, queues.request, true);
  if (polled === undefined) return undefined;
  const { head, length } = polled;
  const at = writablePart(memory, polled.queue, head)?.gpa ?? 0;
  const written = memory.read(at, length) ?? new Uint8Array();
  const status = statusOf(written);
  context.emit(actor, { type: 'vdriver.moved', vm, queue: 'request', to: polled.queue });
  context.emit(actor, { type: 'vdriver.polled', vm, head, length, status, lost: head !== wanted });
  return { head, status, written };
}
