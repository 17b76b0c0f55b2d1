/** Frames about one device of a VM. */
import type { Frame, Task } from '../tasks/task.ts';

export type OfDevice = Frame & { readonly vm: string; readonly endpoint: string };

/** The frames of a task behind the first of a kind. */
export function behind({ frames }: Task, kind: string): readonly Frame[] {
  return frames.slice(frames.findIndex((frame) => frame.do === kind) + 1);
}
