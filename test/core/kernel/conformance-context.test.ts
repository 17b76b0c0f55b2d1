/**
 * Wants to show: what Linux expects of a fresh iommufd in its own self-test (fixtures iommufd and
 * change_process), and in documentation of the calls. How: its expectations as rows of stories.
 * linux: tools/testing/selftests/iommu/iommufd.c
 */
import { describe } from 'vitest';
import { story } from '../../support/steps.ts';
import { table } from '../../support/tables.ts';

describe('cmd_fail, cmd_ex_fail', () => {
  story(
    'bad ids, pointers and codes',
    `
open                              | open iommu0            |                    | ok
id 0 is nobody                    | iommu0 IOMMU_DESTROY   | id=0               | ENOENT
no pointer                        | iommu0 IOMMU_DESTROY   | number=0           | EFAULT
a number below the table          | iommu0 0x3b7f          | number=0           | ENOTTY
the same with a struct            | iommu0 0x3b7f          | hex=0800000000000000 | ENOTTY
a longer struct                   | iommu0 IOMMU_DESTROY   | size=16 tail=0000000000000000 | ENOENT
a longer struct with data         | iommu0 IOMMU_DESTROY   | size=16 tail=0100000000000000 | E2BIG
the struct as it is               | iommu0 IOMMU_DESTROY   | size=8             | ENOENT
a shorter one                     | iommu0 IOMMU_DESTROY   | size=7             | EINVAL
closed                            | close iommu0           |                    | ok
gone                              | iommu0 IOMMU_DESTROY   | id=0               | EBADF
`,
  );
});

// `result` is that of a struct of zeros with the kernel's size, in a context without objects. NOIOMMU_GET_PA wants
// a kernel with no-IOMMU.
const lengths = table<'name' | 'size' | 'min' | 'result'>(`
name                          | size | min | result
IOMMU_DESTROY                 |  8   |  8  | ENOENT
IOMMU_GET_HW_INFO             | 40   | 32  | ENOENT
IOMMU_HWPT_ALLOC              | 48   | 24  | ENOENT
IOMMU_HWPT_INVALIDATE         | 32   | 32  | ENOENT
IOMMU_IOAS_ALLOC              | 12   | 12  | ok
IOMMU_IOAS_IOVA_RANGES        | 32   | 32  | ENOENT
IOMMU_IOAS_ALLOW_IOVAS        | 24   | 24  | ENOENT
IOMMU_IOAS_MAP                | 40   | 40  | EINVAL
IOMMU_IOAS_COPY               | 40   | 40  | EINVAL
IOMMU_IOAS_UNMAP              | 24   | 24  | ENOENT
IOMMU_OPTION                  | 24   | 24  | ok
IOMMU_VFIO_IOAS               | 12   | 12  | ENODEV
IOMMU_IOAS_MAP_FILE           | 40   | 40  | EINVAL
IOMMU_VIOMMU_ALLOC            | 40   | 24  | EOPNOTSUPP
IOMMU_VDEVICE_ALLOC           | 24   | 24  | ENOENT
IOMMU_IOAS_CHANGE_PROCESS     |  8   |  8  | ok
IOMMU_HWPT_SET_DIRTY_TRACKING | 16   | 16  | ENOENT
IOMMU_HWPT_GET_DIRTY_BITMAP   | 48   | 48  | ENOENT
IOMMU_FAULT_QUEUE_ALLOC       | 16   | 16  | ok
IOMMU_VEVENTQ_ALLOC           | 32   | 28  | EOPNOTSUPP
IOMMU_HW_QUEUE_ALLOC          | 40   | 40  | EOPNOTSUPP
`);

describe('cmd_length', () => {
  for (const { name, size, min, result } of lengths) {
    story(
      name,
      `
open                       | open iommu0    |                              | ok
shorter than the smallest  | iommu0 ${name} | size=${Number(min) - 1}      | EINVAL
longer, with data          | iommu0 ${name} | size=${Number(size) + 1} tail=ff | E2BIG
as it is, by default       | iommu0 ${name} |                              | ${result}
as it is                   | iommu0 ${name} | size=${size}                 | ${result}
longer, with a zero        | iommu0 ${name} | size=${Number(size) + 1} tail=00 | ${result}
the smallest               | iommu0 ${name} | size=${min}                  | ${result}
no pointer                 | iommu0 ${name} | number=0                     | EFAULT
`,
    );
  }
});

