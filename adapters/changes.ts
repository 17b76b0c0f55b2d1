/**
 * When did the value at a path change: the index gives the entries that may have changed it, and
 * the value before and after each tells whether it did.
 */
import { type Entry, schemas } from '../core/event.ts';
import { isSame } from '../core/history/same.ts';
import type { Branch } from '../core/history/store.ts';
import { touchKeys } from '../core/history/touch.ts';
import type { Span } from '../core/path/node.ts';
import { isPathProblem, type Resolved, resolvePath } from '../core/path.ts';
import type { State } from '../core/state.ts';
import { InputError } from './input-error.ts';
import { changing } from './memory-changes.ts';
import type { Session } from './session.ts';

export interface Change {
  readonly entry: Entry;
  readonly before: Resolved;
  readonly after: Resolved;
}

/** What stands at the path, or an InputError that says why there is no such path. */
export function resolveAt(state: State, path: string): Resolved {
  const found = resolvePath(state, path);
  if (isPathProblem(found)) throw new InputError(`path ${path}: ${found.problem}`);
  return found;
}

/**
 * What stands at the path; where the thing is not there at that moment, nothing, watched where it may come
 * from: its nearest part that is there, or the opening of files for what has a file's name.
 */
function resolveThen(state: State, path: string): Resolved {
  const found = resolvePath(state, path);
  if (!isPathProblem(found)) return found;
  for (let above = parentOf(path); above !== ''; above = parentOf(above)) {
    const part = resolvePath(state, above);
    if (isPathProblem(part)) continue;
    return { path, value: null, lines: [], touchKeys: part.touchKeys, spans: part.spans };
  }
  return { path, value: null, lines: [], touchKeys: OPENING, spans: [] };
}

const OPENING: readonly string[] = ['type:file.opened', 'type:context.opened'];

function parentOf(path: string): string {
  return path.replace(/(^|\.)[^.[\]]*$|\[[^\]]*\]$/, '');
}

/**
 * Candidates looked at in one go: they are folded in order, which costs less than a seek for each. Who
 * wants the last change only should not pay for many, so the first go is small.
 */
const CHUNK_FIRST = 2;
const CHUNK_MOST = 64;

/** A cached entry, named by the seq of its fill: it comes with that, goes once, and never changes between. */
const CACHED = /\.(?:tlb|walk|l1std|l1cd|atc)\[(0[xX][0-9a-fA-F]+|\d+)\]/;

/** The removal is looked for by halving: what is gone is gone for good. */
function* cachedChanges(
  session: Session,
  branch: Branch,
  path: string,
  from: number,
  to: number,
): Generator<Change> {
  resolveAt(session.seek(branch, to), path);
  const fill = Number(CACHED.exec(path)?.[1]);
  const at = (seq: number): Resolved => resolveThen(session.seek(branch, seq), path);
  const change = function* (seq: number): Generator<Change> {
    const [before, after] = [at(seq - 1), at(seq)];
    if (seq <= from || isSame(before.value, after.value)) return;
    for (const entry of session.log.read(branch.id, seq, seq)) yield { entry, before, after };
  };
  if (fill < 1 || fill > to || at(fill).value === null) return;
  let [held, gone] = [fill, to];
  if (at(to).value === null) {
    while (gone - held > 1) {
      const middle = Math.floor((held + gone) / 2);
      if (at(middle).value === null) gone = middle;
      else held = middle;
    }
    yield* change(gone);
  }
  yield* change(fill);
}

/** Changes of `path` with `from < seq <= to`, newest first. */
export function* changesBack(
  session: Session,
  branch: Branch,
  path: string,
  from: number,
  to: number,
): Generator<Change> {
  if (CACHED.test(path)) {
    yield* cachedChanges(session, branch, path, from, to);
    return;
  }
  let until = to;
  for (let chunk = CHUNK_FIRST; until > from; chunk = Math.min(chunk * 4, CHUNK_MOST)) {
    const state = session.seek(branch, until);
    const watched = until === to ? resolveAt(state, path) : resolveThen(state, path);
    const candidates = takeDown(session, branch, watched, from, until, chunk);
    const seen = changesAmong(session, branch, path, candidates);
    for (const change of seen.changes) yield change;
    if (seen.moved === undefined && candidates.length < chunk) return;
    // Before an entry that moved the thing itself, its changes stand under other keys.
    until = (seen.moved ?? candidates.at(-1) ?? from + 1) - 1;
  }
}

interface Seen {
  /** Newest first. */
  readonly changes: readonly Change[];
  /** The newest entry before which the path's value was watched under other keys. */
  readonly moved: number | undefined;
}

/** @param candidates seqs, newest first. */
function changesAmong(session: Session, branch: Branch, path: string, candidates: readonly number[]): Seen {
  const changes: Change[] = [];
  let moved: number | undefined;
  for (const seq of candidates.toReversed()) {
    const before = resolveThen(session.seek(branch, seq - 1), path);
    const after = resolveThen(session.seek(branch, seq), path);
    if (!isSame(before.touchKeys, after.touchKeys)) {
      moved = seq;
      changes.length = 0;
    }
    if (isSame(before.value, after.value)) continue;
    for (const entry of session.log.read(branch.id, seq, seq)) changes.unshift({ entry, before, after });
  }
  return { changes, moved };
}

/** The newest seqs with `from < seq <= until` whose entries touched what is watched. */
function takeDown(
  session: Session,
  branch: Branch,
  watched: Resolved,
  from: number,
  until: number,
  most: number,
): number[] {
  const taken: number[] = [];
  const touching = touchingBack(session, branch, watched.touchKeys, watched.spans, from, until);
  for (const entry of changing(touching, watched.spans)) {
    taken.push(entry.seq);
    if (taken.length === most) break;
  }
  return taken;
}

/** Entries with `from < seq <= until` under any of the keys, newest first; in a page only those that touch a span. */
export function* touchingBack(
  session: Session,
  branch: Branch,
  keys: readonly string[],
  spans: readonly Span[],
  from: number,
  until: number,
): Generator<Entry> {
  for (const entry of session.index.matching(branch.id, [keys], { from, to: until }, 'newest'))
    if (touches(entry, keys, spans)) yield entry;
}

function touches(entry: Entry, keys: readonly string[], spans: readonly Span[]): boolean {
  const own = touchKeys(entry).filter((key) => keys.includes(key));
  if (spans.length === 0 || own.some((key) => !MEMORY_KEY.test(key))) return own.length > 0;
  return memoryOf(entry).some((one) =>
    spans.some((span) => one.pa < span.pa + span.size && span.pa < one.pa + one.size),
  );
}

const DOUBLEWORD = 8;
const MEMORY_KEY = /^(page|block|word):/;

/** The memory that an entry is about, from its address fields; a doubleword where it does not say how much. */
export function memoryOf(entry: Entry): readonly Span[] {
  const fields = entry as unknown as Readonly<Record<string, unknown>>;
  const { size, bytes, words } = entry as { size?: number; bytes?: Uint8Array; words?: Uint8Array };
  const held = bytes?.length ?? words?.length ?? size ?? DOUBLEWORD;
  return Object.entries(schemas[entry.type]).flatMap(([name, { index }]) => {
    const pa = index === 'page' ? fields[name] : undefined;
    return typeof pa === 'number' ? [{ pa, size: name === 'pa' ? held : DOUBLEWORD }] : [];
  });
}
