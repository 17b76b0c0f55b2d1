/**
 * Wants to show: an IOAS and the domains of its HWPTs say the same. What is mapped a device reaches, what is
 * unmapped it does not when the call returns, and a call that fails leaves nothing behind. How: a device bound
 * and attached, DMA as the witness, and each allocation of a call made to fail in turn.
 */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fold } from '../../../core/fold.ts';
import type { State } from '../../../core/state.ts';
import { stateText } from '../../support/content.ts';
import { areas, type Host, hostWithIoas, memory, type Outcome } from '../../support/kernel.ts';

const MACHINE = {
  ram: [{ base: 0x4000_0000, size: 0x1000_0000 }],
  endpoints: [
    { name: 'dev0', streamId: 8 },
    { name: 'dev1', streamId: 9 },
  ],
};
/** Ids: the IOAS 1, the devices 2 and 3, the HWPT that the first attach makes 4. */
const IOAS = 1;

function attached(kernel: object = {}, machine: object = {}): Host {
  const of = hostWithIoas(kernel, { ...MACHINE, ...machine });
  for (const name of ['dev0', 'dev1']) {
    of.line({ op: 'open', fd: `vfio:${name}` });
    of.ioctl('VFIO_DEVICE_BIND_IOMMUFD', { iommufd: 'iommu0' }, { fd: `vfio:${name}` });
  }
  return of;
}

function attach(of: Host, name = 'dev0', pt_id = IOAS): Outcome {
  return of.ioctl('VFIO_DEVICE_ATTACH_IOMMUFD_PT', { pt_id }, { fd: `vfio:${name}` });
}

const detach = (of: Host, name = 'dev0'): Outcome =>
  of.ioctl('VFIO_DEVICE_DETACH_IOMMUFD_PT', {}, { fd: `vfio:${name}` });

function map(of: Host, user_va: string, iova: number, length: number, flags = 7): string {
  return of.errno('IOMMU_IOAS_MAP', { ioas_id: IOAS, flags, user_va, length, iova });
}

const read = (of: Host, iova: number, endpoint = 'dev0'): unknown =>
  of.line({ op: 'dma', endpoint, iova, bytes: 1, access: 'read' })['hex'] ?? 'abort';

const write = (of: Host, iova: number): unknown =>
  of.line({ op: 'dma', endpoint: 'dev0', iova, bytes: 1, access: 'write', hex: '99' })['result'];

const poke = (of: Host, va: string, hex: string): void => void of.line({ op: 'mem.write', va, hex });

/** Pages that nobody holds. */
function freePages({ kernel }: State): number {
  return [...(kernel?.pool.free.range() ?? [])].reduce((sum, [, count]) => sum + count, 0);
}

