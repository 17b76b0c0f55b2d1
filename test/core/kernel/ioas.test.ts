/**
 * Wants to show: the checks of each IOAS call in their order, and what each changes. How: tables; every case
 * starts from the same IOAS (id 1), which holds three areas, and a second, empty one (id 2).
 */
import { describe, expect, it } from 'vitest';
import { args, MAX, shown, world } from '../../support/ioas-world.ts';
import { fields } from '../../support/kernel.ts';
import { table } from '../../support/tables.ts';

const START = ['0x100000-0x100fff', '0x101000-0x101fff', '0x200000-0x201fff'];

interface Case {
  readonly name: string;
  readonly arg: string;
  readonly errno: string;
  /** Fields of the struct afterwards. */
  readonly out: string;
  /** Areas of IOAS 1 besides those of the start; `-0x...` is one that is gone. */
  readonly areas: string;
}

function check(ioctl: string, text: string): void {
  it.each(table<keyof Case>(text))(`${ioctl}: $name: $errno`, ({ arg, errno, out, areas: changed }) => {
    const of = world();
    const answer = of.ioctl(ioctl, args(arg, of));
    expect(answer['errno'] ?? 'ok').toBe(errno);
    const told = answer['out'] as Record<string, unknown>;
    for (const [field, value] of Object.entries(fields(out)))
      expect([field, BigInt(String(told[field]))]).toEqual([field, BigInt(String(value))]);
    const parts = changed.split(' ').filter((part) => part !== '');
    const gone = parts.filter((part) => part.startsWith('-')).map((part) => part.slice(1));
    const left = START.filter((area) => !gone.some((each) => area.startsWith(`${each}-`)));
    expect(shown(of).sort()).toEqual([...left, ...parts.filter((part) => !part.startsWith('-'))].sort());
  });
}

// linux: iommufd/ioas.c, iommufd_ioas_map; io_pagetable.c
check(
  'IOMMU_IOAS_MAP',
  `
name                              | arg                                                        | errno      | out           | areas
fixed                             | ioas_id=1 flags=7 user_va=va length=0x1000 iova=0x5000     | ok         | iova=0x5000   | 0x5000-0x5fff
fixed, without a page's alignment | ioas_id=1 flags=7 user_va=va length=3 iova=0x5001          | ok         | iova=0x5001   | 0x5001-0x5003
automatic: the lowest page        | ioas_id=1 flags=6 user_va=va length=0x1000                 | ok         | iova=0x1000   | 0x1000-0x1fff
automatic: aligned to its length  | ioas_id=1 flags=6 user_va=va length=0x3000                 | ok         | iova=0x4000   | 0x4000-0x6fff
automatic: no more than 2 MiB     | ioas_id=1 flags=6 user_va=0 length=0x400000                | ok         | iova=0x400000 | 0x400000-0x7fffff
automatic: the hint is not read   | ioas_id=1 flags=6 user_va=va length=0x1000 iova=0x100000   | ok         | iova=0x1000   | 0x1000-0x1fff
memory that is not there          | ioas_id=1 flags=7 user_va=0x10000 length=0x1000 iova=0     | ok         | iova=0        | 0x0-0xfff
unknown flag                      | ioas_id=1 flags=0xf user_va=va length=0x1000               | EOPNOTSUPP |               |
reserved word                     | ioas_id=1 flags=6 user_va=va length=0x1000 __reserved=1    | EOPNOTSUPP |               |
flags before lengths              | ioas_id=1 flags=0xf length=${MAX}                          | EOPNOTSUPP |               |
length of 2^64-1                  | ioas_id=1 flags=6 user_va=va length=${MAX}                 | EOVERFLOW  |               |
iova of 2^64-1, not even fixed    | ioas_id=1 flags=6 user_va=va length=0x1000 iova=${MAX}     | EOVERFLOW  |               |
neither readable nor writeable    | ioas_id=1 flags=1 user_va=va length=0x1000                 | EINVAL     |               |
overflow before rights            | ioas_id=1 flags=0 length=${MAX}                            | EOVERFLOW  |               |
rights before the IOAS            | ioas_id=9 flags=1 length=0x1000                            | EINVAL     |               |
no such IOAS                      | ioas_id=9 flags=6 user_va=va length=0x1000                 | ENOENT     |               |
the IOAS before the length        | ioas_id=9 flags=6 user_va=va length=0                      | ENOENT     |               |
user_va wraps                     | ioas_id=1 flags=6 user_va=0xfffffffffffff000 length=0x2000 | EOVERFLOW  |               |
length 0                          | ioas_id=1 flags=6 user_va=va length=0                      | EINVAL     |               |
almost all of 2^64                | ioas_id=1 flags=7 user_va=0 length=0xfffffffffffff800      | EINVAL     |               |
automatic, half of 2^64           | ioas_id=1 flags=6 user_va=0 length=0x7fffffffffffffff      | EOVERFLOW  |               |
automatic, no room                | ioas_id=1 flags=6 user_va=0 length=0x7ffffffffffffffe      | ok         |               | 0x400000-0x80000000003ffffd
fixed, wraps                      | ioas_id=1 flags=7 user_va=va length=0x2000 iova=0xfffffffffffff000 | EOVERFLOW |        |
on an area                        | ioas_id=1 flags=7 user_va=va length=0x1000 iova=0x100000   | EEXIST     |               |
on the last byte of an area       | ioas_id=1 flags=7 user_va=va length=0x10 iova=0x201ff8     | EEXIST     |               |
around an area                    | ioas_id=1 flags=7 user_va=va length=0x10000 iova=0x1f8000  | EEXIST     |               |
between neighbours                | ioas_id=1 flags=7 user_va=va length=0xfe000 iova=0x102000  | ok         |               | 0x102000-0x1fffff
`,
);

