/**
 * One number for a state: the same for two states in which nothing can be told apart, however they
 * came about. Keys are taken in order, memory lines that are all zero count as absent, and caches
 * count by what they hold, not by the shape of their trees.
 */
import { assert } from '../assert.ts';
import { Radix } from '../memory/radix.ts';
import { dismantle, type State } from '../state.ts';

/** Takes text piece by piece and says at the end what it amounts to. */
export interface Hasher {
  update(text: string): void;
  digest(): string;
}

/** The digest of a state, by a hash function of the caller's. */
export function digestState(state: State, hasher: Hasher): string {
  const { control, parts } = dismantle(state);
  write(control, hasher);
  for (const name of Object.keys(parts).sort()) {
    const map = parts[name];
    assert(map !== undefined, `there is a part ${name}`);
    hasher.update(`\n${name}`);
    writeMap(map, hasher);
  }
  return hasher.digest();
}

function writeMap(map: Radix<unknown>, hasher: Hasher): void {
  for (const [key, value] of map.range()) {
    if (isZeroLine(value)) continue;
    hasher.update(`\n${key} `);
    write(value, hasher);
  }
  hasher.update('\n.');
}

function isLine(value: unknown): value is { readonly words: Uint32Array } {
  return (
    typeof value === 'object' && value !== null && 'words' in value && value.words instanceof Uint32Array
  );
}

function isZeroLine(value: unknown): boolean {
  return isLine(value) && value.words.every((word) => word === 0);
}

/** Plain data, unambiguous: every value says its kind and where it ends. */
function write(value: unknown, hasher: Hasher): void {
  if (isLine(value)) hasher.update(`line ${value.words.join(',')};`);
  else if (value instanceof Radix) writeMap(value, hasher);
  else if (value instanceof Uint8Array) hasher.update(`bytes ${value.join(',')};`);
  else if (Array.isArray(value)) writeList(value, hasher);
  else if (typeof value === 'object' && value !== null) writeRecord(value, hasher);
  else if (typeof value === 'string') hasher.update(JSON.stringify(value));
  else hasher.update(`${typeof value} ${String(value)};`);
}

function writeList(values: readonly unknown[], hasher: Hasher): void {
  hasher.update('[');
  for (const value of values) write(value, hasher);
  hasher.update(']');
}

/** What is undefined counts as absent. */
function writeRecord(record: object, hasher: Hasher): void {
  const fields = record as Readonly<Record<string, unknown>>;
  hasher.update('{');
  for (const name of Object.keys(fields).sort()) {
    if (fields[name] === undefined) continue;
    hasher.update(`${JSON.stringify(name)}:`);
    write(fields[name], hasher);
  }
  hasher.update('}');
}