describe('an IOAS with a HWPT', () => {
  it('lets a device reach what is mapped, before and after it is attached', () => {
    const of = attached();
    const va = memory(of, 0x4000, { kind: 'scattered' });
    poke(of, va, 'aa');
    expect(map(of, va, 0x10_0000, 0x4000)).toBe('ok');
    expect(attach(of)).toMatchObject({ ret: 0, out: { pt_id: 4 } });
    expect(read(of, 0x10_0000)).toBe('aa');
    expect(map(of, va, 0x20_0000, 0x1000)).toBe('ok');
    expect([read(of, 0x20_0000), read(of, 0x20_1000)]).toEqual(['aa', 'abort']);
    expect(write(of, 0x20_0000)).toBe('ok');
    expect(read(of, 0x10_0000)).toBe('99');
  });

  it('maps as it was asked: read-only areas are not written', () => {
    const of = attached();
    const va = memory(of, 0x1000);
    attach(of);
    expect(map(of, va, 0x1000, 0x1000, 5)).toBe('ok');
    expect([read(of, 0x1000), write(of, 0x1000)]).toEqual(['00', 'abort']);
  });

  it('is out of reach when UNMAP returns, though the TLB held it', () => {
    const of = attached();
    const va = memory(of, 0x4000);
    attach(of);
    map(of, va, 0x1000, 0x2000);
    map(of, va, 0x3000, 0x1000);
    expect([read(of, 0x1000), read(of, 0x3000)]).toEqual(['00', '00']);
    expect(of.ioctl('IOMMU_IOAS_UNMAP', 'ioas_id=1 iova=0x1000 length=0x8000')).toMatchObject({
      ret: 0,
      out: { length: '0x3000' },
    });
    expect([read(of, 0x1000), read(of, 0x3000)]).toEqual(['abort', 'abort']);
  });

  it('UNMAP: what comes before an area that sticks out is gone from the domain, too', () => {
    const of = attached();
    const va = memory(of, 0x4000);
    attach(of);
    map(of, va, 0x1000, 0x1000);
    map(of, va, 0x2000, 0x2000);
    expect(of.errno('IOMMU_IOAS_UNMAP', 'ioas_id=1 iova=0x1000 length=0x2000')).toBe('ENOENT');
    expect([read(of, 0x1000), read(of, 0x2000)]).toEqual(['abort', '00']);
    expect(areas(of)).toEqual([{ iova: 0x2000n, last: 0x3fffn }]);
  });

  it('asks for whole pages, and keeps the window of MSIs and what is beyond its input', () => {
    const of = attached();
    const va = memory(of, 0x4000);
    attach(of);
    expect(map(of, va, 0x1000, 0x800)).toBe('EINVAL');
    expect(map(of, va, 0x1800, 0x1000)).toBe('EINVAL');
    expect(map(of, `0x${(BigInt(va) + 8n).toString(16)}`, 0x1000, 0x1000)).toBe('EINVAL');
    expect(map(of, va, 0x800_0000, 0x1000)).toBe('EINVAL');
    expect(map(of, va, 2 ** 48, 0x1000)).toBe('EINVAL');
    const ranges = of.ioctl('IOMMU_IOAS_IOVA_RANGES', {
      ioas_id: 1,
      num_iovas: 3,
      allowed_iovas: { bytes: '00'.repeat(48) },
    });
    expect(ranges).toMatchObject({ out: { num_iovas: 2, out_iova_alignment: '0x1000' } });
    const span = (start: bigint, last: bigint): string =>
      Buffer.from(new BigUint64Array([start, last]).buffer).toString('hex');
    const told = (ranges['buffers'] as { allowed_iovas: string }).allowed_iovas;
    expect(told).toBe(span(0n, 0x7ff_ffffn) + span(0x810_0000n, 2n ** 48n - 1n) + '00'.repeat(16));
    const allow = (start: number, last: number): string =>
      of.errno('IOMMU_IOAS_ALLOW_IOVAS', {
        ioas_id: 1,
        num_iovas: 1,
        allowed_iovas: { array: 'iommu_iova_range', values: [{ start, last }] },
      });
    expect([allow(0x700_0000, 0x800_0000), allow(0x700_0000, 0x7ff_ffff)]).toEqual(['EADDRINUSE', 'ok']);
  });

  it.each([
    ['an area that is not whole pages', 0x1000, 0x800, 'EADDRINUSE'],
    ['an area in the window of MSIs', 0x800_0000, 0x1000, 'EADDRINUSE'],
    ['an area beyond the input', 2 ** 48, 0x1000, 'EADDRINUSE'],
  ])('is not attached to with %s', (_, iova, length, errno) => {
    const of = attached();
    map(of, memory(of, 0x1000), iova, length);
    expect(attach(of)).toMatchObject({ errno });
    expect(of.errno('IOMMU_DESTROY', 'id=4')).toBe('ENOENT');
    of.ioctl('IOMMU_IOAS_UNMAP', 'ioas_id=1 length=0xffffffffffffffff');
    expect(attach(of)).toMatchObject({ ret: 0 });
  });

  it('is not attached to with memory that is not there, and is as before', () => {
    const of = attached();
    const va = memory(of, 0x2000);
    map(of, va, 0x1000, 0x2000);
    map(of, '0x1000', 0x8000, 0x1000);
    const before = freePages(of.state);
    expect(attach(of)).toMatchObject({ errno: 'EFAULT' });
    expect(freePages(of.state)).toBe(before);
    of.ioctl('IOMMU_IOAS_UNMAP', 'ioas_id=1 iova=0x8000 length=0x1000');
    expect([attach(of)['ret'], read(of, 0x1000)]).toEqual([0, '00']);
  });

  it('MAP of memory that is not there is EFAULT, of what a file has not EINVAL, and no area stays', () => {
    const of = attached();
    attach(of);
    const va = memory(of, 0x1000);
    const { fd } = of.line({ op: 'mem.memfd', bytes: 0x2000 });
    expect(map(of, va, 0x1000, 0x2000)).toBe('EFAULT');
    expect(of.errno('IOMMU_IOAS_MAP_FILE', { ioas_id: 1, flags: 6, fd, start: 0x1000, length: 0x2000 })).toBe(
      'EINVAL',
    );
    expect(areas(of)).toEqual([]);
    const file = of.ioctl('IOMMU_IOAS_MAP_FILE', {
      ioas_id: 1,
      flags: 7,
      fd,
      start: 0x1000,
      length: 0x1000,
      iova: 0x5000,
    });
    expect([file['ret'], read(of, 0x5000)]).toEqual([0, '00']);
  });

  it('COPY shares the pages that are pinned, even of a process that has given them back', () => {
    const of = attached();
    const va = memory(of, 0x2000);
    attach(of);
    map(of, va, 0x10_0000, 0x2000);
    poke(of, `0x${(BigInt(va) + 0x1000n).toString(16)}`, 'bb');
    of.line({ op: 'mem.free', va });
    const copy = 'dst_ioas_id=1 src_ioas_id=1 flags=5 length=0x1000 src_iova=0x101000 dst_iova=0x5000';
    expect(of.errno('IOMMU_IOAS_COPY', copy)).toBe('ok');
    of.ioctl('IOMMU_IOAS_UNMAP', 'ioas_id=1 iova=0x100000 length=0x2000');
    expect([read(of, 0x5000), write(of, 0x5000), read(of, 0x10_1000)]).toEqual(['bb', 'abort', 'abort']);
  });

  it('keeps what is pinned until it is unmapped, whatever its process does', () => {
    const of = attached();
    attach(of);
    const before = freePages(of.state);
    const va = memory(of, 0x10_0000);
    map(of, va, 0x20_0000, 0x10_0000);
    poke(of, va, 'cc');
    const held = freePages(of.state);
    of.line({ op: 'mem.free', va });
    expect(freePages(of.state)).toBe(held);
    expect([read(of, 0x20_0000), map(of, va, 0x50_0000, 0x1000)]).toEqual(['cc', 'EFAULT']);
    of.ioctl('IOMMU_IOAS_UNMAP', 'ioas_id=1 length=0xffffffffffffffff');
    // Tables of the domain may stay.
    expect(before - freePages(of.state)).toBeLessThan(8);
  });

  it('is kept by its HWPT; both go when the device is detached', () => {
    const of = attached();
    const va = memory(of, 0x1000);
    const before = freePages(of.state);
    map(of, va, 0x1000, 0x1000);
    attach(of);
    expect(of.errno('IOMMU_DESTROY', 'id=1')).toBe('EBUSY');
    expect([detach(of)['ret'], read(of, 0x1000)]).toEqual([0, 'abort']);
    expect(of.errno('IOMMU_DESTROY', 'id=4')).toBe('ENOENT');
    expect(of.errno('IOMMU_DESTROY', 'id=1')).toBe('ok');
    // The CD table of the endpoint stays with it.
    expect(before - freePages(of.state)).toBeLessThan(20);
  });

  it('serves two devices by one domain', () => {
    const of = attached();
    const va = memory(of, 0x1000);
    expect([attach(of)['out'], attach(of, 'dev1')['out']]).toMatchObject([{ pt_id: 4 }, { pt_id: 4 }]);
    map(of, va, 0x1000, 0x1000);
    expect([read(of, 0x1000), read(of, 0x1000, 'dev1')]).toEqual(['00', '00']);
    detach(of);
    expect([read(of, 0x1000), read(of, 0x1000, 'dev1')]).toEqual(['abort', '00']);
  });

  it('TYPE1: an area is cut while it is mapped, and only the hole is out of reach', () => {
    const of = attached();
    of.ioctl('IOMMU_VFIO_IOAS', 'op=1 ioas_id=1');
    of.line({ op: 'ioctl', fd: 'iommu0', name: 'VFIO_SET_IOMMU', arg: 1 });
    attach(of);
    const before = freePages(of.state);
    const va = memory(of, 0x40_0000, { kind: 'contiguous' });
    expect(of.errno('VFIO_IOMMU_MAP_DMA', { flags: 3, vaddr: va, iova: 0x40_0000, size: 0x40_0000 })).toBe(
      'ok',
    );
    expect(of.errno('VFIO_IOMMU_UNMAP_DMA', 'iova=0x401000 size=0x1000')).toBe('ok');
    expect([0x40_0000, 0x40_1000, 0x40_2000].map((iova) => read(of, iova))).toEqual(['00', 'abort', '00']);
    expect(of.errno('VFIO_IOMMU_UNMAP_DMA', 'flags=2')).toBe('ok');
    of.line({ op: 'mem.free', va });
    // Tables of the domain may stay; the 1024 pages do not.
    expect(before - freePages(of.state)).toBeLessThan(16);
  });

  it('ends with its context when nothing keeps that any more', () => {
    const of = attached();
    map(of, memory(of, 0x1000), 0x1000, 0x1000);
    attach(of);
    of.line({ op: 'close', fd: 'iommu0' });
    expect(read(of, 0x1000)).toBe('00');
    for (const name of ['dev0', 'dev1']) expect(of.line({ op: 'close', fd: `vfio:${name}` })).toEqual({});
    expect(read(of, 0x1000)).not.toBe('00');
    expect(of.state.kernel).toMatchObject({ contexts: {}, files: {} });
  });

  it('folds to what it is', () => {
    const of = attached();
    const start = of.state;
    of.look();
    const va = memory(of, 0x4000, { kind: 'scattered' });
    attach(of);
    map(of, va, 0x1000, 0x4000);
    of.ioctl('IOMMU_IOAS_UNMAP', 'ioas_id=1 iova=0x1000 length=0x4000');
    detach(of);
    expect(stateText(fold(start, of.look()))).toBe(stateText(of.state));
  });
});

