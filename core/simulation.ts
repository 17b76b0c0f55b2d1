/**
 * The live machine: stimuli in, entries and states out. Everything that follows a history (store,
 * projections, adapters) subscribes here, and sees live what it would see on replay.
 *
 * `entries$` emits once for each step, the stimulus first; `state$` emits the fold of what was
 * emitted, once for each dispatch or batch.
 */
import { type Observable, Subject } from 'rxjs';
import type { Entry } from './event.ts';
import { openSession, type Session } from './machine.ts';
import { type Outcome, outcomeOf } from './outcome.ts';
import { runTurns } from './run.ts';
import type { State } from './state.ts';
import type { Stimulus } from './stimulus.ts';

export interface Dispatched {
  /** The entries of the stimulus' own step, without those of the turns that followed. */
  readonly entries: readonly Entry[];
  /** What a scenario line answers. */
  readonly outcome: Outcome;
}

export class Simulation {
  readonly #entries = new Subject<readonly Entry[]>();
  readonly #states = new Subject<State>();
  #state: State;
  #session: Session | undefined;

  constructor(state: State) {
    this.#state = state;
  }

  get entries$(): Observable<readonly Entry[]> {
    return this.#entries;
  }

  get state$(): Observable<State> {
    return this.#states;
  }

  /** The state now. Inside a batch it is valid until the next dispatch only. */
  get state(): State {
    return this.#session?.state ?? this.#state;
  }

  /** Puts one stimulus, then gives the turns its schedule asks for. */
  dispatch(stimulus: Stimulus): Dispatched {
    return this.batch(() => {
      const session = this.#session as Session;
      const entries = session.step(stimulus);
      this.#entries.next(entries);
      const outcome = outcomeOf(session.state, stimulus, entries);
      if (session.state.schedule !== 'manual' && stimulus.type !== 'turn') this.#run();
      return { entries, outcome };
    });
  }

  /** Gives turns until quiet, whatever the schedule; at most `turnsMax`. */
  run(turnsMax?: number): { readonly turns: number; readonly quiet: boolean } {
    return this.batch(() => this.#run(turnsMax));
  }

  /** Dispatches made inside `work` share one draft and give one `state$`. */
  batch<T>(work: () => T): T {
    if (this.#session !== undefined) return work();
    this.#session = openSession(this.#state);
    const result = work();
    this.#state = this.#session.close();
    this.#session = undefined;
    this.#states.next(this.#state);
    return result;
  }

  #run(turnsMax?: number): { readonly turns: number; readonly quiet: boolean } {
    return runTurns(this.#session as Session, (entries) => this.#entries.next(entries), turnsMax);
  }
}
