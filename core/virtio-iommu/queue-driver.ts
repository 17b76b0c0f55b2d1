/**
 * The driver's side of a split virtqueue (virtio 1.3, 2.7.13 and 2.7.14; linux: virtqueue_add_split,
 * virtqueue_kick_prepare_split, virtqueue_get_buf_ctx_split). Free descriptors are chained through their `next`
 * in the table, so what the driver remembers itself is a few numbers. With an indirect table a chain takes one
 * descriptor, whatever its length.
 */
import { present } from '../assert.ts';
import { decodeStruct } from '../kernel/uapi/struct.ts';
import { VRING_USED_ELEM } from './structs.ts';
import {
  availEntry,
  availEvent,
  DESC_BYTES,
  type Descriptor,
  encodeDescriptor,
  type Part,
  passes,
  QUIET,
  type QueueMemory,
  type QueuePlace,
  read16,
  readDescriptor,
  readHead,
  usedEntry,
  usedEvent,
  wrap16,
  write16,
  writeIndex,
} from './virtqueue.ts';

export interface DriverQueue extends QueuePlace {
  /** First free descriptor, and how many are free. */
  readonly free: number;
  readonly freeCount: number;
  /** Index of the avail ring; the same when the device was last told; index up to which used was polled. */
  readonly availIdx: number;
  readonly toldIdx: number;
  readonly usedIdx: number;
}

/** What a chain is made of: the device reads the first, then writes the others. */
export interface ChainParts {
  readonly readable: readonly Part[];
  readonly writable: readonly Part[];
}

const NOTHING: Descriptor = { gpa: 0, bytes: 0, next: undefined, write: false, indirect: false };

/**
 * An empty queue: writes its rings and its chain of free descriptors.
 * @param quiet no interrupt is wanted for what is used: somebody polls.
 */
export function openQueue(memory: QueueMemory, place: QueuePlace, quiet: boolean): DriverQueue {
  const free = new Uint8Array(place.size * DESC_BYTES);
  for (let index = 0; index + 1 < place.size; index += 1)
    free.set(encodeDescriptor({ ...NOTHING, next: index + 1 }), index * DESC_BYTES);
  memory.write(place.desc, free);
  write16(memory, place.avail, quiet && !place.eventIdx ? QUIET : 0);
  writeIndex(memory, place.avail, 0);
  writeIndex(memory, place.used, 0);
  return { ...place, free: 0, freeCount: place.size, availIdx: 0, toldIdx: 0, usedIdx: 0 };
}

/**
 * Adds a chain and makes it available; the device is not told. Undefined where no descriptors are free.
 * @param table where an indirect table may be put; without one each part takes a descriptor of the queue.
 */
export function addChain(
  memory: QueueMemory,
  queue: DriverQueue,
  { readable, writable }: ChainParts,
  table?: number,
): { readonly queue: DriverQueue; readonly head: number } | undefined {
  const parts = [
    ...readable.map((part) => ({ ...part, write: false })),
    ...writable.map((part) => ({ ...part, write: true })),
  ];
  const needed = table === undefined ? parts.length : 1;
  if (queue.freeCount < needed || parts.length === 0) return undefined;
  const head = queue.free;
  const free =
    table === undefined ? putDirect(memory, queue, parts) : putIndirect(memory, queue, parts, table);
  write16(memory, availEntry(queue, queue.availIdx), head);
  const availIdx = wrap16(queue.availIdx + 1);
  writeIndex(memory, queue.avail, availIdx);
  return { queue: { ...queue, free, freeCount: queue.freeCount - needed, availIdx }, head };
}

type Written = Part & { readonly write: boolean };

/** Returns the next free descriptor. */
function putDirect(memory: QueueMemory, queue: DriverQueue, parts: readonly Written[]): number {
  const { desc, free } = queue;
  let index = free;
  for (const [at, part] of parts.entries()) {
    const next = nextOf(memory, queue, index);
    const last = at + 1 === parts.length;
    putDescriptor(memory, desc, index, { ...part, next: last ? undefined : next, indirect: false });
    index = next;
  }
  return index;
}

