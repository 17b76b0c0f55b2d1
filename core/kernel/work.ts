/** Work of system calls other than ioctls that tasks do. */
import { own } from '../lookup.ts';
import type { Context as Machine } from '../machine.ts';
import type { Frame } from '../tasks/task.ts';
import { type FileKindRow, fileKind } from './files.ts';
import { kernelOf } from './kernel.ts';
import { unmapAll } from './process/process.ts';
import type { FileKind, FileOf } from './state.ts';

export interface WriteFrame extends Frame {
  readonly call: number;
  readonly fd: number;
  readonly data: Uint8Array;
}

/** The work of `file.write`; then the call ends. */
export function runWrite(machine: Machine, { call, fd, data }: WriteFrame): readonly Frame[] {
  const file = own(kernelOf(machine.state).files, String(fd));
  const write = file && (fileKind(file.kind) as FileKindRow<FileKind>).write;
  const reply =
    write === undefined ? ({ errno: 'EINVAL' } as const) : write(machine, file as FileOf<FileKind>, data);
  const { errno, count, frames = [] } = reply;
  const told = errno === undefined ? { count } : { errno };
  return [...frames, { do: 'syscall.end', call, ...told }];
}

/** The work of `process.exit`: its files in the order of their fds, then its memory. */
export function runExit({ state }: Machine, process: string): readonly Frame[] {
  const files = Object.values(kernelOf(state).files).filter((file) => file.process === process);
  const closing = files.map(({ fd }) => ({ do: 'file.close', fd }));
  return [...closing, { do: 'maps.drop', process }, { do: 'process.end', process }];
}

/** The work of `process.end`. */
export function endProcess(machine: Machine, process: string): void {
  unmapAll(machine, process);
  machine.emit(process, { type: 'process.exited', process });
}

export interface ReturnFrame extends Frame {
  readonly call: number;
}

/** The work of `syscall.end`. */
export function runReturn({ emit }: Machine, { do: _, ...told }: ReturnFrame): void {
  emit('kernel', { type: 'syscall.returned', ...told });
}
