/**
 * Memory of processes: reading and writing it as their system calls do, and what of it lies where. An
 * address that is not mapped is EFAULT; what was copied before it stays copied.
 */
import { present } from '../../assert.ts';
import { own } from '../../lookup.ts';
import type { Context } from '../../machine.ts';
import { storeBytes } from '../../memory/access.ts';
import type { State } from '../../state.ts';
import { kernelOf } from '../kernel.ts';
import {
  type Backing,
  HUGE_BYTES,
  type Mapping,
  PAGE_BYTES,
  type Process,
  type Run,
  type Slice,
} from './state.ts';

/** End of the addresses of a process. */
export const VA_END = 2 ** 47;

/** The mapping that holds the address. */
export function mappingAt({ mappings }: Process, va: number): Mapping | undefined {
  const found = mappings.before(Math.floor(va / PAGE_BYTES) + 1)?.[1];
  return found !== undefined && va < found.va + found.bytes ? found : undefined;
}

/** What of `[va, va + bytes)` is mapped from `va` on without a hole, as pieces of backings. */
export function mappedSlices(state: State, name: string, va: bigint, bytes: number): readonly Slice[] {
  const process = own(kernelOf(state).processes, name);
  const slices: Slice[] = [];
  if (process === undefined || va + BigInt(bytes) > BigInt(VA_END)) return slices;
  const end = Number(va) + bytes;
  for (let at = Number(va); at < end; ) {
    const mapping = mappingAt(process, at);
    if (mapping === undefined) break;
    const upTo = Math.min(end, mapping.va + mapping.bytes);
    slices.push({ backing: mapping.backing, offset: mapping.offset + at - mapping.va, bytes: upTo - at });
    at = upTo;
  }
  return slices;
}

/** Bytes of each run of a backing, where they are all alike. */
const evenRuns: Readonly<Partial<Record<Backing['kind'], number>>> = {
  scattered: PAGE_BYTES,
  hugetlb: HUGE_BYTES,
};

/** Where a piece of a backing lies, in order. */
export function runsOf(state: State, { backing, offset, bytes }: Slice): readonly Run[] {
  const { runs, kind } = backingOf(state, backing);
  const found: Run[] = [];
  // Runs of one size can be jumped to; others are few.
  const even = evenRuns[kind];
  let index = even === undefined ? 0 : Math.floor(offset / even);
  let base = even === undefined ? 0 : index * even;
  for (; index < runs.length && base < offset + bytes; index += 1) {
    const run = present(runs[index], 'run');
    const from = Math.max(offset, base);
    const end = Math.min(offset + bytes, base + run.size);
    if (end > from) found.push({ pa: run.pa + from - base, size: end - from });
    base += run.size;
  }
  return found;
}

/** The backing of a number. */
export function backingOf(state: State, id: number): Backing {
  return present(kernelOf(state).backings.get(id), `backing ${id}`);
}

/** Bytes of a process's memory; undefined (EFAULT) where not all of them are mapped. */
export function readUser(state: State, process: string, va: bigint, bytes: number): Uint8Array | undefined {
  const slices = mappedSlices(state, process, va, bytes);
  if (total(slices) < bytes) return undefined;
  const out = new Uint8Array(bytes);
  let at = 0;
  for (const slice of slices) {
    for (const { pa, size } of runsOf(state, slice)) {
      const piece = state.memory.readBytes(pa, size);
      if (size === bytes) return piece;
      out.set(piece, at);
      at += size;
    }
  }
  return out;
}

/** Stores bytes in a process's memory, up to the first address that is not mapped. Returns whether all were. */
export function writeUser(
  context: Context,
  actor: string,
  process: string,
  va: bigint,
  bytes: Uint8Array,
): boolean {
  const slices = mappedSlices(context.state, process, va, bytes.length);
  let at = 0;
  for (const slice of slices) {
    for (const { pa, size } of runsOf(context.state, slice)) {
      storeBytes(context, actor, pa, bytes.slice(at, at + size));
      at += size;
    }
  }
  return at === bytes.length;
}

/** Bytes of all slices together. */
export function total(slices: readonly { readonly bytes: number }[]): number {
  return slices.reduce((sum, { bytes }) => sum + bytes, 0);
}
