/**
 * Which branch owns which entries. A branch shares its parent's entries up to and including the
 * position it left at; what follows is its own.
 */
import { assert, present } from '../assert.ts';
import type { Branch } from './store.ts';

/** Entries `from` to `last` of a history, both included, and the branch that holds them. */
export interface Span {
  readonly branch: number;
  readonly from: number;
  readonly last: number;
}

/** A place in the tree of branches. */
export interface Place {
  readonly branch: number;
  readonly seq: number;
}

type Branches = (id: number) => Branch | undefined;

/** The branch and its ancestors, nearest first, each with the last of its seqs that counts here. */
function chain(branches: Branches, branch: number, head: number): Place[] {
  const places: Place[] = [];
  let last = head;
  for (let id: number | undefined = branch; id !== undefined; ) {
    const found: Branch = present(branches(id), `branch ${id}`);
    assert(!places.some((place) => place.branch === found.id), `branch ${id} is not its own ancestor`);
    places.push({ branch: id, seq: last });
    id = found.parent?.branch;
    last = Math.min(last, found.parent?.at ?? 0);
  }
  return places;
}

/**
 * The history of `branch` up to `head` as spans in order of seq, without empty ones.
 * @param head last seq wanted, 0 or more.
 */
export function lineage(branches: Branches, branch: number, head: number): Span[] {
  const spans: Span[] = [];
  for (const { branch: id, seq: last } of chain(branches, branch, head)) {
    const from = (branches(id)?.parent?.at ?? 0) + 1;
    if (from <= last) spans.unshift({ branch: id, from, last });
  }
  return spans;
}

/** The branch whose own entry has this seq in the history of `branch`; at seq 0 the root. */
export function ownerOf(branches: Branches, branch: number, seq: number): number {
  for (let id = branch; ; ) {
    const parent = present(branches(id), `branch ${id}`).parent;
    if (parent === undefined || seq > parent.at) return id;
    id = parent.branch;
  }
}

/** The last place that the histories of two branches share; undefined when their roots differ. */
export function commonAncestor(branches: Branches, one: number, other: number): Place | undefined {
  const mine = chain(branches, one, Number.MAX_SAFE_INTEGER);
  const theirs = chain(branches, other, Number.MAX_SAFE_INTEGER);
  for (const { branch, seq } of mine) {
    const shared = theirs.find((place) => place.branch === branch);
    if (shared !== undefined) return { branch, seq: Math.min(seq, shared.seq) };
  }
  return undefined;
}