check(
  'IOMMU_IOAS_MAP_FILE',
  `
name                            | arg                                                     | errno      | out         | areas
fixed                           | ioas_id=1 flags=7 fd=memfd length=0x1000 iova=0x5000    | ok         | iova=0x5000 | 0x5000-0x5fff
automatic                       | ioas_id=1 flags=6 fd=memfd start=0x1000 length=0x1000   | ok         | iova=0x1000 | 0x1000-0x1fff
beyond the file, not pinned     | ioas_id=1 flags=6 fd=memfd start=0x4000 length=0x1000   | ok         |             | 0x1000-0x1fff
unknown flag                    | ioas_id=1 flags=8 fd=memfd length=0x1000                | EOPNOTSUPP |             |
length of 2^64-1                | ioas_id=1 flags=6 fd=memfd length=${MAX}                | EOVERFLOW  |             |
no rights                       | ioas_id=1 flags=1 fd=memfd length=0x1000                | EINVAL     |             |
no such IOAS                    | ioas_id=9 flags=6 fd=-1 length=0x1000                   | ENOENT     |             |
no such fd                      | ioas_id=1 flags=6 fd=-1 length=0x1000                   | EBADF      |             |
length 0                        | ioas_id=1 flags=6 fd=memfd length=0                     | EINVAL     |             |
start wraps                     | ioas_id=1 flags=6 fd=memfd start=0xfffffffffffff000 length=0x2000 | EOVERFLOW |    |
a file that is no memory        | ioas_id=1 flags=6 fd=3 length=0x1000                    | EINVAL     |             |
on an area                      | ioas_id=1 flags=7 fd=memfd length=0x1000 iova=0x200000  | EEXIST     |             |
`,
);

check(
  'IOMMU_IOAS_UNMAP',
  `
name                              | arg                                       | errno     | out           | areas
one area                          | ioas_id=1 iova=0x100000 length=0x1000     | ok        | length=0x1000 | -0x100000
neighbours                        | ioas_id=1 iova=0x100000 length=0x2000     | ok        | length=0x2000 | -0x100000 -0x101000
more than is there                | ioas_id=1 iova=0xf0000 length=0x200000    | ok        | length=0x4000 | -0x100000 -0x101000 -0x200000
everything                        | ioas_id=1 iova=0 length=${MAX}            | ok        | length=0x4000 | -0x100000 -0x101000 -0x200000
everything, of nothing            | ioas_id=2 iova=0 length=${MAX}            | ok        | length=0      |
no such IOAS                      | ioas_id=9 iova=0 length=0                 | ENOENT    |               |
iova of 2^64-1                    | ioas_id=1 iova=${MAX} length=1            | EOVERFLOW |               |
length of 2^64-1 elsewhere        | ioas_id=1 iova=1 length=${MAX}            | EOVERFLOW |               |
length 0                          | ioas_id=1 iova=0x100000 length=0          | EINVAL    |               |
wraps                             | ioas_id=1 iova=0xfffffffffffff000 length=0x2000 | EOVERFLOW |         |
a part at the start               | ioas_id=1 iova=0x200000 length=0x1000     | ENOENT    | length=0x1000 |
a part at the end                 | ioas_id=1 iova=0x201000 length=0x1000     | ENOENT    |               |
a part in the middle              | ioas_id=1 iova=0x200800 length=0x800      | ENOENT    |               |
nothing there                     | ioas_id=1 iova=0x300000 length=0x1000     | ENOENT    |               |
what comes before a part is gone  | ioas_id=1 iova=0x100000 length=0x101000   | ENOENT    | length=0x101000 | -0x100000 -0x101000
`,
);

