/** What differs between two moments, by path and field name. */
import { diff } from '../../core/layout/layout.ts';
import type { Memory } from '../../core/memory/memory.ts';
import { LINE_BYTES } from '../../core/memory/memory.ts';
import { structureAt } from '../../core/path/where.ts';
import { registerNamed } from '../../core/smmu/registers.ts';
import type { State } from '../../core/state.ts';
import { resolveAt } from '../changes.ts';
import { leavesOf } from './value-diff.ts';

export interface DiffRow {
  readonly path: string;
  readonly before: unknown;
  readonly after: unknown;
}

/** Without a path: the whole machine and its memory. */
export function* stateDiff(before: State, after: State, path: string | undefined): Generator<DiffRow> {
  if (path !== 'mem') {
    const [old, now] = [resolveAt(before, path ?? ''), resolveAt(after, path ?? '')];
    for (const row of leavesOf(old.value, now.value)) {
      const at = `${path ?? ''}${row.below}`.replace(/^\./, '');
      // A queue's entries are memory, and told as that.
      if (path !== undefined || !/\.entries\b/.test(at))
        yield* byField({ path: at, before: row.before, after: row.after });
    }
  }
  if (path === undefined || path === 'mem') yield* memoryDiff(before, after);
}

/** A register with its fields; anything else as it is. */
function* byField(row: DiffRow): Generator<DiffRow> {
  const name = /\.regs\.([A-Z]\w*)$/.exec(row.path)?.[1];
  const of = name === undefined ? undefined : registerNamed(name);
  yield row;
  if (of === undefined || typeof row.before !== 'string' || typeof row.after !== 'string') return;
  for (const { field, before, after } of diff(of, wordsOf(BigInt(row.before)), wordsOf(BigInt(row.after)))) {
    yield { path: `${row.path}.${field}`, before, after };
  }
}

function wordsOf(value: bigint): readonly number[] {
  return [Number(value & 0xffff_ffffn), Number(value >> 32n)];
}

function* memoryDiff(before: State, after: State): Generator<DiffRow> {
  let told = -1;
  for (const pa of changedDoublewords(before.memory, after.memory)) {
    if (pa < told) continue;
    const found = structureAt(after, pa) ?? structureAt(before, pa);
    const words = found === undefined ? undefined : after.memory.readWords(found.pa, found.bytes / 4);
    const of = words === undefined ? undefined : found?.layoutOf(words);
    if (found === undefined || words === undefined || of === undefined) {
      const [old, now] = [before.memory.read64(pa), after.memory.read64(pa)];
      yield {
        path: `mem[0x${pa.toString(16)}]`,
        before: `0x${old.toString(16)}`,
        after: `0x${now.toString(16)}`,
      };
      continue;
    }
    told = found.pa + found.bytes;
    for (const { field, before: old, after: now } of diff(
      of,
      before.memory.readWords(found.pa, found.bytes / 4),
      words,
    )) {
      yield { path: `${found.path}.${field}`, before: old, after: now };
    }
  }
}

/** Addresses of doublewords that differ, ascending. */
function* changedDoublewords(before: Memory, after: Memory): Generator<number> {
  const keys = new Set<number>();
  for (const [key] of before.lines.range()) keys.add(key);
  for (const [key] of after.lines.range()) keys.add(key);
  for (const key of [...keys].sort((a, b) => a - b)) {
    if (before.lines.get(key) === after.lines.get(key)) continue;
    const [old, now] = [
      before.readWords(key * LINE_BYTES, LINE_BYTES / 4),
      after.readWords(key * LINE_BYTES, LINE_BYTES / 4),
    ];
    for (let word = 0; word < old.length; word += 2) {
      if (old[word] !== now[word] || old[word + 1] !== now[word + 1]) yield key * LINE_BYTES + word * 4;
    }
  }
}
