/**
 * Facts about the host's kernel: memory it gives out, processes, open files, system calls, and the objects
 * of iommufd contexts. What a call changes is stated piece by piece; `ioctl.completed` says how it ended.
 */

import { bytes, flag, id, int, iova, json, optional, pa, seq, text, u64 } from '../schema.ts';
import type { OpenCall, PlacedBuffer } from './call.ts';
import type { Errno } from './errno.ts';
import { iommufdEvents } from './iommufd/events.ts';
import type { AnyObject, Area, Context } from './iommufd/state.ts';
import type { Backing, Run, Slice } from './process/state.ts';
import type { OpenFile } from './state.ts';

const memory = {
  'pages.taken': { pa: pa(), bytes: int(), owner: text() },
  'pages.returned': { pa: pa(), bytes: int(), owner: text() },
  /** Physical memory for a process or a file, with one user. */
  'backing.made': {
    backing: int(),
    kind: text<Backing['kind']>(),
    bytes: int(),
    runs: json<readonly Run[]>(),
  },
  /** So many hold it now; with none its memory is free. */
  'backing.held': { backing: int(), users: int() },
  /** An allocation succeeded, or with `left` 0 was made to fail. */
  'allocation.counted': { what: text(), left: int() },
} as const;

const processes = {
  'process.made': { process: text() },
  'process.exited': { process: text() },
  'mapping.added': { process: text(), va: id(), bytes: int(), backing: int(), offset: int() },
  'mapping.removed': { process: text(), va: id() },
  'scratch.moved': { process: text(), va: id(), bytes: int() },
} as const;

const files = {
  /** `name`: what scenarios call it. */
  'file.opened': { fd: int(), file: json<OpenFile>(), name: optional(text()) },
  'file.changed': { fd: int(), set: json<Readonly<Record<string, unknown>>>() },
  'file.closed': { fd: int() },
} as const;

const calls = {
  /** A process asks; its struct and buffers lie in its memory. */
  'ioctl.begun': {
    /** -1 where there is no such file. */
    fd: json<number>(),
    process: text(),
    code: id(),
    name: text(),
    /** What it passes: mostly the address of a struct of `size` bytes. */
    argument: u64(),
    size: int(),
    buffers: json<readonly PlacedBuffer[]>(),
    /** Bytes of memory for arguments that are in use now. */
    scratch: int(),
  },
  /** Work goes before its end; what it will answer then. */
  'ioctl.answered': {
    ioctl: seq(),
    set: json<Partial<Pick<OpenCall, 'answer' | 'struct' | 'size' | 'made'>>>(),
  },
  /** `ret` where it succeeded; `errno` where it did not. */
  'ioctl.completed': {
    ioctl: seq(),
    name: text(),
    process: text(),
    ret: optional(int()),
    errno: optional(text<Errno>('errno')),
  },
  /** The end of any other call. */
  'syscall.returned': {
    call: seq(),
    errno: optional(text<Errno>('errno')),
    va: optional(id()),
    fd: optional(int()),
    data: optional(bytes()),
    /** Bytes written. */
    count: optional(int()),
  },
  'kernel.booted': { profile: text() },
} as const;

const context = { context: int() };

const objects = {
  'context.opened': { ...context, accounting: text<Context['accounting']>() },
  'context.changed': {
    ...context,
    set: json<Partial<Pick<Context, 'users' | 'closing' | 'accounting' | 'vfioIoas'>>>(),
  },
  'context.closed': context,
  /** The id is taken; look-ups do not find it yet. */
  'object.reserved': { ...context, object: json<AnyObject>() },
  'object.finalized': { ...context, object: int('object') },
  'object.changed': { ...context, object: int('object'), set: json<Readonly<Record<string, unknown>>>() },
  /** `tombstone`: the id is not given again. */
  'object.removed': {
    ...context,
    object: int('object'),
    kind: text<AnyObject['kind']>(),
    tombstone: flag(),
  },
} as const;

const area = { ...context, ioas: int(), iova: iova(), last: u64() };

const areas = {
  'area.added': {
    ...area,
    source: json<Area['source']>(),
    address: u64(),
    readable: flag(),
    writeable: flag(),
    pagesWriteable: flag(),
  },
  'area.pinned': { ...area, pins: json<readonly Slice[]>() },
  'area.unpinned': area,
  /** Used by accesses so many times, of which `locks` forbid its removal. */
  'area.used': { ...area, accesses: int(), locks: int() },
  /** An area became two; `last` is that of the lower one. */
  'area.split': area,
  /** All areas from `iova` to `last` are gone. */
  'areas.removed': { ...area, count: int() },
} as const;

export const kernelEvents = {
  ...memory,
  ...processes,
  ...files,
  ...calls,
  ...objects,
  ...areas,
  ...iommufdEvents,
} as const;
