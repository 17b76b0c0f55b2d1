/**
 * Wants to show: what Linux expects in its own self-test (fixture iommufd_ioas) of copying between IOASs, of memory
 * of another process, and of the ranges that an IOAS tells. How: the expectations as rows of stories; an endpoint
 * behind an SMMUv3 stands where the test has a mock device.
 * linux: tools/testing/selftests/iommu/iommufd.c
 */
import { describe } from 'vitest';
import { alone, one, story, two } from '../../support/steps.ts';

const MAX = '0xffffffffffffffff';
const variants = { 'no device': alone, 'one device': one, 'two devices': two };

describe('copy_area, copy_sweep', () => {
  for (const [name, before] of Object.entries(variants)) {
    story(
      `${name}: within an IOAS and to another`,
      `
a page                | iommu0 IOMMU_IOAS_MAP   | flags=7 ioas_id=$ioas user_va=$buf length=4096 iova=0x1000000 | ok
within it             | iommu0 IOMMU_IOAS_COPY  | flags=3 dst_ioas_id=$ioas src_ioas_id=$ioas length=4096 src_iova=0x1000000 dst_iova=0x1001000 | ok
on itself             | iommu0 IOMMU_IOAS_COPY  | flags=3 dst_ioas_id=$ioas src_ioas_id=$ioas length=4096 src_iova=0x1000000 dst_iova=0x1001000 | EEXIST
another               | iommu0 IOMMU_IOAS_ALLOC |                          | ok out_ioas_id>other
to it, at 0           | iommu0 IOMMU_IOAS_COPY  | flags=3 dst_ioas_id=$other src_ioas_id=$ioas length=4096 src_iova=0x1000000 dst_iova=0 | ok dst_iova=0
two areas             | iommu0 IOMMU_IOAS_COPY  | flags=2 dst_ioas_id=$other src_ioas_id=$ioas length=8192 src_iova=0x1000000 | ok dst_iova=0x2000
as two                | iommu0 IOMMU_IOAS_UNMAP | ioas_id=$other iova=0x2000 length=4096 | ok length=4096
and one               | iommu0 IOMMU_IOAS_UNMAP | ioas_id=$other iova=0x3000 length=4096 | ok length=4096
the source can go     | iommu0 IOMMU_IOAS_UNMAP | ioas_id=$ioas length=${MAX} | ok length=8192
the copy stays        | iommu0 IOMMU_IOAS_UNMAP | ioas_id=$other iova=0 length=4096 | ok length=4096
`,
      { before },
    );
    // With an HWPT lengths are pages; without, the area ends a byte before the buffer's end.
    const length = before === alone ? 65535 : 65536;
    const last = 0x1000000 + length - 1;
    const source = (at: number): string => `0x${(0x1000000 + at).toString(16)}`;
    const steps = [-4096, -1, 0, 511, 1022, 4088, 4096, 61440, 61439, 61441, 65535 - 4096, length - 4096];
    story(
      `${name}: copy_sweep`,
      `
an area               | iommu0 IOMMU_IOAS_MAP   | flags=7 ioas_id=$ioas user_va=$buf length=${length} iova=0x1000000 | ok
another IOAS          | iommu0 IOMMU_IOAS_ALLOC |                          | ok out_ioas_id>other
${steps
  .map((at) => {
    const inside = at >= 0 && 0x1000000 + at + 4095 <= last;
    return `
from ${at}            | iommu0 IOMMU_IOAS_COPY  | flags=3 dst_ioas_id=$other src_ioas_id=$ioas length=4096 src_iova=${source(at)} dst_iova=0x1000000 | ${inside ? 'ok' : 'ENOENT'}
take back             | iommu0 IOMMU_IOAS_UNMAP | ioas_id=$other iova=0x1000000 length=4096 | ${inside ? 'ok length=4096' : 'ENOENT'}`;
  })
  .join('\n')}
the other goes        | iommu0 IOMMU_DESTROY    | id=$other                | ok
`,
      { before },
    );
  }
  story(
    'checks in their order',
    `
a page to be read     | iommu0 IOMMU_IOAS_MAP   | flags=5 ioas_id=$ioas user_va=$buf length=4096 iova=0x1000000 | ok
unknown flags         | iommu0 IOMMU_IOAS_COPY  | flags=8 length=${MAX}    | EOPNOTSUPP
length too large      | iommu0 IOMMU_IOAS_COPY  | flags=1 length=${MAX}    | EOVERFLOW
source too large      | iommu0 IOMMU_IOAS_COPY  | flags=1 src_iova=${MAX}  | EOVERFLOW
target too large      | iommu0 IOMMU_IOAS_COPY  | flags=1 dst_iova=${MAX}  | EOVERFLOW
neither               | iommu0 IOMMU_IOAS_COPY  | flags=1 src_ioas_id=99   | EINVAL
no source             | iommu0 IOMMU_IOAS_COPY  | flags=4 src_ioas_id=99   | ENOENT
no length             | iommu0 IOMMU_IOAS_COPY  | flags=4 src_ioas_id=$ioas dst_ioas_id=99 | EINVAL
wraps                 | iommu0 IOMMU_IOAS_COPY  | flags=4 src_ioas_id=$ioas dst_ioas_id=99 src_iova=0xfffffffffffff000 length=0x2000 | EOVERFLOW
nothing there         | iommu0 IOMMU_IOAS_COPY  | flags=4 src_ioas_id=$ioas dst_ioas_id=99 src_iova=0x2000000 length=4096 | ENOENT
more than there is    | iommu0 IOMMU_IOAS_COPY  | flags=4 src_ioas_id=$ioas dst_ioas_id=99 src_iova=0x1000000 length=8192 | ENOENT
no target             | iommu0 IOMMU_IOAS_COPY  | flags=4 src_ioas_id=$ioas dst_ioas_id=99 src_iova=0x1000000 length=4096 | ENOENT
to be written         | iommu0 IOMMU_IOAS_COPY  | flags=6 src_ioas_id=$ioas dst_ioas_id=$ioas src_iova=0x1000000 length=4096 | EPERM
to be read            | iommu0 IOMMU_IOAS_COPY  | flags=4 src_ioas_id=$ioas dst_ioas_id=$ioas src_iova=0x1000000 length=4096 | ok dst_iova=0x1000
`,
    { before: alone },
  );
});

