/**
 * Wants to show: what Linux expects of an IOAS in its own self-test (fixture iommufd_ioas, without a device, with
 * one, with two), and what the documentation of the calls says of each check in its order. How: the
 * expectations as rows of stories. Where the test has a mock device, an endpoint behind an SMMUv3 stands here:
 * it reserves 0x8000000..0x80fffff, and pages have 4 KiB.
 * linux: tools/testing/selftests/iommu/iommufd.c
 */
import { describe } from 'vitest';
import { alone, one, story, two } from '../../support/steps.ts';

const MAX = '0xffffffffffffffff';

const variants = { 'no device': alone, 'one device': one, 'two devices': two };

const rows = (count: number, row: (at: number) => string): string =>
  Array.from({ length: count }, (_, at) => row(at)).join('\n');
const page = (count: number): string => `0x${(count * 4096).toString(16)}`;

describe('ioas_destroy, ioas_area_destroy', () => {
  story(
    'an IOAS that nobody uses, with areas or not',
    `
with an area        | iommu0 IOMMU_IOAS_MAP    | flags=7 ioas_id=$ioas user_va=$buf length=4096 iova=0x1000000 | ok
can go              | iommu0 IOMMU_DESTROY     | id=$ioas           | ok
is gone             | iommu0 IOMMU_DESTROY     | id=$ioas           | ENOENT
another             | iommu0 IOMMU_IOAS_ALLOC  |                    | ok out_ioas_id=1
can go empty        | iommu0 IOMMU_DESTROY     | id=1               | ok
a flag              | iommu0 IOMMU_IOAS_ALLOC  | flags=1            | EOPNOTSUPP
`,
    { before: alone },
  );
  for (const before of [one, two])
    story(
      `an IOAS with ${before === one ? 'a device' : 'two devices'}`,
      `
is used             | iommu0 IOMMU_DESTROY     | id=$ioas           | EBUSY
an area             | iommu0 IOMMU_IOAS_MAP    | flags=7 ioas_id=$ioas user_va=$buf length=4096 iova=0x1000000 | ok
is used             | iommu0 IOMMU_DESTROY     | id=$ioas           | EBUSY
so is its HWPT      | iommu0 IOMMU_DESTROY     | id=$hwpt_nvme0     | EBUSY
and the device      | iommu0 IOMMU_DESTROY     | id=$nvme0          | EBUSY
closing ends all    | close iommu0             |                    | ok
`,
      { before },
    );
});

