/**
 * The steps of a workload, as frames of a CPU: a buffer is mapped, the device uses it, the guest compares, a buffer
 * is unmapped. Each step is a turn, so that other CPUs and devices come between. What the workload draws comes from
 * its own seed, which it carries along.
 */

import { changed } from '../changed.ts';
import type { Errno } from '../kernel/errno.ts';
import { putWord } from '../layout/words.ts';
import type { Context } from '../machine.ts';
import { storeBytes } from '../memory/access.ts';
import { inSpace } from '../memory/space.ts';
import { draw, nextRandom } from '../random.ts';
import type { Frame, FrameRow } from '../tasks/task.ts';
import { accessAny } from '../virtio-iommu/emulated-dma.ts';
import { endpointOf, findVm } from '../vm/vm.ts';
import { dmaDriverOf } from './drivers.ts';

import { PAGE_BYTES } from './state.ts';
import { type Workload, type WorkloadName, workloads } from './workload.ts';

/** A buffer that is mapped. */
interface Buffer {
  readonly iova: bigint;
  readonly pa: number;
  readonly bytes: number;
  readonly access: 'read' | 'write';
  readonly used: number;
}

export interface WorkFrame extends Frame {
  readonly driver: string;
  readonly endpoint: string;
  readonly cpu: number;
  readonly call: number;
  readonly kind: WorkloadName;
  /** Buffers that are still to be mapped. */
  readonly left: number;
  readonly random: number;
  readonly held: readonly Buffer[];
  readonly done: number;
  /** Accesses that were refused, mappings that failed, and buffers whose content was not what was written. */
  readonly refused: number;
  readonly failed: number;
  readonly corrupt: number;
}

/** A step's own numbers from the seed, and the frame with the seed moved on. */
function drawn(frame: WorkFrame, count: number): readonly [number, WorkFrame] {
  return [draw(frame.random, count), changed(frame, { random: nextRandom(frame.random) })];
}

export const stepRow: FrameRow<WorkFrame> = {
  run: (_, frame) => {
    const row: Workload = workloads[frame.kind];
    if (frame.left > 0 && frame.held.length < row.depth) return mapOne(frame, row);
    const used = frame.held.findIndex((buffer) => buffer.used < row.uses);
    if (used >= 0) return [changed(frame, { do: 'work.use', at: used, pause: true })];
    if (frame.held.length > 0) return unmapOne(frame, row);
    const { driver, call, done, refused, failed, corrupt } = frame;
    const value = { done, refused, failed, corrupt };
    return [{ do: 'guest.answer', driver, call, what: 'work', value }];
  },
};

function mapOne(frame: WorkFrame, { pages: [least, most], access }: Workload): readonly Frame[] {
  const [more, first] = drawn(frame, most - least + 1);
  const [side, next] = drawn(first, 2);
  const way = access === 'either' ? (side === 0 ? 'read' : 'write') : access;
  const { driver, endpoint, cpu } = frame;
  const bytes = (least + more) * PAGE_BYTES;
  const then = changed(next, { do: 'work.mapped', left: frame.left - 1, way, bytes });
  return [{ do: 'dma.map', driver, endpoint, cpu, call: 0, bytes, access: way, then, pause: true }];
}

type MappedFrame = WorkFrame & {
  readonly way: 'read' | 'write';
  readonly bytes: number;
  readonly told: { readonly iova?: bigint; readonly pa?: number; readonly errno?: Errno };
};

export const workMappedRow: FrameRow<MappedFrame> = {
  run: (_, { told, way, bytes, pause: __, ...frame }) => {
    const { iova, pa } = told;
    if (iova === undefined || pa === undefined)
      return [changed(frame, { do: 'work.step', failed: frame.failed + 1 })];
    const buffer: Buffer = { iova, pa, bytes, access: way, used: 0 };
    return [changed(frame, { do: 'work.step', held: [...frame.held, buffer] })];
  },
};

type UseFrame = WorkFrame & { readonly at: number };

