/** Work of an actor that takes more than one turn, because it waits for hardware. */
import { json, seq, text } from '../schema.ts';
import type { Frame } from './task.ts';

export const taskEvents = {
  /** `unit` takes the turns; the task is named by the seq of this event. */
  'task.begun': { unit: text(), what: text(), frames: json<readonly Frame[]>() },
  /** It waits: what is left to do. */
  'task.paused': { unit: text(), task: seq(), frames: json<readonly Frame[]>() },
  'task.ended': { unit: text(), task: seq() },
} as const;