function putIndirect(
  memory: QueueMemory,
  queue: DriverQueue,
  parts: readonly Written[],
  table: number,
): number {
  const { desc, free } = queue;
  const bytes = parts.length * DESC_BYTES;
  const content = new Uint8Array(bytes);
  for (const [at, part] of parts.entries()) {
    const next = at + 1 === parts.length ? undefined : at + 1;
    content.set(encodeDescriptor({ ...part, next, indirect: false }), at * DESC_BYTES);
  }
  memory.write(table, content);
  const next = nextOf(memory, queue, free);
  putDescriptor(memory, desc, free, { gpa: table, bytes, next: undefined, write: false, indirect: true });
  return next;
}

/** The descriptor behind a free one; behind the last one there is none, and nobody asks for it. */
function nextOf(memory: QueueMemory, { desc, size }: QueuePlace, index: number): number {
  // Whatever somebody wrote over the table, it leads to a descriptor.
  return (readDescriptor(memory, desc, index)?.next ?? 0) % size;
}

function putDescriptor(memory: QueueMemory, table: number, index: number, descriptor: Descriptor): void {
  memory.write(table + index * DESC_BYTES, encodeDescriptor(descriptor));
}

/** Whether the device must be told of what was added since it last was, and the queue from then on. */
export function kick(
  memory: QueueMemory,
  queue: DriverQueue,
): { readonly queue: DriverQueue; readonly needed: boolean } {
  const { availIdx, toldIdx } = queue;
  const told = { ...queue, toldIdx: availIdx };
  if (availIdx === toldIdx) return { queue: told, needed: false };
  if (queue.eventIdx) {
    return { queue: told, needed: passes(read16(memory, availEvent(queue)), availIdx, toldIdx) };
  }
  const { flags } = present(readHead(memory, queue.used), 'used ring');
  return { queue: told, needed: (flags & QUIET) === 0 };
}

/** Whether the device has used a chain that was not polled yet; a used ring that names none has not. */
export function hasUsed(memory: QueueMemory, queue: DriverQueue): boolean {
  return nextUsed(memory, queue) !== undefined;
}

function nextUsed(
  memory: QueueMemory,
  queue: DriverQueue,
): { readonly id: number; readonly len: number } | undefined {
  // Whoever spins asks this again and again.
  if (read16(memory, queue.used + 2) === queue.usedIdx) return undefined;
  const bytes = memory.read(usedEntry(queue, queue.usedIdx), VRING_USED_ELEM.bytes);
  const used = bytes && decodeStruct(VRING_USED_ELEM, bytes);
  return used !== undefined && used.id < queue.size ? used : undefined;
}

/**
 * The next chain that the device has used, with its used length; its descriptors are free again. Undefined
 * where there is none, or the used ring names a chain that cannot be.
 */
export function pollUsed(
  memory: QueueMemory,
  queue: DriverQueue,
  quiet: boolean,
): { readonly queue: DriverQueue; readonly head: number; readonly length: number } | undefined {
  const used = nextUsed(memory, queue);
  if (used === undefined) return undefined;
  const { id: head, len: length } = used;
  const count = release(memory, queue, head);
  const usedIdx = wrap16(queue.usedIdx + 1);
  if (queue.eventIdx && !quiet) write16(memory, usedEvent(queue), usedIdx);
  return { queue: { ...queue, free: head, freeCount: queue.freeCount + count, usedIdx }, head, length };
}

/** The first part of a chain that the device writes; also where its descriptors are free again and not reused. */
export function writablePart(memory: QueueMemory, queue: QueuePlace, head: number): Part | undefined {
  let [table, index]: [number, number | undefined] = [queue.desc, head];
  for (let steps = 0; index !== undefined && steps <= queue.size; steps += 1) {
    const found = readDescriptor(memory, table, index);
    if (found?.write === true) return { gpa: found.gpa, bytes: found.bytes };
    [table, index] = found?.indirect === true ? [found.gpa, 0] : [table, found?.next];
  }
  return undefined;
}

/** Puts the descriptors of a chain in front of the free ones. Returns how many they are. */
function release(memory: QueueMemory, { desc, free, size, freeCount }: DriverQueue, head: number): number {
  let count = 1;
  let last = head;
  for (; count <= size; count += 1) {
    const next = readDescriptor(memory, desc, last)?.next;
    if (next === undefined || next >= size) break;
    last = next;
  }
  const held = present(readDescriptor(memory, desc, last), 'descriptor');
  putDescriptor(memory, desc, last, { ...held, next: freeCount > 0 ? free : undefined });
  return count;
}
