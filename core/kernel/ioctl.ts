/**
 * What an ioctl of an iommufd context is made of: a row of a table, whose `run` checks and changes the state,
 * and either answers at once or says what has to be done before. The dispatcher does what is the same for all.
 */
import type { Context as Machine } from '../machine.ts';
import type { Frame } from '../tasks/task.ts';
import type { Answer } from './call.ts';
import type { Errno } from './errno.ts';
import { reserve } from './iommufd/object.ts';
import { contextIn } from './iommufd/object-handlers.ts';
import type { Context, NewObject } from './iommufd/state.ts';
import { kernelOf } from './kernel.ts';
import { readUser, writeUser } from './process/memory.ts';
import { type CallName, knownFlags } from './profiles.ts';
import type { EnumName } from './uapi/enums.ts';
import type { IoctlName, ioctls } from './uapi/ioctls.ts';
import type { Struct, Values } from './uapi/struct.ts';
import type { ioctlStructs } from './uapi/structs.ts';

/** An ioctl that is being decided. */
export interface Call {
  readonly machine: Machine;
  /** seq of `ioctl.begun`. */
  readonly id: number;
  /** Number of the iommufd context. */
  readonly context: number;
  readonly fd: number;
  /** Who calls; its memory is meant by pointers. */
  readonly process: string;
  readonly code: number;
  /** Where the struct is, or the number that was passed. */
  readonly argument: bigint;
  /** Objects it has reserved. */
  readonly made: number[];
  /** Ends an object, as DESTROY does; the work that has to be done for it. */
  end(object: number): readonly Frame[];
}

/** The answer, and the work that goes before it. */
export type Result = Answer & { readonly frames?: readonly Frame[] };

export type Arg<N extends IoctlName> = Values<(typeof ioctlStructs)[(typeof ioctls)[N]['struct']]>;
export type Run<N extends IoctlName> = (call: Call, arg: Arg<N>) => Result;
/** Rows by the name of the ioctl; proposals take what their struct decodes to. */
export type Rows = { readonly [N in IoctlName]?: Run<N> } & {
  readonly [N in Exclude<CallName, IoctlName>]?: AnyRun;
};
export type AnyRun = (call: Call, arg: Readonly<Record<string, unknown>>) => Result;

/** What one kind of ioctl argument looks like in a kernel. */
export interface Shape {
  readonly struct: Struct;
  /** Bytes of the kernel's struct. */
  readonly bytes: number;
}

/** The iommufd context that is asked. */
export function contextOf({ machine, context }: Call): Context {
  return contextIn(machine.state, context);
}

export const failed = (errno: Errno): Result => ({ errno });

/** Whether bits are set that this kernel does not know. */
export function hasUnknown({ machine }: Call, set: EnumName, bits: number): boolean {
  return (bits & ~knownFlags(kernelOf(machine.state).profile, set)) !== 0;
}

/** Reserves an object that ends with the call: finalized where it succeeds, aborted where not. */
export function make(call: Call, object: NewObject): number | undefined {
  const id = reserve(call.machine, call.context, object);
  if (id !== undefined) call.made.push(id);
  return id;
}

/** User memory of the caller; undefined: EFAULT. */
export function copyIn({ machine, process }: Call, va: bigint, bytes: number): Uint8Array | undefined {
  return readUser(machine.state, process, va, bytes);
}

/** Stores in memory of the caller; false: EFAULT. */
export function copyOut({ machine, process }: Call, va: bigint, bytes: Uint8Array): boolean {
  return writeUser(machine, 'kernel', process, va, bytes);
}

/** Changes what an ioctl will answer, while its work is under way. */
export function setAnswer({ emit }: Machine, ioctl: number, answer: Answer): void {
  emit('kernel', { type: 'ioctl.answered', ioctl, set: { answer } });
}
