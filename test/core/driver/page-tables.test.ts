/**
 * Page tables that the driver builds: block sizes, what hardware makes of them, unmapping with its invalidations,
 * tables that go with a block, and what stays as it is.
 */
import { describe, expect, it } from 'vitest';
import { physicalOf } from '../../../core/driver/dirty.ts';
import { decideFeatures, defaultPlatform } from '../../../core/driver/features.ts';
import { allocPaging, attach, geometry, mapPages, unmapPages } from '../../../core/driver/ops.ts';
import { shapeOf } from '../../../core/driver/table-shape.ts';
import type { Entry } from '../../../core/event.ts';
import { profiles } from '../../../core/smmu/profiles.ts';
import type { Frame } from '../../../core/tasks/task.ts';
import {
  bootedHost,
  commandsOf,
  fieldOf,
  type Host,
  type HostOptions,
  of,
} from '../../support/smmu-driver.ts';

const RW = { read: true, write: true } as const;
const KIB = 1024;
const MIB = 1024 * KIB;

interface Mapped {
  readonly host: Host;
  readonly domain: number;
  map(iova: number, pa: number, size: number): readonly Entry[];
  unmap(iova: number, size: number): readonly Entry[];
  /** Physical address that a read of the device reaches. */
  reach(iova: number): number | undefined;
}

function attached(options: HostOptions = {}, flags: Parameters<typeof allocPaging>[2] = {}): Mapped {
  const host = bootedHost(options);
  const made = allocPaging(host.context, 'smmu0', flags);
  if ('errno' in made) throw new Error(made.errno);
  const plan = attach(host.context, 'dev0', { domain: made.domain });
  if ('errno' in plan) throw new Error(plan.errno);
  host.run(plan);
  const since = (work: () => void): readonly Entry[] => {
    const from = host.entries.length;
    work();
    return host.entries.slice(from);
  };
  return {
    host,
    domain: made.domain,
    map: (iova, pa, size) =>
      since(() => {
        const after: Frame[] = [];
        const errno = mapPages(host.context, made.domain, BigInt(iova), [{ pa, size }], RW, after);
        if (errno !== undefined) throw new Error(errno);
        host.run(after);
      }),
    unmap: (iova, size) => since(() => host.run(unmapPages(host.context, made.domain, BigInt(iova), size))),
    reach: (iova) => {
      const entries = host.put({
        type: 'dma',
        endpoint: 'dev0',
        iova: BigInt(iova),
        size: 8,
        access: 'read',
      });
      return of(entries, 'access.completed')[0]?.pa;
    },
  };
}
const stores = (entries: readonly Entry[]): number =>
  entries.filter(({ type }) => type === 'memory.loaded' || type === 'memory.written').length;

describe('shapes', () => {
  const idr = profiles.everything.idr as Parameters<typeof decideFeatures>[0];
  const shape = (stage: 1 | 2, oas: number, pageLog2: number) => {
    const features = { ...decideFeatures(idr, defaultPlatform), oas };
    const { startLevel, rootLog2, ias } = shapeOf(features, { ...defaultPlatform, pageLog2 }, { stage });
    return [startLevel, rootLog2, ias];
  };

  // 4 KiB pages: 40 and 42 bits begin at level 1 with 2 and 8 tables, 44 bits with 16; 48 bits begin at level 0.
  it.each([
    [1, 48, 12, [0, 12, 48]],
    [2, 32, 12, [1, 5, 32]],
    [2, 40, 12, [1, 13, 40]],
    [2, 42, 12, [1, 15, 42]],
    [2, 44, 12, [0, 8, 44]],
    [2, 48, 12, [0, 12, 48]],
    [2, 40, 14, [2, 18, 40]],
    [2, 48, 14, [1, 15, 48]],
    [2, 48, 16, [1, 9, 48]],
  ] as const)(
    'stage %i, %i bits, pages of 2^%i: start level, log2 of the root, bits',
    (stage, oas, page, wanted) => {
      expect(shape(stage, oas, page)).toEqual(wanted);
    },
  );
});

