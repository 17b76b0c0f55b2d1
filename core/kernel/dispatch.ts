/**
 * What is the same for all ioctls of an iommufd file: which row, the negotiation of sizes, what is copied back,
 * and the end of what the call has made: finalized, or aborted. linux: iommufd/main.c, iommufd_fops_ioctl.
 */

import { present } from '../assert.ts';
import { changed } from '../changed.ts';
import { wordAt } from '../layout/words.ts';
import { own } from '../lookup.ts';
import type { Context as Machine } from '../machine.ts';
import type { Frame } from '../tasks/task.ts';
import type { Answer, OpenCall } from './call.ts';
import type { Errno } from './errno.ts';
import type { AnyRun, Call, Result } from './ioctl.ts';
import { containerRows } from './iommufd/container.ts';
import { endObject } from './iommufd/kinds.ts';
import { finalize } from './iommufd/object.ts';
import { rows } from './iommufd/rows.ts';
import { vfioIoctl } from './iommufd/vfio.ts';
import { kernelOf } from './kernel.ts';
import { readUser, VA_END, writeUser } from './process/memory.ts';
import { PAGE_BYTES } from './process/state.ts';
import { ioctlAt, lastNumber } from './profiles.ts';
import type { OpenFile } from './state.ts';
import { structs } from './uapi/data-structs.ts';
import { constants } from './uapi/enums.ts';
import { type ContainerIoctlName, type ContainerRow, containerIoctls, ioctlCode } from './uapi/ioctls.ts';
import { decodeStruct, encodeStruct, type Struct } from './uapi/struct.ts';

/** Decides an ioctl that has begun. What is to be done before its end; with nothing, it has ended. */
export function startIoctl(machine: Machine, id: number): readonly Frame[] {
  const open = openCall(machine, id);
  const file = own(kernelOf(machine.state).files, String(open.fd));
  const made: number[] = [];
  const { result, struct, size } = decide(machine, open, file, made);
  const { frames = [], ...answer } = result;
  const set = { answer, made, ...(struct && { struct }), size };
  if (frames.length === 0) return endIoctl(machine, changed(open, set), file);
  machine.emit('kernel', { type: 'ioctl.answered', ioctl: id, set });
  return [...frames, { do: 'ioctl.end', ioctl: id }];
}

/** The work of `ioctl.end`: the answer is copied back, what was made is published or ended. */
export function finishIoctl(machine: Machine, id: number): readonly Frame[] {
  const open = openCall(machine, id);
  return endIoctl(machine, open, own(kernelOf(machine.state).files, String(open.fd)));
}

/** The work of `ioctl.complete`: nothing is left but to say how it ended. */
export function completeIoctl(machine: Machine, id: number): void {
  complete(machine, openCall(machine, id));
}

function complete({ emit }: Machine, { id, name, process, answer = {} }: OpenCall): void {
  const how = answer.errno === undefined ? { ret: answer.ret ?? 0 } : { errno: answer.errno };
  emit('kernel', { type: 'ioctl.completed', ioctl: id, name, process, ...how });
}

function openCall({ state }: Machine, id: number): OpenCall {
  return present(kernelOf(state).calls[id], `ioctl ${id}`);
}

interface Decided {
  readonly result: Result;
  /** The struct as the kernel read it, and how much of it the user has. */
  readonly struct?: Uint8Array;
  readonly size: number;
}

const refused = (errno: Errno): Decided => ({ result: { errno }, size: 0 });

function decide(machine: Machine, open: OpenCall, file: OpenFile | undefined, made: number[]): Decided {
  if (file === undefined) return refused('EBADF');
  if (file.kind === 'vfio') {
    const call = callOf(machine, open, file.context, made);
    return { result: vfioIoctl(call, file), size: 0 };
  }
  if (file.kind !== 'iommufd') return refused('ENOTTY');
  const call = callOf(machine, open, file.context, made);
  // 1. numbers outside the table are the container's
  return isOwn(machine, open.code) ? decideOwn(call, open) : decideContainer(call, open);
}

function isOwn({ state }: Machine, code: number): boolean {
  const nr = code & 0xff;
  return nr >= constants.IOMMUFD_CMD_BASE && nr <= (lastNumber(kernelOf(state).profile) ?? 0);
}

function decideContainer(call: Call, { code, argument, process }: OpenCall): Decided {
  const name = containerName(code);
  if (name === undefined) return refused('ENOTTY');
  const { min = 0 }: ContainerRow = containerIoctls[name];
  const struct = min === 0 ? undefined : readUser(call.machine.state, process, argument, min);
  return { result: containerRows[name](call), ...(struct && { struct }), size: min };
}

