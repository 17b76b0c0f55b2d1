/** Opening and closing the file of a queue: it keeps the object and the context. */
import type { Context as Machine } from '../../machine.ts';
import type { Frame } from '../../tasks/task.ts';
import { freeFd, putFile } from '../fds.ts';
import type { Call } from '../ioctl.ts';
import { kernelOf } from '../kernel.ts';
import { keepContext, leaveContext } from './context.ts';
import { refer } from './object.ts';

export type QueueKind = 'fault' | 'veventq';

/** Opens the file of a new queue for the caller. Returns the fd. */
export function openQueueFile({ machine, context, process }: Call, kind: QueueKind, object: number): number {
  refer(machine, context, object, 1);
  keepContext(machine, context);
  const fd = freeFd(kernelOf(machine.state));
  putFile(machine, { kind, fd, process, context, object });
  return fd;
}

/** What the closed file of a queue gives back. */
export function leaveQueue(
  machine: Machine,
  { context, object }: { readonly context: number; readonly object: number },
): readonly Frame[] {
  refer(machine, context, object, -1);
  return leaveContext(machine, context);
}

/** Takes the file back where the call that opened it fails after all. */
export function dropQueueFile(
  machine: Machine,
  context: number,
  kind: QueueKind,
  object: number,
): readonly Frame[] {
  for (const file of Object.values(kernelOf(machine.state).files)) {
    if (file.kind !== kind || file.context !== context || file.object !== object) continue;
    machine.emit('kernel', { type: 'file.closed', fd: file.fd });
    return leaveQueue(machine, { context, object });
  }
  return [];
}
