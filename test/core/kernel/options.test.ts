/**
 * Wants to show: what is said about an IOAS or a context as a whole, and the calls of a VFIO container on one. How:
 * tables; every case starts from the IOAS of `ioas-world.ts`.
 */
import { describe, expect, it } from 'vitest';
import { args, MAX, shown, type World, world } from '../../support/ioas-world.ts';
import { hostWithIoas } from '../../support/kernel.ts';
import { table } from '../../support/tables.ts';

const PAGE = 0x1000n;

describe('IOMMU_OPTION', () => {
  it.each(
    table<'name' | 'arg' | 'errno' | 'val64'>(`
name                               | arg                                            | errno      | val64
rlimit mode                        | option_id=0 op=1 val64=9                       | ok         | 0
rlimit mode of an object           | option_id=0 op=1 object_id=1                   | EOPNOTSUPP | 0
set, with objects                  | option_id=0 op=0 val64=1                       | EBUSY      | 1
set, with objects, a bad value     | option_id=0 op=0 val64=2                       | EBUSY      | 2
another op                         | option_id=0 op=2                               | EOPNOTSUPP | 0
huge pages                         | option_id=1 op=1 object_id=1                   | ok         | 1
huge pages of nobody               | option_id=1 op=1 object_id=9                   | ENOENT     | 0
huge pages, another op             | option_id=1 op=2 object_id=1                   | EOPNOTSUPP | 0
huge pages off                     | option_id=1 op=0 object_id=1 val64=0           | ok         | 0
huge pages on                      | option_id=1 op=0 object_id=1 val64=1           | ok         | 1
huge pages, another value          | option_id=1 op=0 object_id=1 val64=2           | EINVAL     | 2
another option                     | option_id=2 op=1                               | EOPNOTSUPP | 0
reserved word                      | option_id=1 op=1 object_id=9 __reserved=1      | EOPNOTSUPP | 0
`),
  )('$name: $errno', ({ arg, errno, val64 }) => {
    const answer = world().ioctl('IOMMU_OPTION', arg);
    expect([answer['errno'] ?? 'ok', BigInt(String((answer['out'] as { val64: string }).val64))]).toEqual([
      errno,
      BigInt(val64),
    ]);
  });

  it('huge pages off: areas must be whole pages, and stay so', () => {
    const of = world();
    of.ioctl('IOMMU_IOAS_MAP', `ioas_id=1 flags=7 user_va=${of.va} length=0x10 iova=0x5000`);
    expect(of.errno('IOMMU_OPTION', 'option_id=1 op=0 object_id=1 val64=0')).toBe('EADDRINUSE');
    of.ioctl('IOMMU_IOAS_UNMAP', 'ioas_id=1 iova=0x5000 length=0x10');
    for (const _ of [1, 2])
      expect(of.errno('IOMMU_OPTION', 'option_id=1 op=0 object_id=1 val64=0')).toBe('ok');
    expect(of.errno('IOMMU_IOAS_MAP', `ioas_id=1 flags=7 user_va=${of.va} length=0x10 iova=0x5000`)).toBe(
      'EINVAL',
    );
    expect(of.errno('IOMMU_IOAS_MAP', `ioas_id=1 flags=7 user_va=${of.va} length=0x1000 iova=0x5800`)).toBe(
      'EINVAL',
    );
    const odd = `0x${(BigInt(of.va) + 8n).toString(16)}`;
    expect(of.errno('IOMMU_IOAS_MAP', `ioas_id=1 flags=7 user_va=${odd} length=0x1000 iova=0x5000`)).toBe(
      'EINVAL',
    );
    expect(of.errno('IOMMU_IOAS_MAP', `ioas_id=1 flags=6 user_va=${odd} length=0x1000`)).toBe('EINVAL');
    of.errno('IOMMU_OPTION', 'option_id=1 op=0 object_id=1 val64=1');
    expect(of.errno('IOMMU_IOAS_MAP', `ioas_id=1 flags=7 user_va=${odd} length=0x10 iova=0x5000`)).toBe('ok');
  });

  it('rlimit mode can be set while there is no object', () => {
    const of = hostWithIoas();
    of.ioctl('IOMMU_DESTROY', { id: 1 });
    expect(of.errno('IOMMU_OPTION', 'option_id=0 op=0 val64=2')).toBe('EINVAL');
    expect(of.errno('IOMMU_OPTION', 'option_id=0 op=0 val64=1')).toBe('ok');
    expect(of.ioctl('IOMMU_OPTION', 'option_id=0 op=1')).toMatchObject({ out: { val64: '0x1' } });
  });

  it('the container counts by the address space from the start', () => {
    const of = hostWithIoas();
    of.line({ op: 'open', fd: 'container0' });
    expect(of.ioctl('IOMMU_OPTION', 'option_id=0 op=1', { fd: 'container0' })).toMatchObject({
      out: { val64: '0x1' },
    });
  });
});