describe('area', () => {
  for (const [name, before] of Object.entries(variants)) {
    const map = (pages: number, at: number): string =>
      `iommu0 IOMMU_IOAS_MAP | flags=7 ioas_id=$ioas user_va=$buf length=${page(pages)} iova=${page(0x1000 + at)}`;
    const unmap = (pages: number, at: number): string =>
      `iommu0 IOMMU_IOAS_UNMAP | ioas_id=$ioas length=${page(pages)} iova=${page(0x1000 + at)}`;
    story(
      `${name}: whole areas only`,
      `
${rows(10, (at) => `nothing to unmap, ${at} | iommu0 IOMMU_IOAS_UNMAP | ioas_id=$ioas iova=${page(at)} length=4096 | ENOENT length=4096`)}
${rows(10, (at) => `map ${at}   | ${map(1, at)}   | ok iova=${page(0x1000 + at)}`)}
${rows(10, (at) => `unmap ${at} | ${unmap(1, at)} | ok length=4096`)}
two pages                    | ${map(2, 16)}    | ok
no split, the first          | ${unmap(1, 16)}  | ENOENT
no split, the second         | ${unmap(1, 17)}  | ENOENT
no mapping over it, the same | ${map(2, 16)}    | EEXIST
the first page               | ${map(1, 16)}    | EEXIST
the second page              | ${map(1, 17)}    | EEXIST
from before it               | ${map(2, 15)}    | EEXIST
around it                    | ${map(3, 15)}    | EEXIST
all                          | iommu0 IOMMU_IOAS_UNMAP | ioas_id=$ioas iova=0 length=${MAX} | ok length=8192
all of nothing               | iommu0 IOMMU_IOAS_UNMAP | ioas_id=$ioas iova=0 length=${MAX} | ok length=0
`,
      { before },
    );
    story(
      `${name}: unmap_fully_contained_areas`,
      `
${rows(4, (at) => `eight pages, ${at} | ${map(8, 4 + at * 16)} | ok`)}
half of the first     | ${unmap(8, 0)}            | ENOENT
half of the last      | ${unmap(8, 4 + 48 + 4)}   | ENOENT
all four              | ${unmap(48 + 8 + 4, 0)}   | ok length=${page(32)}
`,
      { before },
    );
    const auto = (pages: number, of: string, to = 'iova'): string =>
      `iommu0 IOMMU_IOAS_MAP | flags=6 ioas_id=$ioas user_va=${of} length=${page(pages)} | ok iova>${to}`;
    story(
      `${name}: area_auto_iova`,
      `
${rows(10, (at) => `the lowest, ${at} | iommu0 IOMMU_IOAS_MAP | flags=6 ioas_id=$ioas user_va=$buf length=4096 | ok iova=${page(at + 1)}`)}
all                    | iommu0 IOMMU_IOAS_UNMAP        | ioas_id=$ioas length=${MAX}           | ok length=${page(10)}
aligned to 2 pages     | iommu0 IOMMU_IOAS_MAP          | flags=6 ioas_id=$ioas user_va=$buf length=${page(2)} | ok iova=${page(2)}
what 3 want, rounded   | iommu0 IOMMU_IOAS_MAP          | flags=6 ioas_id=$ioas user_va=$buf length=${page(3)} | ok iova=${page(4)}
aligned to 8 pages     | iommu0 IOMMU_IOAS_MAP          | flags=6 ioas_id=$ioas user_va=$buf length=${page(8)} | ok iova=${page(8)}
no more than the va    | iommu0 IOMMU_IOAS_MAP          | flags=6 ioas_id=$ioas user_va=$buf+0x1000 length=${page(2)} | ok iova=${page(16)}
into the gap           | iommu0 IOMMU_IOAS_MAP          | flags=6 ioas_id=$ioas user_va=$buf length=${page(1)} | ok iova=${page(1)}
all again              | iommu0 IOMMU_IOAS_UNMAP        | ioas_id=$ioas length=${MAX}           | ok length=${page(16)}
a list                 | iommu0 IOMMU_IOAS_ALLOW_IOVAS  | ioas_id=$ioas num_iovas=1 allowed_iovas=ranges:${page(200)}-0x257fff | ok
in the list            | ${auto(1, '$buf')}
that page              | iommu0 IOMMU_IOAS_UNMAP        | ioas_id=$ioas iova=${page(200)} length=4096 | ok
does not fit           | iommu0 IOMMU_IOAS_MAP          | flags=6 ioas_id=$ioas user_va=$buf length=${page(401)} | ENOSPC
fixed ignores it       | ${map(1, 0)}                   | ok
two ranges             | iommu0 IOMMU_IOAS_ALLOW_IOVAS  | ioas_id=$ioas num_iovas=2 allowed_iovas=ranges:0x40000-0x40fff,0x60000-0x6ffff | ok
the first with room    | iommu0 IOMMU_IOAS_MAP          | flags=6 ioas_id=$ioas user_va=$buf length=${page(2)} | ok iova=0x60000
two that meet          | iommu0 IOMMU_IOAS_ALLOW_IOVAS  | ioas_id=$ioas num_iovas=2 allowed_iovas=ranges:0x40000-0x40fff,0x40fff-0x6ffff | EINVAL
one byte               | iommu0 IOMMU_IOAS_ALLOW_IOVAS  | ioas_id=$ioas num_iovas=1 allowed_iovas=ranges:0x40000-0x40000 | EINVAL
backwards              | iommu0 IOMMU_IOAS_ALLOW_IOVAS  | ioas_id=$ioas num_iovas=1 allowed_iovas=ranges:0x40001-0x40000 | EINVAL
no pointer             | iommu0 IOMMU_IOAS_ALLOW_IOVAS  | ioas_id=$ioas num_iovas=1           | EFAULT
reserved               | iommu0 IOMMU_IOAS_ALLOW_IOVAS  | ioas_id=0 __reserved=1              | EOPNOTSUPP
nobody                 | iommu0 IOMMU_IOAS_ALLOW_IOVAS  | ioas_id=99                          | ENOENT
the old list holds     | iommu0 IOMMU_IOAS_MAP          | flags=6 ioas_id=$ioas user_va=$buf length=${page(16)} | ENOSPC
no list                | iommu0 IOMMU_IOAS_ALLOW_IOVAS  | ioas_id=$ioas num_iovas=0           | ok
anywhere               | iommu0 IOMMU_IOAS_MAP          | flags=6 ioas_id=$ioas user_va=$buf length=${page(16)} | ok iova=${page(16)}
`,
      { before },
    );
  }
  story(
    'without a device memory is not looked at',
    `
nothing is there       | iommu0 IOMMU_IOAS_MAP          | flags=6 ioas_id=$ioas user_va=0x80000000 length=4096 | ok iova>at
until one comes        | open vfio:nvme0                |                                      | ok
bound                  | vfio:nvme0 VFIO_DEVICE_BIND_IOMMUFD | iommufd=iommu0                  | ok out_devid>nvme0
which needs it         | vfio:nvme0 VFIO_DEVICE_ATTACH_IOMMUFD_PT | pt_id=$ioas                | EFAULT pt_id=1
a HWPT too             | iommu0 IOMMU_HWPT_ALLOC        | dev_id=$nvme0 pt_id=$ioas            | EFAULT
unmapped               | iommu0 IOMMU_IOAS_UNMAP        | ioas_id=$ioas iova=$at length=4096   | ok
then it can            | vfio:nvme0 VFIO_DEVICE_ATTACH_IOMMUFD_PT | pt_id=$ioas                | ok
with one it is         | iommu0 IOMMU_IOAS_MAP          | flags=6 ioas_id=$ioas user_va=0x80000000 length=4096 | EFAULT
and nothing stays      | iommu0 IOMMU_IOAS_UNMAP        | ioas_id=$ioas length=${MAX}          | ok length=0
`,
    { before: alone },
  );
});

