/**
 * The device in the VMM: takes requests from the queue, one after the other, does in the host what each asks
 * for, and gives it back (qemu: virtio_iommu_handle_command). Calls of the host are waited for, so a request
 * that takes many is many turns.
 */
import type { Context } from '../machine.ts';
import type { Frame, FrameRow } from '../tasks/task.ts';
import { vmmTells } from '../vm/exits.ts';
import { vmmUnit } from '../vm/state.ts';
import { answerRequest } from './answer.ts';
import { encodeTail, readableBytes, showAnswer, showRequest } from './codec.ts';
import { memoryFor } from './guest-memory.ts';
import { type Chain, type DeviceQueue, popChain, pushUsed } from './queue-device.ts';
import { choicesOf, type Effect } from './space.ts';
import type { Change } from './state.ts';
import { TAIL_BYTES } from './structs.ts';
import { findVirtio, virtioIn } from './virtio.ts';
import { bytesOf, gather, scatter } from './virtqueue.ts';

type OfVm = Frame & { readonly vm: string };

/** The longest part that a device reads of any request. */
const READABLE_MAX = readableBytes('PROBE');

export const serveRow: FrameRow<OfVm> = {
  run: (context, frame) => {
    const { vm } = frame;
    const virtio = findVirtio(context.state, vm);
    const queue = virtio?.queues.request;
    if (virtio === undefined || queue === undefined || virtio.device.broken !== undefined) return;
    const memory = memoryFor(context, vm, vmmUnit(vm));
    const popped = popChain(memory, queue);
    if (popped.kind === 'none') return;
    if (popped.kind === 'bad') return breakDevice(context, vm, popped.why);
    moved(context, vm, popped.queue);
    const readable = gather(memory, popped.chain.readable, READABLE_MAX);
    if (readable === undefined) return breakDevice(context, vm, 'a request that is not in memory');
    return [...begin(context, vm, popped.chain, readable), frame];
  },
};

/** Says what was asked, and what is to be done for it. */
function begin(context: Context, vm: string, chain: Chain, readable: Uint8Array): readonly Frame[] {
  const { head } = chain;
  const writable = bytesOf(chain.writable);
  const decoded = showRequest(readable);
  context.emit(vmmUnit(vm), { type: 'virtio.request', vm, head, bytes: readable, writable, decoded });
  const { written, changes, effects } = answerRequest(virtioIn(context.state, vm).device, readable, writable);
  return [...effectFrames(vm, effects), { do: 'virtio.answer', vm, chain, written, changes }];
}

/** Effects to be done in the host, one after the other. */
export function effectFrames(vm: string, effects: readonly Effect[]): readonly Frame[] {
  return effects.map((effect) => ({ do: 'virtio.effect', vm, effect, from: 0n }));
}

interface AnswerFrame extends OfVm {
  readonly chain: Chain;
  readonly written: Uint8Array;
  readonly changes: readonly Change[];
}

export const answerRow: FrameRow<AnswerFrame> = {
  run: (context, { vm, chain, written, changes }) => {
    const virtio = findVirtio(context.state, vm);
    const queue = virtio?.queues.request;
    if (virtio === undefined || queue === undefined) return;
    const deviates =
      virtio.refused && choicesOf(virtio.device).hostRefusal === 'DEVERR' && written.length > 0;
    const out = deviates ? encodeTail('DEVERR', new Uint8Array(written.length - TAIL_BYTES)) : written;
    const memory = memoryFor(context, vm, vmmUnit(vm));
    const length = scatter(memory, chain.writable, out);
    const bytes = out.subarray(0, length);
    const about = { vm, head: chain.head, bytes, decoded: showAnswer(bytes), changes };
    context.emit(vmmUnit(vm), { type: 'virtio.answered', ...about });
    const why = changes.find((each) => each.do === 'break')?.why;
    if (why !== undefined) return vmmTells(context, vm, 'virtio-iommu is broken', why);
    const pushed = pushUsed(memory, queue, chain.head, length);
    if (pushed === undefined) return breakDevice(context, vm, 'the used ring is not in memory');
    moved(context, vm, pushed);
  },
};

function moved({ emit }: Context, vm: string, { availIdx, usedIdx }: DeviceQueue): void {
  emit(vmmUnit(vm), { type: 'virtqueue.moved', vm, queue: 'request', availIdx, usedIdx });
}

/** The driver broke the rules of the queue: nothing is answered any more until it resets the device. */
function breakDevice(context: Context, vm: string, why: string): void {
  context.emit(vmmUnit(vm), { type: 'virtio.changed', vm, changes: [{ do: 'break', why }] });
  vmmTells(context, vm, 'virtio-iommu is broken', why);
}
