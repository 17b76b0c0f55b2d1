/**
 * A task is a list of frames, the next one first: plain data in the state, so that an actor can be half
 * way through its work at any moment that is looked at, forked or kept. A frame names its row in the
 * tables of frames; running it does something and may put further frames in front of those that are left.
 */
import type { Context } from '../machine.ts';
import type { State } from '../state.ts';

export interface Frame {
  /** Name of the row in `frames.ts`. */
  readonly do: string;
  readonly [argument: string]: unknown;
}

export interface Task {
  /** seq of `task.begun`. */
  readonly id: number;
  /** Who takes the turns: a unit's name. */
  readonly unit: string;
  /** For people. */
  readonly what: string;
  readonly frames: readonly Frame[];
}

/** What a frame leaves to do: frames before those that are left, frames in their place, or nothing. */
export type Next = readonly Frame[] | { readonly instead: readonly Frame[] } | undefined;

/** A kind of frame. */
export interface FrameRow<A> {
  /** Whether it can run now; always, when absent. */
  ready?(state: State, frame: A, task: Task): boolean;
  /** Runs it, and says what is done next. */
  // biome-ignore lint/suspicious/noConfusingVoidType: most rows leave nothing and say so by not returning
  run(context: Context, frame: A, task: Task): Next | void;
}
