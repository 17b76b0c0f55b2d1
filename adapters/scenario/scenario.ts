/**
 * Scenarios as TypeScript modules: `export default scenario(function* () { yield {op: 'machine'}; ... })`.
 * They yield the objects that a `.jsonl` scenario has as lines; numbers may be bigints too. What a
 * `yield` gives back is the outcome of its line.
 */
import type { Op } from './vocabulary.ts';

/** One line; its fields are checked when it runs. */
export interface ScenarioLine {
  readonly op: Op;
  readonly [field: string]: unknown;
}

export type ScenarioOutcome = Readonly<Record<string, unknown>>;
export type ScenarioLines = Iterable<ScenarioLine> | Generator<ScenarioLine, void, ScenarioOutcome>;

export interface Scenario {
  readonly kind: typeof KIND;
  lines(): ScenarioLines;
}

const KIND = 'backwalk.scenario';

/** A scenario from its lines, or from a function that makes them. */
export function scenario(lines: readonly ScenarioLine[] | (() => ScenarioLines)): Scenario {
  return { kind: KIND, lines: () => (typeof lines === 'function' ? lines() : lines) };
}

/** Whether a module's default export was made by `scenario()`. */
export function isScenario(value: unknown): value is Scenario {
  return typeof value === 'object' && value !== null && (value as Partial<Scenario>).kind === KIND;
}
