/**
 * When two values are the same to a scenario: numbers by their value however they are written
 * (`16`, `"0x10"`, a flag's `true`), bytes whatever the case of their digits.
 */
import { wholeNumber } from './values.ts';

/** The value as plain JSON: addresses and register values as `"0x..."`. */
export function plain(value: unknown, key = ''): unknown {
  if (typeof value === 'bigint') return `0x${value.toString(16)}`;
  if (typeof value === 'number') return HEX_FIELDS.includes(key) ? `0x${value.toString(16)}` : value;
  if (Array.isArray(value)) return value.map((each) => plain(each, key));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, plain(each, name)]));
}

const HEX_FIELDS: readonly string[] = ['pa', 'gpa', 'iova', 'va', 'value'];

function numeric(value: unknown): bigint | undefined {
  if (typeof value === 'boolean') return value ? 1n : 0n;
  return wholeNumber(value);
}

/** Equal in full; `part`: an expected object may leave fields out, at any depth. */
export function same(actual: unknown, expected: unknown, part = false): boolean {
  const [left, right] = [numeric(actual), numeric(expected)];
  if (left !== undefined && right !== undefined) return left === right;
  if (typeof actual === 'string' && typeof expected === 'string') return actual === expected;
  if (Array.isArray(actual) || Array.isArray(expected)) {
    if (!Array.isArray(actual) || !Array.isArray(expected) || actual.length !== expected.length) return false;
    return actual.every((each, at) => same(each, expected[at], part));
  }
  if (typeof actual !== 'object' || typeof expected !== 'object') return actual === expected;
  if (actual === null || expected === null) return actual === expected;
  const [have, want] = [actual as Record<string, unknown>, expected as Record<string, unknown>];
  if (!part && Object.keys(have).length !== Object.keys(want).length) return false;
  return Object.keys(want).every((key) => key in have && sameField(key, have[key], want[key], part));
}

function sameField(key: string, actual: unknown, expected: unknown, part: boolean): boolean {
  if (key === 'hex' && typeof actual === 'string' && typeof expected === 'string') {
    return actual.toLowerCase() === expected.toLowerCase();
  }
  return same(actual, expected, part);
}

/** A list with such an element, an object with such fields, a text with such a part. */
export function contains(actual: unknown, expected: unknown): boolean {
  const list = elementsOf(actual);
  if (list?.some((each) => same(each, expected, true)) === true) return true;
  if (typeof actual === 'string' && typeof expected === 'string') return actual.includes(expected);
  return (
    typeof actual === 'object' && actual !== null && !Array.isArray(actual) && same(actual, expected, true)
  );
}

/** Number of elements; undefined when the value has none to count. */
export function sizeOf(actual: unknown): number | undefined {
  if (actual === null) return 0;
  const list = elementsOf(actual);
  if (list !== undefined) return list.length;
  return typeof actual === 'object' ? Object.keys(actual as object).length : undefined;
}

/** Whether there is anything: an empty list is nothing. */
export function isPresent(actual: unknown): boolean {
  return actual !== null && actual !== undefined && elementsOf(actual)?.length !== 0;
}

/** The elements of a list, or of a queue. */
function elementsOf(actual: unknown): readonly unknown[] | undefined {
  if (Array.isArray(actual)) return actual;
  const entries = (actual as { entries?: unknown } | null | undefined)?.entries;
  return Array.isArray(entries) ? entries : undefined;
}
