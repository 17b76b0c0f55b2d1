/** What a VMM asks of the kernel, as frames of its tasks: a call, a wait for its end, and who goes on with the answer. */

import { assert, present } from '../assert.ts';
import { changed } from '../changed.ts';
import { beginIoctl, KERNEL_UNIT } from '../kernel/begin-ioctl.ts';
import type { Errno } from '../kernel/errno.ts';
import { openFile } from '../kernel/files.ts';
import { kernelOf } from '../kernel/kernel.ts';
import { readUser } from '../kernel/process/memory.ts';
import { findRequest } from '../kernel/requests.ts';
import { decodeStruct, encodeStruct } from '../kernel/uapi/struct.ts';
import { beginTask } from '../tasks/begin.ts';
import type { Frame, FrameRow } from '../tasks/task.ts';
import { vmmTells } from '../vm/exits.ts';
import { findVm } from '../vm/vm.ts';

/** What a call came to; fields of its struct by their names. */
export interface CallAnswer {
  readonly errno?: Errno;
  readonly ret: number;
  readonly out: Readonly<Record<string, number | bigint>>;
}

export interface CallFrame extends Frame {
  readonly do: 'vmm.call';
  readonly vm: string;
  readonly fd: string;
  readonly name: string;
  readonly fields: Readonly<Record<string, number | bigint>>;
  /** What pointer fields lead to. */
  readonly buffers: Readonly<Record<string, Uint8Array>>;
  /** Runs next, with the answer as `answer`. */
  readonly then?: Frame;
}

/** A call on a file of the VMM. @param then the frame that goes on with the answer */
export function call(
  vm: string,
  fd: string,
  name: string,
  fields: CallFrame['fields'],
  then?: Frame,
  buffers: CallFrame['buffers'] = {},
): CallFrame {
  return { do: 'vmm.call', vm, fd, name, fields, buffers, ...(then === undefined ? {} : { then }) };
}

/** The answer in a frame that a call has led to. */
export function answerOf(frame: Frame): CallAnswer {
  return present(frame['answer'] as CallAnswer | undefined, 'answer of a call');
}

interface ReturnedFrame extends Frame {
  readonly do: 'vmm.returned';
  readonly vm: string;
  readonly ioctl: number;
  readonly name: string;
  readonly then?: Frame;
}

/** A VMM makes one call at a time, whoever of its threads works for it (QEMU: the big lock). */
export const callRow: FrameRow<CallFrame> = {
  ready: ({ tasks }, { vm }, { id: own }) =>
    !tasks.some(({ id, frames: [next] }) => id !== own && next?.do === 'vmm.returned' && next['vm'] === vm),
  run: (context, { vm, fd, name, fields, buffers, then }) => {
    const { profile } = kernelOf(context.state);
    const { code, struct } = present(findRequest(profile, name), `request ${name}`);
    assert(struct !== undefined, `${name} has a struct`);
    const sized = { [struct.fields['size'] === undefined ? 'argsz' : 'size']: struct.bytes };
    const bytes = encodeStruct(struct, changed(sized, fields));
    const placed = Object.entries(buffers).map(([field, content]) => {
      const { offset } = present(struct.fields[field], `field ${field}`);
      return { field, offset, bytes: content };
    });
    const asked = { type: 'ioctl', fd, process: vm, code, bytes } as const;
    const ioctl = beginIoctl(context, placed.length === 0 ? asked : changed(asked, { buffers: placed }));
    beginTask(context, KERNEL_UNIT, 'ioctl', [{ do: 'ioctl.run', ioctl }]);
    const next: ReturnedFrame = { do: 'vmm.returned', vm, ioctl, name, ...(then && { then }) };
    return [next];
  },
};

export const returnedRow: FrameRow<ReturnedFrame> = {
  ready: (state, { ioctl }) => state.kernel?.calls[ioctl] === undefined,
  run: (context, { vm, ioctl, name, then }) => {
    const { state } = context;
    const answered = kernelOf(state).processes[vm]?.answered;
    if (findVm(state, vm) === undefined || answered?.ioctl !== ioctl) return { instead: [] };
    const { errno, ret, argument } = answered;
    const { struct } = present(findRequest(kernelOf(state).profile, name), `request ${name}`);
    const bytes = struct && readUser(state, vm, argument, struct.bytes);
    const out = struct && bytes ? decodeStruct(struct, bytes) : {};
    if (errno !== undefined) vmmTells(context, vm, `${name}: ${errno}`);
    const answer = { ret: ret ?? -1, out, ...(errno === undefined ? {} : { errno }) };
    return then === undefined ? [] : [changed(then, { answer })];
  },
};

interface OpenFrame extends Frame {
  readonly do: 'vmm.open';
  readonly vm: string;
  readonly fd: string;
}

/** Opens a file for the VMM; where that fails, a line of its log says so, and what follows fails as well. */
export function open(vm: string, fd: string): OpenFrame {
  return { do: 'vmm.open', vm, fd };
}

export const openRow: FrameRow<OpenFrame> = {
  run: (context, { vm, fd }) => {
    const errno = openFile(context, fd, vm);
    if (errno !== undefined) vmmTells(context, vm, `open ${fd}: ${errno}`);
  },
};

interface CloseFrame extends Frame {
  readonly do: 'vmm.close' | 'vmm.closed';
  readonly vm: string;
  readonly fd: number;
  /** In `vmm.closed`: the kernel's task. */
  readonly task: number;
}

/** Closes a file. The kernel does it to its end, whatever becomes of the VMM. */
export function close(vm: string, fd: number | undefined): readonly Frame[] {
  return fd === undefined || fd < 0 ? [] : [{ do: 'vmm.close', vm, fd, task: 0 }];
}

export const closeRow: FrameRow<CloseFrame> = {
  run: (context, frame) => {
    const task = beginTask(context, KERNEL_UNIT, 'close', [{ do: 'file.close', fd: frame.fd }]);
    return [{ ...frame, do: 'vmm.closed', task }];
  },
};

export const closedRow: FrameRow<CloseFrame> = {
  ready: ({ tasks }, { task }) => tasks.every(({ id }) => id !== task),
  run: () => [],
};
