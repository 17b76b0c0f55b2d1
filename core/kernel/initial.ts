/** The kernel at seq 0: all memory of the largest RAM range is free, and nothing is open. */
import type { KernelConfig } from '../config.ts';
import type { RamRange } from '../memory/memory.ts';
import { Radix } from '../memory/radix.ts';
import { sealedMap } from '../parts.ts';
import { PAGE_BYTES } from './process/state.ts';
import type { KernelState } from './state.ts';

/** Number of the first fd: 0 to 2 are taken in every process. */
export const FIRST_FD = 3;

/** A kernel that has not booted. */
export function initialKernel(
  { profile, switches = {}, driver }: KernelConfig,
  ram: readonly RamRange[],
): KernelState {
  return {
    profile: profile as KernelState['profile'],
    switches: { ...switches },
    failNth: 0,
    pool: { free: freePages(ram) },
    backings: sealedMap(),
    nextBacking: 1,
    processes: {},
    files: {},
    names: {},
    contexts: {},
    nextContext: 1,
    calls: {},
    ...(driver === undefined ? {} : { driver }),
  };
}

/** The pool is one run; what is given out is cut from its end, so that scenarios may use low addresses. */
function freePages(ram: readonly RamRange[]): Radix<number> {
  const free = new Radix<number>();
  const largest = ram.reduce((best, each) => (each.size > best.size ? each : best), { base: 0, size: 0 });
  const first = Math.ceil(largest.base / PAGE_BYTES);
  const end = Math.floor((largest.base + largest.size) / PAGE_BYTES);
  if (end > first) free.set(first, end - first);
  free.seal();
  return free;
}