describe('mapping', () => {
  it.each([
    ['stage 1, 4 KiB', {}, 12],
    ['stage 1, 16 KiB', {}, 14],
    ['stage 1, 64 KiB', {}, 16],
    ['stage 2, 4 KiB', { nestParent: true }, 12],
    ['stage 2, 16 KiB', { nestParent: true }, 14],
    ['stage 2, 64 KiB', { nestParent: true }, 16],
  ] as const)('is what the SMMU walks: %s', (_, flags, pageLog2) => {
    const { map, reach, host, domain, unmap } = attached({ boot: { platform: { pageLog2 } } }, flags);
    const page = 2 ** pageLog2;
    // A page, and a run that begins off a block's boundary and has a block in it.
    const block = 2 ** (pageLog2 + pageLog2 - 3);
    map(0x10_0000, 0x200_0000, page);
    const [iova, pa] = [4 * block - page, 0x1000_0000 - page];
    map(iova, pa, block + 2 * page);
    for (const at of [0, page, block, block + page]) {
      expect(reach(iova + at)).toBe(pa + at);
      expect(physicalOf(host.state, domain, iova + at)).toBe(pa + at);
    }
    expect(reach(0x10_0000)).toBe(0x200_0000);
    expect(reach(iova + block + 2 * page)).toBeUndefined();
    unmap(iova, block + 2 * page);
    for (const at of [0, page, block, block + page]) expect(reach(iova + at)).toBeUndefined();
    expect(of(host.entries, 'misuse.noted')).toEqual([]);
  });

  it('issues no command, and makes one store of a run in a table', () => {
    const { map } = attached();
    const entries = map(0x20_0000, 0x300_1000, 512 * 4 * KIB);
    expect(commandsOf(entries)).toEqual([]);
    // The descriptors of three tables below the root, and 512 leaves.
    expect(stores(entries)).toBe(4);
  });

  it('joins runs that lie side by side in a table', () => {
    const { host, domain } = attached();
    const from = host.entries.length;
    const runs = [0x300_0000, 0x500_0000, 0x400_0000].map((pa) => ({ pa, size: 4 * KIB }));
    expect(mapPages(host.context, domain, 0x1000n, runs, RW)).toBeUndefined();
    expect(stores(host.entries.slice(from))).toBe(4);
    expect([0x1000, 0x2000, 0x3000].map((iova) => physicalOf(host.state, domain, iova))).toEqual(
      runs.map(({ pa }) => pa),
    );
  });

  it('is refused where something is mapped, beyond the addresses, and without rights', () => {
    const { host, domain, map } = attached();
    map(0x20_0000, 0x400_0000, 2 * MIB);
    const errno = (iova: bigint, pa = 0x400_0000, prot: { read: boolean; write: boolean } = RW): unknown =>
      mapPages(host.context, domain, iova, [{ pa, size: 4 * KIB }], prot);
    expect(errno(0x20_1000n)).toBe('EEXIST');
    expect(errno(1n << 48n)).toBe('ERANGE');
    expect(errno(0n, 2 ** 48)).toBe('ERANGE');
    expect(errno(0n, 0, { read: false, write: false })).toBe('EINVAL');
    expect(geometry(host.state, domain)).toEqual({ pageSizes: 0x4020_1000n, inputBits: 48 });
  });

  it('refuses writes to what is read-only', () => {
    const { host, domain } = attached();
    mapPages(host.context, domain, 0x1000n, [{ pa: 0x300_0000, size: 4096 }], { read: true, write: false });
    const entries = host.put({ type: 'dma', endpoint: 'dev0', iova: 0x1000n, size: 8, access: 'write' });
    expect(of(entries, 'access.terminated')[0]?.reason).toMatch(/^F_PERMISSION/);
  });

  it('over a table that was left behind takes it away first', () => {
    const { map, unmap, reach } = attached();
    map(0x20_0000, 0x400_0000, 4 * KIB);
    unmap(0x20_0000, 4 * KIB);
    const entries = map(0x20_0000, 0x600_0000, 2 * MIB);
    expect(commandsOf(entries)).toEqual(['TLBI_NH_VA', 'SYNC']);
    expect(fieldOf(entries, 'CMD_TLBI_NH_VA', 'Leaf')).toEqual([false]);
    expect(of(entries, 'pages.returned')).toHaveLength(1);
    expect(reach(0x20_1000)).toBe(0x600_1000);
  });

  it('gives back nothing it did not make when memory runs out', () => {
    const { host, domain } = attached();
    host.context.emit('kernel', { type: 'allocation.counted', what: 'test', left: 2 });
    const errno = mapPages(host.context, domain, 0n, [{ pa: 0, size: 4 * KIB }], RW);
    expect(errno).toBe('ENOMEM');
    expect(physicalOf(host.state, domain, 0)).toBeUndefined();
  });
});

