/**
 * What processes ask of the kernel. Most calls end at once; those that wait for hardware, or for a call before
 * them, are tasks of the unit `kernel`, which does one at a time.
 */
import type { Decider, Context as Machine } from '../machine.ts';
import type { StimulusOf } from '../stimulus.ts';
import { beginTask, runTask } from '../tasks/run.ts';
import type { Frame } from '../tasks/task.ts';
import type { PlacedBuffer } from './call.ts';
import { startIoctl } from './dispatch.ts';
import type { Errno } from './errno.ts';
import { type FileKindRow, fdOf, fileKind, makeMemfd, openFile } from './files.ts';
import { kernelOf } from './kernel.ts';
import { readUser, writeUser } from './process/memory.ts';
import { allocate, DEFAULT_PROCESS, processOf, scratchFor, unmap } from './process/process.ts';

import { requestName } from './requests.ts';
import type { FileKind, FileOf } from './state.ts';

export const KERNEL_UNIT = 'kernel';
/** Arguments begin at multiples of this. */
const ARGUMENT_ALIGN = 64;

export const askMemory: Decider<'mem.alloc'> = (machine, { process = DEFAULT_PROCESS, bytes, kind }) => {
  const va = allocate(machine, process, bytes, kind);
  told(machine, va === undefined ? { errno: 'ENOMEM' } : { va });
};

export const freeMemory: Decider<'mem.free'> = (machine, { process = DEFAULT_PROCESS, va }) => {
  told(machine, unmap(machine, process, va) ? {} : { errno: 'EINVAL' });
};

export const askMemfd: Decider<'mem.memfd'> = (machine, { process = DEFAULT_PROCESS, bytes }) => {
  told(machine, makeMemfd(machine, process, bytes) ?? { errno: 'ENOMEM' });
};

export const writeProcess: Decider<'user.write'> = (machine, { process, va, bytes }) => {
  processOf(machine, process);
  told(machine, writeUser(machine, process, process, va, bytes) ? {} : { errno: 'EFAULT' });
};

export const readProcess: Decider<'user.read'> = (machine, { process, va, size }) => {
  processOf(machine, process);
  const data = readUser(machine.state, process, va, size);
  told(machine, data === undefined ? { errno: 'EFAULT' } : { data });
};

export const openName: Decider<'open'> = (machine, { process = DEFAULT_PROCESS, fd: name }) => {
  processOf(machine, process);
  const errno = openFile(machine, name, process);
  told(machine, errno === undefined ? { fd: kernelOf(machine.state).names[name] } : { errno });
};

export const closeFd: Decider<'close'> = (machine, { fd: name }) => {
  const fd = fdOf(machine.state, name);
  if (fd === undefined) told(machine, { errno: 'EBADF' });
  else
    work(machine, 'close', [
      { do: 'file.close', fd },
      { do: 'syscall.end', call: callId(machine) },
    ]);
};

export const readFd: Decider<'read'> = (machine, { fd: name, bytes }) => {
  const file = kernelOf(machine.state).files[fdOf(machine.state, name) ?? -1];
  if (file === undefined) return told(machine, { errno: 'EBADF' });
  const { read } = fileKind(file.kind) as FileKindRow<FileKind>;
  if (read === undefined) return told(machine, { errno: 'EINVAL' });
  const { errno, data = new Uint8Array() } = read(machine, file as FileOf<FileKind>, bytes);
  told(machine, errno === undefined ? { data } : { errno });
};

export const writeFd: Decider<'write'> = (machine, { fd: name, bytes: data }) => {
  const fd = fdOf(machine.state, name);
  if (fd === undefined) told(machine, { errno: 'EBADF' });
  else work(machine, 'write', [{ do: 'file.write', call: callId(machine), fd, data }]);
};

export const exitProcess: Decider<'process.exit'> = (machine, { process }) => {
  processOf(machine, process);
  work(machine, 'exit', [
    { do: 'process.exit', process },
    { do: 'syscall.end', call: callId(machine) },
  ]);
};

export const issueIoctl: Decider<'ioctl'> = (machine, stimulus) => {
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
  if (isBusy(machine)) beginTask(machine, KERNEL_UNIT, 'ioctl', [{ do: 'ioctl.run', ioctl }]);
  else work(machine, 'ioctl', startIoctl(machine, ioctl));
};

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
  const view = new DataView(struct.buffer);
  let at = va + (sizes[0] ?? 0);
  const placed = buffers.map(({ field, offset, bytes: content }, index): PlacedBuffer => {
    const buffer = { field, va: at, bytes: content.length };
    if (offset + 8 <= struct.length) view.setBigUint64(offset, BigInt(at), true);
    writeUser(machine, name, name, BigInt(at), content);
    at += sizes[index + 1] ?? 0;
    return buffer;
  });
  writeUser(machine, name, name, BigInt(va), struct);
  const used = processOf(machine, name).scratch.va;
  return { argument: BigInt(va), size: struct.length, buffers: placed, scratch: va - used + needed };
}

/** Does work, as far as it goes; the rest is for turns to come. */
function work(machine: Machine, what: string, frames: readonly Frame[]): void {
  if (frames.length === 0) return;
  const busy = isBusy(machine);
  beginTask(machine, KERNEL_UNIT, what, frames);
  if (!busy) runTask(machine, KERNEL_UNIT);
}

function isBusy({ state }: Machine): boolean {
  return state.tasks.some(({ unit }) => unit === KERNEL_UNIT);
}

/** The call is named by the seq of its stimulus. */
function callId({ state }: Machine): number {
  return state.outside;
}

interface Told {
  readonly errno?: Errno;
  readonly va?: number;
  readonly fd?: number | undefined;
  readonly data?: Uint8Array;
}

function told(machine: Machine, { errno, va, fd, data }: Told): void {
  machine.emit('kernel', {
    type: 'syscall.returned',
    call: callId(machine),
    ...(errno === undefined ? {} : { errno }),
    ...(va === undefined ? {} : { va }),
    ...(fd === undefined ? {} : { fd }),
    ...(data === undefined ? {} : { data }),
  });
}
