/**
 * The shape of a projection: an answer folded from the entries of a log, and from nothing else. It
 * says what it begins with, which entries it cares for, and what it answers; so the same projection
 * serves a whole log, a log that still grows, and a log that is opened in the middle.
 */
import type { Entry, EntryOf, EntryType } from '../core/event.ts';

/** What a projection does with the entries it cares for; others pass it by. */
export type ProjectionHandlers<S> = { readonly [T in EntryType]?: (state: S, entry: EntryOf<T>) => void };

export interface ProjectionShape<S, A> {
  readonly name: string;
  /** The state before the first entry. It belongs to one run, and the handlers change it in place. */
  initial(): S;
  readonly handlers: ProjectionHandlers<S>;
  /** The answer so far; may be asked at any time, and changes nothing. */
  answer(state: S): A;
}

type Take = (entry: Entry) => void;

/** One run of a projection over one log. */
export interface Run<A> {
  /** What is done with an entry of each type. */
  readonly takes: ReadonlyMap<EntryType, Take>;
  answer(): A;
}

/** A projection whose state is nobody else's business. */
export interface Projection<A> {
  readonly name: string;
  start(): Run<A>;
}

/** Makes a projection of its shape: each run has a state of its own. */
export function projection<S, A>(shape: ProjectionShape<S, A>): Projection<A> {
  return {
    name: shape.name,
    start() {
      const state = shape.initial();
      const takes = new Map<EntryType, Take>();
      for (const [type, handler] of Object.entries(shape.handlers)) {
        const take = handler as (state: S, entry: Entry) => void;
        takes.set(type as EntryType, (entry) => take(state, entry));
      }
      return { takes, answer: () => shape.answer(state) };
    },
  };
}

export type Answers<L extends readonly Projection<unknown>[]> = {
  readonly [K in keyof L]: L[K] extends Projection<infer A> ? A : never;
};

/** Several projections in one pass. Entries must come in order, without gaps. */
export interface Pass<L extends readonly Projection<unknown>[]> {
  take(entry: Entry): void;
  answers(): Answers<L>;
}

/** One pass over entries that come one by one; each call begins anew. */
export function openPass<const L extends readonly Projection<unknown>[]>(list: L): Pass<L> {
  const runs = list.map((each) => each.start());
  const takes = new Map<EntryType, Take[]>();
  for (const run of runs) {
    for (const [type, take] of run.takes) {
      const present = takes.get(type);
      if (present === undefined) takes.set(type, [take]);
      else present.push(take);
    }
  }
  return {
    take(entry) {
      const interested = takes.get(entry.type);
      if (interested === undefined) return;
      for (const take of interested) take(entry);
    },
    answers: () => runs.map((run) => run.answer()) as unknown as Answers<L>,
  };
}

/** Puts every entry through every projection once, and returns their answers in order. */
export function runProjections<const L extends readonly Projection<unknown>[]>(
  entries: Iterable<Entry>,
  list: L,
): Answers<L> {
  const pass = openPass(list);
  for (const entry of entries) pass.take(entry);
  return pass.answers();
}
