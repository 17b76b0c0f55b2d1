/**
 * Wants to show: what Linux expects of HWPTs and devices in its own self-test (fixtures iommufd_mock_domain,
 * iommufd_dirty_tracking, and of iommufd_ioas the tests alloc_hwpt_nested and get_hw_info), and what the
 * documentation says of each check. How: the expectations as rows of stories. A nested HWPT of an SMMUv3 is made
 * on a vIOMMU (conformance-viommu.test.ts), so on a parent HWPT it is refused.
 * linux: tools/testing/selftests/iommu/iommufd.c
 */
import { describe } from 'vitest';
import { story } from '../../support/steps.ts';

const MAX = '0xffffffffffffffff';
const start = `
open                  | open iommu0                 |                        | ok
an IOAS               | iommu0 IOMMU_IOAS_ALLOC     |                        | ok out_ioas_id>ioas
memory                | mem.alloc                   | bytes=65536            | ok va>buf
`;
const bound = (name: string): string => `
a device              | open vfio:${name}           |                        | ok
bound                 | vfio:${name} VFIO_DEVICE_BIND_IOMMUFD      | iommufd=iommu0 | ok out_devid>${name}
`;
const attached = (name: string): string => `${bound(name)}
attached              | vfio:${name} VFIO_DEVICE_ATTACH_IOMMUFD_PT | pt_id=$ioas    | ok pt_id>hwpt_${name}
`;
const one = start + attached('nvme0');
const two = one + attached('nic0');
const attach = 'vfio:nvme0 VFIO_DEVICE_ATTACH_IOMMUFD_PT';
/** IDR0 of an SMMU with both stages and HTTU = 0. */
const WITHOUT_HTTU = 0x0844_7d1b;
const VSTE = `data_type=2 data_len=16 data_uptr=bytes:${'0b00200000000000'.padEnd(32, '0')}`;

describe('alloc_hwpt_nested', () => {
  const alloc = 'iommu0 IOMMU_HWPT_ALLOC';
  story(
    'what can be made on what',
    `
a device as IOAS's id | ${alloc} | dev_id=$ioas pt_id=$nvme0                       | ENOENT
a device to nest on   | ${alloc} | dev_id=$nvme0 pt_id=$nvme0                      | EINVAL
nothing to nest on    | ${alloc} | dev_id=$nvme0 pt_id=99                          | EINVAL
no device             | ${alloc} | dev_id=0 pt_id=99                               | ENOENT
a parent with faults  | ${alloc} | dev_id=$nvme0 pt_id=$ioas flags=5               | EOPNOTSUPP
a parent              | ${alloc} | dev_id=$nvme0 pt_id=$ioas flags=1               | ok out_hwpt_id>parent
not a parent          | ${alloc} | dev_id=$nvme0 pt_id=$ioas                       | ok out_hwpt_id>paging
no type, but data     | ${alloc} | dev_id=$nvme0 pt_id=$parent data_len=16         | EINVAL
a type, no data       | ${alloc} | dev_id=$nvme0 pt_id=$parent data_type=2         | EINVAL
before the device     | ${alloc} | dev_id=0 pt_id=$parent data_type=2              | EINVAL
reserved, before that | ${alloc} | __reserved=1 data_type=2                        | EOPNOTSUPP
nested on a parent    | ${alloc} | dev_id=$nvme0 pt_id=$parent ${VSTE}             | EOPNOTSUPP
of another type       | ${alloc} | dev_id=$nvme0 pt_id=$parent data_type=9 data_len=16 | EOPNOTSUPP
with a parent's flag  | ${alloc} | dev_id=$nvme0 pt_id=$parent flags=1 ${VSTE}     | EOPNOTSUPP
without data          | ${alloc} | dev_id=$nvme0 pt_id=$parent                     | EOPNOTSUPP
on an auto domain     | ${alloc} | dev_id=$nvme0 pt_id=$hwpt_nvme0 ${VSTE}         | EOPNOTSUPP
data for a paging one | ${alloc} | dev_id=$nvme0 pt_id=$ioas ${VSTE}               | EOPNOTSUPP
reserved2 unchecked   | ${alloc} | dev_id=$nvme0 pt_id=$ioas __reserved2=1         | ok out_hwpt_id>more
the parent is free    | iommu0 IOMMU_DESTROY | id=$parent                          | ok
the paging one        | iommu0 IOMMU_DESTROY | id=$paging                          | ok
that with reserved2   | iommu0 IOMMU_DESTROY | id=$more                            | ok
`,
    { before: one },
  );
  story(
    'without a device',
    `
no device             | ${alloc} | dev_id=0 pt_id=$ioas                            | ENOENT
nested                | ${alloc} | dev_id=0 pt_id=0 ${VSTE}                        | ENOENT
`,
    { before: start },
  );
  const invalidate = 'iommu0 IOMMU_HWPT_INVALIDATE';
  const entries = `data_type=1 entry_len=16 data_uptr=bytes:${'3000'.padEnd(32, '0')}`;
  story(
    'hwpt_invalidate of what is not nested',
    `
a parent              | ${alloc}      | dev_id=$nvme0 pt_id=$ioas flags=1          | ok out_hwpt_id>parent
a parent is not       | ${invalidate} | hwpt_id=$parent entry_num=1 ${entries}     | EINVAL entry_num=0
an IOAS is not        | ${invalidate} | hwpt_id=$ioas entry_num=1 ${entries}       | EINVAL entry_num=0
a device is not       | ${invalidate} | hwpt_id=$nvme0 entry_num=1 ${entries}      | EINVAL entry_num=0
nobody                | ${invalidate} | hwpt_id=99 entry_num=1 ${entries}          | ENOENT entry_num=0
no pointer            | ${invalidate} | hwpt_id=99 entry_num=1 entry_len=16        | EINVAL entry_num=0
no length             | ${invalidate} | hwpt_id=99 entry_num=1 data_uptr=$buf      | EINVAL entry_num=0
reserved              | ${invalidate} | hwpt_id=99 entry_num=1 __reserved=1        | EOPNOTSUPP entry_num=0
long entries          | ${invalidate} | hwpt_id=99 entry_num=1 entry_len=4097 data_uptr=$buf | EINVAL entry_num=0
many entries          | ${invalidate} | hwpt_id=99 entry_num=0x80001 entry_len=16 data_uptr=$buf | EINVAL entry_num=0
as many as may be     | ${invalidate} | hwpt_id=99 entry_num=0x80000 entry_len=16 data_uptr=$buf | ENOENT entry_num=0
`,
    { before: one },
  );
});

