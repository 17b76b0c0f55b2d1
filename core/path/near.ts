/** Which known names a mistyped one may have meant. */

const NEAR_MAX = 3;

/** At most three of `known` that are a few edits away from `name`, nearest first. */
export function nearNames(name: string, known: readonly string[]): readonly string[] {
  const wanted = name.toLowerCase();
  // Two edits are a slip in a name of four letters, and another word in one of three.
  const reach = Math.min(Math.floor(name.length / 2), Math.max(2, Math.floor(name.length / 3)));
  return known
    .map((each) => ({ each, far: edits(wanted, each.toLowerCase()) }))
    .filter(({ far }) => far <= reach)
    .sort((a, b) => a.far - b.far || (a.each < b.each ? -1 : 1))
    .slice(0, NEAR_MAX)
    .map(({ each }) => each);
}

/** `expected` and what may have been meant, as one clause. */
export function meant(name: string, known: readonly string[]): string {
  const near = nearNames(name, known);
  return near.length === 0 ? '' : ` (did you mean ${near.join(' or ')}?)`;
}

/** Insertions, removals and replacements that turn one name into the other. */
function edits(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, at) => at);
  for (let i = 1; i <= from.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= to.length; j += 1) {
      const replaced = (row[j - 1] ?? 0) + (from[i - 1] === to[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[to.length] ?? 0;
}
