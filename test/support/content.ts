/**
 * What a state or a log says, as text and as plain data, whatever object it is held in: two states
 * with the same text are the same state. Keys are sorted, so the order of insertion does not count.
 */
import type { Entry } from '../../core/event.ts';
import { Radix } from '../../core/memory/radix.ts';
import { dismantle, type State } from '../../core/state.ts';

/** Every value of the state, memory lines and cache entries included. */
export function contentOf(state: State): unknown {
  const { control, parts } = dismantle(state);
  const large = Object.entries(parts).map(([name, part]) => [name, plain(part)]);
  return { control: plain(control), parts: Object.fromEntries(large) };
}

export function stateText(state: State): string {
  return JSON.stringify(contentOf(state));
}

/** One line of JSON for each entry. */
export function logText(entries: readonly Entry[]): string {
  return entries.map((entry) => JSON.stringify(plain(entry))).join('\n');
}

function plain(value: unknown): unknown {
  if (typeof value === 'bigint') return `${value}n`;
  if (value instanceof Uint8Array || value instanceof Uint32Array) return [...value].join(' ');
  if (value instanceof Radix) return [...value.range()].map(([key, each]) => [key, plain(each)]);
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null) return value;
  const { owner: _, ...rest } = value as Record<string, unknown>;
  const keys = Object.keys(rest).sort();
  return Object.fromEntries(keys.map((key) => [key, plain(rest[key])]));
}