describe('hwpt_attach, replace', () => {
  story(
    'a device on the HWPT of another',
    `
a device              | open vfio:nic0                          |                | ok
before it is bound    | vfio:nic0 VFIO_DEVICE_ATTACH_IOMMUFD_PT | pt_id=$hwpt_nvme0 | EINVAL
bound                 | vfio:nic0 VFIO_DEVICE_BIND_IOMMUFD      | iommufd=iommu0 | ok
nobody                | vfio:nic0 VFIO_DEVICE_ATTACH_IOMMUFD_PT | pt_id=99       | ENOENT
a device              | vfio:nic0 VFIO_DEVICE_ATTACH_IOMMUFD_PT | pt_id=$nvme0   | EINVAL
the other's HWPT      | vfio:nic0 VFIO_DEVICE_ATTACH_IOMMUFD_PT | pt_id=$hwpt_nvme0 | ok pt_id=3
`,
    { before: one },
  );
  story(
    'one device: its auto domain goes when it is replaced',
    `
another IOAS          | iommu0 IOMMU_IOAS_ALLOC | | ok out_ioas_id>other
to it                 | ${attach} | pt_id=$other      | ok pt_id>auto
the first is gone     | ${attach} | pt_id=$hwpt_nvme0 | ENOENT
to it once more       | ${attach} | pt_id=$other      | ok
back                  | ${attach} | pt_id=$ioas       | ok pt_id>auto
the other can go      | iommu0 IOMMU_DESTROY | id=$other | ok
detached              | vfio:nvme0 VFIO_DEVICE_DETACH_IOMMUFD_PT | | ok
its domain is gone    | ${attach} | pt_id=$auto       | ENOENT
detached twice        | vfio:nvme0 VFIO_DEVICE_DETACH_IOMMUFD_PT | | ok
the IOAS is free      | iommu0 IOMMU_DESTROY | id=$ioas | ok
`,
    { before: one },
  );
  story(
    'two devices: the domain stays for the other',
    `
another IOAS          | iommu0 IOMMU_IOAS_ALLOC | | ok out_ioas_id>other
to it                 | ${attach} | pt_id=$other      | ok
to it once more       | ${attach} | pt_id=$other      | ok
back to the domain    | ${attach} | pt_id=$hwpt_nic0  | ok
the same again        | ${attach} | pt_id=$hwpt_nic0  | ok
back to the IOAS      | ${attach} | pt_id=$ioas       | ok
the other can go      | iommu0 IOMMU_DESTROY | id=$other | ok
`,
    { before: two },
  );
  for (const [name, before] of Object.entries({ 'one device': one, 'two devices': two }))
    story(
      `${name}: alloc_hwpt`,
      `
no such flags         | iommu0 IOMMU_HWPT_ALLOC | dev_id=$nvme0 pt_id=$ioas flags=0xfffffffe | EOPNOTSUPP
a paging HWPT         | iommu0 IOMMU_HWPT_ALLOC | dev_id=$nvme0 pt_id=$ioas         | ok out_hwpt_id>first
a nesting parent      | iommu0 IOMMU_HWPT_ALLOC | dev_id=$nvme0 pt_id=$ioas flags=1 | ok out_hwpt_id>second
to the first          | ${attach}               | pt_id=$first                      | ok
is used               | iommu0 IOMMU_DESTROY    | id=$first                         | EBUSY
to the second         | ${attach}               | pt_id=$second                     | ok
is used               | iommu0 IOMMU_DESTROY    | id=$second                        | EBUSY
to the IOAS           | ${attach}               | pt_id=$ioas                       | ok
is free               | iommu0 IOMMU_DESTROY    | id=$second                        | ok
to the first          | ${attach}               | pt_id=$first                      | ok
unbound               | close vfio:nvme0        |                                   | ok
is free too           | iommu0 IOMMU_DESTROY    | id=$first                         | ok
the device is gone    | iommu0 IOMMU_HWPT_ALLOC | dev_id=$nvme0 pt_id=$ioas         | ENOENT
`,
      { before },
    );
});

