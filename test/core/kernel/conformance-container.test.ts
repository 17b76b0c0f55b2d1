/**
 * Wants to show: what Linux expects of an iommufd that stands for a VFIO container in its own self-test (fixture
 * vfio_compat_mock_domain, with TYPE1v2 and TYPE1). How: the expectations as rows of stories.
 * linux: tools/testing/selftests/iommu/iommufd.c
 */
import { describe } from 'vitest';
import { story } from '../../support/steps.ts';

const MAX = '0xffffffffffffffff';
const HUGE = 0x20_0000;
const types = { TYPE1v2: 3, TYPE1: 1 } as const;
const container = (type: number): string => `
open                  | open iommu0                 |                        | ok
an IOAS               | iommu0 IOMMU_IOAS_ALLOC     |                        | ok out_ioas_id>ioas
a device              | open vfio:nvme0             |                        | ok
bound                 | vfio:nvme0 VFIO_DEVICE_BIND_IOMMUFD      | iommufd=iommu0 | ok out_devid>nvme0
attached              | vfio:nvme0 VFIO_DEVICE_ATTACH_IOMMUFD_PT | pt_id=$ioas    | ok
as a container's      | iommu0 IOMMU_VFIO_IOAS      | op=1 ioas_id=$ioas     | ok
of that type          | iommu0 VFIO_SET_IOMMU       | number=${type}         | ok
memory                | mem.alloc                   | bytes=65536            | ok va>buf
`;
const map = (arg: string): string => `iommu0 VFIO_IOMMU_MAP_DMA | ${arg}`;
const unmap = (arg: string): string => `iommu0 VFIO_IOMMU_UNMAP_DMA | ${arg}`;

