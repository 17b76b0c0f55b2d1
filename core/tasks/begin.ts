/** Work begins: apart from the running of it, so that whoever has work need not know all frames. */
import type { Context } from '../machine.ts';
import type { Frame } from './task.ts';

/** Gives `unit` work to do, in turns to come. Returns the task's number. */
export function beginTask({ emit }: Context, unit: string, what: string, frames: readonly Frame[]): number {
  return emit(unit, { type: 'task.begun', unit, what, frames });
}
