/**
 * Locks that tasks hold over several turns. A lock is held by the task that has its `lock.release` still to do, so a
 * task that goes, goes with its locks. Tasks do not take a lock that they hold.
 */
import type { State } from '../state.ts';
import type { Frame, FrameRow } from './task.ts';

interface ReleaseFrame extends Frame {
  readonly do: 'lock.release';
  readonly lock: string;
}

interface TakeFrame extends Frame {
  readonly do: 'lock.take';
  readonly lock: string;
  readonly frames: readonly Frame[];
}

/** The frames, with the lock held from the first of them to the last. */
export function locked(lock: string, frames: readonly Frame[]): Frame {
  return { do: 'lock.take', lock, frames };
}

/** Whether a task holds the lock. */
export function isLocked({ tasks }: State, lock: string): boolean {
  return tasks.some(({ frames }) =>
    frames.some((frame) => frame.do === 'lock.release' && frame['lock'] === lock),
  );
}

export const takeRow: FrameRow<TakeFrame> = {
  ready: (state, { lock }) => !isLocked(state, lock),
  run: (_, { lock, frames }) => {
    const release: ReleaseFrame = { do: 'lock.release', lock };
    return [...frames, release];
  },
};

export const releaseRow: FrameRow<ReleaseFrame> = { run: () => [] };
