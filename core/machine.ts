/**
 * With `fold.ts` the only code that changes state. `step` puts one stimulus to the machine: deciders read the
 * state and emit events, and each event is evolved into the draft at once, so that the next line of the
 * decider already sees it.
 *
 * A session goes through many steps on one working copy and publishes immutable states when asked.
 */
import { deciders } from './deciders.ts';
import type { Entry, EntryOf, Event, EventType } from './event.ts';
import { begin, evolve, foldInto, publishState } from './fold.ts';
import type { State } from './state.ts';
import type { Stimulus, StimulusOf, StimulusType } from './stimulus.ts';
import { workingCopy } from './working.ts';

/** What a decider works with: the state as it is now, and the one way to change it. */
export interface Context {
  readonly state: State;
  /** Appends the event and evolves it. Returns its seq. */
  emit(actor: string, event: Event): number;
  /** Whose turn it is, where a task has it. */
  readonly unit?: string;
}

export type Decider<T extends StimulusType> = (
  context: Context,
  stimulus: StimulusOf<T> & { readonly actor?: string },
) => void;
export type Deciders = { readonly [T in StimulusType]: Decider<T> };
export type Handlers = { readonly [T in EventType]: (state: State, entry: EntryOf<T>) => void };

export interface Session {
  /** The state as it is now: the next step writes it, so it is looked at and never kept. */
  readonly state: State;
  step(stimulus: Stimulus): readonly Entry[];
  fold(entries: Iterable<Entry>): void;
  /** The state after all steps so far, immutable. The session may go on. */
  publish(): State;
}

/** Opens a session on `from`; `from` itself never changes. */
export function openSession(from: State): Session {
  const state = workingCopy(from);
  let published = from;
  let entries: Entry[] = [];
  let seq = from.seq;
  let cause = 0;

  const append = (actor: string, payload: Event | Stimulus): Entry => {
    seq += 1;
    // The head first: then all entries begin alike, and the copy is seven times cheaper.
    const entry = { seq, tick: state.tick, cause, actor, ...payload } as Entry;
    entries.push(entry);
    return entry;
  };
  const emit = (actor: string, event: Event): number => {
    evolve(state, append(actor, event));
    return seq;
  };
  const context: Context = { state, emit };

  return {
    state,
    step(stimulus) {
      entries = [];
      const turn = stimulus.type === 'turn';
      cause = turn ? state.outside : 0;
      state.tick += 1;
      const first = append(stimulus.actor ?? (turn ? 'scheduler' : 'outside'), stimulus);
      begin(state, first);
      cause = first.seq;
      (deciders[stimulus.type] as Decider<StimulusType>)(context, stimulus);
      state.seq = seq;
      return entries;
    },
    fold(recorded) {
      foldInto(state, recorded);
      seq = state.seq;
    },
    publish() {
      published = publishState(published, state);
      return published;
    },
  };
}

/** Puts one stimulus to the machine. Pure: `state` stays as it is. */
export function step(
  state: State,
  stimulus: Stimulus,
): { readonly state: State; readonly entries: readonly Entry[] } {
  const session = openSession(state);
  const entries = session.step(stimulus);
  return { state: session.publish(), entries };
}