describe('global_options', () => {
  story(
    'RLIMIT_MODE',
    `
open                       | open iommu0         |                                   | ok
per user at first          | iommu0 IOMMU_OPTION | option_id=0 op=1 val64=1          | ok val64=0
per mm                     | iommu0 IOMMU_OPTION | option_id=0 op=0 val64=1          | ok val64=1
neither                    | iommu0 IOMMU_OPTION | option_id=0 op=0 val64=2          | EINVAL val64=2
per mm now                 | iommu0 IOMMU_OPTION | option_id=0 op=1                  | ok val64=1
back                       | iommu0 IOMMU_OPTION | option_id=0 op=0 val64=0          | ok
of an object               | iommu0 IOMMU_OPTION | option_id=0 op=1 object_id=1      | EOPNOTSUPP
huge pages of nobody       | iommu0 IOMMU_OPTION | option_id=1 op=1                  | ENOENT
set, of nobody             | iommu0 IOMMU_OPTION | option_id=1 op=0                  | ENOENT
an option that is none     | iommu0 IOMMU_OPTION | option_id=2 op=1                  | EOPNOTSUPP
an op that is none         | iommu0 IOMMU_OPTION | option_id=0 op=2                  | EOPNOTSUPP
reserved                   | iommu0 IOMMU_OPTION | option_id=0 op=1 __reserved=1     | EOPNOTSUPP
an object                  | iommu0 IOMMU_IOAS_ALLOC |                               | ok out_ioas_id>ioas
too late                   | iommu0 IOMMU_OPTION | option_id=0 op=0 val64=1          | EBUSY
too late before bad        | iommu0 IOMMU_OPTION | option_id=0 op=0 val64=2          | EBUSY
read all the same          | iommu0 IOMMU_OPTION | option_id=0 op=1                  | ok val64=0
gone again                 | iommu0 IOMMU_DESTROY | id=$ioas                         | ok
in time                    | iommu0 IOMMU_OPTION | option_id=0 op=0 val64=1          | ok
`,
  );
  story(
    'a container begins per mm',
    `
open                       | open container           |                          | ok
per mm at first            | container IOMMU_OPTION   | option_id=0 op=1         | ok val64=1
`,
  );
});

