/** A change in words and as JSON: old value and new, and the entry that made it. */
import type { Change } from '../changes.ts';
import { entryJson, entryText } from './entry-text.ts';
import { wrap } from './io.ts';
import { type Position, showPosition } from './position.ts';
import { leavesOf, showLeaf } from './value-diff.ts';

/** `main@36  mem[0x40052008]  0x60000040100f43 -> 0x0  by outside mem...`. */
export function changeLines(
  { entry, before, after }: Change,
  { branch }: Position,
  width: number | undefined,
): string[] {
  const at = showPosition({ branch, seq: entry.seq });
  const differences = leavesOf(before.value, after.value);
  const lines = differences.flatMap(({ below, before: old, after: now }) =>
    wrap(at, `${after.path}${below}`, `${showLeaf(old)} -> ${showLeaf(now)}`, width),
  );
  return [...lines, ...wrap(at, '  by', `${entry.actor}  ${entry.type} ${entryText(entry)}`, width)];
}

/** The same with all values, as JSON says them. */
export function changeJson({ entry, before, after }: Change, { branch }: Position): Record<string, unknown> {
  const position = showPosition({ branch, seq: entry.seq });
  return {
    position,
    path: after.path,
    before: before.value,
    after: after.value,
    entry: entryJson(entry, branch.name),
  };
}
