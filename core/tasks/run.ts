/**
 * Turns of tasks. Each unit works on its oldest task; a turn runs frames until one has to wait. Frames
 * with `pause: true` end a turn too, so that others may come between (where the schedule lets them). The
 * handler of an interrupt is a unit whose task begins when the interrupt has come.
 */
import { present } from '../assert.ts';
import { expireTimer } from '../dma-api/timers.ts';
import { hasInterrupts, pendingInterrupts, takeInterrupt } from '../driver/interrupts.ts';
import type { Context } from '../machine.ts';
import type { State } from '../state.ts';
import { isHeld } from '../vm/exits.ts';
import { hasPolls, pendingPolls } from '../vmm/vevents.ts';
import { beginTask } from './begin.ts';
import { frameRows } from './frames.ts';
import type { Frame, FrameRow, Next, Task } from './task.ts';

/** Frames that one turn runs at most: a task that never waits must not be one endless turn. */
const FRAMES_MAX = 10_000;

const none: readonly string[] = [];

function rowOf({ do: name }: Frame): FrameRow<Frame> {
  return present(frameRows.get(name), `frame ${name}`);
}

function canGoOn(state: State, task: Task): boolean {
  const [next] = task.frames;
  return next === undefined || (rowOf(next).ready?.(state, next, task) ?? true);
}

/** Units whose oldest task can go on, in the order of the tasks; handlers with a new interrupt come first. */
export function readyTasks(state: State): readonly string[] {
  if (state.tasks.length === 0 && !hasInterrupts(state) && !hasPolls(state)) return none;
  const oldest = oldestTasks(state.tasks);
  const ready: string[] = [];
  const isBusy = (unit: string): boolean => oldest.some((task) => task.unit === unit);
  for (const { unit } of pendingInterrupts(state))
    if (!isBusy(unit) && !isHeld(state, unit)) ready.push(unit);
  for (const { unit } of pendingPolls(state)) if (!isBusy(unit) && !ready.includes(unit)) ready.push(unit);
  for (const task of oldest) if (canGoOn(state, task) && !isHeld(state, task.unit)) ready.push(task.unit);
  return ready;
}

/** The task that each unit works on. Units are few, whatever waits for them. */
function oldestTasks(tasks: readonly Task[]): readonly Task[] {
  const oldest: Task[] = [];
  for (const task of tasks) if (!oldest.some(({ unit }) => unit === task.unit)) oldest.push(task);
  return oldest;
}

/** Gives the unit's oldest task a turn. Returns whether there was anything to do. */
export function runTask(context: Context, unit: string): boolean {
  if (isHeld(context.state, unit)) return false;
  const task = taskOf(context.state, unit) ?? beginHandler(context, unit) ?? beginTimer(context, unit);
  if (task === undefined || !canGoOn(context.state, task)) return false;
  const inTurn: Context = { state: context.state, emit: context.emit, unit };
  let frames: readonly Frame[] = task.frames;
  for (let count = 0; count < FRAMES_MAX; count += 1) {
    const next = frames[0];
    if (next === undefined) break;
    const row = rowOf(next);
    // The first was asked above, and nothing has happened since.
    if (count > 0 && row.ready?.(context.state, next, task) === false) break;
    frames = following(row.run(inTurn, next, task) ?? undefined, frames);
    if (next['pause'] === true || isHeld(context.state, unit)) break;
  }
  if (frames.length === 0) context.emit(unit, { type: 'task.ended', unit, task: task.id });
  else context.emit(unit, { type: 'task.paused', unit, task: task.id, frames });
  return true;
}

/** What is left to do when the first of `frames` has run. */
function following(next: Next, frames: readonly Frame[]): readonly Frame[] {
  const left = frames.slice(1);
  if (next === undefined) return left;
  return 'instead' in next ? next.instead : next.concat(left);
}

function taskOf({ tasks }: State, unit: string): Task | undefined {
  return tasks.find((each) => each.unit === unit);
}

/** The task of an interrupt's handler, where its interrupt waits. */
function beginHandler(context: Context, unit: string): Task | undefined {
  const found = pendingInterrupts(context.state).find((each) => each.unit === unit);
  if (found !== undefined) {
    takeInterrupt(context, found);
    beginTask(context, unit, found.source, [found.frame]);
    return taskOf(context.state, unit);
  }
  const poll = pendingPolls(context.state).find((each) => each.unit === unit);
  if (poll === undefined) return undefined;
  beginTask(context, unit, 'events', [poll.frame]);
  return taskOf(context.state, unit);
}

/** The task of a timer that runs out. */
function beginTimer(context: Context, unit: string): Task | undefined {
  const frames = expireTimer(context, unit);
  if (frames === undefined) return undefined;
  beginTask(context, unit, 'timer', frames);
  return taskOf(context.state, unit);
}
