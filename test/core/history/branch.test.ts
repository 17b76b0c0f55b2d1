/** Wants to show: which branch owns which seq, in chains of forks at any position. */
import { describe, expect, it } from 'vitest';
import { commonAncestor, lineage, ownerOf } from '../../../core/history/branch.ts';
import type { Branch } from '../../../core/history/store.ts';
import { machine } from '../../support/some-entries.ts';

/** `id: parent@at` in words; a root has no parent. */
function branches(...lines: string[]): (id: number) => Branch | undefined {
  const made = lines.map((line): Branch => {
    const [, id = '', parent, at] = /^(\d+)(?:: (\d+)@(\d+))?$/.exec(line) ?? [];
    const base = { id: Number(id), name: line, machine, source: 'test', model: 1 };
    return parent === undefined ? base : { ...base, parent: { branch: Number(parent), at: Number(at) } };
  });
  return (id) => made.find((branch) => branch.id === id);
}

const find = branches('1', '2: 1@10', '3: 2@15', '4: 2@5', '5: 3@0', '6');

describe('a lineage', () => {
  it.each([
    [1, 20, '1: 1-20'],
    [2, 20, '1: 1-10, 2: 11-20'],
    [3, 15, '1: 1-10, 2: 11-15'],
    [3, 99, '1: 1-10, 2: 11-15, 3: 16-99'],
    [4, 9, '1: 1-5, 4: 6-9'],
    [5, 3, '5: 1-3'],
    [3, 12, '1: 1-10, 2: 11-12'],
    [3, 4, '1: 1-4'],
    [1, 0, ''],
  ])('of %d up to %d is %s', (branch, head, told) => {
    const spans = lineage(find, branch, head).map((span) => `${span.branch}: ${span.from}-${span.last}`);
    expect(spans.join(', ')).toBe(told);
  });

  it('agrees with the owner of each seq', () => {
    for (const branch of [1, 2, 3, 4, 5]) {
      for (const span of lineage(find, branch, 30)) {
        for (let seq = span.from; seq <= span.last; seq += 1)
          expect(ownerOf(find, branch, seq)).toBe(span.branch);
      }
    }
  });
});

describe('a common ancestor', () => {
  it.each([
    [1, 2, '1@10'],
    [2, 1, '1@10'],
    [3, 4, '2@5'],
    [4, 3, '2@5'],
    [3, 2, '2@15'],
    [5, 1, '1@0'],
    [2, 2, `2@${Number.MAX_SAFE_INTEGER}`],
  ])('of %d and %d is %s', (one, other, told) => {
    const place = commonAncestor(find, one, other);
    expect(`${place?.branch}@${place?.seq}`).toBe(told);
  });

  it('is none between two roots', () => expect(commonAncestor(find, 3, 6)).toBeUndefined());
});
