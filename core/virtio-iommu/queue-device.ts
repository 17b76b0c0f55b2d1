/**
 * The device's side of a split virtqueue (virtio 1.3, 2.7.5 to 2.7.8; qemu: virtqueue_split_pop,
 * virtqueue_split_fill). The driver may have written anything: what cannot be a chain is said, with what is
 * wrong in it, and nothing is taken.
 */
import { encodeStruct } from '../kernel/uapi/struct.ts';
import { VRING_USED_ELEM } from './structs.ts';
import {
  availEntry,
  availEvent,
  DESC_BYTES,
  type Descriptor,
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

export interface DeviceQueue extends QueuePlace {
  /** Index of the next entry of the avail ring, and of the used ring. */
  readonly availIdx: number;
  readonly usedIdx: number;
}

export interface Chain {
  readonly head: number;
  readonly readable: readonly Part[];
  readonly writable: readonly Part[];
}

export type Popped =
  | { readonly kind: 'none' }
  | { readonly kind: 'chain'; readonly queue: DeviceQueue; readonly chain: Chain }
  /** The driver broke a rule of virtqueues. */
  | { readonly kind: 'bad'; readonly why: string };

const bad = (why: string): Popped => ({ kind: 'bad', why });

/** Whether the driver has made a chain available that was not taken yet. */
export function hasAvailable(memory: QueueMemory, { avail, availIdx }: DeviceQueue): boolean {
  const head = readHead(memory, avail);
  return head !== undefined && head.idx !== availIdx;
}

/** Takes the next chain. With EVENT_IDX the device asks to be told of the one after it. */
export function popChain(memory: QueueMemory, queue: DeviceQueue): Popped {
  const ring = readHead(memory, queue.avail);
  if (ring === undefined) return bad('the avail ring is not in memory');
  const waiting = wrap16(ring.idx - queue.availIdx);
  if (waiting === 0) return { kind: 'none' };
  if (waiting > queue.size) return bad(`avail index moved by ${waiting}, more than ${queue.size}`);
  const head = read16(memory, availEntry(queue, queue.availIdx));
  if (head >= queue.size) return bad(`head ${head} of ${queue.size} descriptors`);
  const chain = walk(memory, queue, head);
  if (typeof chain === 'string') return bad(chain);
  const availIdx = wrap16(queue.availIdx + 1);
  if (queue.eventIdx) write16(memory, availEvent(queue), availIdx);
  return { kind: 'chain', queue: { ...queue, availIdx }, chain };
}

/** The chain that begins at a head, or what is wrong in it. */
function walk(memory: QueueMemory, { desc, size }: QueuePlace, head: number): Chain | string {
  let table = desc;
  let entries = size;
  let index: number | undefined = head;
  let indirect = false;
  const readable: Part[] = [];
  const writable: Part[] = [];
  for (let steps = 0; index !== undefined; steps += 1) {
    if (steps > size) return `more than ${size} descriptors, or a circle of them`;
    if (index >= entries) return `descriptor ${index} of ${entries}`;
    const descriptor: Descriptor | undefined = readDescriptor(memory, table, index);
    if (descriptor === undefined) return `descriptor ${index} is not in memory`;
    const { gpa, bytes, next, write } = descriptor;
    if (descriptor.indirect) {
      if (indirect || next !== undefined || steps > 0) return 'an indirect table inside of a chain';
      if (bytes === 0 || bytes % DESC_BYTES !== 0) return `an indirect table of ${bytes} bytes`;
      [table, entries, index, indirect] = [gpa, bytes / DESC_BYTES, 0, true];
      continue;
    }
    if (bytes === 0) return `descriptor ${index} without bytes`;
    if (!write && writable.length > 0) return 'a part to read behind one to write';
    (write ? writable : readable).push({ gpa, bytes });
    index = next;
  }
  return { head, readable, writable };
}

/** Gives a chain back with so many bytes written. Undefined where the used ring is not in memory. */
export function pushUsed(
  memory: QueueMemory,
  queue: DeviceQueue,
  head: number,
  length: number,
): DeviceQueue | undefined {
  const entry = encodeStruct(VRING_USED_ELEM, { id: head, len: length });
  if (!memory.write(usedEntry(queue, queue.usedIdx), entry)) return undefined;
  const usedIdx = wrap16(queue.usedIdx + 1);
  writeIndex(memory, queue.used, usedIdx);
  return { ...queue, usedIdx };
}

/** Whether the driver wants an interrupt for what was used since index `before`. */
export function interruptNeeded(memory: QueueMemory, queue: DeviceQueue, before: number): boolean {
  if (queue.usedIdx === before) return false;
  if (queue.eventIdx) return passes(read16(memory, usedEvent(queue)), queue.usedIdx, before);
  const ring = readHead(memory, queue.avail);
  return ring !== undefined && (ring.flags & QUIET) === 0;
}
