/** Processes: made when first named, their mappings, the memory for arguments of their calls, their end. */
import { own } from '../../lookup.ts';
import type { Context } from '../../machine.ts';
import { kernelOf } from '../kernel.ts';
import { holdBacking, makeBacking } from './backing.ts';
import { VA_END } from './memory.ts';
import { type Backing, HUGE_BYTES, type MemoryKind, PAGE_BYTES, type Process } from './state.ts';

/** Who asks, where a scenario names nobody. */
export const DEFAULT_PROCESS = 'proc0';
/** Where mappings begin, going up. */
export const FIRST_VA = 0x7000_0000_0000;
const SCRATCH_BYTES = 0x1_0000;

/** The process of that name; it is there from now on. */
export function processOf({ state, emit }: Context, name: string): Process {
  const { processes } = kernelOf(state);
  if (own(processes, name) === undefined) emit(name, { type: 'process.made', process: name });
  return processes[name] as Process;
}

/** Maps new memory, zeroed. Returns its address, or undefined (ENOMEM). */
export function allocate(
  context: Context,
  process: string,
  bytes: number,
  kind: MemoryKind,
): number | undefined {
  processOf(context, process);
  const backing = makeBacking(context, kind, bytes);
  return backing && mapBacking(context, process, backing);
}

/** Maps a whole backing, whose use by the mapping is counted already. Returns the address. */
export function mapBacking(context: Context, process: string, { id, bytes }: Backing): number | undefined {
  const { nextVa } = processOf(context, process);
  // As a program that wants huge pages would align it: automatic IOVAs follow the alignment of the memory.
  const va = Math.ceil(nextVa / HUGE_BYTES) * HUGE_BYTES;
  if (va + bytes > VA_END) {
    holdBacking(context, id, -1);
    return undefined;
  }
  context.emit(process, { type: 'mapping.added', process, va, bytes, backing: id, offset: 0 });
  return va;
}

/** Removes the mapping that begins at the address. Returns whether there was one. */
export function unmap(context: Context, process: string, va: number): boolean {
  const { mappings } = processOf(context, process);
  const mapping = mappings.get(va / PAGE_BYTES);
  if (mapping === undefined) return false;
  context.emit(process, { type: 'mapping.removed', process, va });
  holdBacking(context, mapping.backing, -1);
  return true;
}

/**
 * Memory for the arguments of one call: `bytes` of it, from a place that no other call uses. It is free again
 * when all calls of the process have ended. undefined: ENOMEM.
 */
export function scratchFor(context: Context, name: string, bytes: number): number | undefined {
  const { scratch, scratchUsed } = processOf(context, name);
  if (scratchUsed + bytes <= scratch.bytes) return scratch.va + scratchUsed;
  const size = Math.max(SCRATCH_BYTES, 2 ** Math.ceil(Math.log2(bytes)));
  const va = allocate(context, name, size, 'anon-shared');
  if (va === undefined) return undefined;
  context.emit(name, { type: 'scratch.moved', process: name, va, bytes: size });
  if (scratchUsed === 0 && scratch.bytes > 0) unmap(context, name, scratch.va);
  return va;
}

/** Unmaps all of a process's memory. */
export function unmapAll(context: Context, name: string): void {
  const mappings = [...processOf(context, name).mappings.range()];
  for (const [, { va }] of mappings) unmap(context, name, va);
}