describe('fork_gone, fork_present', () => {
  const child = `
memory of another     | mem.alloc                   | bytes=65536 process=child | ok va>theirs
mapped by it          | iommu0 IOMMU_IOAS_MAP       | process=child flags=7 ioas_id=$ioas user_va=$theirs length=65536 iova=0x1000000 | ok
`;
  const content = `
what it writes        | mem.write                   | process=child va=$theirs hex=1122334455667788 | ok
`;
  const gone = `
it ends               | process.exit child          |                        | ok
`;
  const second = `
a device              | open vfio:nic0              |                        | ok
bound                 | vfio:nic0 VFIO_DEVICE_BIND_IOMMUFD      | iommufd=iommu0 | ok out_devid>nic0
`;
  story(
    'gone before anything was pinned',
    `${child}${gone}${second}
its memory is gone    | vfio:nic0 VFIO_DEVICE_ATTACH_IOMMUFD_PT | pt_id=$ioas    | EFAULT
`,
    { before: alone },
  );
  story(
    'gone, but pinned by a domain: another is filled from it',
    `${child}${content}${gone}${second}
another HWPT          | iommu0 IOMMU_HWPT_ALLOC                 | dev_id=$nic0 pt_id=$ioas flags=1 | ok out_hwpt_id>hwpt
attached to it        | vfio:nic0 VFIO_DEVICE_ATTACH_IOMMUFD_PT | pt_id=$hwpt    | ok
reads through it      | dma nic0                                | iova=0x1000000 bytes=8 access=read | ok result=ok hex=1122334455667788
`,
    { before: one },
  );
  story(
    'there: memory of another process',
    `${child}${content}${second}
attached              | vfio:nic0 VFIO_DEVICE_ATTACH_IOMMUFD_PT | pt_id=$ioas    | ok
reads it              | dma nic0                                | iova=0x1000000 bytes=8 access=read | ok result=ok hex=1122334455667788
${gone}
still                 | dma nic0                                | iova=0x1000000 bytes=8 access=read | ok result=ok hex=1122334455667788
`,
    { before: alone },
  );
});