describe('unmapping', () => {
  it('clears, invalidates leaves with one command of a range, and waits', () => {
    const { map, unmap } = attached();
    map(0x10_0000, 0x300_0000, 64 * KIB);
    const entries = unmap(0x10_0000, 64 * KIB);
    expect(stores(entries)).toBe(2);
    expect(commandsOf(entries)).toEqual(['TLBI_NH_VA', 'SYNC']);
    expect([fieldOf(entries, 'CMD_TLBI_NH_VA', 'SCALE'), fieldOf(entries, 'CMD_TLBI_NH_VA', 'NUM')]).toEqual([
      [4],
      [0],
    ]);
    expect(fieldOf(entries, 'CMD_TLBI_NH_VA', 'TTL')).toEqual([3]);
  });

  it('invalidates what it gathered when the size of leaves changes', () => {
    const { map, unmap } = attached();
    map(0x1f_f000, 0x3ff_f000, 2 * MIB + 4 * KIB);
    const entries = unmap(0x1f_f000, 2 * MIB + 4 * KIB);
    expect(commandsOf(entries)).toEqual(['TLBI_NH_VA', 'SYNC', 'TLBI_NH_VA', 'SYNC']);
    expect(fieldOf(entries, 'CMD_TLBI_NH_VA', 'TTL')).toEqual([3, 2]);
  });

  it('of a whole block takes its table with it, after its own invalidation', () => {
    const { map, unmap, host } = attached();
    map(0x20_0000, 0x400_1000, 2 * MIB);
    const entries = unmap(0x20_0000, 2 * MIB);
    expect(commandsOf(entries)).toEqual(['TLBI_NH_VA', 'SYNC', 'TLBI_NH_VA', 'SYNC']);
    expect(fieldOf(entries, 'CMD_TLBI_NH_VA', 'Leaf')).toEqual([false, true]);
    const freed = entries.findIndex(({ type }) => type === 'pages.returned');
    const synced = entries.findIndex(({ type }) => type === 'sync.completed');
    expect(freed).toBeGreaterThan(synced);
    expect(host.state.tasks).toEqual([]);
  });

  it('of a part of a block does nothing: blocks are not split', () => {
    const { map, unmap, reach, host } = attached();
    map(0x20_0000, 0x400_0000, 2 * MIB);
    const entries = unmap(0x20_0000, 4 * KIB);
    expect(stores(entries)).toBe(0);
    expect(commandsOf(entries)).toEqual([]);
    expect(reach(0x20_0000)).toBe(0x400_0000);
    expect(of(host.entries, 'driver.told').at(-1)?.what).toBe('unmap of what is not mapped so');
  });

  it.each([
    ['of a table', 0x10_1000, 12 * KIB],
    ['of a table above', 0x4000_0000, 4 * KIB],
  ])('stops at an empty entry %s, and says how much it was asked there', (_, hole, asked) => {
    const { map, unmap, host } = attached();
    map(0x10_0000, 0x300_0000, 4 * KIB);
    const entries = hole < 0x20_0000 ? unmap(0x10_0000, asked + 4 * KIB) : unmap(hole, asked);
    expect(of(entries, 'unmap.stopped')).toMatchObject([{ iova: BigInt(hole), asked, answered: 0n }]);
    expect(commandsOf(entries)).toEqual(hole < 0x20_0000 ? ['TLBI_NH_VA', 'SYNC'] : []);
    expect(host.state.tasks).toEqual([]);
  });

  it('is lost at an empty entry where the helper answers an errno as a size', () => {
    const { map, unmap, host } = attached();
    map(0x10_0000, 0x300_0000, 4 * KIB);
    host.put({ type: 'set', path: 'smmu0.quirks.errno-as-size', value: true });
    const entries = unmap(0x10_0000, 12 * KIB);
    expect(of(entries, 'unmap.stopped')).toMatchObject([{ iova: 0x10_1000n, answered: 2n ** 64n - 2n }]);
    expect(of(entries, 'driver.told').map(({ detail }) => detail)).toEqual(['0x100ffe']);
    expect(commandsOf(entries)).toEqual([]);
    expect(host.state.tasks).toEqual([]);
  });

  it('with ATS invalidates the ATC after the TLB, each with its CMD_SYNC', () => {
    const { map, unmap } = attached({ endpoints: [{ ats: true }] });
    map(0x10_0000, 0x300_0000, 4 * KIB);
    expect(commandsOf(unmap(0x10_0000, 4 * KIB))).toEqual(['TLBI_NH_VA', 'SYNC', 'ATC_INV', 'SYNC']);
  });

  it('in a nesting parent reaches all that a guest may have made of it', () => {
    const { map, unmap } = attached({ endpoints: [{ ats: true }] }, { nestParent: true });
    map(0x10_0000, 0x300_0000, 4 * KIB);
    const entries = unmap(0x10_0000, 4 * KIB);
    expect(commandsOf(entries)).toEqual(['TLBI_S2_IPA', 'SYNC', 'TLBI_NH_ALL', 'SYNC', 'ATC_INV', 'SYNC']);
    expect(fieldOf(entries, 'CMD_ATC_INV', 'Size')).toEqual([52]);
    expect(fieldOf(entries, 'CMD_TLBI_NH_ALL', 'VMID')).toEqual([1]);
  });

  it('of much, without range invalidation, invalidates all of the VMID, guests with it', () => {
    const { map, unmap } = attached(
      { smmu: { idr: { ...profiles.everything.idr, IDR3: 0x104 } } },
      { nestParent: true },
    );
    map(0, 0x1000, 4 * MIB);
    const entries = unmap(0x1000, 2 * MIB);
    expect(commandsOf(entries)).toEqual(['TLBI_S12_VMALL', 'SYNC']);
  });

  it('leaves nothing stale in any cache', () => {
    const { map, unmap, reach } = attached();
    for (let at = 0; at < 4; at += 1) {
      map(0x40_0000, 0x800_0000 + at * 0x10_0000, 64 * KIB);
      expect(reach(0x40_3000)).toBe(0x800_3000 + at * 0x10_0000);
      unmap(0x40_0000, 64 * KIB);
      expect(reach(0x40_3000)).toBeUndefined();
    }
  });
});
