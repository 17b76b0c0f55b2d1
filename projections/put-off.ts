/**
 * N1 of the catalogue, for software whose work the log shows: between the store that takes a mapping away and the
 * CMD_SYNC that ends the same work, a device may still be served from what was cached. It is told when the work has
 * ended and the invalidation has not come.
 */
import type { EntryOf } from '../core/event.ts';
import type { Finding } from './finding.ts';
import type { State } from './invalidation-state.ts';
import { completedAfter } from './obligations/commands.ts';
import { discharges, lastChange, type Obligation, type Task } from './obligations/obligation.ts';
import type { Shadow } from './obligations/shadow.ts';

export interface PutOff {
  readonly task: Task;
  readonly shadow: Shadow;
  readonly obligation: Obligation;
  tell(): Finding;
}

/** A unit has work: it does one piece after the other. */
export function taskBegun({ tasks }: State, { unit, seq }: EntryOf<'task.begun'>): void {
  const waiting = tasks.get(unit);
  const task = { seq, open: true };
  if (waiting === undefined) tasks.set(unit, [task]);
  else waiting.push(task);
}

/** The work is done: what it has left dirty is told. */
export function taskEnded(state: State, { unit, task: seq }: EntryOf<'task.ended'>): void {
  const waiting = state.tasks.get(unit) ?? [];
  const at = waiting.findIndex((task) => task.seq === seq);
  const [task] = at < 0 ? [] : waiting.splice(at, 1);
  if (waiting.length === 0) state.tasks.delete(unit);
  if (task === undefined) return;
  task.open = false;
  if (state.putOff.length === 0) return;
  const due = state.putOff.filter((each) => each.task === task);
  const rest = state.putOff.filter((each) => each.task !== task);
  state.putOff.splice(0, state.putOff.length, ...rest);
  for (const each of due) if (!isClean(each)) state.findings.push(each.tell());
}

function isClean({ shadow: { commands }, obligation }: PutOff): boolean {
  if (obligation.done) return true;
  const covers = completedAfter(commands, lastChange(obligation).seq, (scopes) =>
    discharges(scopes, obligation),
  );
  return covers !== undefined;
}

/** Whether it is told later, or not at all: the work that made the change goes on. */
export function putOff(
  { putOff: waiting }: State,
  shadow: Shadow,
  obligation: Obligation,
  tell: PutOff['tell'],
): boolean {
  const { task } = lastChange(obligation);
  if (task?.open !== true) return false;
  waiting.push({ task, shadow, obligation, tell });
  return true;
}
