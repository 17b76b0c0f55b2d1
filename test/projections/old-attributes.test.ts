/**
 * A CD's MAIR changes and nothing is invalidated: told are just the accesses whose entry was made with the old one.
 * Steps of the walk cache hold no memory type, and an entry that is made under the CD as it stands now has the new one.
 */
import { describe, expect, it } from 'vitest';
import type { CacheCapacities } from '../../core/config.ts';
import { checkHistory, seqOf } from '../../projections/check.ts';
import type { Action } from '../support/drivers.ts';
import { play } from '../support/stories.ts';
import { worldConfig } from '../support/world.ts';

/** MAIR of the CD of space 1: Attr0 from Device-nGnRnE to Device-nGnRE. */
const CHANGE: Action = {
  do: 'stimulus',
  stimulus: { type: 'mem.write', pa: 0x2_1018, bytes: Uint8Array.from([4]) },
};

function read(first: number, pages: number): Action {
  return {
    do: 'dma',
    page: { space: 1, upper: false, page: first },
    offset: 0,
    size: pages * 4096,
    write: false,
    privileged: false,
    exec: false,
  };
}

const NONE: CacheCapacities = { ste: 0, cd: 0, tlb: 0, walk: 0 };

/** Pages of the last read that are told. */
function told(caches: Partial<CacheCapacities>, before: readonly Action[]): readonly number[] {
  const setup = {
    caches: { ...NONE, ...caches },
    invalidation: 'literal',
    replacement: 'oldest',
    schedule: 'eager',
    seed: 0,
    twoLevel: false,
  } as const;
  const { entries } = play({ setup, actions: [...before, read(0, 2)] });
  const found = new Set(checkHistory(entries, worldConfig(setup), 'main').map(seqOf));
  const last = entries.filter(({ type }) => type === 'access.completed').slice(-2);
  return last.flatMap(({ seq }, page) => (found.has(seq) ? [page] : []));
}

describe('a MAIR that changes without an invalidation', () => {
  // biome-ignore format: a table
  it.each<[string, Partial<CacheCapacities>, readonly Action[], readonly number[]]>([
    ['no caches',                                    {},                  [read(0, 2), CHANGE], []],
    ['the walk cache alone',                         { walk: 8 },         [read(0, 2), CHANGE], []],
    ['before anything is cached',                    { tlb: 8, cd: 8 },   [CHANGE],             []],
    ['both pages are in the TLB',                    { tlb: 8 },          [read(0, 2), CHANGE], [0, 1]],
    ['one page is, the other is walked for anew',    { tlb: 8, walk: 8 }, [read(0, 1), CHANGE], [0]],
    ['the other is walked for under the old CD',     { tlb: 8, cd: 8 },   [read(0, 1), CHANGE], [0, 1]],
  ])('%s', (_, caches, before, expected) => {
    expect(told(caches, before)).toEqual(expected);
  });
});