describe('VFIO calls without a compatible IOAS', () => {
  story(
    'simple_ioctls, unmap_cmd, map_cmd, info_cmd, set_iommu_cmd',
    `
open                       | open iommu0                 |                                 | ok
version                    | iommu0 VFIO_GET_API_VERSION | number=0                        | ok ret=0
TYPE1                      | iommu0 VFIO_CHECK_EXTENSION | number=1                        | ok ret=1
TYPE1v2                    | iommu0 VFIO_CHECK_EXTENSION | number=3                        | ok ret=1
UNMAP_ALL                  | iommu0 VFIO_CHECK_EXTENSION | number=9                        | ok ret=1
SPAPR                      | iommu0 VFIO_CHECK_EXTENSION | number=2                        | ok ret=0
DMA_CC without IOAS        | iommu0 VFIO_CHECK_EXTENSION | number=4                        | ENODEV
unmap: short               | iommu0 VFIO_IOMMU_UNMAP_DMA | argsz=1 iova=0x1000000 size=4096 | EINVAL
unmap: a flag              | iommu0 VFIO_IOMMU_UNMAP_DMA | flags=0x80000000 iova=0x1000000 size=4096 | EINVAL
unmap: no IOAS             | iommu0 VFIO_IOMMU_UNMAP_DMA | iova=0x1000000 size=4096        | ENODEV
unmap: no pointer          | iommu0 VFIO_IOMMU_UNMAP_DMA | number=0                        | EFAULT
map: short                 | iommu0 VFIO_IOMMU_MAP_DMA   | argsz=1 iova=0x1000000 size=4096 | EINVAL
map: a flag                | iommu0 VFIO_IOMMU_MAP_DMA   | flags=0x80000000 iova=0x1000000 size=4096 | EINVAL
map: VADDR                 | iommu0 VFIO_IOMMU_MAP_DMA   | flags=4 iova=0x1000000 size=4096 | EINVAL
map: no IOAS               | iommu0 VFIO_IOMMU_MAP_DMA   | flags=3 iova=0x1000000 size=4096 | ENODEV
info: short                | iommu0 VFIO_IOMMU_GET_INFO  | argsz=1                         | EINVAL
info: no IOAS              | iommu0 VFIO_IOMMU_GET_INFO  |                                 | ENODEV
TYPE1v2 wants one          | iommu0 VFIO_SET_IOMMU       | number=3                        | ENODEV
TYPE1 wants one            | iommu0 VFIO_SET_IOMMU       | number=1                        | ENODEV
another type               | iommu0 VFIO_SET_IOMMU       | number=2                        | EINVAL
dirty pages                | iommu0 VFIO_IOMMU_DIRTY_PAGES | number=0                      | ENOTTY
`,
  );
  story(
    'vfio_ioas',
    `
open                       | open iommu0                 |                        | ok
none                       | iommu0 IOMMU_VFIO_IOAS      | op=0                   | ENODEV
set to nobody              | iommu0 IOMMU_VFIO_IOAS      | op=1                   | ENOENT
an IOAS                    | iommu0 IOMMU_IOAS_ALLOC     |                        | ok out_ioas_id>ioas
set                        | iommu0 IOMMU_VFIO_IOAS      | op=1 ioas_id=$ioas     | ok
get                        | iommu0 IOMMU_VFIO_IOAS      | op=0                   | ok ioas_id=1
clear                      | iommu0 IOMMU_VFIO_IOAS      | op=2                   | ok
none again                 | iommu0 IOMMU_VFIO_IOAS      | op=0                   | ENODEV
clear twice                | iommu0 IOMMU_VFIO_IOAS      | op=2                   | ok
an op that is none         | iommu0 IOMMU_VFIO_IOAS      | op=3                   | EOPNOTSUPP
reserved                   | iommu0 IOMMU_VFIO_IOAS      | op=2 __reserved=1      | EOPNOTSUPP
set again                  | iommu0 IOMMU_VFIO_IOAS      | op=1 ioas_id=$ioas     | ok
no reference               | iommu0 IOMMU_DESTROY        | id=$ioas               | ok
which clears it            | iommu0 IOMMU_VFIO_IOAS      | op=0                   | ENODEV
`,
  );
});

describe('change_process', () => {
  story(
    'basic',
    `
open                       | open iommu0                 |                                   | ok
an IOAS                    | iommu0 IOMMU_IOAS_ALLOC     |                                   | ok out_ioas_id>ioas
a device                   | open vfio:nvme0             |                                   | ok
bound                      | vfio:nvme0 VFIO_DEVICE_BIND_IOMMUFD | iommufd=iommu0            | ok
attached                   | vfio:nvme0 VFIO_DEVICE_ATTACH_IOMMUFD_PT | pt_id=$ioas          | ok
memory                     | mem.alloc                   | bytes=65536                       | ok va>buf
a file                     | mem.memfd                   | bytes=65536                       | ok fd>mfd
reserved                   | iommu0 IOMMU_IOAS_CHANGE_PROCESS | __reserved=1                 | EOPNOTSUPP
nothing is mapped          | iommu0 IOMMU_IOAS_CHANGE_PROCESS |                              | ok
anonymous memory           | iommu0 IOMMU_IOAS_MAP       | flags=6 ioas_id=$ioas user_va=$buf length=4096 | ok iova>at
is of this process         | iommu0 IOMMU_IOAS_CHANGE_PROCESS |                              | EINVAL
unmapped                   | iommu0 IOMMU_IOAS_UNMAP     | ioas_id=$ioas iova=$at length=4096 | ok length=4096
a file's                   | iommu0 IOMMU_IOAS_MAP_FILE  | flags=6 ioas_id=$ioas fd=$mfd start=0 length=4096 | ok iova>at
can go on                  | iommu0 IOMMU_IOAS_CHANGE_PROCESS |                              | ok
in another process         | iommu0 IOMMU_IOAS_CHANGE_PROCESS | process=child                | ok
which ends                 | process.exit child          |                                   | ok
the mapping is there       | iommu0 IOMMU_IOAS_UNMAP     | ioas_id=$ioas iova=$at length=4096 | ok length=4096
`,
  );
});
