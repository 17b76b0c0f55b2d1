/** How the facts of tasks evolve the state. */
import type { Handlers } from '../machine.ts';
import type { taskEvents } from './events.ts';

export const taskHandlers: Pick<Handlers, keyof typeof taskEvents> = {
  'task.begun': (state, { seq, unit, what, frames }) => {
    state.tasks.push({ id: seq, unit, what, frames });
  },
  'task.paused': (state, { task, frames }) => {
    state.tasks = state.tasks.map((each) => (each.id === task ? { ...each, frames } : each));
  },
  'task.ended': (state, { task }) => {
    state.tasks = state.tasks.filter((each) => each.id !== task);
  },
};