describe('what a device reaches', () => {
  const PAGES = 24;
  const page = fc.nat(PAGES - 1);
  const count = fc.integer({ min: 1, max: 4 });
  const command = fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({ do: fc.constant('map' as const), at: page, from: fc.nat(7), count }),
    },
    { weight: 3, arbitrary: fc.record({ do: fc.constant('unmap' as const), at: page, count }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('copy' as const), at: page, from: page, count }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('attach' as const), on: fc.boolean() }) },
  );
  type Command = typeof command extends fc.Arbitrary<infer T> ? T : never;
  const BASE = 0x1f_c000;
  const iovaOf = (at: number): number => BASE + at * 0x1000;

  function ask(of: Host, va: bigint, one: Command): void {
    if (one.do === 'attach') return void (one.on ? attach(of) : detach(of));
    const [iova, length] = [iovaOf(one.at), one.count * 0x1000];
    if (one.do === 'map') map(of, `0x${(va + BigInt(one.from * 0x1000)).toString(16)}`, iova, length);
    else if (one.do === 'unmap') of.ioctl('IOMMU_IOAS_UNMAP', { ioas_id: 1, iova, length });
    else
      of.ioctl('IOMMU_IOAS_COPY', {
        dst_ioas_id: 1,
        src_ioas_id: 1,
        flags: 7,
        length,
        src_iova: iovaOf(one.from),
        dst_iova: iova,
      });
  }

  /** The byte that stands at the start of the memory that an area maps a page to. */
  function expectedAt(of: Host, va: bigint, iova: number): string {
    const all = of.state.kernel?.contexts[1]?.areas.get(1);
    const held = [...(all?.range() ?? [])].flatMap(([, list]) => list);
    const area = held.find((each) => each.iova <= BigInt(iova) && BigInt(iova) <= each.last);
    if (area === undefined) return 'abort';
    const index = Number((area.address + BigInt(iova) - area.iova - va) / 0x1000n);
    return (index + 1).toString(16).padStart(2, '0');
  }

  it.each(['scattered', 'contiguous'])(
    'is what the areas of its IOAS say, after every call (%s memory)',
    (kind) => {
      fc.assert(
        fc.property(fc.array(command, { minLength: 1, maxLength: 14 }), (commands) => {
          const of = attached();
          const va = BigInt(memory(of, 0xb000, { kind }));
          for (let at = 0; at < 11; at += 1)
            poke(of, `0x${(va + BigInt(at * 0x1000)).toString(16)}`, (at + 1).toString(16).padStart(2, '0'));
          let on = false;
          for (const one of commands) {
            ask(of, va, one);
            if (one.do === 'attach') on = one.on;
            for (let at = -1; at <= PAGES + 4; at += 1) {
              const wanted = on ? expectedAt(of, va, iovaOf(at)) : 'abort';
              expect([one, at, read(of, iovaOf(at))]).toEqual([one, at, wanted]);
            }
          }
        }),
        { numRuns: 12 },
      );
    },
  );
});