describe('area_allowed: a device and the list', () => {
  story(
    'what the device reserves',
    `
in the reserved        | iommu0 IOMMU_IOAS_ALLOW_IOVAS | ioas_id=$ioas num_iovas=1 allowed_iovas=ranges:0x8000000-0x8000fff | EADDRINUSE
around it              | iommu0 IOMMU_IOAS_ALLOW_IOVAS | ioas_id=$ioas num_iovas=1 allowed_iovas=ranges:0x1000-0x9000000 | EADDRINUSE
its last byte          | iommu0 IOMMU_IOAS_ALLOW_IOVAS | ioas_id=$ioas num_iovas=1 allowed_iovas=ranges:0x80fffff-0x9000000 | EADDRINUSE
behind it              | iommu0 IOMMU_IOAS_ALLOW_IOVAS | ioas_id=$ioas num_iovas=1 allowed_iovas=ranges:0x8100000-0x9000000 | ok
fixed in the reserved  | iommu0 IOMMU_IOAS_MAP         | flags=7 ioas_id=$ioas user_va=$buf length=4096 iova=0x8000000 | EINVAL
fixed into it          | iommu0 IOMMU_IOAS_MAP         | flags=7 ioas_id=$ioas user_va=$buf length=0x2000 iova=0x7fff000 | EINVAL
`,
    { before: one },
  );
  story(
    'a list that the device would break',
    `
around the reserved    | iommu0 IOMMU_IOAS_ALLOW_IOVAS | ioas_id=$ioas num_iovas=1 allowed_iovas=ranges:0x1000-0x9000000 | ok
a device               | open vfio:nvme0               |                        | ok
bound                  | vfio:nvme0 VFIO_DEVICE_BIND_IOMMUFD      | iommufd=iommu0 | ok out_devid>nvme0
cannot come            | vfio:nvme0 VFIO_DEVICE_ATTACH_IOMMUFD_PT | pt_id=$ioas    | EADDRINUSE
no list                | iommu0 IOMMU_IOAS_ALLOW_IOVAS | ioas_id=$ioas num_iovas=0 | ok
can                    | vfio:nvme0 VFIO_DEVICE_ATTACH_IOMMUFD_PT | pt_id=$ioas    | ok
`,
    { before: alone },
  );
  story(
    'an area that the device would break',
    `
in the reserved        | iommu0 IOMMU_IOAS_MAP         | flags=7 ioas_id=$ioas user_va=$buf length=4096 iova=0x8000000 | ok
a device               | open vfio:nvme0               |                        | ok
bound                  | vfio:nvme0 VFIO_DEVICE_BIND_IOMMUFD      | iommufd=iommu0 | ok out_devid>nvme0
cannot come            | vfio:nvme0 VFIO_DEVICE_ATTACH_IOMMUFD_PT | pt_id=$ioas    | EADDRINUSE
a HWPT can             | iommu0 IOMMU_HWPT_ALLOC       | dev_id=$nvme0 pt_id=$ioas | ok out_hwpt_id>hwpt
not for it             | vfio:nvme0 VFIO_DEVICE_ATTACH_IOMMUFD_PT | pt_id=$hwpt    | EADDRINUSE
beyond the domain      | iommu0 IOMMU_IOAS_MAP         | flags=7 ioas_id=$ioas user_va=$buf length=4096 iova=0x8000000000000000 | EINVAL
unmapped               | iommu0 IOMMU_IOAS_UNMAP       | ioas_id=$ioas iova=0x8000000 length=4096 | ok
can                    | vfio:nvme0 VFIO_DEVICE_ATTACH_IOMMUFD_PT | pt_id=$hwpt    | ok
`,
    { before: alone },
  );
});