function callOf(machine: Machine, open: OpenCall, context: number, made: number[]): Call {
  const { id, fd, process, code, argument } = open;
  const end = (object: number): readonly Frame[] => endObject(machine, context, object);
  return { machine, id, context, fd, process, code, argument, made, end };
}

function decideOwn(call: Call, { code, argument, process }: OpenCall): Decided {
  const { state } = call.machine;
  // 2. the size
  const head = readUser(state, process, argument, 4);
  if (head === undefined) return refused('EFAULT');
  const size = wordAt(head, 0);
  // 3. the code as a whole, and whether this kernel has it
  const row = ioctlAt(kernelOf(state).profile, 'iommufd', code & 0xff);
  const run = row === undefined || row.code !== code ? undefined : (rows[row.name] as AnyRun | undefined);
  if (row === undefined || run === undefined) return refused('ENOTTY');
  // 4. too short
  if (size < row.min) return refused('EINVAL');
  // 5. too long, unless what is beyond is zero
  const beyond =
    size > row.bytes ? tailProblem(call, argument + BigInt(row.bytes), size - row.bytes) : undefined;
  if (beyond !== undefined) return refused(beyond);
  const known = Math.min(size, row.bytes);
  const bytes = readUser(state, process, argument, known);
  if (bytes === undefined) return refused('EFAULT');
  // 6. the call's own checks
  return { result: run(call, decodeStruct(row.struct, bytes)), struct: bytes, size: known };
}

/** Bytes of a newer struct must be zero; what comes first in them decides. */
function tailProblem({ machine, process }: Call, va: bigint, bytes: number): Errno | undefined {
  if (va + BigInt(bytes) > BigInt(VA_END)) return 'EFAULT';
  for (let at = 0; at < bytes; ) {
    const upTo = Math.min(bytes, at + PAGE_BYTES - Number((va + BigInt(at)) % BigInt(PAGE_BYTES)));
    const piece = readUser(machine.state, process, va + BigInt(at), upTo - at);
    if (piece === undefined) return 'EFAULT';
    if (piece.some((byte) => byte !== 0)) return 'E2BIG';
    at = upTo;
  }
  return undefined;
}

function containerName(code: number): ContainerIoctlName | undefined {
  const names = Object.keys(containerIoctls) as ContainerIoctlName[];
  return names.find((name) => ioctlCode(containerIoctls[name].nr) === code);
}

/** 7. the reply; what was made is published with it, or ended, the last first. */
function endIoctl(machine: Machine, open: OpenCall, file: OpenFile | undefined): readonly Frame[] {
  const context = file?.kind === 'iommufd' || file?.kind === 'vfio' ? file.context : 0;
  const answer = reply(machine, open);
  const made = open.made ?? [];
  if (answer.errno === undefined) for (const id of made) finalize(machine, context, id);
  const frames =
    answer.errno === undefined ? [] : made.toReversed().flatMap((id) => endObject(machine, context, id));
  if (frames.length === 0) {
    complete(machine, changed(open, { answer }));
    return [];
  }
  machine.emit('kernel', { type: 'ioctl.answered', ioctl: open.id, set: { answer } });
  return [...frames, { do: 'ioctl.complete', ioctl: open.id }];
}

/** Copies back; where that faults the answer is EFAULT. */
function reply(machine: Machine, open: OpenCall): Answer {
  const { answer = {}, struct, size = 0, process, argument } = open;
  const { errno, out = {}, copy } = answer;
  const of = structOf(machine, open.code);
  if (struct === undefined || of === undefined || copy === 'none') return answer;
  if (errno !== undefined && copy !== 'always') return answer;
  const bytes = encodeStruct(of, out, struct).slice(0, size);
  const pieces = Array.isArray(copy) ? copy.map((name) => pieceOf(of, name, bytes)) : [{ at: 0, bytes }];
  const whole = pieces.every((piece) =>
    writeUser(machine, 'kernel', process, argument + BigInt(piece.at), piece.bytes),
  );
  return whole ? answer : { errno: 'EFAULT' };
}

function structOf(machine: Machine, code: number): Struct | undefined {
  if (isOwn(machine, code)) return ioctlAt(kernelOf(machine.state).profile, 'iommufd', code & 0xff)?.struct;
  const name = containerName(code);
  const { struct }: ContainerRow = name === undefined ? { nr: 0 } : containerIoctls[name];
  return struct && structs[struct];
}

function pieceOf({ fields }: Struct, name: string, bytes: Uint8Array): { at: number; bytes: Uint8Array } {
  const field = present(fields[name], `field ${name}`);
  return { at: field.offset, bytes: bytes.slice(field.offset, field.offset + field.bytes) };
}
