/** CPUs as units: each does one task at a time, and several can be inside the driver together. */
import type { Frame, FrameRow } from './task.ts';

/** Ends a turn, so that others may come between. */
export const pause: Frame = { do: 'cpu.pause', pause: true };
export const pauseRow: FrameRow<Frame> = { run: () => [] };

/** A kernel's assertion fails: whoever works does not go on, and nobody is told. */
export const lostRow: FrameRow<Frame> = { run: () => ({ instead: [] }) };

/** The unit of a CPU. @param owner `host`, or a VM's name */
export function cpuUnit(owner: string, cpu: number): string {
  return `${owner}.cpu${cpu}`;
}

/** Whether a unit is a CPU. */
export function isCpuUnit(unit: string): boolean {
  return /\.cpu[0-9]+$/.test(unit);
}
