/**
 * The physical memory that the kernel gives out, in pages. Free runs are taken from the highest one that
 * is large enough, at its upper end; what comes back joins its neighbours. So memory is reused at once,
 * as a busy kernel does, and low addresses stay free for scenarios that write there themselves.
 */
import type { Context } from '../../machine.ts';
import { isZero, LINE_BYTES } from '../../memory/memory.ts';
import type { Radix } from '../../memory/radix.ts';
import type { State } from '../../state.ts';
import { kernelOf } from '../kernel.ts';
import { PAGE_BYTES, type Run } from './state.ts';

/** Most bytes that one event holds when memory is zeroed. */
const ZERO_BYTES_MAX = 0x1_0000;

/** Takes `bytes` of contiguous memory for `owner`, zeroed; undefined when there is none. */
export function takePages(
  context: Context,
  owner: string,
  bytes: number,
  align = PAGE_BYTES,
): Run | undefined {
  const run = findRun(kernelOf(context.state).pool.free, bytes, align);
  if (run === undefined) return undefined;
  context.emit('kernel', { type: 'pages.taken', pa: run.pa, bytes: run.size, owner });
  zero(context, run);
  return run;
}

/** Gives back what `takePages` gave. */
export function returnPages({ emit }: Context, owner: string, { pa, size }: Run): void {
  emit('kernel', { type: 'pages.returned', pa, bytes: size, owner });
}

/** A free run of so many bytes, aligned; the highest there is. */
export function findRun(free: Radix<number>, bytes: number, align: number): Run | undefined {
  const size = Math.ceil(bytes / PAGE_BYTES) * PAGE_BYTES;
  for (let entry = free.before(Number.MAX_SAFE_INTEGER); entry !== undefined; entry = free.before(entry[0])) {
    const [first, count] = entry;
    const end = (first + count) * PAGE_BYTES;
    const pa = Math.floor((end - size) / align) * align;
    if (pa >= first * PAGE_BYTES) return { pa, size };
  }
  return undefined;
}

/** The highest free pages, from as many runs as it takes; undefined when there are too few. */
export function gatherRuns(free: Radix<number>, bytes: number): readonly Run[] | undefined {
  const whole = findRun(free, bytes, PAGE_BYTES);
  if (whole !== undefined) return [whole];
  const runs: Run[] = [];
  let left = bytes;
  for (let entry = free.before(Number.MAX_SAFE_INTEGER); entry !== undefined; entry = free.before(entry[0])) {
    const [first, count] = entry;
    const size = Math.min(left, count * PAGE_BYTES);
    runs.push({ pa: (first + count) * PAGE_BYTES - size, size });
    left -= size;
    if (left === 0) return runs;
  }
  return undefined;
}

/** Overwrites what is not zero, as one store for each stretch. */
export function zero({ state, emit }: Context, { pa, size }: Run): void {
  for (const [from, bytes] of stretches(state, pa, size)) {
    emit('kernel', { type: 'memory.loaded', pa: from, bytes: new Uint8Array(bytes) });
  }
}

/** Neighbouring lines that hold something, listed before any is changed. */
function stretches(state: State, pa: number, size: number): readonly (readonly [number, number])[] {
  const found: [number, number][] = [];
  for (const [key, { words }] of state.memory.lines.range(pa / LINE_BYTES, (pa + size) / LINE_BYTES)) {
    if (isZero(words)) continue;
    const last = found.at(-1);
    if (last !== undefined && last[0] + last[1] === key * LINE_BYTES && last[1] < ZERO_BYTES_MAX)
      last[1] += LINE_BYTES;
    else found.push([key * LINE_BYTES, LINE_BYTES]);
  }
  return found;
}

/** Evolves the pool: the run is no longer free. */
export function removeFree(free: Radix<number>, { pa, size }: Run): void {
  const [first, end] = [pa / PAGE_BYTES, (pa + size) / PAGE_BYTES];
  const [at, count] = free.before(first + 1) ?? [first, 0];
  free.delete(at);
  if (at < first) free.set(at, first - at);
  if (at + count > end) free.set(end, at + count - end);
}

/** Evolves the pool: the run is free, one with its free neighbours. */
export function addFree(free: Radix<number>, { pa, size }: Run): void {
  let first = pa / PAGE_BYTES;
  let end = (pa + size) / PAGE_BYTES;
  const below = free.before(first);
  if (below !== undefined && below[0] + below[1] === first) first = below[0];
  const above = free.get(end);
  if (above !== undefined) {
    free.delete(end);
    end += above;
  }
  free.set(first, end - first);
}