/** The device reads or writes a doubleword of a buffer; a read must give what the guest had stored. */
export const useRow: FrameRow<UseFrame> = {
  run: (context, { at, pause: _, ...given }) => {
    const frame: WorkFrame = given;
    const buffer = frame.held[at];
    if (buffer === undefined) return [changed(frame, { do: 'work.step' })];
    const [slot, next] = drawn(frame, buffer.bytes / 8);
    const tag = new Uint8Array(8);
    // The same word twice.
    for (const half of [0, 4]) putWord(tag, half, next.random);
    const place = memoryAt(context, frame, buffer.pa + slot * 8);
    if (buffer.access === 'read') storeBytes(context, actorOf(context, frame), place, tag);
    const answer = access(context, frame, buffer, slot, tag);
    const good =
      answer !== undefined && (buffer.access === 'read' ? answer === place : holds(context, place, tag));
    const held = frame.held.map((each, index) => (index === at ? { ...each, used: each.used + 1 } : each));
    return [
      changed(next, {
        do: 'work.step',
        held,
        done: next.done + (answer === undefined ? 0 : 1),
        refused: next.refused + (answer === undefined ? 1 : 0),
        corrupt: next.corrupt + (answer === undefined || good ? 0 : 1),
        pause: true,
      }),
    ];
  },
};

function actorOf({ state }: Context, { driver }: WorkFrame): string {
  return dmaDriverOf(state, driver).setup.actor;
}

/** The owner's memory: what a VM takes for physical has its own place. */
function memoryAt({ state }: Context, { driver }: WorkFrame, pa: number): number {
  const { owner } = dmaDriverOf(state, driver).setup;
  return inSpace(state, owner === 'host' ? undefined : owner, pa);
}

function holds({ state }: Context, place: number, tag: Uint8Array): boolean {
  return (
    state.memory.isRam(place, 8) && state.memory.readBytes(place, 8).every((byte, at) => byte === tag[at])
  );
}

/** The device's access; where it went in the machine's memory, or undefined where it was refused. */
function access(
  context: Context,
  frame: WorkFrame,
  { iova, access: way }: Buffer,
  slot: number,
  tag: Uint8Array,
): number | undefined {
  let reached: number | undefined;
  const { emit } = context;
  const watching: Context = {
    ...context,
    emit: (actor, event) => {
      if (event.type === 'access.completed')
        reached = inSpace(context.state, context.state.smmus[event.smmu]?.config.space, event.pa);
      if (event.type === 'virtio.accessed' && event.result === 'ok')
        reached = inSpace(context.state, event.vm, event.gpa);
      return emit(actor, event);
    },
  };
  const data = way === 'write' ? { data: tag } : {};
  const endpoint = deviceEndpoint(context, frame);
  const at = iova + BigInt(slot * 8);
  accessAny(watching, { type: 'dma', endpoint, iova: at, size: 8, access: way, ...data });
  return reached;
}

/** What does the DMA: the host's endpoint, or the one that a VMM emulates. */
function deviceEndpoint({ state }: Context, { driver, endpoint }: WorkFrame): string {
  const vm = findVm(state, dmaDriverOf(state, driver).setup.owner);
  const device = vm?.devices[endpoint];
  return vm === undefined || device === undefined ? endpoint : endpointOf(vm, device);
}

function unmapOne(frame: WorkFrame, { order }: Workload): readonly Frame[] {
  const [drawnAt, next] = drawn(frame, frame.held.length);
  const at = order === 'oldest' ? 0 : order === 'newest' ? frame.held.length - 1 : drawnAt;
  const buffer = frame.held[at];
  if (buffer === undefined) return [changed(frame, { do: 'work.step' })];
  const { driver, endpoint, cpu } = frame;
  const { iova, bytes } = buffer;
  const held = next.held.filter((_, index) => index !== at);
  return [
    { do: 'dma.unmap', driver, endpoint, cpu, call: 0, iova, bytes },
    changed(next, { do: 'work.step', held, pause: true }),
  ];
}
