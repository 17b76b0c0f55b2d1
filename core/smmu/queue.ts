/**
 * PROD and CONS with their wrap bits, once for every queue: IHI 0070 3.5.1. A pointer is an index
 * with the wrap bit above it; all arithmetic is modulo twice the queue's size.
 */
import { pow2 } from '../pow2.ts';

export interface Queue {
  /** Address of entry 0, aligned down to the queue's size (32 bytes at the least). */
  readonly base: number;
  readonly sizeLog2: number;
  readonly entryBytes: number;
}

const TWO32 = 0x1_0000_0000;

/**
 * The queue a *_BASE register describes; LOG2SIZE is capped at `sizeLog2Max`.
 * @param oas bits of a physical address: those above are not looked at (3.4.3).
 */
export function queueOf(
  baseLo: number,
  baseHi: number,
  entryBytes: number,
  sizeLog2Max: number,
  oas = 56,
): Queue {
  const sizeLog2 = Math.min(baseLo & 0x1f, sizeLog2Max);
  const align = Math.max(32, entryBytes * pow2(sizeLog2));
  const address = ((baseHi & 0x00ff_ffff) * TWO32 + ((baseLo & 0xffff_ffe0) >>> 0)) % pow2(oas);
  return { base: address - (address % align), sizeLog2, entryBytes };
}

/** The pointer in a PROD or CONS register: index and wrap, without the bits above. */
export function pointer(queue: Queue, register: number): number {
  return register & (pow2(queue.sizeLog2 + 1) - 1);
}

/** The slot of a pointer: the pointer without its wrap bit. */
export function indexOf(queue: Queue, at: number): number {
  return at & (pow2(queue.sizeLog2) - 1);
}

/** Where the entry at a pointer stands. */
export function entryAddress(queue: Queue, at: number): number {
  return queue.base + indexOf(queue, at) * queue.entryBytes;
}

/** Entries between CONS and PROD; more than the size when the pointers are inconsistent. */
export function used(queue: Queue, prod: number, cons: number): number {
  const span = pow2(queue.sizeLog2 + 1);
  return (pointer(queue, prod) - pointer(queue, cons) + span) % span;
}

/** Index and wrap bit are equal. */
export function isEmpty(queue: Queue, prod: number, cons: number): boolean {
  return pointer(queue, prod) === pointer(queue, cons);
}

/** Full, or inconsistent, which a producer treats alike. */
export function isFull(queue: Queue, prod: number, cons: number): boolean {
  return used(queue, prod, cons) >= pow2(queue.sizeLog2);
}

/** CONS is not ahead of PROD (3.5.1). */
export function isConsistent(queue: Queue, prod: number, cons: number): boolean {
  return used(queue, prod, cons) <= pow2(queue.sizeLog2);
}

/** The register after its pointer moved on by one; the bits above the wrap bit stay. */
export function advance(queue: Queue, register: number): number {
  const ones = pow2(queue.sizeLog2 + 1) - 1;
  return ((register & ~ones) | ((pointer(queue, register) + 1) & ones)) >>> 0;
}
