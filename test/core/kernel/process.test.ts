/**
 * Wants to show: physical memory is given out once and comes back whole, processes see their own memory and no
 * other, and a range that leaves it is EFAULT. How: stories by scenario lines; a model of the pool.
 */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { addFree, findRun, gatherRuns, removeFree } from '../../../core/kernel/process/pool.ts';
import { memoryKinds, PAGE_BYTES } from '../../../core/kernel/process/state.ts';
import { Radix } from '../../../core/memory/radix.ts';
import { type Host, host, memory } from '../../support/kernel.ts';

const RAM = { ram: [{ base: 0x4000_0000, size: 0x400_0000 }] };

/** Free runs as `first page, pages`. */
function freeRuns(of: Host): readonly (readonly [number, number])[] {
  return [...(of.state.kernel?.pool.free.range() ?? [])];
}

function runsOf(of: Host, va: string): { readonly pa: number; readonly size: number }[] {
  const { kernel } = of.state;
  const mapping = kernel?.processes['proc0']?.mappings.get(Number(BigInt(va) >> 12n));
  return [...(kernel?.backings.get(mapping?.backing ?? 0)?.runs ?? [])];
}

describe('the memory of a process', () => {
  it.each(memoryKinds)('of kind %s is written, read and given back whole', (kind) => {
    const of = host({}, RAM);
    const before = freeRuns(of);
    const va = memory(of, 0x5000, { kind });
    const runs = runsOf(of, va);
    const bytes = kind === 'hugetlb' ? 0x20_0000 : 0x5000;
    expect(runs.reduce((sum, { size }) => sum + size, 0)).toBe(bytes);
    of.line({ op: 'mem.write', va: BigInt(va) + 0xffen, hex: '0011223344' });
    expect(of.line({ op: 'mem.read', va: BigInt(va) + 0xffen, bytes: 5 })).toEqual({ hex: '0011223344' });
    expect(of.line({ op: 'mem.free', va })).toEqual({});
    expect(of.line({ op: 'mem.read', va, bytes: 1 })).toEqual({ errno: 'EFAULT' });
    expect(freeRuns(of)).toEqual(before);
  });

  it('lies physically as its kind says', () => {
    const of = host({}, RAM);
    const scattered = runsOf(of, memory(of, 0x8000, { kind: 'scattered' }));
    expect(scattered.every(({ size }) => size === PAGE_BYTES)).toBe(true);
    expect(scattered.some(({ pa }, at) => scattered[at + 1]?.pa === pa + PAGE_BYTES)).toBe(false);
    const [contiguous] = runsOf(of, memory(of, 0x6000, { kind: 'contiguous' }));
    expect(contiguous).toMatchObject({ size: 0x6000 });
    expect(contiguous!.pa % 0x8000).toBe(0);
    const huge = runsOf(of, memory(of, 0x20_0001, { kind: 'hugetlb' }));
    expect(huge.map(({ pa, size }) => [pa % 0x20_0000, size])).toEqual([
      [0, 0x20_0000],
      [0, 0x20_0000],
    ]);
  });

  it('ends in EFAULT where a range leaves it; what came before is written', () => {
    const of = host({}, RAM);
    const end = BigInt(memory(of, 0x1000)) + 0x1000n;
    expect(of.line({ op: 'mem.write', va: end - 2n, hex: '11223344' })).toEqual({ errno: 'EFAULT' });
    expect(of.line({ op: 'mem.read', va: end - 2n, bytes: 4 })).toEqual({ errno: 'EFAULT' });
    expect(of.line({ op: 'mem.read', va: end - 2n, bytes: 2 })).toEqual({ hex: '1122' });
    for (const va of ['0x0', '0x800000000000', '0xfffffffffffffffe'])
      expect(of.line({ op: 'mem.write', va, hex: '1122' })).toEqual({ errno: 'EFAULT' });
  });

  it("is its own, and zeroed when it was another one's", () => {
    const of = host({}, RAM);
    const mine = memory(of, 0x1000);
    const other = memory(of, 0x1000, { process: 'proc1' });
    of.line({ op: 'mem.write', va: mine, hex: 'aa' });
    expect(of.line({ op: 'mem.read', process: 'proc1', va: other, bytes: 1 })).toEqual({ hex: '00' });
    const pa = runsOf(of, mine)[0]?.pa ?? 0;
    expect(of.line({ op: 'mem.read', pa, bytes: 1 })).toEqual({ hex: 'aa' });
    of.line({ op: 'mem.free', va: mine });
    // Stale until somebody else gets it.
    expect(of.line({ op: 'mem.read', pa, bytes: 1 })).toEqual({ hex: 'aa' });
    expect(runsOf(of, memory(of, 0x1000))).toMatchObject([{ pa }]);
    expect(of.line({ op: 'mem.read', pa, bytes: 1 })).toEqual({ hex: '00' });
  });

  it('is ENOMEM when there is too little, and what was there stays', () => {
    const of = host({}, RAM);
    const before = freeRuns(of);
    expect(of.line({ op: 'mem.alloc', bytes: 0x400_0000 })).toEqual({ errno: 'ENOMEM' });
    expect(freeRuns(of)).toEqual(before);
    expect(of.line({ op: 'mem.free', va: '0x1000' })).toEqual({ errno: 'EINVAL' });
  });

  it('goes with the process, its files too', () => {
    const of = host({}, RAM);
    const before = freeRuns(of);
    memory(of, 0x3000, { kind: 'scattered' });
    of.line({ op: 'mem.memfd', bytes: 0x4000 });
    of.line({ op: 'open', fd: 'iommu0' });
    of.ioctl('IOMMU_IOAS_ALLOC', {});
    expect(of.line({ op: 'process.exit' })).toEqual({});
    expect(freeRuns(of)).toEqual(before);
    expect(of.state.kernel).toMatchObject({ processes: {}, files: {}, names: {}, contexts: {}, calls: {} });
    expect(of.state.kernel?.backings.size).toBe(0);
  });

  it('of a memfd lives for as long as its file or a mapping', () => {
    const of = host({}, RAM);
    const before = freeRuns(of);
    const { fd, va } = of.line({ op: 'mem.memfd', bytes: 0x1000 });
    of.line({ op: 'mem.write', va, hex: '77' });
    expect(of.line({ op: 'close', fd })).toEqual({});
    expect(of.line({ op: 'mem.read', va, bytes: 1 })).toEqual({ hex: '77' });
    of.line({ op: 'mem.free', va });
    expect(freeRuns(of)).toEqual(before);
  });

  it('is not had when an allocation is made to fail', () => {
    const of = host({}, RAM);
    of.line({ op: 'set', path: 'kernel.failNth', value: 2 });
    expect(of.line({ op: 'mem.alloc', bytes: 1 })).toHaveProperty('va');
    expect(of.line({ op: 'mem.alloc', bytes: 1 })).toEqual({ errno: 'ENOMEM' });
    expect(of.line({ op: 'mem.alloc', bytes: 1 })).toHaveProperty('va');
  });
});

