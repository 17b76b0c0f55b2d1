/** A machine with enhanced command queues for tests: two control pages of four queues, of 16 entries each. */
import type { MachineConfig } from '../../core/config.ts';
import type { Stimulus } from '../../core/stimulus.ts';
import { bringUp, machine, storeWords } from './build.ts';
import { type Given, on } from './given.ts';
import { idr } from './tables.ts';

export const ECMDQ = 'ECMDQ=1 MSI=1 SEV=1 ATS=1 CMDQ_CONTROL_PAGE_LOG2NUMP=1 CMDQ_CONTROL_PAGE_LOG2NUMQ=2';
/** EN of PROD and ENACK of CONS; ERRACK of PROD and ERR of CONS. */
export const EN = 2 ** 31;
export const ERR = 1 << 23;

export type Which = 'BASE' | 'PROD' | 'CONS';
/** Offsets in the interface of a queue. */
export const inQueue = { BASE: 0, PROD: 8, CONS: 12 } as const;
/** Four queues a page: one each 0x4000 bytes. */
export const offsetOf = (queue: number, which: Which): number => 0x4_0000 + queue * 0x4000 + inQueue[which];

/** Writes a register of a queue. */
export function put(
  queue: number,
  which: Which,
  value: number | bigint,
  size = which === 'BASE' ? 8 : 4,
): Stimulus {
  const offset = offsetOf(queue, which);
  return { type: 'mmio.write', smmu: 'smmu0', offset, size, value: BigInt(value), actor: 'cpu0' };
}
/** Reads what stands at an offset from the SMMU's base. */
export const readAt = (offset: number, size = 4): Stimulus => ({
  type: 'mmio.read',
  smmu: 'smmu0',
  offset,
  size,
  actor: 'cpu0',
});
export const get = (queue: number, which: Which): Stimulus => readAt(offsetOf(queue, which));

/** Where the entries of a queue stand, 16 of them. */
export const ring = (queue: number): number => 0x7_0000 + queue * 0x1000;
/** Puts commands into a queue's memory from pointer `from` on. */
export function fill(queue: number, from: number, ...commands: Uint32Array[]): Stimulus[] {
  return commands.map((words, index) => storeWords(ring(queue) + ((from + index) % 16) * 16, words));
}
/** Base, CONS and EN of a queue. */
export const enable = (queue: number): Stimulus[] => [
  put(queue, 'BASE', BigInt(ring(queue)) | 4n),
  put(queue, 'CONS', 0),
  put(queue, 'PROD', EN),
];
/** Puts commands from slot 0 on and moves PROD. */
export const submit = (queue: number, ...commands: Uint32Array[]): Stimulus[] => [
  ...fill(queue, 0, ...commands),
  put(queue, 'PROD', EN + commands.length),
];
export const config = (features = ECMDQ, overrides: Partial<MachineConfig> = {}): MachineConfig =>
  machine(overrides, { idr: idr(features) });
/** A machine that is up, with these enhanced queues on. */
export const ready = (...queues: number[]): Given => on(config()).given(bringUp(), queues.map(enable));
