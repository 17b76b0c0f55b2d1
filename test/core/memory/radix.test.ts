/**
 * Wants to show: a Radix is a map, in key order, whose forks never change each other. How: drawn
 * commands are put to a Radix and to a plain Map, and both must agree after each.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LINE_BYTES, Memory } from '../../../core/memory/memory.ts';
import { Radix, type RadixNode, Stub } from '../../../core/memory/radix.ts';

type Command =
  | { readonly do: 'set' | 'delete'; readonly key: number }
  | { readonly do: 'fork' | 'range'; readonly key: number; readonly end: number };

const key = fc.oneof(
  fc.nat({ max: 200 }),
  fc.constantFrom(63, 64, 4095, 4096, 2 ** 32, 2 ** 32 + 1, 2 ** 53 - 1),
  fc.maxSafeNat(),
);
const command: fc.Arbitrary<Command> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('set' as const), key }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('delete' as const), key }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constantFrom('fork' as const, 'range' as const), key, end: key }),
  },
);

function sorted(model: Map<number, number>): [number, number][] {
  return [...model].sort(([one], [other]) => one - other);
}

describe('a Radix', () => {
  it('is a map, and its forks never change what they came from', () => {
    fc.assert(
      fc.property(fc.array(command, { maxLength: 120 }), (commands) => {
        let radix = new Radix<number>();
        let model = new Map<number, number>();
        const sealed: { radix: Radix<number>; model: Map<number, number> }[] = [];
        commands.forEach((one, step) => {
          if (one.do === 'set') {
            radix.set(one.key, step);
            model.set(one.key, step);
          } else if (one.do === 'delete') {
            expect(radix.delete(one.key)).toBe(model.delete(one.key));
          } else if (one.do === 'range') {
            const inside = sorted(model).filter(([each]) => each >= one.key && each < one.end);
            expect([...radix.range(one.key, one.end)]).toEqual(inside);
          } else {
            sealed.push({ radix, model: new Map(model) });
            radix = radix.fork();
            model = new Map(model);
          }
          expect(radix.get(one.key)).toBe(model.get(one.key));
          expect(radix.before(one.key)).toEqual(sorted(model).findLast(([each]) => each < one.key));
          expect(radix.size).toBe(model.size);
        });
        sealed.push({ radix, model });
        for (const kept of sealed) {
          expect([...kept.radix.range()]).toEqual(sorted(kept.model));
          expect(kept.radix.firstKey()).toBe(sorted(kept.model)[0]?.[0]);
          for (const [each, value] of kept.model) expect(kept.radix.get(each)).toBe(value);
        }
      }),
      { numRuns: 200 },
    );
  });

  it('refuses to be written when sealed', () => {
    const radix = new Radix<number>();
    radix.set(1, 1);
    radix.fork();
    expect(() => radix.set(1, 2)).toThrow(/sealed/);
    expect(() => radix.delete(1)).toThrow(/sealed/);
    expect(() => new Radix<number>().set(-1, 1)).toThrow(/key/);
    expect(() => new Radix<number>().set(2 ** 53, 1)).toThrow(/key/);
  });

  it('shares what a fork did not write', () => {
    const radix = new Radix<number>();
    for (let at = 0; at < 64 * 64; at += 1) radix.set(at, at);
    const fork = radix.fork();
    fork.set(0, -1);
    const [old, now] = [radix.root, fork.root] as RadixNode<number>[];
    expect(now!.slots[0]).not.toBe(old!.slots[0]);
    expect(now!.slots.slice(1)).toEqual(old!.slots.slice(1));
    expect(now!.slots[1]).toBe(old!.slots[1]);
  });

  it('loads stubs when they are touched, and only those', () => {
    const loaded: number[] = [];
    const leaf = (first: number): RadixNode<string> => ({
      owner: undefined,
      slots: Array.from({ length: 64 }, (_, at) => (at < 2 ? new Stub(first + at) : undefined)),
      used: 2,
    });
    const root: RadixNode<string> = {
      owner: undefined,
      slots: Array.from({ length: 64 }, (_, at) => (at < 2 ? new Stub(100 * (at + 1)) : undefined)),
      used: 2,
    };
    const source = {
      node: (id: number) => {
        loaded.push(id);
        return id === 1 ? root : leaf(id + 1);
      },
      value: (id: number) => {
        loaded.push(id);
        return `value ${id}`;
      },
    };
    const radix = new Radix<string>({ root: new Stub(1), height: 1, size: 4, source });
    const open = radix.fork();
    expect(open.get(65)).toBe('value 202');
    expect(loaded).toEqual([1, 200, 202]);
    expect(open.get(65)).toBe('value 202');
    open.set(0, 'new');
    expect(open.delete(1)).toBe(true);
    expect([...open.range()].map(([, value]) => value)).toEqual(['new', 'value 201', 'value 202']);
    expect([...radix.range()].map(([, value]) => value)).toEqual([
      'value 101',
      'value 102',
      'value 201',
      'value 202',
    ]);
  });
});

describe('memory', () => {
  it('reads what was written, byte for byte, and forks apart', () => {
    const write = fc.record({
      pa: fc.nat({ max: 3 * LINE_BYTES }),
      bytes: fc.uint8Array({ minLength: 1, maxLength: 40 }),
      fork: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(write, { maxLength: 40 }), (writes) => {
        let memory = new Memory([{ base: 0, size: 8192 }]);
        const model = new Uint8Array(4096);
        const kept: { memory: Memory; model: Uint8Array }[] = [];
        for (const { pa, bytes, fork } of writes) {
          if (fork) {
            kept.push({ memory, model: model.slice() });
            memory = memory.fork();
          }
          memory.writeBytes(pa, bytes);
          model.set(bytes, pa);
          const word = pa - (pa % 8);
          expect(memory.read64(word)).toBe(new DataView(model.buffer).getBigUint64(word, true));
        }
        kept.push({ memory, model });
        for (const one of kept) expect(one.memory.readBytes(0, 2048)).toEqual(one.model.slice(0, 2048));
      }),
    );
  });

  it('stores doublewords, little-endian', () => {
    const memory = new Memory([{ base: 0, size: 4096 }]);
    memory.write64(8, 0x0102030405060708n);
    expect(memory.readBytes(8, 8)).toEqual(Uint8Array.of(8, 7, 6, 5, 4, 3, 2, 1));
    expect(memory.read32(12)).toBe(0x01020304);
    expect(() => memory.write64(4, 0n)).toThrow(/aligned/);
    expect(memory.isRam(4088, 8)).toBe(true);
    expect(memory.isRam(4089, 8)).toBe(false);
  });
});
