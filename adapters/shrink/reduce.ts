/**
 * Delta debugging: takes away as much of a list as can go while a test still holds. Chunks are halved from
 * the whole down to single items, from the end to the beginning, because what is late rests on what is early.
 */

/** What is left of a candidate that passes (it may have lost more than was taken away); undefined: it fails. */
export type Test<T> = (candidate: readonly T[]) => readonly T[] | undefined;

/**
 * Yields after each trial the best so far. The last is 1-minimal: without any single item the test fails.
 * @param groups items that are likely to go together, tried first.
 */
export function* reduceList<T>(
  items: readonly T[],
  test: Test<T>,
  groups: readonly ((item: T) => boolean)[] = [],
): Generator<readonly T[]> {
  let best = items;
  for (const group of groups) {
    const candidate = best.filter((item) => !group(item));
    if (candidate.length === best.length) continue;
    best = test(candidate) ?? best;
    yield best;
  }
  let size = Math.max(1, Math.floor(best.length / 2));
  for (;;) {
    let gone = false;
    for (let end = best.length; end > 0; ) {
      const start = Math.max(0, end - size);
      const left = test([...best.slice(0, start), ...best.slice(end)]);
      if (left !== undefined) {
        best = left;
        gone = true;
      }
      end = Math.min(start, best.length);
      yield best;
    }
    if (size === 1 && !gone) return;
    if (size > 1) size = Math.floor(size / 2);
  }
}