describe('a call whose n-th allocation fails', () => {
  const MAP = { ioas_id: IOAS, flags: 7, length: 0x40_0000, iova: 0x100_0000 };

  const calls: readonly (readonly [string, (of: Host, va: string) => Outcome])[] = [
    ['IOAS_ALLOC', (of) => of.ioctl('IOMMU_IOAS_ALLOC', {})],
    ['MAP', (of, user_va) => of.ioctl('IOMMU_IOAS_MAP', { ...MAP, user_va })],
    [
      'COPY',
      (of) =>
        of.ioctl(
          'IOMMU_IOAS_COPY',
          'dst_ioas_id=1 src_ioas_id=1 flags=7 length=0x4000 src_iova=0x1000 dst_iova=0x1000000',
        ),
    ],
    ['attach', (of) => attach(of, 'dev1')],
  ];

  it.each(calls)('%s is ENOMEM, leaves nothing, and can be asked again', (_, ask) => {
    let fails = 0;
    for (let nth = 1; ; nth += 1) {
      const of = attached();
      const va = memory(of, 0x40_0000, { kind: 'scattered' });
      map(of, va, 0x1000, 0x4000);
      if (ask !== calls[3]?.[1]) attach(of);
      const [before, free] = [areas(of), freePages(of.state)];
      of.line({ op: 'set', path: 'kernel.failNth', value: nth });
      const answer = ask(of, va);
      const reached = of.state.kernel?.failNth === 0;
      of.line({ op: 'set', path: 'kernel.failNth', value: 0 });
      if (!reached) {
        expect(answer).toMatchObject({ ret: 0 });
        break;
      }
      fails += 1;
      expect([nth, answer['errno']]).toEqual([nth, 'ENOMEM']);
      expect([nth, areas(of), free - freePages(of.state) <= 24]).toEqual([nth, before, true]);
      expect(read(of, 0x100_0000)).not.toBe('00');
      expect([nth, ask(of, va)['ret']]).toEqual([nth, 0]);
    }
    expect(fails).toBeGreaterThan(0);
  });
});
