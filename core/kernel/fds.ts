/** Numbers of open files. */
import type { Context as Machine } from '../machine.ts';
import { FIRST_FD } from './initial.ts';
import type { KernelState, OpenFile } from './state.ts';

/** The lowest number that is free. */
export function freeFd({ files }: KernelState): number {
  let fd = FIRST_FD;
  while (files[fd] !== undefined) fd += 1;
  return fd;
}

/** The file is open, by that name too. */
export function putFile({ emit }: Machine, file: OpenFile, name?: string): void {
  emit(file.process, {
    type: 'file.opened',
    fd: file.fd,
    file,
    ...(name === undefined ? {} : { name }),
  });
}