describe('iova_ranges', () => {
  const zeros = '00'.repeat(32);
  story(
    'no device: all, in one range',
    `
all                   | iommu0 IOMMU_IOAS_IOVA_RANGES | ioas_id=$ioas num_iovas=2 allowed_iovas=bytes:${zeros} | ok num_iovas=1 out_iova_alignment=1 allowed_iovas=${'00'.repeat(8)}${'ff'.repeat(8)}${'00'.repeat(16)}
no room               | iommu0 IOMMU_IOAS_IOVA_RANGES | ioas_id=$ioas num_iovas=0 allowed_iovas=bytes:${zeros} | EMSGSIZE num_iovas=1 out_iova_alignment=1 allowed_iovas=${zeros}
no room, no pointer   | iommu0 IOMMU_IOAS_IOVA_RANGES | ioas_id=$ioas num_iovas=0                             | EMSGSIZE num_iovas=1
no pointer            | iommu0 IOMMU_IOAS_IOVA_RANGES | ioas_id=$ioas num_iovas=1                             | EFAULT
reserved              | iommu0 IOMMU_IOAS_IOVA_RANGES | ioas_id=99 __reserved=1                               | EOPNOTSUPP
nobody                | iommu0 IOMMU_IOAS_IOVA_RANGES | ioas_id=99 num_iovas=1                                | ENOENT
areas do not count    | iommu0 IOMMU_IOAS_MAP         | flags=7 ioas_id=$ioas user_va=$buf length=4096 iova=0x1000000 | ok
still all             | iommu0 IOMMU_IOAS_IOVA_RANGES | ioas_id=$ioas num_iovas=2 allowed_iovas=bytes:${zeros} | ok num_iovas=1
nor does the list     | iommu0 IOMMU_IOAS_ALLOW_IOVAS | ioas_id=$ioas num_iovas=1 allowed_iovas=ranges:0x1000-0x1fff | ok
still all             | iommu0 IOMMU_IOAS_IOVA_RANGES | ioas_id=$ioas num_iovas=2 allowed_iovas=bytes:${zeros} | ok num_iovas=1
`,
    { before: alone },
  );
  const first = '0000000000000000ffffff0700000000';
  for (const before of [one, two])
    story(
      `${before === one ? 'a device' : 'two devices'}: what is before the MSI window and after`,
      `
both                  | iommu0 IOMMU_IOAS_IOVA_RANGES | ioas_id=$ioas num_iovas=2 allowed_iovas=bytes:${zeros} | ok num_iovas=2 out_iova_alignment=4096 allowed_iovas=${first}0000100800000000ffffffffffff0000
room for one          | iommu0 IOMMU_IOAS_IOVA_RANGES | ioas_id=$ioas num_iovas=1 allowed_iovas=bytes:${zeros} | EMSGSIZE num_iovas=2 allowed_iovas=${first}${'00'.repeat(16)}
room for none         | iommu0 IOMMU_IOAS_IOVA_RANGES | ioas_id=$ioas num_iovas=0 allowed_iovas=bytes:${zeros} | EMSGSIZE num_iovas=2 allowed_iovas=${zeros}
`,
      { before },
    );
});