check(
  'IOMMU_IOAS_COPY',
  `
name                              | arg                                                                        | errno      | out             | areas
within an IOAS                    | dst_ioas_id=1 src_ioas_id=1 flags=7 length=0x1000 src_iova=0x100000 dst_iova=0x5000 | ok |               | 0x5000-0x5fff
one area for each it touches      | dst_ioas_id=1 src_ioas_id=1 flags=5 length=0x1800 src_iova=0x100800 dst_iova=0x5000 | ok |               | 0x5000-0x57ff 0x5800-0x67ff
automatic                         | dst_ioas_id=1 src_ioas_id=1 flags=4 length=0x1000 src_iova=0x101000        | ok         | dst_iova=0x1000 | 0x1000-0x1fff
unknown flag                      | dst_ioas_id=1 src_ioas_id=1 flags=8 length=0x1000 src_iova=0x100000        | EOPNOTSUPP |                 |
dst_iova of 2^64-1                | dst_ioas_id=1 src_ioas_id=1 flags=4 length=0x1000 dst_iova=${MAX}          | EOVERFLOW  |                 |
no rights                         | dst_ioas_id=9 src_ioas_id=9 flags=0 length=0x1000                          | EINVAL     |                 |
no such source                    | dst_ioas_id=1 src_ioas_id=9 flags=4 length=0x1000                          | ENOENT     |                 |
length 0                          | dst_ioas_id=9 src_ioas_id=1 flags=4 length=0 src_iova=0x100000             | EINVAL     |                 |
the source wraps                  | dst_ioas_id=1 src_ioas_id=1 flags=4 length=0x2000 src_iova=0xfffffffffffff000 | EOVERFLOW |               |
a hole in the source              | dst_ioas_id=9 src_ioas_id=1 flags=4 length=0x101000 src_iova=0x100000      | ENOENT     |                 |
the source begins in a hole       | dst_ioas_id=1 src_ioas_id=1 flags=4 length=0x1000 src_iova=0xff800         | ENOENT     |                 |
no such target                    | dst_ioas_id=9 src_ioas_id=1 flags=4 length=0x1000 src_iova=0x100000        | ENOENT     |                 |
onto an area                      | dst_ioas_id=1 src_ioas_id=1 flags=7 length=0x1000 src_iova=0x100000 dst_iova=0x101000 | EEXIST |           |
written to read-only memory       | dst_ioas_id=1 src_ioas_id=1 flags=7 length=0x1000 src_iova=0x101000 dst_iova=0x5000 | EPERM |              |
the place before the rights       | dst_ioas_id=1 src_ioas_id=1 flags=7 length=0x1000 src_iova=0x101000 dst_iova=0x100000 | EEXIST |           |
`,
);