describe('basic: memory that is there, and not', () => {
  const map = 'iommu0 IOMMU_IOAS_MAP';
  story(
    'of a process',
    `
a page                | ${map}    | flags=6 ioas_id=$ioas user_va=$buf length=4096 | ok iova>at
its content           | mem.write | va=$buf hex=a1a2a3a4a5a6a7a8                   | ok
is what DMA reads     | dma nvme0 | iova=$at bytes=8 access=read                   | ok hex=a1a2a3a4a5a6a7a8
what DMA writes       | dma nvme0 | iova=$at bytes=4 access=write hex=01020304     | ok result=ok
is there              | mem.read  | va=$buf bytes=8                                | ok hex=01020304a5a6a7a8
half of it is not     | ${map}    | flags=6 ioas_id=$ioas user_va=$buf+0x8000 length=65536 | EFAULT
nothing is            | ${map}    | flags=6 ioas_id=$ioas user_va=0x1000 length=4096 | EFAULT
it goes               | mem.free  | va=$buf                                        | ok
the mapping does not  | dma nvme0 | iova=$at bytes=4 access=read                   | ok hex=01020304
but no new one        | ${map}    | flags=6 ioas_id=$ioas user_va=$buf length=4096 | EFAULT
unmapped              | iommu0 IOMMU_IOAS_UNMAP | ioas_id=$ioas iova=$at length=4096 | ok
DMA ends              | dma nvme0 | iova=$at bytes=4 access=read                   | ok result=abort
to be read            | mem.alloc | bytes=4096                                     | ok va>buf
only                  | ${map}    | flags=4 ioas_id=$ioas user_va=$buf length=4096 | ok iova>at
reads                 | dma nvme0 | iova=$at bytes=4 access=read                   | ok result=ok
writes not            | dma nvme0 | iova=$at bytes=4 access=write hex=01020304     | ok result=abort event=F_PERMISSION
`,
    { before: one },
  );
  const file = 'iommu0 IOMMU_IOAS_MAP_FILE';
  story(
    'of a file',
    `
a memfd               | mem.memfd | bytes=32768                                    | ok fd>mfd va>seen
a page of it          | ${file}   | flags=6 ioas_id=$ioas fd=$mfd start=0 length=4096 | ok iova>at
its content           | mem.write | va=$seen hex=a1a2a3a4                          | ok
is what DMA reads     | dma nvme0 | iova=$at bytes=4 access=read                   | ok hex=a1a2a3a4
its last page         | ${file}   | flags=7 ioas_id=$ioas fd=$mfd start=0x7000 length=4096 iova=0x1000000 | ok
a byte too many       | ${file}   | flags=6 ioas_id=$ioas fd=$mfd start=0 length=32769 | EINVAL
a page too many       | ${file}   | flags=6 ioas_id=$ioas fd=$mfd start=0 length=36864 | EINVAL
beyond its end        | ${file}   | flags=6 ioas_id=$ioas fd=$mfd start=0x8000 length=4096 | EINVAL
a file that is none   | ${file}   | flags=6 ioas_id=$ioas fd=iommu0 start=0 length=4096 | EINVAL
no file               | ${file}   | flags=6 ioas_id=$ioas fd=99 start=0 length=4096 | EBADF
a negative one        | ${file}   | flags=6 ioas_id=$ioas fd=-1 start=0 length=4096 | EBADF
no length             | ${file}   | flags=6 ioas_id=$ioas fd=99                    | EINVAL
wraps                 | ${file}   | flags=6 ioas_id=$ioas fd=99 start=0xfffffffffffff000 length=0x2000 | EOVERFLOW
almost all            | ${file}   | flags=6 ioas_id=$ioas fd=$mfd length=0xfffffffffffff000 | EINVAL
nobody                | ${file}   | flags=6 ioas_id=99 fd=99                       | ENOENT
neither               | ${file}   | flags=1 ioas_id=99 fd=99                       | EINVAL
too long              | ${file}   | flags=1 ioas_id=99 length=${MAX}               | EOVERFLOW
an unknown flag       | ${file}   | flags=8 ioas_id=99 length=${MAX}               | EOPNOTSUPP
over what is there    | ${file}   | flags=7 ioas_id=$ioas fd=$mfd start=0 length=4096 iova=0x1000000 | EEXIST
the file goes         | close $mfd |                                               | ok
the mapping does not  | dma nvme0 | iova=$at bytes=4 access=read                   | ok hex=a1a2a3a4
unmapped              | iommu0 IOMMU_IOAS_UNMAP | ioas_id=$ioas length=${MAX}      | ok length=8192
`,
    { before: one },
  );
  story(
    'of a file, without a device: looked at when one comes',
    `
a memfd               | mem.memfd | bytes=4096                                     | ok fd>mfd
more than it has      | ${file}   | flags=6 ioas_id=$ioas fd=$mfd start=0 length=8192 | ok iova>at
${bound('nvme0')}
which needs it        | ${attach} | pt_id=$ioas                                    | EINVAL
unmapped              | iommu0 IOMMU_IOAS_UNMAP | ioas_id=$ioas iova=$at length=8192 | ok
what it has           | ${file}   | flags=6 ioas_id=$ioas fd=$mfd start=0 length=4096 | ok
can                   | ${attach} | pt_id=$ioas                                    | ok
`,
    { before: start },
  );
});

