/** Wants to show: a digest is of what a state holds, not of how it came to hold it. */
import { describe, expect, it } from 'vitest';
import type { Entry } from '../../../core/event.ts';
import { fold } from '../../../core/fold.ts';
import { machine, reset } from '../../support/build.ts';
import { digestOf } from '../../support/digest.ts';
import { longStory } from '../../support/long-story.ts';

const entry = (seq: number, fields: object): Entry =>
  ({ seq, tick: 1, cause: 0, actor: 'a', ...fields }) as Entry;
const written = (seq: number, pa: number, value: bigint): Entry =>
  entry(seq, { type: 'memory.written', pa, value, old: 0n });

describe('a digest', () => {
  const start = reset(machine());

  it('does not care in how many folds a state was made', () => {
    const entries = longStory({ seed: 5 }).more(600);
    const once = fold(start, entries);
    let often = start;
    for (let at = 0; at < 600; at += 7) often = fold(often, entries.slice(at, at + 7));
    expect(digestOf(often)).toBe(digestOf(once));
  });

  it('takes a line of zeros for none', () => {
    const plain = fold(start, [written(1, 0, 1n), entry(2, { type: 'mem.read', pa: 0, size: 8 })]);
    const zeros = fold(start, [written(1, 0x5000, 0n), written(2, 0, 1n)]);
    expect(digestOf({ ...zeros, outside: plain.outside, tick: plain.tick })).toBe(digestOf(plain));
  });

  it('sees one changed bit', () => {
    const one = fold(start, [written(1, 8, 1n)]);
    for (const other of [fold(start, [written(1, 8, 3n)]), fold(start, [written(1, 16, 1n)]), start])
      expect(digestOf(other)).not.toBe(digestOf(one));
    expect(digestOf({ ...one, random: 2 })).not.toBe(digestOf(one));
  });

  it('does not care where removed fills left the tree', () => {
    const fill = (seq: number): Entry =>
      entry(seq, {
        type: 'config.filled',
        smmu: 'smmu0',
        cache: 'ste',
        streamId: seq * 1000,
        substreamId: 0,
        span: 1,
        pa: 0,
        words: new Uint8Array(8),
      });
    const remove = (seq: number, ...removed: number[]): Entry =>
      entry(seq, { type: 'cache.invalidated', smmu: 'smmu0', cache: 'ste', fetched: 0, removed });
    const nothing = (seq: number): Entry =>
      entry(seq, { type: 'sync.completed', smmu: 'smmu0', index: 0, fetched: 0 });
    const left = fold(start, [fill(1), fill(2), remove(3, 2)]);
    const never = fold(start, [fill(1), nothing(2), nothing(3)]);
    expect(digestOf(left)).toBe(digestOf(never));
  });
});
