/**
 * Queue arithmetic (IHI 0070 3.5.1): every state of queues of 1, 2 and 4 entries, against a queue that
 * counts what was put and taken without any wrap bit.
 */
import { describe, expect, it } from 'vitest';
import {
  advance,
  entryAddress,
  indexOf,
  isConsistent,
  isEmpty,
  isFull,
  pointer,
  type Queue,
  queueOf,
  used,
} from '../../../core/smmu/queue.ts';
import { table } from '../../support/tables.ts';

const sized = (sizeLog2: number): Queue => ({ base: 0x1000, sizeLog2, entryBytes: 16 });

describe.each([0, 1, 2])('a queue of 2^%i entries', (sizeLog2) => {
  const queue = sized(sizeLog2);
  const size = 2 ** sizeLog2;
  const reached = new Set<string>();

  it('agrees with counting, for every number put and taken', () => {
    for (let taken = 0; taken < size * 4; taken += 1) {
      for (let fill = 0; fill <= size; fill += 1) {
        let prod = 0;
        let cons = 0;
        for (let step = 0; step < taken + fill; step += 1) prod = advance(queue, prod);
        for (let step = 0; step < taken; step += 1) cons = advance(queue, cons);
        reached.add(`${prod},${cons}`);
        expect({
          used: used(queue, prod, cons),
          empty: isEmpty(queue, prod, cons),
          full: isFull(queue, prod, cons),
          consistent: isConsistent(queue, prod, cons),
          at: entryAddress(queue, prod),
        }).toEqual({
          used: fill,
          empty: fill === 0,
          full: fill === size,
          consistent: true,
          at: 0x1000 + 16 * ((taken + fill) % size),
        });
      }
    }
  });

  it('calls every other state inconsistent, and full to a producer', () => {
    for (let prod = 0; prod < size * 2; prod += 1) {
      for (let cons = 0; cons < size * 2; cons += 1) {
        expect([prod, cons, isConsistent(queue, prod, cons)]).toEqual([
          prod,
          cons,
          reached.has(`${prod},${cons}`),
        ]);
        if (!isConsistent(queue, prod, cons)) expect(isFull(queue, prod, cons)).toBe(true);
      }
    }
    expect(reached.size).toBe(size * 2 * (size + 1));
  });

  it('ignores the bits above the wrap bit and keeps them when it moves on', () => {
    const above = 0x8000_0000 + 2 ** (sizeLog2 + 1);
    for (let at = 0; at < size * 2; at += 1) {
      expect(pointer(queue, above + at)).toBe(at);
      expect(indexOf(queue, at)).toBe(at % size);
      expect(advance(queue, above + at)).toBe(above + ((at + 1) % (size * 2)));
    }
  });
});

const bases = table<'register' | 'entry' | 'max' | 'base' | 'log2'>(`
  register           | entry | max | base         | log2
  0x30008            | 16    | 19  | 0x30000      | 8
  0x30ff8            | 16    | 8   | 0x30000      | 8
  0x31fe8            | 16    | 8   | 0x31000      | 8
  0x300ff            | 16    | 2   | 0x300c0      | 2
  0x30021            | 16    | 19  | 0x30020      | 1
  0x30020            | 16    | 19  | 0x30020      | 0
  0x30040            | 32    | 19  | 0x30040      | 0
  0x3003f            | 32    | 19  | 0x0          | 19
  0x4000000000030001 | 32    | 19  | 0x30000      | 1
  0xffffffffffffe0   | 16    | 19  | 0xffffffffffffe0 | 0
`);

describe('a base register', () => {
  it.each(bases)('$register, entries of $entry bytes, at most 2^$max', (row) => {
    const value = BigInt(row.register);
    const low = Number(value & 0xffff_ffffn);
    const queue = queueOf(low, Number(value >> 32n), Number(row.entry), Number(row.max));
    expect([BigInt(queue.base), queue.sizeLog2]).toEqual([BigInt(row.base), Number(row.log2)]);
  });
});
