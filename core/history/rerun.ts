/**
 * Rerun: the stimuli of a recorded history are put through `step` again. Unedited, the entries must
 * come out as recorded, turns and all. Edited, the schedule gives its turns anew, and the question
 * is where the two histories first differ in more than the numbering of their entries.
 */
import { type Entry, isStimulus, schemas } from '../event.ts';
import { fold } from '../fold.ts';
import { openSession, type Session, step } from '../machine.ts';
import type { State } from '../state.ts';
import type { Stimulus } from '../stimulus.ts';
import { isSame } from './same.ts';

/** A stimulus and the events that followed it. */
export type Step = readonly Entry[];

/** The steps of consecutive entries; the first may lack its stimulus when the entries begin within it. */
export function* stepsOf(entries: Iterable<Entry>): Generator<Step> {
  let open: Entry[] = [];
  for (const entry of entries) {
    if (isStimulus(entry) && open.length > 0) {
      yield open;
      open = [];
    }
    open.push(entry);
  }
  if (open.length > 0) yield open;
}

/** The stimulus that a recorded entry was: without its place in the log. */
export function stimulusOf(entry: Entry): Stimulus {
  const { seq, tick, cause, ...stimulus } = entry;
  return stimulus as unknown as Stimulus;
}

/** The first place where two histories are not the same; a side that has ended is undefined. */
export interface Difference {
  readonly recorded: Entry | undefined;
  readonly rerun: Entry | undefined;
}

/**
 * Reruns entries that follow on `state` exactly as recorded.
 * @param cuts seqs at which a branch was forked: its own entries may follow on an unfinished step.
 */
export function verifyRerun(
  state: State,
  entries: Iterable<Entry>,
  cuts: ReadonlySet<number>,
): Difference | undefined {
  let session: Session = openSession(state);
  for (const recorded of stepsOf(entries)) {
    const [first] = recorded;
    const last = recorded.at(-1);
    if (first === undefined || last === undefined) continue;
    if (!isStimulus(first)) {
      session.fold(recorded);
    } else if (!cuts.has(last.seq)) {
      const found = differenceOf(recorded, session.step(stimulusOf(first)), sameSeq);
      if (found !== undefined) return found;
    } else {
      // The rest of the step is on another branch: what was recorded of it is compared, then taken.
      const before = session.publish();
      const whole = step(before, stimulusOf(first)).entries;
      const found = differenceOf(recorded, whole.slice(0, recorded.length), sameSeq);
      if (found !== undefined) return found;
      session = openSession(fold(before, recorded));
    }
  }
  return undefined;
}

/** Which seq of the rerun an entry of the recorded history has. */
export type SeqMap = (recorded: number) => number;

const sameSeq: SeqMap = (recorded) => recorded;

/** The first of two lists of entries that differ, payload by payload. */
export function differenceOf(
  recorded: readonly Entry[],
  rerun: readonly Entry[],
  seqs: SeqMap,
): Difference | undefined {
  const length = Math.max(recorded.length, rerun.length);
  for (let at = 0; at < length; at += 1) {
    const [left, right] = [recorded[at], rerun[at]];
    if (left === undefined || right === undefined || !isSameEntry(left, right, seqs)) {
      return { recorded: left, rerun: right };
    }
  }
  return undefined;
}

/** Whether two entries say the same, each in its own history. */
function isSameEntry(left: Entry, right: Entry, seqs: SeqMap): boolean {
  if (left.type !== right.type || left.actor !== right.actor) return false;
  if (seqs(left.seq) !== right.seq || mapped(left.cause, seqs) !== right.cause) return false;
  const [a, b] = [left, right] as unknown as [Record<string, unknown>, Record<string, unknown>];
  return Object.entries(schemas[left.type]).every(([field, { refers, column }]) => {
    if (column === 'json' && refers !== true) return isSameShifted(a[field], b[field], seqs);
    return isSame(refers === true ? mapped(a[field], seqs) : a[field], b[field]);
  });
}

function mapped(reference: unknown, seqs: SeqMap): unknown {
  if (Array.isArray(reference)) return reference.map((each) => mapped(each, seqs));
  return typeof reference === 'number' && reference !== 0 ? seqs(reference) : reference;
}

/** Plain data in which a number may be the seq of an entry: tasks, domains and calls are named by theirs. */
function isSameShifted(left: unknown, right: unknown, seqs: SeqMap): boolean {
  if (typeof left === 'number' && typeof right === 'number')
    return left === right || (Number.isSafeInteger(left) && left > 0 && seqs(left) === right);
  if (typeof left !== 'object' || typeof right !== 'object' || left === null || right === null)
    return left === right;
  if (left instanceof Uint8Array || Array.isArray(left) !== Array.isArray(right)) return isSame(left, right);
  const [a, b] = [left as Record<string, unknown>, right as Record<string, unknown>];
  const names = Object.keys(a);
  if (names.length !== Object.keys(b).length) return false;
  return names.every((name) => name in b && isSameShifted(a[name], b[name], seqs));
}

/** Follows a rerun beside the history it came from. */
export interface Comparison {
  /**
   * The next group of both: an outside stimulus' entries with those of the turns that followed. Either
   * may be empty: an edit dropped the one or inserted the other.
   */
  add(recorded: readonly Entry[], rerun: readonly Entry[]): void;
  /** The first difference so far, other than in the numbering. */
  first(): Difference | undefined;
}

/** @param shared the last seq that both histories share. */
export function openComparison(shared: number): Comparison {
  /** Recorded seqs from which on a shift of the numbering holds, ascending. */
  const shifts = [{ from: 0, by: 0 }];
  let first: Difference | undefined;
  const seqs: SeqMap = (seq) =>
    seq <= shared ? seq : seq + (shifts.findLast(({ from }) => from <= seq)?.by ?? 0);
  return {
    add(recorded, rerun) {
      const [left, right] = [recorded[0], rerun[0]];
      if (first !== undefined || left === undefined || right === undefined) return;
      const by = right.seq - left.seq;
      if (shifts.at(-1)?.by !== by) shifts.push({ from: left.seq, by });
      first = differenceOf(recorded, rerun, seqs);
    },
    first: () => first,
  };
}
