/**
 * One line of text to one TraceLine. The name decides which row reads the rest, so a line costs its
 * own fields and no more.
 */
import { type EventName, type EventRow, events, type TraceLine } from './events.ts';
import type { AnyFieldRow, Cursor } from './fields.ts';

/** A line that is not one of the table's, or not as its row says. */
export interface Unread {
  readonly unread: 'blank' | 'unknown' | 'broken';
  readonly why: string;
}

const rows = new Map<string, { readonly name: EventName; readonly fields: readonly AnyFieldRow[] }>(
  Object.entries<EventRow>(events).map(([name, { fields }]) => [name, { name: name as EventName, fields }]),
);
const BLANK: Unread = { unread: 'blank', why: 'nothing' };
const cursor: Cursor = { text: '', at: 0, end: 0 };

/** Whether the line could not be used. */
export function isUnread(parsed: TraceLine | Unread): parsed is Unread {
  return 'unread' in parsed;
}

/** Reads `text[from, end)`, the line's number being `line`. */
export function parseLine(text: string, from: number, end: number, line: number): TraceLine | Unread {
  let last = end;
  while (last > from && text.charCodeAt(last - 1) <= 32) last -= 1;
  if (last === from) return BLANK;
  cursor.text = text;
  cursor.at = from;
  cursor.end = last;
  const thread = readThread();
  const first = cursor.at;
  while (cursor.at < last && text.charCodeAt(cursor.at) > 32) cursor.at += 1;
  const found = rows.get(text.slice(first, cursor.at));
  if (found === undefined) return { unread: 'unknown', why: 'the name is not one of the capture' };
  const out: Record<string, unknown> = { name: found.name, line, thread };
  for (const field of found.fields) {
    if (!text.startsWith(field.label, cursor.at) || cursor.at + field.label.length > last) {
      if (field.optional) continue;
      return broken(`expected "${field.label.trim()}"`);
    }
    cursor.at += field.label.length;
    const value = field.read(cursor);
    if (value === undefined) return broken(`no value after "${field.label.trim()}"`);
    out[field.key] = value;
  }
  if (!endsWell()) return broken('the last value goes on with something else');
  return out as unknown as TraceLine;
}

function broken(why: string): Unread {
  return { unread: 'broken', why };
}

/** After the last value comes the end, a blank, or the `)` or `,` of the format: else it was cut or garbled. */
function endsWell(): boolean {
  const code = cursor.text.charCodeAt(cursor.at);
  return cursor.at === cursor.end || code <= 32 || code === 41 || code === 44;
}

/** `thread@seconds.microseconds:`, which a line may lack. */
function readThread(): number {
  const { text, end } = cursor;
  let at = cursor.at;
  let thread = 0;
  for (; at < end; at += 1) {
    const digit = text.charCodeAt(at) - 48;
    if (digit < 0 || digit > 9) break;
    thread = thread * 10 + digit;
  }
  if (at === cursor.at || text.charCodeAt(at) !== 64) return 0;
  const colon = text.indexOf(':', at);
  if (colon < 0 || colon >= end) return 0;
  cursor.at = colon + 1;
  return thread;
}
