/**
 * The pieces a trace line is made of: a fixed text, then a value. A row of the `events` table is a
 * list of these; its reader and its type follow from it.
 */

/** Where a reader stands: it moves `at`, never past `end`. */
export interface Cursor {
  text: string;
  at: number;
  end: number;
}

type Read<T> = (cursor: Cursor) => T | undefined;

export interface FieldRow<K extends string, T, O extends boolean> {
  readonly key: K;
  /** What stands before the value, blanks included. */
  readonly label: string;
  readonly optional: O;
  readonly read: Read<T>;
}

export type AnyFieldRow = FieldRow<string, unknown, boolean>;

/** What a list of fields gives. */
export type FieldsOf<L extends readonly AnyFieldRow[]> = {
  readonly [F in L[number] as F extends FieldRow<string, unknown, false> ? F['key'] : never]: ValueOf<F>;
} & {
  readonly [F in L[number] as F extends FieldRow<string, unknown, true> ? F['key'] : never]:
    | ValueOf<F>
    | undefined;
};
type ValueOf<F> = F extends FieldRow<string, infer T, boolean> ? T : never;

const field =
  <T>(read: Read<T>) =>
  <const K extends string>(key: K, label: string): FieldRow<K, T, false> => ({
    key,
    label,
    optional: false,
    read,
  });

/** An address, an offset, a small value: `0x` and digits, below 2^53. */
export const hex = field(readHex);
/** A register, a descriptor, a word of memory: `0x` and digits, 64 bits. */
export const word = field(readWord);
/** A decimal number, below 2^53; may be negative. */
export const dec = field(readDecimal);
/** A name: up to the next blank. */
export const name = field(readName);
/** All that is left of the line, without blanks at its ends. */
export const rest = field((cursor) => {
  const found = cursor.text.slice(cursor.at, cursor.end).trim();
  cursor.at = cursor.end;
  return found;
});

/** The same field, which some lines lack. */
export function maybe<const K extends string, T>(of: FieldRow<K, T, false>): FieldRow<K, T, true> {
  return { ...of, optional: true };
}

const LOWER_A = 97;
const UPPER_A = 65;
const ZERO = 48;

/** The digit's value, or -1. */
function digit(code: number): number {
  if (code >= ZERO && code < ZERO + 10) return code - ZERO;
  if (code >= LOWER_A && code < LOWER_A + 6) return code - LOWER_A + 10;
  if (code >= UPPER_A && code < UPPER_A + 6) return code - UPPER_A + 10;
  return -1;
}

/** Steps over `0x`, which some printers leave out. */
function skipPrefix(cursor: Cursor): void {
  const { text, at } = cursor;
  if (text.charCodeAt(at) === ZERO && text.charCodeAt(at + 1) === 120) cursor.at = at + 2;
}

function readHex(cursor: Cursor): number | undefined {
  skipPrefix(cursor);
  const first = cursor.at;
  let value = 0;
  while (cursor.at < cursor.end) {
    const next = digit(cursor.text.charCodeAt(cursor.at));
    if (next < 0) break;
    value = value * 16 + next;
    cursor.at += 1;
  }
  return cursor.at === first || value > Number.MAX_SAFE_INTEGER ? undefined : value;
}

function readWord(cursor: Cursor): bigint | undefined {
  skipPrefix(cursor);
  const first = cursor.at;
  let high = 0;
  let low = 0;
  while (cursor.at < cursor.end) {
    const next = digit(cursor.text.charCodeAt(cursor.at));
    if (next < 0) break;
    high = ((high << 4) | (low >>> 28)) >>> 0;
    low = ((low << 4) | next) >>> 0;
    cursor.at += 1;
  }
  const digits = cursor.at - first;
  if (digits === 0 || digits > 16) return undefined;
  return high === 0 ? BigInt(low) : (BigInt(high) << 32n) | BigInt(low);
}

function readDecimal(cursor: Cursor): number | undefined {
  const negative = cursor.text.charCodeAt(cursor.at) === 45;
  if (negative) cursor.at += 1;
  const first = cursor.at;
  let value = 0;
  while (cursor.at < cursor.end) {
    const next = cursor.text.charCodeAt(cursor.at) - ZERO;
    if (next < 0 || next > 9) break;
    value = value * 10 + next;
    cursor.at += 1;
  }
  if (cursor.at === first || value > Number.MAX_SAFE_INTEGER) return undefined;
  return negative ? -value : value;
}

function readName(cursor: Cursor): string | undefined {
  const first = cursor.at;
  while (cursor.at < cursor.end && cursor.text.charCodeAt(cursor.at) > 32) cursor.at += 1;
  return cursor.at === first ? undefined : cursor.text.slice(first, cursor.at);
}
