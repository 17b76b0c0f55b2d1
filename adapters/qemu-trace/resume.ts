/**
 * Notes of an import about itself, kept in the history: what was imported, and how far it came. With
 * them an interrupted import is recognised, and can go on.
 */
import { basename } from 'node:path';
import type { Entry } from '../../core/event.ts';
import type { FileIdentity } from './source.ts';
import type { StaleState } from './stale.ts';
import type { TallyState } from './tally.ts';

export const BEGUN = 'import';
export const PROGRESS = 'import-progress';
export const DONE = 'import-done';

/** What is being imported. */
export interface Begun extends FileIdentity {
  readonly kind: 'qemu-trace';
  readonly file: string;
  readonly observe: boolean;
}

/** A place at which nothing was held back. */
export interface Progress {
  /** All lines up to this one are in the history. */
  readonly line: number;
  readonly tally: TallyState;
  readonly stale: StaleState;
}

/** Where an import can go on. */
export interface ResumePoint extends Progress {
  /** seq of the note that says so: the state to go on from is the one after it. */
  readonly seq: number;
}

/** The text of the note with which an import begins. */
export function begunNote(file: string, identity: FileIdentity, observe: boolean): string {
  return JSON.stringify({ kind: 'qemu-trace', file: basename(file), ...identity, observe } satisfies Begun);
}

/** What an entry says of an import that began, if it does. */
export function readBegun(entry: Entry): Begun | undefined {
  return entry.type === 'note' && entry.kind === BEGUN ? (JSON.parse(entry.text) as Begun) : undefined;
}

/** What an entry says of how far an import came, if it does. */
export function readProgress(entry: Entry): ResumePoint | undefined {
  if (entry.type !== 'note' || entry.kind !== PROGRESS) return undefined;
  return { ...(JSON.parse(entry.text) as Progress), seq: entry.seq };
}

/** What a history holds of an import. */
export interface ImportState {
  readonly begun: Begun;
  /** It came to its end. */
  readonly done: boolean;
  /** The last line that is in the history, at least. */
  readonly line: number;
  readonly resume: ResumePoint | undefined;
}

/**
 * Reads a history from its end towards its beginning until all is known.
 * @param newestFirst entries, the last first.
 */
export function importState(newestFirst: Iterable<Entry>, first: Entry | undefined): ImportState | undefined {
  const begun = first === undefined ? undefined : readBegun(first);
  if (begun === undefined) return undefined;
  let line = 0;
  let done = false;
  for (const entry of newestFirst) {
    if (entry.type === 'note' && entry.kind === DONE) done = true;
    const resume = readProgress(entry);
    if (resume !== undefined) return { begun, done, line: Math.max(line, resume.line), resume };
    if (line === 0 && 'line' in entry && entry.line !== undefined) line = entry.line;
  }
  return { begun, done, line, resume: undefined };
}

/** Whether the file is the one the import read: its name may have changed. */
export function sameFile(begun: Begun, identity: FileIdentity): boolean {
  return begun.bytes === identity.bytes && begun.head === identity.head;
}
