/** Physical memory behind mappings, files and pins: made, held, and given back when nobody holds it. */
import type { Context } from '../../machine.ts';
import { allocates, kernelOf } from '../kernel.ts';
import type { KernelState } from '../state.ts';
import { backingOf } from './memory.ts';
import { findRun, gatherRuns, zero } from './pool.ts';
import { type Backing, HUGE_BYTES, PAGE_BYTES, type Run, type Slice } from './state.ts';

/** Makes zeroed memory with one user; undefined (ENOMEM) when there is too little. */
export function makeBacking(context: Context, kind: Backing['kind'], bytes: number): Backing | undefined {
  if (!allocates(context, 'memory of a process')) return undefined;
  const kernel = kernelOf(context.state);
  const unit = kind === 'hugetlb' ? HUGE_BYTES : PAGE_BYTES;
  const size = Math.ceil(bytes / unit) * unit;
  const runs = layouts[kind](kernel, size);
  if (runs === undefined) return undefined;
  const id = kernel.nextBacking;
  context.emit('kernel', { type: 'backing.made', backing: id, kind, bytes: size, runs });
  for (const run of runs) zero(context, run);
  return backingOf(context.state, id);
}

/** Changes how many hold the backing; with the last one its memory is free. */
export function holdBacking({ state, emit }: Context, id: number, by: number): void {
  const { users } = backingOf(state, id);
  emit('kernel', { type: 'backing.held', backing: id, users: users + by });
}

/** Holds (`by` 1) or lets go (-1) each slice: one event for each backing. */
export function holdSlices(context: Context, slices: readonly Slice[], by: 1 | -1): void {
  holdEach(
    context,
    slices.map(({ backing }) => backing),
    by,
  );
}

/** The same for backings, as often as each is named. */
export function holdEach(context: Context, backings: readonly number[], by: 1 | -1): void {
  const counts = new Map<number, number>();
  for (const backing of backings) counts.set(backing, (counts.get(backing) ?? 0) + by);
  for (const [backing, count] of counts) holdBacking(context, backing, count);
}

type Layout = ({ pool }: KernelState, bytes: number) => readonly Run[] | undefined;

const anywhere: Layout = ({ pool }, bytes) => gatherRuns(pool.free, bytes);

const layouts: Readonly<Record<Backing['kind'], Layout>> = {
  'anon-shared': anywhere,
  'private-file': anywhere,
  memfd: anywhere,
  hugetlb: ({ pool }, bytes) => {
    const run = findRun(pool.free, bytes, HUGE_BYTES);
    return run && pieces(run, HUGE_BYTES);
  },
  contiguous: ({ pool }, bytes) => {
    const run = findRun(pool.free, bytes, 2 ** Math.ceil(Math.log2(bytes)));
    return run && [run];
  },
  // Backwards, so that no page lies behind its neighbour.
  scattered: ({ pool }, bytes) =>
    gatherRuns(pool.free, bytes)?.flatMap((run) => [...pieces(run, PAGE_BYTES)].reverse()),
};

function pieces({ pa, size }: Run, bytes: number): readonly Run[] {
  return Array.from({ length: size / bytes }, (_, index) => ({ pa: pa + index * bytes, size: bytes }));
}
