/**
 * Software's reads and writes of memory, and the writes of devices. A store that lies in one aligned
 * doubleword is one `memory.written` with the whole doubleword before and after, so that whoever
 * watches descriptors needs no memory of its own; more is one `memory.loaded`.
 */
import type { Context, Decider } from '../machine.ts';

export const writeMemory: Decider<'mem.write'> = (context, stimulus) => {
  storeBytes(context, stimulus.actor ?? 'outside', stimulus.pa, stimulus.bytes);
};

export const readMemory: Decider<'mem.read'> = ({ state, emit }, { pa, size }) => {
  if (state.memory.isRam(pa, size)) emit('memory', { type: 'memory.read', pa, size });
  else emit('memory', { type: 'memory.aborted', pa, size });
};

/** Stores bytes at a physical address; an address that is not RAM aborts. */
export function storeBytes({ state, emit }: Context, actor: string, pa: number, bytes: Uint8Array): void {
  if (bytes.length === 0) return;
  if (!state.memory.isRam(pa, bytes.length)) {
    emit(actor, { type: 'memory.aborted', pa, size: bytes.length });
    return;
  }
  const base = pa - (pa % 8);
  if (pa + bytes.length > base + 8) {
    emit(actor, { type: 'memory.loaded', pa, bytes });
    return;
  }
  const old = state.memory.read64(base);
  emit(actor, { type: 'memory.written', pa: base, value: merge(old, pa - base, bytes), old });
}

const doubleword = new DataView(new ArrayBuffer(8));

/** `old` with `bytes` in place of the bytes from `offset` on. */
function merge(old: bigint, offset: number, bytes: Uint8Array): bigint {
  doubleword.setBigUint64(0, old, true);
  for (let at = 0; at < bytes.length; at += 1) doubleword.setUint8(offset + at, bytes[at] ?? 0);
  return doubleword.getBigUint64(0, true);
}