describe('IOMMU_IOAS_IOVA_RANGES', () => {
  const room = (count: number): object => ({ bytes: '00'.repeat(16 * count) });

  it('tells the whole space of an IOAS without devices, whatever is mapped', () => {
    const answer = world().ioctl('IOMMU_IOAS_IOVA_RANGES', {
      ioas_id: 1,
      num_iovas: 2,
      allowed_iovas: room(2),
    });
    expect(answer).toMatchObject({ ret: 0, out: { num_iovas: 1, out_iova_alignment: '0x1' } });
    expect(answer).toMatchObject({
      buffers: { allowed_iovas: `${'00'.repeat(8)}${'ff'.repeat(8)}${'00'.repeat(16)}` },
    });
  });

  it.each(
    table<'name' | 'arg' | 'errno' | 'count'>(`
name                       | arg                                       | errno      | count
no room: the count is told | ioas_id=1 num_iovas=0                     | EMSGSIZE   | 1
no memory for the ranges   | ioas_id=1 num_iovas=1 allowed_iovas=0     | EFAULT     | 1
reserved word              | ioas_id=9 num_iovas=0 __reserved=1        | EOPNOTSUPP | 0
no such IOAS               | ioas_id=9 num_iovas=5                     | ENOENT     | 5
`),
  )('$name: $errno', ({ arg, errno, count }) => {
    const answer = world().ioctl('IOMMU_IOAS_IOVA_RANGES', arg);
    expect(answer).toMatchObject({ errno, out: { num_iovas: Number(count) } });
  });
});

describe('IOMMU_IOAS_ALLOW_IOVAS', () => {
  const ranges = (text: string): object => ({
    array: 'iommu_iova_range',
    values: text.split(' ').map((each) => ({ start: each.split('-')[0], last: each.split('-')[1] })),
  });

  it.each(
    table<'name' | 'ranges' | 'errno' | 'placed'>(`
name                          | ranges                                            | errno  | placed
the lowest that fits          | 0x40000-0x4ffff 0x10000-0x1ffff                   | ok     | 0x10000
neighbours are one            | 0x10000-0x107ff 0x10800-0x1ffff                   | ok     | 0x10000
too short for a page          | 0x10000-0x107ff                                   | ok     | ENOSPC
what is mapped is passed over | 0x100000-0x102fff                                 | ok     | 0x102000
one byte                      | 0x10000-0x10000                                   | EINVAL | 0x1000
backwards                     | 0x20000-0x10000                                   | EINVAL | 0x1000
one in another                | 0x10000-0x1ffff 0x18000-0x18fff                   | EINVAL | 0x1000
one around another            | 0x18000-0x18fff 0x10000-0x1ffff                   | EINVAL | 0x1000
all of it                     | 0-${MAX}                                          | ok     | 0x1000
`),
  )('$name: $errno', ({ ranges: text, errno, placed }) => {
    const of = world();
    const allowed_iovas = ranges(text);
    const num_iovas = text.split(' ').length;
    expect(of.errno('IOMMU_IOAS_ALLOW_IOVAS', { ioas_id: 1, num_iovas, allowed_iovas })).toBe(errno);
    const mapped = of.ioctl('IOMMU_IOAS_MAP', { ioas_id: 1, flags: 6, user_va: of.va, length: 0x1000 });
    const where = mapped['errno'] ?? (mapped['out'] as { iova: string }).iova;
    // Of the whole space the address 0 is the lowest, and is not taken for none.
    expect(where).toBe(text.startsWith('0-') ? '0x0' : placed);
  });

  it('is cleared by none, and does not bind fixed addresses', () => {
    const of = world();
    of.ioctl('IOMMU_IOAS_ALLOW_IOVAS', {
      ioas_id: 1,
      num_iovas: 1,
      allowed_iovas: ranges('0x10000-0x1ffff'),
    });
    const map = (flags: number): unknown =>
      of.ioctl('IOMMU_IOAS_MAP', { ioas_id: 1, flags, user_va: of.va, length: 0x1000, iova: 0x70000 });
    expect(map(7)).toMatchObject({ ret: 0 });
    expect(of.errno('IOMMU_IOAS_ALLOW_IOVAS', 'ioas_id=1')).toBe('ok');
    expect(map(6)).toMatchObject({ out: { iova: '0x1000' } });
  });

  it.each(
    table<'name' | 'arg' | 'errno'>(`
name              | arg                                         | errno
reserved word     | ioas_id=9 __reserved=1                      | EOPNOTSUPP
no such IOAS      | ioas_id=9 num_iovas=1                       | ENOENT
no memory         | ioas_id=1 num_iovas=1                       | EFAULT
`),
  )('$name: $errno', ({ arg, errno }) => {
    expect(world().errno('IOMMU_IOAS_ALLOW_IOVAS', arg)).toBe(errno);
  });
});
