/**
 * The live machine: stimuli in, entries and states out. Everything that follows a history (store,
 * projections, adapters) subscribes here, and sees live what it would see on replay.
 *
 * `entries$` emits once for each step, the stimulus first; `state$` emits the fold of what was
 * emitted, once for each dispatch or batch.
 */
import { type Observable, Subject } from 'rxjs';
import { isGuestAnswer } from './dma-api/outcome.ts';
import type { Entry } from './event.ts';
import { isAnswer } from './kernel/outcome.ts';
import { openSession, type Session } from './machine.ts';
import { answersLate, type Outcome, outcomeOf } from './outcome.ts';
import { mayWake, runTurns } from './run.ts';
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
  readonly #session: Session;
  #published: State;
  #batch = false;

  constructor(state: State) {
    this.#session = openSession(state);
    this.#published = state;
  }

  get entries$(): Observable<readonly Entry[]> {
    return this.#entries;
  }

  get state$(): Observable<State> {
    return this.#states;
  }

  /** The state now, immutable: keep it as long as you like. */
  get state(): State {
    if (this.#published.seq !== this.#session.state.seq) this.#published = this.#session.publish();
    return this.#published;
  }

  /** The state now, to be looked at before the next dispatch and not kept; costs nothing. */
  get glance(): State {
    return this.#session.state;
  }

  /** Puts one stimulus, then gives the turns its schedule asks for. */
  dispatch(stimulus: Stimulus): Dispatched {
    const session = this.#session;
    const entries = session.step(stimulus);
    this.#entries.next(entries);
    const eager = session.state.schedule !== 'manual' && stimulus.type !== 'turn';
    const outcome = answersLate(stimulus)
      ? this.#lateOutcome(stimulus, entries, eager)
      : outcomeOf(session.state, stimulus, entries);
    if (eager && mayWake(entries)) this.#run();
    this.#emitState();
    return { entries, outcome };
  }

  /** What a call answers when the turns that followed it are done. */
  #lateOutcome(stimulus: Stimulus, entries: readonly Entry[], eager: boolean): Outcome {
    const all = [...entries];
    const sub = this.#entries.subscribe((more) => {
      for (const entry of more) if (isAnswer(entry) || isGuestAnswer(entry)) all.push(entry);
    });
    if (eager && mayWake(entries)) this.#run();
    sub.unsubscribe();
    return outcomeOf(this.#session.state, stimulus, all);
  }

  /** Gives turns until quiet, whatever the schedule; at most `turnsMax`. */
  run(turnsMax?: number): { readonly turns: number; readonly quiet: boolean } {
    const answer = this.#run(turnsMax);
    this.#emitState();
    return answer;
  }

  /** Dispatches made inside `work` give one `state$` together. */
  batch<T>(work: () => T): T {
    const outer = this.#batch;
    this.#batch = true;
    const result = work();
    this.#batch = outer;
    this.#emitState();
    return result;
  }

  #run(turnsMax?: number): { readonly turns: number; readonly quiet: boolean } {
    return runTurns(this.#session, (entries) => this.#entries.next(entries), turnsMax);
  }

  #emitState(): void {
    // Publishing is what costs: only for somebody who looks.
    if (!this.#batch && this.#states.observed) this.#states.next(this.state);
  }
}
