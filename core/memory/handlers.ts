/** How facts about memory evolve the state. */
import type { Handlers } from '../machine.ts';
import type { State } from '../state.ts';
import type { memoryEvents } from './events.ts';
import type { Memory } from './memory.ts';

export const memoryHandlers: Pick<Handlers, keyof typeof memoryEvents> = {
  'memory.written': (state, { pa, value }) => writable(state).write64(pa, value),
  'memory.loaded': (state, { pa, bytes }) => writable(state).writeBytes(pa, bytes),
  'memory.read': () => {},
  'memory.aborted': () => {},
};

function writable(state: State): Memory {
  const memory = state.memory;
  if (memory.open) return memory;
  const open = memory.fork();
  state.memory = open;
  return open;
}
