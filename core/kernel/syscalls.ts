/**
 * What processes ask of the kernel. Most calls end at once; those that wait for hardware, or for a call before
 * them, are tasks of the unit `kernel`, which does one at a time.
 */
import type { Decider, Context as Machine } from '../machine.ts';
import { beginTask } from '../tasks/begin.ts';
import { runTask } from '../tasks/run.ts';
import type { Frame } from '../tasks/task.ts';
import { beginIoctl, KERNEL_UNIT } from './begin-ioctl.ts';
import { startIoctl } from './dispatch.ts';
import type { Errno } from './errno.ts';
import { type FileKindRow, fdOf, fileKind, makeMemfd, openFile } from './files.ts';
import { kernelOf } from './kernel.ts';
import { readUser, writeUser } from './process/memory.ts';
import { allocate, DEFAULT_PROCESS, processOf, unmap } from './process/process.ts';
import type { FileKind, FileOf } from './state.ts';
import { mayBegin, threadUnit } from './threads.ts';

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
  const ioctl = beginIoctl(machine, stimulus);
  const unit = threadUnit(stimulus.thread);
  if (isBusy(machine, unit) || !mayBegin(machine.state, ioctl, unit))
    beginTask(machine, unit, 'ioctl', [{ do: 'ioctl.run', ioctl }]);
  else work(machine, 'ioctl', startIoctl(machine, ioctl), unit);
};

/** Does work, as far as it goes; the rest is for turns to come. */
function work(machine: Machine, what: string, frames: readonly Frame[], unit = KERNEL_UNIT): void {
  if (frames.length === 0) return;
  const busy = isBusy(machine, unit);
  beginTask(machine, unit, what, frames);
  if (!busy) runTask(machine, unit);
}

function isBusy({ state }: Machine, unit: string): boolean {
  return state.tasks.some((task) => task.unit === unit);
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