describe.each(Object.entries(types))('%s', (name, type) => {
  story(
    'option_huge_pages, extensions',
    `
large pages           | iommu0 IOMMU_OPTION         | option_id=1 op=1 object_id=$ioas val64=3 | ok val64=${name === 'TYPE1' ? 0 : 1}
cache coherent DMA    | iommu0 VFIO_CHECK_EXTENSION | number=4               | ok ret=1
version               | iommu0 VFIO_GET_API_VERSION | number=0               | ok ret=0
unmapping all         | iommu0 VFIO_CHECK_EXTENSION | number=9               | ok ret=1
that type again       | iommu0 VFIO_SET_IOMMU       | number=${type}         | ok
another type          | iommu0 VFIO_SET_IOMMU       | number=8               | EINVAL
`,
    { before: container(type) },
  );
  const info = 'iommu0 VFIO_IOMMU_GET_INFO';
  // 24 bytes, then 16 of DMA_AVAIL, then 16 and two ranges of 16 of IOVA_RANGE.
  story(
    'get_info',
    `
without capabilities  | ${info}   | argsz=16               | ok flags=3 iova_pgsizes=0x40201000 argsz=88
to learn the size     | ${info}   | argsz=24               | ok flags=3 iova_pgsizes=0x40201000 argsz=88 cap_offset=0
a byte too few        | ${info}   | argsz=87               | ok flags=3 argsz=88 cap_offset=0
all                   | ${info}   | argsz=88               | ok flags=3 argsz=88 cap_offset=24
more                  | ${info}   | argsz=4096             | ok flags=3 argsz=88 cap_offset=24
too short             | ${info}   | argsz=15               | EINVAL
no pointer            | ${info}   | number=0               | EFAULT
room for half a chain | mem.write | va=$buf hex=48000000   | ok
the struct is         | ${info}   | number=$buf            | ok
told: two capabilities| mem.read  | va=$buf bytes=28       | ok hex=58000000030000000010204000000000000000000000000003000100
the first leads on    | mem.read  | va=$buf+28 bytes=8     | ok hex=28000000ffffffff
no head of the second | mem.read  | va=$buf+40 bytes=8     | ok hex=0000000000000000
its first range       | mem.read  | va=$buf+56 bytes=16    | ok hex=0000000000000000ffffff0700000000
not its last          | mem.read  | va=$buf+72 bytes=16    | ok hex=00000000000000000000000000000000
room for all          | mem.write | va=$buf hex=58000000   | ok
the struct is told    | ${info}   | number=$buf            | ok
with its chain        | mem.read  | va=$buf+16 bytes=8     | ok hex=1800000000000000
the second's head     | mem.read  | va=$buf+40 bytes=16    | ok hex=01000100000000000200000000000000
its ranges            | mem.read  | va=$buf+56 bytes=32    | ok hex=0000000000000000ffffff07000000000000100800000000ffffffffffff0000
`,
    { before: container(type) },
  );
  const pages = Array.from({ length: 16 }, (_, at) => `0x${(0x1000000 + at * 0x1000).toString(16)}`);
  const mixed = [...pages.slice(8), ...pages.slice(0, 8).reverse()];
  story(
    'map',
    `
mapped                | ${map('flags=3 vaddr=$buf size=65536 iova=0x1000000')}     | ok
over it               | ${map('flags=3 vaddr=$buf size=4096 iova=0x1001000')}      | EEXIST
unmapped              | ${unmap('size=65536 iova=0x1000000')}                      | ok size=65536
nothing is there      | ${unmap('size=65536 iova=0x1000000')}                      | ok size=0
mapped again          | ${map('flags=3 vaddr=$buf size=65536 iova=0x1000000')}     | ok
all, but with a place | ${unmap('flags=2 size=65536 iova=0x1000000')}              | EINVAL
all, but with a size  | ${unmap('flags=2 size=65536')}                             | EINVAL
all                   | ${unmap('flags=2')}                                        | ok size=65536
all of nothing        | ${unmap('flags=2')}                                        | ok size=0
${pages.map((iova, at) => `page ${at} | ${map(`flags=3 vaddr=$buf+${at * 4096} size=4096 iova=${iova}`)} | ok`).join('\n')}
${mixed.map((iova) => `take ${iova} | ${unmap(`size=4096 iova=${iova}`)} | ok size=4096`).join('\n')}
no rights             | ${map('flags=0 vaddr=$buf size=4096 iova=0x1000000')}      | EINVAL
bad memory            | ${map('flags=3 vaddr=0x1000 size=4096 iova=0x2000000')}    | EFAULT
no size               | ${map('flags=3 vaddr=$buf iova=0x2000000')}                | EINVAL
unmap: no size        | ${unmap('iova=0x2000000')}                                 | EINVAL
unmap: wraps          | ${unmap('iova=0xfffffffffffff000 size=0x2000')}            | EOVERFLOW
unmap: get the bitmap | ${unmap('flags=1 iova=0x2000000 size=4096')}               | EINVAL
`,
    { before: container(type) },
  );
  const piece = (2 * HUGE) / 16;
  const places = [3, 0, 15, 7, 1, 2, 8, 4, 5, 6, 14, 9, 10, 11, 12, 13];
  story(
    'huge_map: TYPE1 cuts, TYPE1v2 does not',
    `
large memory          | mem.alloc | bytes=${2 * HUGE} kind=hugetlb                 | ok va>large
mapped                | ${map(`flags=3 vaddr=$large size=${2 * HUGE} iova=0x1000000`)} | ok
${places.map((at) => `piece ${at} | ${unmap(`size=${piece} iova=${0x1000000 + at * piece}`)} | ${name === 'TYPE1' ? `ok size=${piece}` : 'ENOENT size=0'}`).join('\n')}
what is left          | iommu0 IOMMU_IOAS_UNMAP | ioas_id=$ioas length=${MAX}      | ok length=${name === 'TYPE1' ? 0 : 2 * HUGE}
`,
    { before: container(type) },
  );
});

describe('older kernels', () => {
  story(
    'capabilities of GET_INFO are not aligned before 6.6',
    `
open                  | open container                  |               | ok
an IOAS               | container IOMMU_IOAS_ALLOC      |               | ok out_ioas_id>ioas
as the container's    | container IOMMU_VFIO_IOAS       | op=1 ioas_id=$ioas | ok
24, 12, 16, one of 16 | container VFIO_IOMMU_GET_INFO   |               | ok argsz=68
`,
    { kernel: { profile: 'linux-6.5' } },
  );
  story(
    'unmapping nothing is ENOENT before 7.2',
    `
nothing is there      | ${unmap('size=65536 iova=0x1000000')}                      | ENOENT size=0
all of nothing        | ${unmap('flags=2')}                                        | ok size=0
`,
    { before: container(3), kernel: { profile: 'linux-6.19' } },
  );
});
