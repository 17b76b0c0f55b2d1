/** How the facts of tasks evolve the state. */
import type { Handlers } from '../machine.ts';
import type { taskEvents } from './events.ts';

export const taskHandlers: Pick<Handlers, keyof typeof taskEvents> = {
  'task.begun': (state, { seq, unit, what, frames }) => {
    state.tasks.push({ id: seq, unit, what, frames });
  },
  'task.paused': (state, { task, frames }) => {
    const at = state.tasks.findIndex(({ id }) => id === task);
    const found = state.tasks[at];
    if (found === undefined) return;
    const { id, unit, what } = found;
    state.tasks[at] = { id, unit, what, frames };
  },
  'task.ended': (state, { task }) => {
    state.tasks = state.tasks.filter((each) => each.id !== task);
  },
};