describe('user_copy', () => {
  story(
    'pages of an IOAS without a device, copied to one with',
    `
another IOAS          | iommu0 IOMMU_IOAS_ALLOC | | ok out_ioas_id>other
mapped there          | iommu0 IOMMU_IOAS_MAP   | flags=6 ioas_id=$other user_va=$buf length=65536 | ok iova>at
copied here           | iommu0 IOMMU_IOAS_COPY  | flags=7 dst_ioas_id=$ioas src_ioas_id=$other dst_iova=0x1000000 src_iova=$at length=65536 | ok
the content           | mem.write               | va=$buf+0xf000 hex=a1a2a3a4 | ok
is what DMA reads     | dma nvme0               | iova=0x100f000 bytes=4 access=read | ok hex=a1a2a3a4
the other goes        | iommu0 IOMMU_DESTROY    | id=$other | ok
the copy does not     | dma nvme0               | iova=0x100f000 bytes=4 access=read | ok hex=a1a2a3a4
unmapped              | iommu0 IOMMU_IOAS_UNMAP | ioas_id=$ioas iova=0x1000000 length=65536 | ok
DMA ends              | dma nvme0               | iova=0x100f000 bytes=4 access=read | ok result=abort
`,
    { before: one },
  );
});

describe('get_hw_info', () => {
  const info = 'iommu0 IOMMU_GET_HW_INFO';
  const filled = 'ff'.repeat(48);
  story(
    'lengths and types',
    `
no buffer             | ${info} | dev_id=$nvme0                                   | ok data_len=40 out_data_type=2
no type asked for     | ${info} | dev_id=$nvme0 in_data_type=77                   | ok data_len=40 out_data_type=2
its own type          | ${info} | dev_id=$nvme0 flags=1 in_data_type=2            | ok data_len=40 out_data_type=2
the default           | ${info} | dev_id=$nvme0 flags=1 in_data_type=0            | ok data_len=40 out_data_type=2
of another IOMMU      | ${info} | dev_id=$nvme0 flags=1 in_data_type=1            | EOPNOTSUPP
of a CMDQV            | ${info} | dev_id=$nvme0 flags=1 in_data_type=3            | EOPNOTSUPP
nobody's              | ${info} | dev_id=$nvme0 flags=1 in_data_type=57005        | EOPNOTSUPP
the exact length      | ${info} | dev_id=$nvme0 data_len=40 data_uptr=$buf        | ok data_len=40 out_data_type=2
read back             | mem.read | va=$buf bytes=40                               | ok hex>exact
a longer buffer       | ${info} | dev_id=$nvme0 data_len=48 data_uptr=bytes:${filled} | ok data_len=40
a shorter one         | ${info} | dev_id=$nvme0 data_len=4 data_uptr=bytes:${'ff'.repeat(8)} | ok data_len=40 data_uptr=00000000ffffffff
no memory             | ${info} | dev_id=$nvme0 data_len=40                       | EFAULT
an unknown flag       | ${info} | dev_id=99 flags=2                               | EOPNOTSUPP
nobody                | ${info} | dev_id=99                                       | ENOENT
not a device          | ${info} | dev_id=$ioas                                    | ENOENT
PASIDs                | ${info} | dev_id=$nvme0                                   | ok out_max_pasid_log2=8
none                  | ${info} | dev_id=$nic0                                    | ok out_max_pasid_log2=0
`,
    { before: two },
  );
});