describe('ioas_option_huge_pages, ioas_align_change', () => {
  for (const [name, before] of Object.entries(variants))
    story(
      `${name}: the option`,
      `
large pages at first  | iommu0 IOMMU_OPTION         | option_id=1 op=1 object_id=$ioas val64=3 | ok val64=1
off                   | iommu0 IOMMU_OPTION         | option_id=1 op=0 object_id=$ioas val64=0 | ok
are off               | iommu0 IOMMU_OPTION         | option_id=1 op=1 object_id=$ioas val64=3 | ok val64=0
neither               | iommu0 IOMMU_OPTION         | option_id=1 op=0 object_id=$ioas val64=2 | EINVAL
off twice             | iommu0 IOMMU_OPTION         | option_id=1 op=0 object_id=$ioas val64=0 | ok
on                    | iommu0 IOMMU_OPTION         | option_id=1 op=0 object_id=$ioas val64=1 | ok
`,
      { before },
    );
  story(
    'alignment changes where areas allow it',
    `
a page                | iommu0 IOMMU_IOAS_MAP       | flags=7 ioas_id=$ioas user_va=$buf length=4096 iova=0x1000000 | ok
off                   | iommu0 IOMMU_OPTION         | option_id=1 op=0 object_id=$ioas val64=0 | ok
misaligned memory     | iommu0 IOMMU_IOAS_MAP       | flags=7 ioas_id=$ioas user_va=$buf+0x800 length=4096 iova=0x1001000 | EINVAL
off again             | iommu0 IOMMU_OPTION         | option_id=1 op=0 object_id=$ioas val64=0 | ok
on                    | iommu0 IOMMU_OPTION         | option_id=1 op=0 object_id=$ioas val64=1 | ok
misaligned memory     | iommu0 IOMMU_IOAS_MAP       | flags=7 ioas_id=$ioas user_va=$buf+0x800 length=4096 iova=0x1001000 | ok
too late              | iommu0 IOMMU_OPTION         | option_id=1 op=0 object_id=$ioas val64=0 | EADDRINUSE
unmapped              | iommu0 IOMMU_IOAS_UNMAP     | ioas_id=$ioas iova=0x1001000 length=4096 | ok
the other             | iommu0 IOMMU_IOAS_UNMAP     | ioas_id=$ioas iova=0x1000000 length=4096 | ok
off                   | iommu0 IOMMU_OPTION         | option_id=1 op=0 object_id=$ioas val64=0 | ok
`,
    { before: alone },
  );
  story(
    'a device and an area: not any more',
    `
a page                | iommu0 IOMMU_IOAS_MAP       | flags=7 ioas_id=$ioas user_va=$buf length=4096 iova=0x1000000 | ok
off                   | iommu0 IOMMU_OPTION         | option_id=1 op=0 object_id=$ioas val64=0 | EINVAL
still on              | iommu0 IOMMU_OPTION         | option_id=1 op=1 object_id=$ioas         | ok val64=1
on is no change       | iommu0 IOMMU_OPTION         | option_id=1 op=0 object_id=$ioas val64=1 | ok
`,
    { before: one },
  );
});

