/**
 * When a snapshot is worth its bytes, and how long. One is made when going back would otherwise fold
 * too much; the newest are all kept, and of older ones ever fewer, so that their number grows with
 * the logarithm of the log.
 */

/** Entries that may have to be folded to reach a position: about 10 ms. */
export const SPACING = 8192;
/** So many spacings back every snapshot is kept: 16 million entries. */
const DENSE_SPACINGS = 2048;

/** Whether to keep the state at `seq`, when the nearest one kept before it is at `last`. */
export function isDue(seq: number, last: number): boolean {
  return seq - last >= SPACING;
}

/**
 * Which of a branch's snapshots to keep, by age: behind the dense ones, one of two, of four, ...
 * @param seqs in ascending order.
 */
export function keepers(seqs: readonly number[], head: number): Set<number> {
  const kept = new Set<number>();
  const taken = new Set<string>();
  for (const seq of seqs) {
    const age = (head - seq) / (SPACING * DENSE_SPACINGS);
    const step = age < 1 ? 0 : 2 ** (Math.floor(Math.log2(age)) + 1);
    const place = step === 0 ? `${seq}` : `${step}:${Math.floor(seq / (SPACING * step))}`;
    if (taken.has(place)) continue;
    taken.add(place);
    kept.add(seq);
  }
  return kept;
}
