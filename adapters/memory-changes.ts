/**
 * Stores that left memory as it was: software writes a queue's slots again and again with the same bytes. They
 * are told from the entries alone, for going to the moments before and after each costs a thousand times more.
 */
import type { Entry } from '../core/event.ts';
import type { Span } from '../core/path/node.ts';

/**
 * The entries, newest first, without stores that changed no byte of the spans.
 * @param entries those that touch what is watched, newest first; stores among them touch a span.
 */
export function* changing(entries: Iterable<Entry>, spans: readonly Span[]): Generator<Entry> {
  if (spans.length === 0) {
    yield* entries;
    return;
  }
  let newer: Entry | undefined;
  for (const entry of entries) {
    if (newer !== undefined && !leaves(newer, entry, spans)) yield newer;
    newer = entry;
  }
  if (newer !== undefined && !leaves(newer, undefined, spans)) yield newer;
}

/** Bytes that stand at an address after a store. */
interface Stored {
  readonly pa: number;
  readonly bytes: Uint8Array;
}

/** Whether a store changes nothing in the spans. @param before the store before it into them, if it is one. */
function leaves(entry: Entry, before: Entry | undefined, spans: readonly Span[]): boolean {
  const now = storedBy(entry);
  if (now === undefined) return false;
  const old = entry.type === 'memory.written' ? doubleword(entry.pa, entry.old) : before && storedBy(before);
  return spans.every((span) => old !== undefined && isSameIn(now, old, span));
}

function storedBy(entry: Entry): Stored | undefined {
  if (entry.type === 'memory.written') return doubleword(entry.pa, entry.value);
  return entry.type === 'memory.loaded' ? entry : undefined;
}

function doubleword(pa: number, value: bigint): Stored {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, value, true);
  return { pa, bytes };
}

/** Whether what `now` stored in the span stood there before; what `old` does not show may have differed. */
function isSameIn(now: Stored, old: Stored, span: Span): boolean {
  const end = Math.min(now.pa + now.bytes.length, span.pa + span.size);
  for (let at = Math.max(now.pa, span.pa); at < end; at += 1) {
    const before = at < old.pa ? undefined : old.bytes[at - old.pa];
    if (before !== now.bytes[at - now.pa]) return false;
  }
  return true;
}