describe('ioas_iova_alloc: any length without a device, pages with one', () => {
  const lengths = [1, 2, 511, 2048, 4095, 4096, 4097, 8191, 8192];
  for (const [name, before] of Object.entries(variants))
    story(
      name,
      lengths
        .map((length) => {
          const fits = before === alone || length % 4096 === 0;
          return `
${length} bytes       | iommu0 IOMMU_IOAS_MAP       | flags=6 ioas_id=$ioas user_va=$buf length=${length} | ${fits ? 'ok iova>at' : 'EINVAL'}
unmapped              | iommu0 IOMMU_IOAS_UNMAP     | ioas_id=$ioas iova=0 length=${MAX} | ok length=${fits ? length : 0}`;
        })
        .join('\n'),
      { before },
    );
});

describe('map and unmap: checks in their order', () => {
  const map = (arg: string): string => `iommu0 IOMMU_IOAS_MAP | ${arg}`;
  const unmap = (arg: string): string => `iommu0 IOMMU_IOAS_UNMAP | ${arg}`;
  story(
    'map',
    `
an unknown flag       | ${map(`flags=8 iova=${MAX}`)}                      | EOPNOTSUPP
reserved              | ${map(`flags=7 __reserved=1 iova=${MAX}`)}         | EOPNOTSUPP
iova too large        | ${map(`flags=1 iova=${MAX}`)}                      | EOVERFLOW
length too large      | ${map(`flags=1 length=${MAX}`)}                    | EOVERFLOW
neither               | ${map('flags=1 ioas_id=99')}                       | EINVAL
nobody                | ${map('flags=7 ioas_id=99 user_va=0xffffffffffffffff length=2')} | ENOENT
memory wraps          | ${map('flags=7 ioas_id=$ioas user_va=0xfffffffffffff000 length=0x2000')} | EOVERFLOW
no length             | ${map('flags=7 ioas_id=$ioas user_va=$buf')}       | EINVAL
no length, anywhere   | ${map('flags=6 ioas_id=$ioas user_va=$buf')}       | EINVAL
almost all            | ${map('flags=7 ioas_id=$ioas length=0xfffffffffffffffe')} | EINVAL
iova wraps            | ${map('flags=7 ioas_id=$ioas user_va=$buf length=0x2000 iova=0xfffffffffffff000')} | EOVERFLOW
the last bytes        | ${map('flags=7 ioas_id=$ioas user_va=$buf length=0x1000 iova=0xfffffffffffff000')} | ok
half of all, anywhere | ${map('flags=6 ioas_id=$ioas user_va=0 length=0x7fffffffffffffff')} | EOVERFLOW
to be written only    | ${map('flags=3 ioas_id=$ioas user_va=$buf length=4096 iova=0x2000')} | ok
at 0                  | ${map('flags=7 ioas_id=$ioas user_va=$buf length=4096 iova=0')} | ok iova=0
`,
    { before: alone },
  );
  story(
    'unmap',
    `
a page                | ${map('flags=7 ioas_id=$ioas user_va=$buf length=4096 iova=0x1000')} | ok
another               | ${map('flags=7 ioas_id=$ioas user_va=$buf length=8192 iova=0x3000')} | ok
nobody                | ${unmap(`ioas_id=99 length=${MAX}`)}               | ENOENT
too long              | ${unmap(`ioas_id=$ioas iova=1 length=${MAX}`)}     | EOVERFLOW
too far               | ${unmap(`ioas_id=$ioas iova=${MAX} length=1`)}     | EOVERFLOW
no length             | ${unmap('ioas_id=$ioas iova=0x1000')}              | EINVAL
wraps                 | ${unmap('ioas_id=$ioas iova=0xfffffffffffff000 length=0x2000')} | EOVERFLOW
between               | ${unmap('ioas_id=$ioas iova=0x2000 length=0x1000')} | ENOENT
a whole, then half    | ${unmap('ioas_id=$ioas iova=0x1000 length=0x3000')} | ENOENT length=0x3000
the whole is gone     | ${unmap('ioas_id=$ioas iova=0x1000 length=0x1000')} | ENOENT
the half is there     | ${unmap('ioas_id=$ioas iova=0x1000 length=0x8000')} | ok length=0x2000
`,
    { before: alone },
  );
});
