/** What an op is: a function of a checked line. */
import type { Simulation } from '../../core/simulation.ts';
import type { Stimulus } from '../../core/stimulus.ts';
import type { Place } from '../input-error.ts';
import type { LineOf, Op } from './vocabulary.ts';

export type Answer = Readonly<Record<string, unknown>>;

/** What an op works with. */
export interface OpContext {
  readonly simulation: Simulation;
  readonly place: Place;
  /** Who does what the line says, and where from, as far as it tells. */
  readonly origin: Pick<Stimulus, 'actor' | 'cpu' | 'pc'>;
  /** Makes a bookmark at the last entry; gives its position, or why the name cannot be taken. */
  label(name: string): { readonly position: string } | { readonly problem: string };
}

export type Act<O extends Op> = (line: LineOf<O>, context: OpContext) => Answer;

/** Puts a stimulus to the machine, with the line it stands in. */
export function dispatch({ simulation, place, origin }: OpContext, stimulus: Stimulus): Answer {
  const line = place.line === undefined ? {} : { line: place.line };
  return simulation.dispatch({ ...stimulus, ...line, ...origin }).outcome;
}

/** The fields that have a value. */
export function defined<T extends object>(fields: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
}
