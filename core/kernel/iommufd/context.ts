/**
 * A context from its open to its end. It lives for as long as its file is open, a device is bound to it or a
 * file of one of its queues is open; then its objects are ended, leaves first. linux: iommufd/main.c.
 */
import type { Context as Machine } from '../../machine.ts';
import type { Frame } from '../../tasks/task.ts';
import { contextOf, failed, type Rows } from '../ioctl.ts';
import { kernelOf } from '../kernel.ts';
import { findAny } from './object.ts';
import { contextIn } from './object-handlers.ts';
import type { Context } from './state.ts';

export const contextRows: Rows = {
  IOMMU_DESTROY: (call, { id }) => {
    const object = findAny(contextOf(call), id);
    if (object === undefined) return failed('ENOENT');
    if (object.users !== 1) return failed('EBUSY');
    return { frames: call.end(id), copy: 'none' };
  },
};

/** A new context with one user, its file. Returns its number. */
export function openContext({ state, emit }: Machine, accounting: Context['accounting']): number {
  const context = kernelOf(state).nextContext;
  emit('kernel', { type: 'context.opened', context, accounting });
  return context;
}

/** One more keeps the context. */
export function keepContext({ state, emit }: Machine, context: number): void {
  const users = contextIn(state, context).users + 1;
  emit('kernel', { type: 'context.changed', context, set: { users } });
}

/** One that kept the context is gone; with the last one it ends. */
export function leaveContext({ state, emit }: Machine, context: number): readonly Frame[] {
  const users = contextIn(state, context).users - 1;
  emit('kernel', { type: 'context.changed', context, set: { users } });
  return users > 0 ? [] : [{ do: 'context.end', context, from: 0 }];
}

export interface EndFrame extends Frame {
  readonly context: number;
  /** Objects below were looked at in this round. */
  readonly from: number;
}

/**
 * The work of `context.end`: ends the next object that nothing refers to, by id, in rounds, until there is
 * none. `end` ends an object.
 */
export function runEnd(
  machine: Machine,
  frame: EndFrame,
  end: (id: number) => readonly Frame[],
): readonly Frame[] {
  const { context } = frame;
  let { from } = frame;
  for (;;) {
    const leaf = leafFrom(contextIn(machine.state, context), from);
    if (leaf === undefined) {
      if (from > 0 && leafFrom(contextIn(machine.state, context), 0) !== undefined) {
        from = 0;
        continue;
      }
      machine.emit('kernel', { type: 'context.closed', context });
      return [];
    }
    from = leaf + 1;
    const frames = end(leaf);
    if (frames.length > 0) return [...frames, { ...frame, from }];
  }
}

function leafFrom({ objects }: Context, from: number): number | undefined {
  for (const [id, { users }] of objects.range(from)) if (users <= 1) return id;
  return undefined;
}
