/** The memory of a VM as virtqueues see it: the driver and the VMM store to it alike, and are told apart by the actor. */
import type { Context } from '../machine.ts';
import { NOWHERE, piecesIn } from '../memory/space.ts';
import type { State } from '../state.ts';
import { storeGuest } from '../vm/memory.ts';
import type { QueueMemory } from './virtqueue.ts';

function readGuest(state: State, vm: string, gpa: number, size: number): Uint8Array | undefined {
  if (!isGuestRam(state, vm, gpa, size)) return undefined;
  const out = new Uint8Array(size);
  let at = 0;
  for (const { pa, size: length } of piecesIn(state, vm, gpa, size)) {
    out.set(state.memory.readBytes(pa, length), at);
    at += length;
  }
  return out;
}

/** Whether all of a range is memory of the guest. */
export function isGuestRam(state: State, vm: string, gpa: number, size: number): boolean {
  return Number.isSafeInteger(gpa + size) && piecesIn(state, vm, gpa, size).every(({ pa }) => pa !== NOWHERE);
}

/** For looking only: nothing is written. */
export function lookAt(state: State, vm: string): QueueMemory {
  return { read: (gpa, size) => readGuest(state, vm, gpa, size), write: () => false };
}

/** For one who acts. */
export function memoryFor(context: Context, vm: string, actor: string): QueueMemory {
  return {
    read: (gpa, size) => readGuest(context.state, vm, gpa, size),
    write: (gpa, bytes) => {
      if (!isGuestRam(context.state, vm, gpa, bytes.length)) return false;
      storeGuest(context, vm, actor, gpa, bytes);
      return true;
    },
  };
}
