/** Memory of a guest: its slots, the pages that its kernel gives out, and stores of its software. */

import { mappedSlices, runsOf } from '../kernel/process/memory.ts';
import { findRun } from '../kernel/process/pool.ts';
import type { Context } from '../machine.ts';
import { storeBytes } from '../memory/access.ts';
import { isZero, LINE_BYTES } from '../memory/memory.ts';
import { NOWHERE, piecesIn, type Window } from '../memory/space.ts';
import type { State } from '../state.ts';
import type { Slot } from './state.ts';
import { vmOf } from './vm.ts';

/** Says what backs the guest's memory from now on. */
export function backMemory(context: Context, vm: string, slots: readonly Slot[]): void {
  const windows = slots.flatMap((slot) => windowsOf(context.state, vm, slot));
  context.emit(vm, { type: 'vm.backed', vm, slots, windows });
}

function windowsOf(state: State, process: string, { gpa, bytes, va }: Slot): readonly Window[] {
  const windows: Window[] = [];
  let base = gpa;
  for (const { pa, size } of mappedSlices(state, process, BigInt(va), bytes).flatMap((slice) =>
    runsOf(state, slice),
  )) {
    windows.push({ base, bytes: size, pa });
    base += size;
  }
  return windows;
}

/** Stores of the guest's software; what is beyond its memory is lost. */
export function storeGuest(
  context: Context,
  vm: string,
  actor: string,
  gpa: number,
  bytes: Uint8Array,
): void {
  let at = 0;
  for (const { pa, size } of piecesIn(context.state, vm, gpa, bytes.length)) {
    if (pa === NOWHERE) context.emit(actor, { type: 'memory.aborted', pa: gpa + at, size });
    else storeBytes(context, actor, pa, bytes.slice(at, at + size));
    at += size;
  }
}

/** Contiguous zeroed pages of the guest, aligned; undefined when there are none. */
export function takeGuestPages(
  context: Context,
  vm: string,
  bytes: number,
  align: number,
  what: string,
): number | undefined {
  const run = findRun(vmOf(context.state, vm).pool.free, bytes, align);
  if (run === undefined) return undefined;
  context.emit(vm, { type: 'page.allocated', vm, gpa: run.pa, bytes: run.size, what });
  zeroGuest(context, vm, run.pa, run.size);
  return run.pa;
}

/** Gives pages back to the guest's kernel. */
export function returnGuestPages(
  { emit }: Context,
  vm: string,
  gpa: number,
  bytes: number,
  what: string,
): void {
  emit(vm, { type: 'page.freed', vm, gpa, bytes, what });
}

/** Only lines that hold something are written. */
function zeroGuest(context: Context, vm: string, gpa: number, bytes: number): void {
  const { memory } = context.state;
  for (const { pa, size } of piecesIn(context.state, vm, gpa, bytes)) {
    if (pa === NOWHERE) continue;
    for (const [key, { words }] of [...memory.lines.range(pa / LINE_BYTES, (pa + size) / LINE_BYTES)])
      if (!isZero(words)) storeBytes(context, vm, key * LINE_BYTES, new Uint8Array(LINE_BYTES));
  }
}
