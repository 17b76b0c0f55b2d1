/** IOVAs: where they come from, how large they really are, and who is given them again. Sources: linux, iova.c. */
import { describe, expect, it } from 'vitest';
import { dmaHost, PAGE } from '../../support/dma-api.ts';
import { of } from '../../support/smmu-driver.ts';

const GIB = 0x4000_0000;

describe('a new IOVA', () => {
  it('is below the last one, aligned to its size as a power of two', () => {
    const host = dmaHost();
    const sizes = [1, 2, 1, 3, 17, 33];
    const given = sizes.map((pages) => host.map({ bytes: pages * PAGE }));
    // 3 pages take 4, 17 take 32; from 32 on nothing is rounded but the alignment.
    expect(given).toEqual([
      '0xfffff000',
      '0xffffc000',
      '0xffffb000',
      '0xffff4000',
      '0xfffc0000',
      '0xfff80000',
    ]);
    const taken = of(host.look(), 'iova.taken');
    expect(taken.map(({ pages, from }) => [pages, from])).toEqual(
      [1, 2, 1, 4, 32, 33].map((pages) => [pages, 'tree']),
    );
  });

  it('keeps the offset of memory that does not begin with a page', () => {
    const host = dmaHost();
    expect(host.map({ pa: '0x100ff8', bytes: 16 })).toBe('0xffffeff8');
    expect(host.unmap('0xffffeff8', 16)).toEqual({});
  });

  it('comes from above 4 GiB when there is no room below, and from there on ever', () => {
    const host = dmaHost();
    const first = [3, 2, 1].map(() => host.map({ pa: '0x100000000', bytes: GIB, sg: undefined }));
    expect(first).toEqual(['0xc0000000', '0x80000000', '0x40000000']);
    expect(host.dma.lowFirst).toBe(true);
    // Page 0 is never given: the lowest GiB is not whole. 48 bits are the tables' reach.
    expect(host.map({ pa: '0x100000000', bytes: GIB })).toBe('0xffffc0000000');
    expect(of(host.look(), 'iova.exhausted')).toMatchObject([{ below4G: true, pages: GIB / PAGE }]);
    expect(host.map()).toBe('0xffffbffff000');
  });

  it("at an address that is asked for is nobody else's", () => {
    const host = dmaHost();
    expect(host.map({ pa: '0x10000', iova: '0xfffff000' })).toBe('0xfffff000');
    expect(host.map({ pa: '0x10000', iova: '0xfffff000' })).toBe('EEXIST');
    expect(host.map()).toBe('0xffffe000');
    expect(host.map({ pa: '0x10000', iova: '0x1000000000000' })).toBe('EINVAL');
    expect(host.unmap('0xfffff000')).toEqual({});
    expect(host.map({ pa: '0x10000', iova: '0xfffff000' })).toBe('0xfffff000');
  });
});

describe('an endpoint of few address bits', () => {
  const narrow = () => dmaHost({ machine: { endpoints: [{ name: 'nvme0', streamId: 16, dmaBits: 16 }] } });

  it('gets what it can reach, and what others keep when there is nothing else', () => {
    const host = narrow();
    const all = Array.from({ length: 15 }, () => host.map({ pa: '0x10000' }));
    expect([all[0], all[14]]).toEqual(['0xf000', '0x1000']);
    expect(host.map({ pa: '0x10000' })).toBe('ENOMEM');
    for (const iova of all.slice(0, 2)) host.unmap(iova);
    host.look();
    // CPU 0 keeps two single pages; CPU 1 needs one, and takes them from everybody.
    expect(host.map({ cpu: 1, pa: '0x10000' })).toBe('0xf000');
    expect(of(host.look(), 'iova.emptied')).toHaveLength(1);
    expect(host.map({ pa: '0x10000' })).toBe('0xe000');
  });
});

describe('a freed IOVA', () => {
  it('is the next one of its CPU and size, the last freed first', () => {
    const host = dmaHost();
    const [a = '', b = ''] = [host.map(), host.map()];
    host.unmap(a);
    host.unmap(b);
    expect([host.map({ cpu: 1 }), host.map({ bytes: 2 * PAGE })]).toEqual(['0xffffd000', '0xffffa000']);
    expect([host.map(), host.map()]).toEqual([b, a]);
    const from = of(host.look(), 'iova.taken').map(({ from: source }) => source);
    expect(from).toEqual(['tree', 'tree', 'tree', 'tree', 'cache', 'cache']);
  });

  it.each([
    ['linux-7.0', 127],
    ['linux-6.1', 128],
  ])('in %s fills two magazines of %i before the depot gets one', (release, size) => {
    const host = dmaHost({ driver: { release } });
    const all = Array.from({ length: 2 * size + 1 }, () => host.map({ pa: '0x10000' }));
    for (const iova of all) host.unmap(iova);
    expect(host.dma.depots[0]).toMatchObject({ count: 1 });
    expect(host.dma.caches[0]?.[0]?.loaded).toHaveLength(1);
    expect(host.dma.depots[0]?.magazines.get(0)).toHaveLength(size);
    // Another CPU has none of its own, and takes the depot's: what was loaded when both were full.
    expect(host.map({ cpu: 3 })).toBe(all[2 * size - 1]);
  });

  it('of many pages goes back to the tree, so that it is not kept', () => {
    const host = dmaHost();
    const iova = host.map({ bytes: 64 * PAGE });
    host.unmap(iova, 64 * PAGE);
    expect(of(host.look(), 'iova.freed')).toMatchObject([{ to: 'tree', pages: 64 }]);
    expect(host.dma.taken.size).toBe(0);
  });
});

describe('unmapping', () => {
  it.each([
    ['what is not mapped', '0x5000', PAGE],
    ['a part', '0xfffff000', 1],
  ])('%s is refused', (_, iova, bytes) => {
    const host = dmaHost();
    host.map({ iova: '0xfffff000', pa: '0x10000' });
    expect(host.unmap(iova, bytes)).toEqual({ errno: 'EINVAL' });
  });

  it('gives back memory that was taken for the mapping, when the invalidation is complete', () => {
    const host = dmaHost();
    const iova = host.map();
    host.look();
    host.unmap(iova);
    const types = host.look().map(({ type }) => type);
    expect(types.indexOf('sync.completed')).toBeLessThan(types.indexOf('iova.freed'));
    expect(types.indexOf('iova.freed')).toBeLessThan(types.indexOf('pages.returned'));
    expect(types.indexOf('dma.unmapping')).toBeGreaterThan(0);
  });
});

describe('identity', () => {
  it('is the physical address, and no command', () => {
    const host = dmaHost({ driver: { defaultDomain: 'identity' } });
    expect(host.map({ pa: '0x10000' })).toBe('0x10000');
    host.look();
    expect(host.unmap('0x10000')).toEqual({});
    expect(of(host.look(), 'command.consumed')).toEqual([]);
  });

  it('and blocked, and an endpoint that an iommufd has', () => {
    expect(dmaHost({ driver: { defaultDomain: 'blocked' } }).map()).toBe('ENODEV');
    const host = dmaHost();
    for (const fd of ['iommu0', 'vfio:nvme0']) host.line({ op: 'open', fd });
    host.ioctl('VFIO_DEVICE_BIND_IOMMUFD', { iommufd: 'iommu0' }, { fd: 'vfio:nvme0' });
    expect(host.map()).toBe('EBUSY');
    expect(host.map({ endpoint: 'nic0' })).toBe('0xfffff000');
  });
});
