/** A small machine and plain entries, for tests of what keeps entries. */
import type { MachineConfig } from '../../core/config.ts';
import type { Entry } from '../../core/event.ts';

export const machine: MachineConfig = {
  ram: [{ base: 0, size: 4096 }],
  smmus: [],
  endpoints: [],
  schedule: 'eager',
  seed: 1,
};

/** Entries `from` to `last`: writes of memory, as a driver makes them. */
export function someEntries(from: number, last: number, mark = 0): Entry[] {
  return Array.from({ length: last - from + 1 }, (_, index) => {
    const seq = from + index;
    const head = {
      seq,
      tick: seq,
      cause: seq % 2 === 0 ? seq - 1 : 0,
      actor: seq % 2 === 0 ? 'machine' : 'cpu0',
    };
    const pa = 0x40000000 + seq * 8;
    return seq % 2 === 0
      ? { ...head, type: 'memory.written', pa, value: BigInt(seq + mark), old: 0n }
      : { ...head, type: 'mem.write', pa, bytes: Uint8Array.of(seq, mark, 0, 0, 0, 0, 0, 0) };
  });
}