describe('the pool', () => {
  const request = fc.record({
    pages: fc.integer({ min: 1, max: 9 }),
    align: fc.constantFrom(1, 2, 8),
    give: fc.nat(20),
    whole: fc.boolean(),
  });

  it('gives every page once, highest first, and joins what comes back', () => {
    fc.assert(
      fc.property(fc.array(request, { maxLength: 60 }), (requests) => {
        const free = new Radix<number>();
        free.set(100, 64);
        const taken = new Set<number>();
        const held: { readonly pa: number; readonly size: number }[] = [];
        const pagesOf = ({ pa, size }: { pa: number; size: number }): number[] =>
          Array.from({ length: size / PAGE_BYTES }, (_, at) => pa / PAGE_BYTES + at);
        for (const { pages, align, give, whole } of requests) {
          const one = findRun(free, pages * PAGE_BYTES, align * PAGE_BYTES);
          const runs = whole
            ? one === undefined
              ? []
              : [one]
            : (gatherRuns(free, pages * PAGE_BYTES) ?? []);
          for (const run of runs) {
            removeFree(free, run);
            for (const page of pagesOf(run)) {
              expect(taken.has(page) || page < 100 || page >= 164).toBe(false);
              taken.add(page);
            }
            held.push(run);
          }
          const [back] = held.splice(give, 1);
          if (back === undefined) continue;
          addFree(free, back);
          for (const page of pagesOf(back)) taken.delete(page);
        }
        let end = 0;
        let count = 0;
        for (const [first, pages] of free.range()) {
          expect(first).toBeGreaterThan(end);
          end = first + pages;
          count += pages;
        }
        expect(count).toBe(64 - taken.size);
      }),
    );
  });
});
