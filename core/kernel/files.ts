/**
 * Open files: what opening a name gives, and what reading, writing and closing do. /dev/iommu is `iommu` with
 * anything after it, the VFIO container `container` likewise, and a device `vfio:ENDPOINT`, a second open of
 * it `vfio:ENDPOINT#ANYTHING`.
 */
import { own } from '../lookup.ts';
import type { Context as Machine } from '../machine.ts';
import type { State } from '../state.ts';
import type { Frame } from '../tasks/task.ts';
import type { Errno } from './errno.ts';
import { freeFd, putFile } from './fds.ts';
import { leaveContext, openContext } from './iommufd/context.ts';
import { objectFiles } from './iommufd/rows.ts';
import { kernelOf } from './kernel.ts';
import { holdBacking, makeBacking } from './process/backing.ts';
import { mapBacking } from './process/process.ts';
import { callsIn } from './profiles.ts';
import type { FileKind, FileOf } from './state.ts';

/** What a read or write gives: bytes read, or how many were written. */
export interface FileReply {
  readonly errno?: Errno;
  readonly data?: Uint8Array;
  readonly count?: number;
  readonly frames?: readonly Frame[];
}

export interface FileKindRow<K extends FileKind> {
  /** Gives back what the file holds; the fd is gone already. */
  close?(machine: Machine, file: FileOf<K>): readonly Frame[];
  read?(machine: Machine, file: FileOf<K>, bytes: number): FileReply;
  write?(machine: Machine, file: FileOf<K>, data: Uint8Array): FileReply;
}

const ownKinds: { readonly [K in FileKind]?: FileKindRow<K> } = {
  iommufd: { close: (machine, { context }) => leaveContext(machine, context) },
  memfd: {
    close: (machine, { backing }) => {
      holdBacking(machine, backing, -1);
      return [];
    },
  },
};

/** What can be done with a kind of file. */
export function fileKind<K extends FileKind>(kind: K): FileKindRow<K> {
  return ((ownKinds[kind] ?? objectFiles[kind]) as FileKindRow<K> | undefined) ?? {};
}

/** The fd that a scenario's text means: a name that was opened, or a number. */
export function fdOf(state: State, text: string): number | undefined {
  const { names, files } = kernelOf(state);
  const named = own(names, text);
  if (named !== undefined) return named;
  return /^[0-9]+$/.test(text) && own(files, text) !== undefined ? Number(text) : undefined;
}

/** Opens what a name stands for. The errno, or undefined. */
export function openFile(machine: Machine, name: string, process: string): Errno | undefined {
  const { state } = machine;
  const kernel = kernelOf(state);
  if (own(kernel.names, name) !== undefined) return 'EBUSY';
  const fd = freeFd(kernel);
  if (/^(iommu|container)/.test(name)) {
    if (callsIn(kernel.profile).size === 0) return 'ENOENT';
    const context = openContext(machine, name.startsWith('iommu') ? 'user' : 'mm');
    putFile(machine, { kind: 'iommufd', fd, process, context }, name);
    return undefined;
  }
  const endpoint = /^vfio:([^#]+)/.exec(name)?.[1];
  const device = endpoint === undefined ? undefined : own(state.endpoints, endpoint)?.config;
  if (endpoint === undefined || device === undefined || device.of !== undefined) return 'ENOENT';
  putFile(machine, { kind: 'vfio', fd, process, endpoint, context: 0, device: 0 }, name);
  return undefined;
}

/** Makes a memfd of so many bytes, mapped by its maker too. */
export function makeMemfd(
  machine: Machine,
  process: string,
  bytes: number,
): { readonly fd: number; readonly va: number } | undefined {
  const backing = makeBacking(machine, 'memfd', bytes);
  if (backing === undefined) return undefined;
  const va = mapBacking(machine, process, backing);
  if (va === undefined) return undefined;
  holdBacking(machine, backing.id, 1);
  const fd = freeFd(kernelOf(machine.state));
  putFile(machine, { kind: 'memfd', fd, process, backing: backing.id, bytes: backing.bytes });
  return { fd, va };
}

/** Closes an fd that is open; the work that has to be done for it. */
export function closeFile(machine: Machine, fd: number): readonly Frame[] {
  const file = own(kernelOf(machine.state).files, String(fd));
  if (file === undefined) return [];
  machine.emit(file.process, { type: 'file.closed', fd });
  const row = fileKind(file.kind) as FileKindRow<FileKind>;
  return row.close?.(machine, file as FileOf<FileKind>) ?? [];
}