describe('IOMMU_VFIO_IOAS', () => {
  it.each(
    table<'name' | 'arg' | 'errno'>(`
name            | arg                       | errno
get, none yet   | op=0                      | ENODEV
set             | op=1 ioas_id=1            | ok
set, nobody     | op=1 ioas_id=9            | ENOENT
clear           | op=2                      | ok
another op      | op=3                      | EOPNOTSUPP
reserved word   | op=2 __reserved=1         | EOPNOTSUPP
`),
  )('$name: $errno', ({ arg, errno }) => {
    expect(world().errno('IOMMU_VFIO_IOAS', arg)).toBe(errno);
  });

  it('tells what was set, until it is cleared or destroyed', () => {
    const of = world();
    of.ioctl('IOMMU_VFIO_IOAS', 'op=1 ioas_id=2');
    expect(of.ioctl('IOMMU_VFIO_IOAS', 'op=0')).toMatchObject({ out: { ioas_id: 2 } });
    expect(of.errno('IOMMU_DESTROY', 'id=2')).toBe('ok');
    expect(of.errno('IOMMU_VFIO_IOAS', 'op=0')).toBe('ENODEV');
  });
});

describe('IOMMU_IOAS_CHANGE_PROCESS', () => {
  it('wants areas of files alone', () => {
    const of = world();
    expect(of.errno('IOMMU_IOAS_CHANGE_PROCESS', '__reserved=1')).toBe('EOPNOTSUPP');
    expect(of.errno('IOMMU_IOAS_CHANGE_PROCESS', {}, { process: 'proc1' })).toBe('EINVAL');
    of.ioctl('IOMMU_IOAS_UNMAP', `ioas_id=1 length=${MAX}`);
    of.ioctl('IOMMU_IOAS_MAP_FILE', { ioas_id: 1, flags: 6, fd: of.memfd, length: PAGE });
    expect(of.errno('IOMMU_IOAS_CHANGE_PROCESS', {}, { process: 'proc1' })).toBe('ok');
  });
});

describe('an IOAS', () => {
  it('is destroyed with its areas', () => {
    const of = world();
    expect(of.errno('IOMMU_DESTROY', 'id=1')).toBe('ok');
    expect(of.ioctl('IOMMU_IOAS_ALLOC', {})).toMatchObject({ out: { out_ioas_id: 1 } });
    expect(shown(of)).toEqual([]);
  });
});

