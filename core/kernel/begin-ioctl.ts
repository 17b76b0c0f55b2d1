/** An ioctl begins: its struct and buffers are put into the memory of who calls. The kernel's unit does the rest. */
import { putDoubleword } from '../layout/words.ts';
import type { Context as Machine } from '../machine.ts';
import type { StimulusOf } from '../stimulus.ts';
import type { PlacedBuffer } from './call.ts';
import { fdOf } from './files.ts';
import { kernelOf } from './kernel.ts';
import { writeUser } from './process/memory.ts';
import { DEFAULT_PROCESS, processOf, scratchFor } from './process/process.ts';
import { requestName } from './requests.ts';

/** Who does the work of system calls, one after the other. */
export const KERNEL_UNIT = 'kernel';
/** Arguments begin at multiples of this. */
const ARGUMENT_ALIGN = 64;

/** Begins a call, for a scenario or for a VMM. Returns its number, the seq of `ioctl.begun`. */
export function beginIoctl(machine: Machine, stimulus: StimulusOf<'ioctl'>): number {
  const { state, emit } = machine;
  const fd = fdOf(state, stimulus.fd);
  const process = stimulus.process ?? kernelOf(state).files[fd ?? -1]?.process ?? DEFAULT_PROCESS;
  processOf(machine, process);
  const placed = placeArguments(machine, process, stimulus);
  const ioctl = emit(process, {
    type: 'ioctl.begun',
    fd: fd ?? -1,
    process,
    code: stimulus.code,
    name: requestName(kernelOf(state).profile, stimulus.code),
    ...placed,
  });
  return ioctl;
}

interface Placed {
  readonly argument: bigint;
  readonly size: number;
  readonly buffers: readonly PlacedBuffer[];
  readonly scratch: number;
}

/** Puts the struct and its buffers into the process's memory, and their addresses where they belong. */
function placeArguments(
  machine: Machine,
  name: string,
  { arg = 0n, bytes, buffers = [] }: StimulusOf<'ioctl'>,
): Placed {
  const { scratchUsed } = processOf(machine, name);
  if (bytes === undefined) return { argument: arg, size: 0, buffers: [], scratch: scratchUsed };
  const sizes = [bytes.length, ...buffers.map((each) => each.bytes.length)].map(
    (size) => Math.ceil(Math.max(size, 1) / ARGUMENT_ALIGN) * ARGUMENT_ALIGN,
  );
  const needed = sizes.reduce((sum, size) => sum + size, 0);
  const va = scratchFor(machine, name, needed);
  if (va === undefined) return { argument: 0n, size: 0, buffers: [], scratch: scratchUsed };
  const struct = bytes.slice();
  let at = va + (sizes[0] ?? 0);
  const placed = buffers.map(({ field, offset, bytes: content }, index): PlacedBuffer => {
    const buffer = { field, va: at, bytes: content.length };
    if (offset + 8 <= struct.length) putDoubleword(struct, offset, BigInt(at));
    writeUser(machine, name, name, BigInt(at), content);
    at += sizes[index + 1] ?? 0;
    return buffer;
  });
  writeUser(machine, name, name, BigInt(va), struct);
  const used = processOf(machine, name).scratch.va;
  return { argument: BigInt(va), size: struct.length, buffers: placed, scratch: va - used + needed };
}
