/**
 * A split virtqueue as both sides see it (virtio 1.3, 2.7): where its three parts stand, descriptors, and the
 * ring indices, which count to 2^16 and go round. Memory is reached through two functions of the caller; what
 * is not memory is read as undefined, and not written.
 */
import { decodeStruct, encodeStruct } from '../kernel/uapi/struct.ts';
import { names, VRING_DESC, VRING_HEAD, VRING_USED_ELEM } from './structs.ts';

export interface QueueMemory {
  /** Bytes at a guest-physical address; undefined where not all of them are memory. */
  read(gpa: number, size: number): Uint8Array | undefined;
  /** Whether all of it was memory, and is written. */
  write(gpa: number, bytes: Uint8Array): boolean;
}

/** Memory of which a range is written at once, when all is done; `flush` says whether it could be. */
export function batched(
  memory: QueueMemory,
  gpa: number,
  size: number,
): { readonly memory: QueueMemory; flush(): boolean } {
  const bytes = memory.read(gpa, size) ?? new Uint8Array(size);
  const inside = (at: number, count: number): boolean => at >= gpa && at + count <= gpa + size;
  return {
    memory: {
      read: (at, count) =>
        inside(at, count) ? bytes.slice(at - gpa, at - gpa + count) : memory.read(at, count),
      write: (at, data) => {
        if (!inside(at, data.length)) return memory.write(at, data);
        bytes.set(data, at - gpa);
        return true;
      },
    },
    flush: () => memory.write(gpa, bytes),
  };
}

/** Where a queue stands, in guest-physical addresses. */
export interface QueuePlace {
  /** Entries, a power of two. */
  readonly size: number;
  readonly desc: number;
  readonly avail: number;
  readonly used: number;
  /** Both sides negotiated EVENT_IDX: notifications by index, not by flag. */
  readonly eventIdx: boolean;
}

/** A buffer, or a piece of one. */
export interface Part {
  readonly gpa: number;
  readonly bytes: number;
}

export interface Descriptor extends Part {
  readonly next: number | undefined;
  readonly write: boolean;
  readonly indirect: boolean;
}

/** The flag with which one side says that it wants no notifications. */
export const QUIET = 1;
export const DESC_BYTES = VRING_DESC.bytes;

const AVAIL_ENTRY_BYTES = 2;
const USED_ENTRY_BYTES = VRING_USED_ELEM.bytes;
const bits = names.desc.members;
const has = (flags: number, bit: number): boolean => (flags & bit) !== 0;

/** Ring indices have 16 bits. */
export function wrap16(index: number): number {
  return index & 0xffff;
}

/** Bytes of the three parts of a queue of so many entries, with the fields for EVENT_IDX. */
export function queueBytes(size: number): {
  readonly desc: number;
  readonly avail: number;
  readonly used: number;
} {
  return {
    desc: size * DESC_BYTES,
    avail: VRING_HEAD.bytes + (size + 1) * AVAIL_ENTRY_BYTES,
    used: VRING_HEAD.bytes + size * USED_ENTRY_BYTES + 2,
  };
}

/** The descriptor at an index of a table; undefined where there is no memory. */
export function readDescriptor(memory: QueueMemory, table: number, index: number): Descriptor | undefined {
  const bytes = memory.read(table + index * DESC_BYTES, DESC_BYTES);
  if (bytes === undefined) return undefined;
  const { addr, len, flags, next } = decodeStruct(VRING_DESC, bytes);
  return {
    gpa: Number(addr),
    bytes: len,
    next: has(flags, bits.NEXT[0]) ? next : undefined,
    write: has(flags, bits.WRITE[0]),
    indirect: has(flags, bits.INDIRECT[0]),
  };
}

/** The bytes of a descriptor. */
export function encodeDescriptor({ gpa, bytes, next, write, indirect }: Descriptor): Uint8Array {
  const flags =
    (next === undefined ? 0 : bits.NEXT[0]) | (write ? bits.WRITE[0] : 0) | (indirect ? bits.INDIRECT[0] : 0);
  return encodeStruct(VRING_DESC, { addr: BigInt(gpa), len: bytes, flags, next: next ?? 0 });
}

/** Where an entry of the avail ring stands. */
export function availEntry({ avail, size }: QueuePlace, index: number): number {
  return avail + VRING_HEAD.bytes + (index % size) * AVAIL_ENTRY_BYTES;
}

/** Where an entry of the used ring stands. */
export function usedEntry({ used, size }: QueuePlace, index: number): number {
  return used + VRING_HEAD.bytes + (index % size) * USED_ENTRY_BYTES;
}

/** `used_event`, behind the avail ring: the driver wants an interrupt when the device passes it. */
export function usedEvent({ avail, size }: QueuePlace): number {
  return avail + VRING_HEAD.bytes + size * AVAIL_ENTRY_BYTES;
}

/** `avail_event`, behind the used ring: the device wants a notification when the driver passes it. */
export function availEvent({ used, size }: QueuePlace): number {
  return used + VRING_HEAD.bytes + size * USED_ENTRY_BYTES;
}

/** Flags and index of a ring; undefined where there is no memory. */
export function readHead(
  memory: QueueMemory,
  ring: number,
): { readonly flags: number; readonly idx: number } | undefined {
  const bytes = memory.read(ring, VRING_HEAD.bytes);
  return bytes === undefined ? undefined : decodeStruct(VRING_HEAD, bytes);
}

/** A 16-bit number; 0 where there is no memory. */
export function read16(memory: QueueMemory, gpa: number): number {
  const [low = 0, high = 0] = memory.read(gpa, 2) ?? [];
  return low | (high << 8);
}

/** Stores a 16-bit number. */
export function write16(memory: QueueMemory, gpa: number, value: number): boolean {
  return memory.write(gpa, Uint8Array.of(value & 0xff, value >>> 8));
}

/** Stores a ring's index, behind its flags. */
export function writeIndex(memory: QueueMemory, ring: number, index: number): boolean {
  return write16(memory, ring + 2, index);
}

/**
 * Whether the other side is to be told that an index moved from `before` to `now` (2.7.10): it asked for that
 * with `event`.
 */
export function passes(event: number, now: number, before: number): boolean {
  return wrap16(now - event - 1) < wrap16(now - before);
}

/** The first `limit` bytes of parts, one behind the other; undefined where one is no memory. */
export function gather(memory: QueueMemory, parts: readonly Part[], limit: number): Uint8Array | undefined {
  const out = new Uint8Array(Math.min(limit, bytesOf(parts)));
  let at = 0;
  for (const { gpa, bytes } of parts) {
    const take = Math.min(bytes, out.length - at);
    if (take === 0) continue;
    const piece = memory.read(gpa, take);
    if (piece === undefined) return undefined;
    out.set(piece, at);
    at += take;
  }
  return out;
}

/** Writes bytes over parts. Returns how many were written: fewer where parts end, or are no memory. */
export function scatter(memory: QueueMemory, parts: readonly Part[], data: Uint8Array): number {
  let at = 0;
  for (const { gpa, bytes } of parts) {
    const take = Math.min(bytes, data.length - at);
    if (take === 0) continue;
    if (!memory.write(gpa, data.subarray(at, at + take))) break;
    at += take;
  }
  return at;
}

/** Bytes of all parts. */
export function bytesOf(parts: readonly Part[]): number {
  return parts.reduce((sum, { bytes }) => sum + bytes, 0);
}
