/** Reasons unfolded to a depth. What is told once is not told again, and what was cut off says where to go on. */
import type { Reason } from './reason.ts';

export interface Told {
  readonly seq: number;
  readonly role: string;
  readonly what: string;
  readonly cite?: string;
  readonly below: readonly Told[];
  /** Reasons below that were not told, for depth or number. */
  readonly more: number;
  /** Whose reasons were not told: the entry itself, or the first of those left out. */
  readonly next: number;
  /** It is explained elsewhere in the tree. */
  readonly again: boolean;
}

export interface Bounds {
  /** Levels below the first line. */
  readonly depth: number;
  /** Reasons told below one line. */
  readonly breadth: number;
}

/** The first line and what is below it. */
export function unfold(root: Reason, bounds: Bounds): Told {
  return unfoldAt(root, bounds, bounds.depth, new Set(), new Set());
}

/** @param above seqs of the entries that this one explains: they do not explain it in turn. */
function unfoldAt(
  reason: Reason,
  bounds: Bounds,
  left: number,
  seen: Set<number>,
  above: ReadonlySet<number>,
): Told {
  const { seq, role, what, cite, entry } = reason;
  const again = entry !== undefined && seen.has(seq);
  if (entry !== undefined) seen.add(seq);
  const path = entry === undefined ? above : new Set([...above, seq]);
  const all = (again ? [] : (reason.below?.() ?? [])).filter(
    (each) => each.entry === undefined || !path.has(each.seq),
  );
  const taken = left === 0 ? [] : all.slice(0, bounds.breadth);
  return {
    seq,
    role,
    what,
    ...(cite === undefined ? {} : { cite }),
    below: taken.map((each) => unfoldAt(each, bounds, left - 1, seen, path)),
    more: all.length - taken.length,
    next: entry === undefined ? (all[taken.length]?.seq ?? seq) : seq,
    again,
  };
}