describe('iommufd_dirty_tracking', () => {
  const alloc = 'iommu0 IOMMU_HWPT_ALLOC';
  const set = 'iommu0 IOMMU_HWPT_SET_DIRTY_TRACKING';
  const get = 'iommu0 IOMMU_HWPT_GET_DIRTY_BITMAP';
  const dirty = {
    machine: {
      smmus: [
        { name: 'smmu0', profile: 'everything' },
        { name: 'smmu1', base: 0x1100_0000, profile: 'everything', idr: { IDR0: WITHOUT_HTTU } },
      ],
      endpoints: [
        { name: 'nvme0', streamId: 16, ssidBits: 8 },
        { name: 'nic0', streamId: 17 },
        { name: 'usb0', smmu: 'smmu1', streamId: 16 },
      ],
    },
  };
  story(
    'enforce_dirty, device_dirty_capability',
    `
${bound('usb0')}
a device that can     | iommu0 IOMMU_GET_HW_INFO | dev_id=$nvme0                        | ok out_capabilities=0x9
one that cannot       | iommu0 IOMMU_GET_HW_INFO | dev_id=$usb0                         | ok out_capabilities=0x8
tracking              | ${alloc} | dev_id=$nvme0 pt_id=$ioas flags=2                    | ok out_hwpt_id>tracking
to it                 | ${attach} | pt_id=$tracking                                     | ok
not that              | vfio:usb0 VFIO_DEVICE_ATTACH_IOMMUFD_PT | pt_id=$tracking       | EINVAL
not tracking          | ${alloc} | dev_id=$usb0 pt_id=$ioas flags=2                     | EOPNOTSUPP
a parent cannot track | ${alloc} | dev_id=$nvme0 pt_id=$ioas flags=3                    | EOPNOTSUPP
`,
    { before: one, ...dirty },
  );
  story(
    'set_dirty_tracking',
    `
tracking              | ${alloc} | dev_id=$nvme0 pt_id=$ioas flags=2                    | ok out_hwpt_id>tracking
not tracking          | ${alloc} | dev_id=$nvme0 pt_id=$ioas                            | ok out_hwpt_id>plain
to it                 | ${attach} | pt_id=$tracking                                     | ok
on                    | ${set}   | hwpt_id=$tracking flags=1                            | ok
on twice              | ${set}   | hwpt_id=$tracking flags=1                            | ok
off                   | ${set}   | hwpt_id=$tracking flags=0                            | ok
off twice             | ${set}   | hwpt_id=$tracking flags=0 __reserved=1               | ok
an unknown flag       | ${set}   | hwpt_id=99 flags=2                                   | EOPNOTSUPP
nobody                | ${set}   | hwpt_id=99 flags=1                                   | ENOENT
an IOAS               | ${set}   | hwpt_id=$ioas flags=1                                | ENOENT
not made for it       | ${set}   | hwpt_id=$plain flags=1                               | EOPNOTSUPP
is used               | iommu0 IOMMU_DESTROY | id=$tracking                             | EBUSY
to the IOAS           | ${attach} | pt_id=$ioas                                         | ok
is free               | iommu0 IOMMU_DESTROY | id=$tracking                             | ok
`,
    { before: one },
  );
  const span = 'iova=0x1000000 length=65536 page_size=4096';
  for (const flags of [0, 1])
    story(
      flags === 0 ? 'get_dirty_bitmap' : 'get_dirty_bitmap_no_clear',
      `
large pages off       | iommu0 IOMMU_OPTION    | option_id=1 op=0 object_id=$ioas val64=0           | ok
a buffer              | iommu0 IOMMU_IOAS_MAP  | flags=7 ioas_id=$ioas user_va=$buf length=65536 iova=0x1000000 | ok
a device              | open vfio:nvme0        |                                                    | ok
bound                 | vfio:nvme0 VFIO_DEVICE_BIND_IOMMUFD | iommufd=iommu0                        | ok out_devid>nvme0
tracking              | ${alloc}  | dev_id=$nvme0 pt_id=$ioas flags=2                   | ok out_hwpt_id>tracking
to it                 | ${attach} | pt_id=$tracking                                     | ok
on                    | ${set}    | hwpt_id=$tracking flags=1                           | ok
nothing yet           | ${get}    | hwpt_id=$tracking ${span} data=bytes:0000000000000000 | ok data=0000000000000000
a read                | dma nvme0 | iova=0x1002000 bytes=8 access=read                  | ok result=ok
still nothing         | ${get}    | hwpt_id=$tracking ${span} data=bytes:0000000000000000 | ok data=0000000000000000
a write               | dma nvme0 | iova=0x1001000 bytes=1 access=write hex=01          | ok result=ok
over a boundary       | dma nvme0 | iova=0x1008ffe bytes=4 access=write hex=01020304    | ok result=ok
the pages             | ${get}    | hwpt_id=$tracking flags=${flags} ${span} data=bytes:0000000000000000 | ok data=0203000000000000
once more             | ${get}    | hwpt_id=$tracking flags=${flags} ${span} data=bytes:0000000000000000 | ok data=${flags === 0 ? '0000' : '0203'}000000000000
a write again         | dma nvme0 | iova=0x100f000 bytes=1 access=write hex=01          | ok result=ok
bits are added        | ${get}    | hwpt_id=$tracking flags=0 ${span} data=bytes:1000000000000000 | ok data=${flags === 0 ? '1080' : '1283'}000000000000
a byte's boundary     | dma nvme0 | iova=0x1003000 bytes=1 access=write hex=01          | ok result=ok
memory for bits       | mem.alloc | bytes=8192                                          | ok va>bits
at an odd address     | ${get}    | hwpt_id=$tracking ${span} data=$bits+0xff1          | ok
there                 | mem.read  | va=$bits+0xff0 bytes=4                              | ok hex=00080000
`,
      { before: start },
    );
  story(
    'checks of GET_DIRTY_BITMAP in their order',
    `
not tracking          | ${alloc} | dev_id=$nvme0 pt_id=$ioas                            | ok out_hwpt_id>plain
tracking              | ${alloc} | dev_id=$nvme0 pt_id=$ioas flags=2                    | ok out_hwpt_id>tracking
an unknown flag       | ${get}   | hwpt_id=99 flags=2                                   | EOPNOTSUPP
reserved              | ${get}   | hwpt_id=99 __reserved=1                              | EOPNOTSUPP
nobody                | ${get}   | hwpt_id=99                                           | ENOENT
no length             | ${get}   | hwpt_id=$plain page_size=4096                        | EINVAL
wraps                 | ${get}   | hwpt_id=$plain iova=0xfffffffffffff000 length=0x2000 | EOVERFLOW
iova of no page       | ${get}   | hwpt_id=$plain iova=0x800 length=0x1000 page_size=4096 | EINVAL
length of no page     | ${get}   | hwpt_id=$plain iova=0x1000 length=0x800 page_size=4096 | EINVAL
no page size          | ${get}   | hwpt_id=$plain iova=0x1000 length=0x1000             | EINVAL
iova of no such page  | ${get}   | hwpt_id=$plain iova=0x1000 length=0x4000 page_size=0x4000 | EINVAL
not made for it       | ${get}   | hwpt_id=$plain iova=0x4000 length=0x4000 page_size=0x4000 | EOPNOTSUPP
over a hole           | ${get}   | hwpt_id=$tracking iova=0x4000 length=0x4000 page_size=0x1000 data=bytes:00 | ok data=00
`,
    { before: one },
  );
});
