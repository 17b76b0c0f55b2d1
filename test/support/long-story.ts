/**
 * Many recorded facts of a machine, drawn from a seed: memory fills, TLB and configuration fills,
 * invalidations, register writes. They are facts only; nothing decides them.
 */
import type { Entry } from '../../core/event.ts';

export interface Story {
  /** Entries on the seqs `from` to `last`. */
  more(last: number): Entry[];
}

/** @param pages how many pages of memory it writes. */
export function longStory({ seed = 1, from = 1, pages = 200 } = {}): Story {
  let random = seed;
  let seq = from - 1;
  let filled: number[] = [];
  const next = (below: number): number => {
    random = (Math.imul(random, 1664525) + 1013904223) >>> 0;
    return Math.floor((random / 2 ** 32) * below);
  };
  const facts: (() => object)[] = [
    () => ({
      type: 'memory.written',
      pa: 0x1000 * next(pages) + 8 * next(512),
      value: BigInt(next(2 ** 31)),
      old: 0n,
    }),
    () => ({
      type: 'memory.loaded',
      pa: 0x1000 * next(pages) + next(4000),
      bytes: Uint8Array.of(next(256), 0, next(256)),
    }),
    () => ({
      type: 'register.written',
      smmu: 'smmu0',
      register: 'CMDQ_PROD',
      value: BigInt(next(64)),
      old: 0n,
    }),
    () => {
      filled.push(seq);
      const va = BigInt(next(2 ** 20)) << 12n;
      const fill = {
        regime: 'EL1',
        stage: 1,
        vmid: 0,
        asid: next(3),
        global: false,
        va,
        sizeLog2: 12,
        granuleLog2: 12,
      };
      const rest = {
        level: 3,
        leaf: true,
        pa: 0x1000 * next(pages),
        attributes: 1,
        descriptorPa: 8,
        descriptor: 3n,
        parent: 0,
      };
      return { type: 'tlb.filled', smmu: 'smmu0', cache: 'tlb', ...fill, ...rest };
    },
    () => {
      const removed = filled.slice(0, next(4));
      filled = filled.slice(removed.length);
      return { type: 'cache.invalidated', smmu: 'smmu0', cache: 'tlb', fetched: 0, removed };
    },
    () => {
      const words = Uint8Array.of(next(256), 1, 2, 3, 4, 5, 6, 7);
      return {
        type: 'config.filled',
        smmu: 'smmu0',
        cache: 'ste',
        streamId: next(40),
        substreamId: 0,
        span: 1,
        pa: 64 * next(40),
        words,
      };
    },
    () => ({ type: 'mem.read', pa: 0x1000 * next(pages), size: 8 }),
  ];
  const weights = [0, 0, 0, 0, 0, 1, 2, 3, 3, 4, 5, 6];
  return {
    more(last) {
      const entries: Entry[] = [];
      while (seq < last) {
        seq += 1;
        const fact = facts[weights[next(weights.length)]!]!();
        entries.push({ ...fact, seq, tick: seq >> 1, cause: 0, actor: 'smmu0' } as unknown as Entry);
      }
      return entries;
    },
  };
}
