/** Ranges as commands: SCALE and NUM by number of pages, what Linux does without range invalidation, and ATC spans. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fieldsOf } from '../../../core/driver/commands.ts';
import { atcCommand, isTooBig, rangeCommands } from '../../../core/driver/ranges.ts';
import { table } from '../../support/tables.ts';

const rangeInv = { rangeInv: true, granuleLog2: 12 };
const ranged = (iova: number, size: number, granule: number, leaf: boolean, how = rangeInv) =>
  rangeCommands('CMD_TLBI_NH_VA', { ASID: 5, VMID: 0 }, { iova, size, granule, leaf }, how).map((command) =>
    fieldsOf(command, 'CMD_TLBI_NH_VA'),
  );

describe('with range invalidation', () => {
  const counts = table<'pages' | 'commands'>(`
    pages | commands
    1     | (0,0)
    31    | (0,30)
    32    | (5,0)
    33    | (0,0)(5,0)
    63    | (0,30)(5,0)
    64    | (6,0)
    511   | (0,30)(5,14)
    512   | (9,0)
    1000  | (3,28)(8,2)
    4095  | (0,30)(5,30)(10,2)
  `);

  it.each(counts.map(({ pages, commands }) => [pages, commands]))('%s pages: %s', (pages, wanted) => {
    const commands = ranged(0x10_0000, Number(pages) * 4096, 4096, true);
    expect(commands.map(({ SCALE, NUM }) => `(${SCALE},${NUM})`).join('')).toBe(wanted);
    expect(commands[0]).toMatchObject({ TG: '4KB', TTL: 3, Leaf: true, ASID: 5, Address: 0x10_0000 });
  });

  it('covers the range and no page more, ascending, with at most ceil(log2(n+1)/5) commands', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 2 ** 22 }),
        fc.integer({ min: 0, max: 2 ** 20 }),
        (pages, first) => {
          const commands = ranged(first * 4096, pages * 4096, 4096, true);
          expect(commands.length).toBeLessThanOrEqual(Math.ceil(Math.log2(pages + 1) / 5));
          let at = first * 4096;
          for (const { Address, SCALE, NUM } of commands) {
            expect(Address).toBe(at);
            at += (NUM + 1) * 2 ** SCALE * 4096;
          }
          expect(at).toBe((first + pages) * 4096);
        },
      ),
    );
  });

  // TTL = 4 - (log2 G - 3) / (tg - 3).
  it.each([
    [12, 12, 3],
    [12, 21, 2],
    [12, 30, 1],
    [14, 14, 3],
    [14, 25, 2],
    [16, 16, 3],
    [16, 29, 2],
  ])('granule 2^%i, leaf 2^%i: TTL %i', (granuleLog2, leafLog2, ttl) => {
    const size = 2 ** leafLog2;
    expect(ranged(0, size, size, true, { rangeInv: true, granuleLog2 })[0]?.TTL).toBe(ttl);
  });

  it('takes one page more where NUM, SCALE and TTL would all be 0', () => {
    const [one] = ranged(0x4000, 4096, 4096, false);
    expect(one).toMatchObject({ TTL: 0, SCALE: 1, NUM: 0, Leaf: false });
    expect(ranged(0x4000, 33 * 4096, 4096, false).map(({ SCALE, NUM }) => [SCALE, NUM])).toEqual([[1, 16]]);
  });

  it('has no upper bound', () => {
    expect(isTooBig({ iova: 0, size: 2 ** 40, granule: 4096, leaf: true }, true)).toBe(false);
    expect(isTooBig({ iova: 0, size: 0, granule: 0, leaf: false }, true)).toBe(true);
  });
});

describe('without it', () => {
  it('is a command for each leaf, without hints', () => {
    const commands = ranged(0x1000, 3 * 4096, 4096, true, { rangeInv: false, granuleLog2: 12 });
    expect(commands.map(({ Address }) => Address)).toEqual([0x1000, 0x2000, 0x3000]);
    expect(commands[0]).toMatchObject({ TG: 'NONE', TTL: 0, SCALE: 0, NUM: 0 });
  });

  // 512 pages of 4 KiB, 2048 of 16 KiB, 8192 of 64 KiB.
  it.each([
    [12, 2 ** 21],
    [14, 2 ** 25],
    [16, 2 ** 29],
  ])('granule 2^%i: all of the ASID from %i bytes on', (granuleLog2, bytes) => {
    const range = { iova: 0, granule: 2 ** granuleLog2, leaf: true };
    expect(isTooBig({ ...range, size: bytes }, false)).toBe(true);
    expect(isTooBig({ ...range, size: bytes - range.granule }, false)).toBe(false);
  });
});

describe('CMD_ATC_INV', () => {
  it.each([
    [7, 4, 0, 4],
    [8, 4, 8, 2],
    [0, 1, 0, 0],
    [1, 2, 0, 2],
    [15, 1, 15, 0],
  ])('pages from %i, %i of them: from page %i, 2^%i', (first, count, start, log2) => {
    const command = atcCommand(8, 0, { iova: first * 4096, size: count * 4096 });
    expect(fieldsOf(command, 'CMD_ATC_INV')).toMatchObject({ Address: start * 4096, Size: log2, SSV: false });
  });

  it('of size 0 is for everything, and names a SubstreamID where it is of one', () => {
    expect(fieldsOf(atcCommand(8, 3, { iova: 0, size: 0 }), 'CMD_ATC_INV')).toMatchObject({
      Size: 52,
      SSV: true,
      SubstreamID: 3,
    });
  });
});