describe('the calls of a VFIO container', () => {
  const type1 = (of: World, type: number): void => {
    of.ioctl('IOMMU_VFIO_IOAS', 'op=1 ioas_id=1');
    of.line({ op: 'ioctl', fd: 'iommu0', name: 'VFIO_SET_IOMMU', arg: type });
  };

  it.each(
    table<'name' | 'call' | 'arg' | 'without' | 'with'>(`
name             | call                 | arg                                    | without | with
version          | VFIO_GET_API_VERSION | 0                                      | 0       | 0
TYPE1            | VFIO_CHECK_EXTENSION | 1                                      | 1       | 1
TYPE1v2          | VFIO_CHECK_EXTENSION | 3                                      | 1       | 1
UNMAP_ALL        | VFIO_CHECK_EXTENSION | 9                                      | 1       | 1
DMA_CC           | VFIO_CHECK_EXTENSION | 4                                      | ENODEV  | 1
another          | VFIO_CHECK_EXTENSION | 10                                     | 0       | 0
set TYPE1        | VFIO_SET_IOMMU       | 1                                      | ENODEV  | 0
set another      | VFIO_SET_IOMMU       | 2                                      | EINVAL  | EINVAL
info, short      | VFIO_IOMMU_GET_INFO  | argsz=15                               | EINVAL  | EINVAL
info             | VFIO_IOMMU_GET_INFO  | argsz=16                               | ENODEV  | 0
map, short       | VFIO_IOMMU_MAP_DMA   | argsz=31 flags=3 vaddr=va size=0x1000  | EINVAL  | EINVAL
map, a flag      | VFIO_IOMMU_MAP_DMA   | flags=4 vaddr=va size=0x1000           | EINVAL  | EINVAL
map              | VFIO_IOMMU_MAP_DMA   | flags=3 vaddr=va size=0x1000           | ENODEV  | 0
map on an area   | VFIO_IOMMU_MAP_DMA   | flags=3 vaddr=va size=0x1000 iova=0x100000 | ENODEV | EEXIST
unmap, short     | VFIO_IOMMU_UNMAP_DMA | argsz=23 iova=0x100000 size=0x1000     | EINVAL  | EINVAL
unmap, a flag    | VFIO_IOMMU_UNMAP_DMA | flags=1 iova=0x100000 size=0x1000      | EINVAL  | EINVAL
unmap            | VFIO_IOMMU_UNMAP_DMA | iova=0x100000 size=0x1000              | ENODEV  | 0
unmap nothing    | VFIO_IOMMU_UNMAP_DMA | iova=0x300000 size=0x1000              | ENODEV  | 0
unmap size 0     | VFIO_IOMMU_UNMAP_DMA | iova=0x100000                          | ENODEV  | EINVAL
unmap all        | VFIO_IOMMU_UNMAP_DMA | flags=2                                | ENODEV  | 0
unmap all of     | VFIO_IOMMU_UNMAP_DMA | flags=2 iova=1                         | ENODEV  | EINVAL
dirty pages      | VFIO_IOMMU_DIRTY_PAGES | 0                                    | ENOTTY  | ENOTTY
`),
  )('$name: $without without an IOAS, $with with one', ({ call, arg, without, with: wanted }) => {
    for (const [expected, set] of [
      [without, false],
      [wanted, true],
    ] as const) {
      const of = world();
      if (set) of.ioctl('IOMMU_VFIO_IOAS', 'op=1 ioas_id=1');
      const argument = arg.includes('=') ? args(arg, of) : Number(arg);
      const answer = of.line({ op: 'ioctl', fd: 'iommu0', name: call, arg: argument });
      expect(String(answer['errno'] ?? answer['ret'])).toBe(expected);
    }
  });

  it('unmap of nothing was ENOENT, and tells a size of 0 then too', () => {
    const of = world({ profile: 'linux-6.13' });
    of.ioctl('IOMMU_VFIO_IOAS', 'op=1 ioas_id=1');
    const answer = of.ioctl('VFIO_IOMMU_UNMAP_DMA', 'iova=0x300000 size=0x1000');
    expect(answer).toMatchObject({ errno: 'ENOENT', out: { size: '0x0' } });
  });

  it('TYPE1v2 refuses to cut an area, and tells what it removed before', () => {
    const of = world();
    type1(of, 3);
    const answer = of.ioctl('VFIO_IOMMU_UNMAP_DMA', 'iova=0x101000 size=0x100000');
    expect(answer).toMatchObject({ errno: 'ENOENT', out: { size: '0x1000' } });
    expect(shown(of)).toEqual(['0x100000-0x100fff', '0x200000-0x201fff']);
  });

  it('TYPE1 cuts areas at both ends of what is unmapped', () => {
    const of = world();
    type1(of, 1);
    of.ioctl('VFIO_IOMMU_MAP_DMA', args('flags=3 vaddr=va iova=0x300000 size=0x4000', of));
    const answer = of.ioctl('VFIO_IOMMU_UNMAP_DMA', 'iova=0x301000 size=0x2000');
    expect(answer).toMatchObject({ ret: 0, out: { size: '0x2000' } });
    expect(of.look().filter(({ type }) => type === 'area.split')).toHaveLength(2);
    expect(shown(of).slice(3)).toEqual(['0x300000-0x300fff', '0x303000-0x303fff']);
    expect(of.errno('VFIO_IOMMU_UNMAP_DMA', 'iova=0x200800 size=0x800')).toBe('EINVAL');
  });

  it('GET_INFO chains what there is room for', () => {
    const of = world();
    type1(of, 3);
    // The struct, DMA_AVAIL of 12 bytes aligned to 8, IOVA_RANGE and its range.
    const needed = 24 + 16 + 16 + 16;
    const whole = of.ioctl('VFIO_IOMMU_GET_INFO', { argsz: needed });
    expect(whole).toMatchObject({ ret: 0, out: { argsz: needed, flags: 3, cap_offset: 24 } });
    const hex = String(whole['hex']).slice(48);
    expect(hex.slice(0, 24)).toBe('0300010028000000ffffffff');
    expect(hex.slice(32)).toBe(
      `0100010000000000${'01000000'}${'00000000'}${'00'.repeat(8)}${'ff'.repeat(8)}`,
    );
    const short = of.ioctl('VFIO_IOMMU_GET_INFO', { argsz: 24 });
    expect(short).toMatchObject({ ret: 0, out: { argsz: needed, cap_offset: 0 } });
  });
});
