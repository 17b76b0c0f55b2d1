/**
 * Wants to show: what Linux expects of vIOMMUs, vDEVICEs, vEVENTQs and HW queues in its own self-test (fixture
 * iommufd_viommu, and the nested HWPTs of iommufd_ioas), with the SMMUv3's own types and errnos where the test
 * has a mock's. How: the expectations as rows of stories.
 * linux: tools/testing/selftests/iommu/iommufd.c; arm-smmu-v3-iommufd.c; tegra241-cmdqv.c
 */
import { describe } from 'vitest';
import { story } from '../../support/steps.ts';

const words = (first: string, second = ''): string =>
  `bytes:${first.padEnd(16, '0')}${second.padEnd(16, '0')}`;
const nested = (first: string, second = ''): string =>
  `data_type=2 data_len=16 data_uptr=${words(first, second)}`;
/** V=1, Config=5, the CD at 0x10000 of the guest, where all is zero. */
const STAGE1 = nested('0b0001');
const BYPASS = nested('09');
const ABORT = nested('01');

const start = `
open                  | open iommu0                 |                        | ok
an IOAS               | iommu0 IOMMU_IOAS_ALLOC     |                        | ok out_ioas_id>ioas
memory                | mem.alloc                   | bytes=65536            | ok va>buf
`;
const device = (name: string): string => `
a device              | open vfio:${name}           |                        | ok
bound                 | vfio:${name} VFIO_DEVICE_BIND_IOMMUFD      | iommufd=iommu0 | ok out_devid>${name}
attached              | vfio:${name} VFIO_DEVICE_ATTACH_IOMMUFD_PT | pt_id=$ioas    | ok
`;
const alloc = 'iommu0 IOMMU_HWPT_ALLOC';
const viommu = 'iommu0 IOMMU_VIOMMU_ALLOC';
const vdevice = 'iommu0 IOMMU_VDEVICE_ALLOC';
const veventq = 'iommu0 IOMMU_VEVENTQ_ALLOC';
const destroy = 'iommu0 IOMMU_DESTROY';
const attach = 'vfio:nvme0 VFIO_DEVICE_ATTACH_IOMMUFD_PT';
const parent = `
a nesting parent      | ${alloc}  | dev_id=$nvme0 pt_id=$ioas flags=1          | ok out_hwpt_id>parent
`;
const before = `${start}${device('nvme0')}${parent}
a vIOMMU              | ${viommu} | dev_id=$nvme0 hwpt_id=$parent type=1       | ok out_viommu_id>viommu
a nested HWPT         | ${alloc}  | dev_id=$nvme0 pt_id=$viommu ${STAGE1}      | ok out_hwpt_id>nested
`;
const stalls = {
  machine: {
    endpoints: [
      { name: 'nvme0', streamId: 16, ssidBits: 8, stall: true },
      { name: 'nic0', streamId: 17 },
    ],
  },
};

describe('viommu_negative_tests', () => {
  story(
    'with a device',
    `
no HWPT               | ${viommu}  | dev_id=$nvme0 hwpt_id=0 type=1            | ENOENT
an IOAS               | ${viommu}  | dev_id=$nvme0 hwpt_id=$ioas type=1        | ENOENT
a nested HWPT         | ${viommu}  | dev_id=$nvme0 hwpt_id=$nested type=1      | ENOENT
a paging HWPT         | ${alloc}   | dev_id=$nvme0 pt_id=$ioas                 | ok out_hwpt_id>paging
is no parent          | ${viommu}  | dev_id=$nvme0 hwpt_id=$paging type=1      | EINVAL
it goes               | ${destroy} | id=$paging                                | ok
a type that is none   | ${viommu}  | dev_id=$nvme0 hwpt_id=$parent type=0xdead | EOPNOTSUPP
the default type      | ${viommu}  | dev_id=$nvme0 hwpt_id=$parent type=0      | EOPNOTSUPP
a CMDQV's             | ${viommu}  | dev_id=$nvme0 hwpt_id=$parent type=2      | EOPNOTSUPP
the type comes first  | ${viommu}  | dev_id=$nvme0 hwpt_id=0 type=0xdead       | EOPNOTSUPP
a flag                | ${viommu}  | dev_id=99 hwpt_id=0 type=1 flags=1        | EOPNOTSUPP
nobody                | ${viommu}  | dev_id=99 hwpt_id=0 type=9                | ENOENT
the parent is used    | ${destroy} | id=$parent                                | EBUSY
the vIOMMU is used    | ${destroy} | id=$viommu                                | EBUSY
the nested one is not | ${destroy} | id=$nested                                | ok
nor then the vIOMMU   | ${destroy} | id=$viommu                                | ok
nor the parent        | ${destroy} | id=$parent                                | ok
`,
    { before },
  );
  story(
    'without one',
    `
no device             | ${viommu}  | dev_id=0 hwpt_id=0 type=1                 | ENOENT
no vDEVICE either     | ${vdevice} | viommu_id=0 dev_id=0 virt_id=0x99         | ENOENT
`,
    { before: start },
  );
});

describe('nested HWPTs on a vIOMMU', () => {
  story(
    'flags, data, and what STEs may hold',
    `
a parent's flag       | ${alloc} | dev_id=$nvme0 pt_id=$viommu flags=1 ${STAGE1}    | EOPNOTSUPP
dirty tracking        | ${alloc} | dev_id=$nvme0 pt_id=$viommu flags=2 ${STAGE1}    | EOPNOTSUPP
PASIDs                | ${alloc} | dev_id=$nvme0 pt_id=$viommu flags=8 ${STAGE1}    | EOPNOTSUPP
no data               | ${alloc} | dev_id=$nvme0 pt_id=$viommu                      | EOPNOTSUPP
data of VT-d          | ${alloc} | dev_id=$nvme0 pt_id=$viommu data_type=1 data_len=16 data_uptr=${words('0b')} | EINVAL
too short             | ${alloc} | dev_id=$nvme0 pt_id=$viommu data_type=2 data_len=15 data_uptr=${words('0b')} | EINVAL
too long, of zeros    | ${alloc} | dev_id=$nvme0 pt_id=$viommu data_type=2 data_len=24 data_uptr=bytes:${'00'.repeat(24)} | EINVAL
no pointer            | ${alloc} | dev_id=$nvme0 pt_id=$viommu data_type=2 data_len=16 | EFAULT
on a nested one       | ${alloc} | dev_id=$nvme0 pt_id=$nested ${STAGE1}            | EINVAL
bypass                | ${alloc} | dev_id=$nvme0 pt_id=$viommu ${BYPASS}            | ok out_hwpt_id>bypass
abort                 | ${alloc} | dev_id=$nvme0 pt_id=$viommu ${ABORT}             | ok out_hwpt_id>abort
V=0, whatever else    | ${alloc} | dev_id=$nvme0 pt_id=$viommu ${nested('fe'.repeat(8), 'ff'.repeat(8))} | ok out_hwpt_id>invalid
EATS=1                | ${alloc} | dev_id=$nvme0 pt_id=$viommu ${nested('0b0001', '00000010')} | ok out_hwpt_id>ats
EATS=2                | ${alloc} | dev_id=$nvme0 pt_id=$viommu ${nested('0b0001', '00000020')} | EIO
stage 2               | ${alloc} | dev_id=$nvme0 pt_id=$viommu ${nested('0d')}      | EIO
both stages           | ${alloc} | dev_id=$nvme0 pt_id=$viommu ${nested('0f')}      | EIO
a bit of word 0       | ${alloc} | dev_id=$nvme0 pt_id=$viommu ${nested('0b00000000001000')} | EIO
a bit of word 1       | ${alloc} | dev_id=$nvme0 pt_id=$viommu ${nested('0b0001', '0001')} | EIO
S2 in word 1          | ${alloc} | dev_id=$nvme0 pt_id=$viommu ${nested('0b0001', '0000000000000001')} | EIO
`,
    { before },
  );
});

describe('viommu_alloc_nested_iopf', () => {
  const response = (cookie: string, code: string): string =>
    `hex=${cookie.padEnd(8, '0')}${code.padEnd(8, '0')}`;
  story(
    'faults of a nested HWPT',
    `
a fault queue         | iommu0 IOMMU_FAULT_QUEUE_ALLOC |                                  | ok out_fault_id>fault out_fault_fd>faults
a flag                | iommu0 IOMMU_FAULT_QUEUE_ALLOC | flags=1                          | EOPNOTSUPP
no queue              | ${alloc} | dev_id=$nvme0 pt_id=$viommu flags=4 fault_id=0xffffffff ${STAGE1} | ENOENT
a flag                | ${alloc} | dev_id=$nvme0 pt_id=$viommu flags=0x80000004 fault_id=$fault ${STAGE1} | EOPNOTSUPP
with faults           | ${alloc} | dev_id=$nvme0 pt_id=$viommu flags=4 fault_id=$fault ${STAGE1} | ok out_hwpt_id>iopf
wants a vDEVICE       | ${attach} | pt_id=$iopf                                           | ENOENT
a vDEVICE             | ${vdevice} | viommu_id=$viommu dev_id=$nvme0 virt_id=0x99         | ok out_vdevice_id>vdev
can                   | ${attach} | pt_id=$iopf                                           | ok
is used               | ${destroy} | id=$iopf                                             | EBUSY
so is the queue       | ${destroy} | id=$fault                                            | EBUSY
to the IOAS           | ${attach} | pt_id=$ioas                                           | ok
is free               | ${destroy} | id=$iopf                                             | ok
the fd is open        | ${destroy} | id=$fault                                            | EBUSY
closed                | close $faults |                                                   | ok
is free               | ${destroy} | id=$fault                                            | ok
`,
    { before, ...stalls },
  );
  // A record: LAST_PAGE, device 2, no PASID, group, READ, 0, address, length 0, cookie.
  const record = (cookie: string, group: string): string =>
    ['02', '02', '00', group, '01', '00'].map((each) => each.padEnd(8, '0')).join('') +
    `${'0000000300000000'}${'00000000'}${cookie.padEnd(8, '0')}`;
  story(
    'reads and writes of a fault queue',
    `
a fault queue         | iommu0 IOMMU_FAULT_QUEUE_ALLOC |                                  | ok out_fault_id>fault out_fault_fd>faults
with faults           | ${alloc} | dev_id=$nvme0 pt_id=$ioas flags=4 fault_id=$fault       | ok out_hwpt_id>iopf
attached              | ${attach} | pt_id=$iopf                                           | ok
nothing yet           | read $faults | bytes=40                                           | ok hex=
of no record          | read $faults | bytes=41                                           | ESPIPE
nothing at all        | read $faults | bytes=0                                            | ok hex=
a fault               | dma nvme0 | iova=0x3000000 bytes=8 access=read                    | ok result=stall
too short for it      | read $faults | bytes=0                                            | EINVAL
is there              | read $faults | bytes=80                                           | ok hex=${record('01', '00')}
once                  | read $faults | bytes=80                                           | ok hex=
of no record          | write $faults | hex=010000000000                                  | ESPIPE
another cookie        | write $faults | ${response('07', '00')}                           | EINVAL
another code          | write $faults | ${response('01', '02')}                           | EINVAL
an answer             | write $faults | ${response('01', '01')}                           | ok count=8
once                  | write $faults | ${response('01', '01')}                           | EINVAL
another fault         | dma nvme0 | iova=0x3000000 bytes=8 access=read                    | ok result=stall
is there              | read $faults | bytes=40                                           | ok
detached              | vfio:nvme0 VFIO_DEVICE_DETACH_IOMMUFD_PT |                        | ok
answers it            | write $faults | ${response('01', '00')}                           | EINVAL
`,
    { before: start + device('nvme0').replace(/^an IOAS.*$/m, ''), ...stalls },
  );
});

describe('vdevice_alloc', () => {
  story(
    'vDEVICEs and their events',
    `
memory for the CD     | iommu0 IOMMU_IOAS_MAP | flags=7 ioas_id=$ioas user_va=$buf length=4096 iova=0x10000 | ok
wants a vDEVICE       | ${attach}  | pt_id=$nested                                        | ENOENT
a queue of 2          | ${veventq} | viommu_id=$viommu type=1 veventq_depth=2             | ok out_veventq_id>queue out_veventq_fd>events
one of a type         | ${veventq} | viommu_id=$viommu type=1 veventq_depth=2             | EEXIST
nothing yet           | read $events | bytes=4096                                         | ok hex=
vSID 0x99             | ${vdevice} | viommu_id=$viommu dev_id=$nvme0 virt_id=0x99         | ok out_vdevice_id>vdev
attached              | ${attach}  | pt_id=$nested                                        | ok
an event              | dma nvme0  | iova=0x1000 bytes=8 access=read                      | ok result=abort event=C_BAD_CD
is there              | read $events | bytes=4096                                         | ok hex=00000000000000000a00000099000000${'0'.repeat(48)}
once                  | read $events | bytes=4096                                         | ok hex=
not to be written     | write $events | hex=00                                            | EINVAL
one of a device       | ${vdevice} | viommu_id=$viommu dev_id=$nvme0 virt_id=0x99         | EEXIST
of another number too | ${vdevice} | viommu_id=$viommu dev_id=$nvme0 virt_id=0x88         | EEXIST
to the IOAS           | ${attach}  | pt_id=$ioas                                          | ok
it goes               | ${destroy} | id=$vdev                                             | ok
vSID 0x88             | ${vdevice} | viommu_id=$viommu dev_id=$nvme0 virt_id=0x88         | ok out_vdevice_id>vdev
attached              | ${attach}  | pt_id=$nested                                        | ok
an event              | dma nvme0  | iova=0x1000 bytes=8 access=read                      | ok event=C_BAD_CD
a second              | dma nvme0  | iova=0x1000 bytes=8 access=read                      | ok event=C_BAD_CD
a third is lost       | dma nvme0  | iova=0x1000 bytes=8 access=read                      | ok event=C_BAD_CD
too short for one     | read $events | bytes=39                                           | EINVAL
too short for a head  | read $events | bytes=7                                            | EINVAL
the first             | read $events | bytes=40                                           | ok hex=00000000010000000a00000088000000${'0'.repeat(48)}
the second, the loss  | read $events | bytes=4096                                         | ok hex=00000000020000000a00000088000000${'0'.repeat(48)}0100000003000000
an event after it     | dma nvme0  | iova=0x1000 bytes=8 access=read                      | ok event=C_BAD_CD
counts on             | read $events | bytes=4096                                         | ok hex=00000000040000000a00000088000000${'0'.repeat(48)}
the fd is open        | ${destroy} | id=$queue                                            | EBUSY
closed                | close $events |                                                   | ok
gone                  | read $events | bytes=40                                           | EBADF
to the IOAS           | ${attach}  | pt_id=$ioas                                          | ok
it goes               | ${destroy} | id=$vdev                                             | ok
so does the queue     | ${destroy} | id=$queue                                            | ok
another               | ${veventq} | viommu_id=$viommu type=1 veventq_depth=1             | ok
`,
    { before },
  );
  story(
    'checks in their order',
    `
no vIOMMU             | ${vdevice} | viommu_id=99 dev_id=99                               | ENOENT
no device             | ${vdevice} | viommu_id=$viommu dev_id=99                          | ENOENT
a vIOMMU for a device | ${vdevice} | viommu_id=$nvme0 dev_id=$viommu                      | ENOENT
any number            | ${vdevice} | viommu_id=$viommu dev_id=$nvme0 virt_id=0xffffffffffffffff | ok out_vdevice_id>vdev
${device('nic0')}
that number again     | ${vdevice} | viommu_id=$viommu dev_id=$nic0 virt_id=0xffffffffffffffff | EEXIST
another               | ${vdevice} | viommu_id=$viommu dev_id=$nic0 virt_id=0             | ok
queue: a flag         | ${veventq} | viommu_id=99 flags=1                                 | EOPNOTSUPP
queue: reserved       | ${veventq} | viommu_id=99 type=1 __reserved=1                     | EOPNOTSUPP
queue: the default    | ${veventq} | viommu_id=99 type=0 veventq_depth=0                  | EOPNOTSUPP
queue: no depth       | ${veventq} | viommu_id=99 type=1 veventq_depth=0                  | EINVAL
queue: too deep       | ${veventq} | viommu_id=99 type=1 veventq_depth=0x80001            | EINVAL
queue: no vIOMMU      | ${veventq} | viommu_id=99 type=1 veventq_depth=0x80000            | ENOENT
queue: another type   | ${veventq} | viommu_id=$viommu type=0xdead veventq_depth=1        | ok
queue: once           | ${veventq} | viommu_id=$viommu type=0xdead veventq_depth=1        | EEXIST
`,
    { before },
  );
});

describe('vdevice_cache: invalidation through a vIOMMU', () => {
  const inv = 'iommu0 IOMMU_HWPT_INVALIDATE';
  const entries = (...list: string[]): string =>
    `hwpt_id=$viommu data_type=1 entry_len=16 entry_num=${list.length} data_uptr=bytes:${list.join('')}`;
  const command = (first: string, second = ''): string => first.padEnd(16, '0') + second.padEnd(16, '0');
  const NSNH_ALL = command('30');
  const ASID = command('1100000000000300');
  const VA = command('1200000000000300', '0010000000000000');
  const ATC = command('4000000099000000', '3400000000000000');
  const CFGI_CD = command('0500000099000000', '01');
  const CFGI_ALL = command('0600000099000000');
  const UNKNOWN = command('0600000009000000');
  const SYNC = command('46');
  const bytes = `data_uptr=bytes:${NSNH_ALL}`;
  story(
    'the envelope, the entries, and how many were handled',
    `
vSID 0x99             | ${vdevice} | viommu_id=$viommu dev_id=$nvme0 virt_id=0x99 | ok out_vdevice_id>vdev
no entry              | ${inv} | hwpt_id=$viommu data_type=1 entry_len=16 entry_num=0 ${bytes} | EINVAL entry_num=0
data of VT-d          | ${inv} | hwpt_id=$viommu data_type=0 entry_len=16 entry_num=1 ${bytes} | EINVAL entry_num=0
a type that is none   | ${inv} | hwpt_id=$viommu data_type=57005 entry_len=16 entry_num=1 ${bytes} | EINVAL entry_num=0
longer, with data     | ${inv} | hwpt_id=$viommu data_type=1 entry_len=17 entry_num=1 data_uptr=bytes:${NSNH_ALL}01 | E2BIG entry_num=0
longer, with zeros    | ${inv} | hwpt_id=$viommu data_type=1 entry_len=17 entry_num=1 data_uptr=bytes:${NSNH_ALL}00 | ok entry_num=1
shorter               | ${inv} | hwpt_id=$viommu data_type=1 entry_len=1 entry_num=1 data_uptr=bytes:30 | ok entry_num=1
no pointer            | ${inv} | hwpt_id=$viommu data_type=1 entry_len=16 entry_num=1          | EINVAL entry_num=0
no memory             | ${inv} | hwpt_id=$viommu data_type=1 entry_len=16 entry_num=1 data_uptr=0x1000 | EFAULT entry_num=0
no length             | ${inv} | hwpt_id=$viommu data_type=1 entry_len=0 entry_num=1 ${bytes}  | EINVAL entry_num=0
reserved              | ${inv} | ${entries(NSNH_ALL)} __reserved=1                            | EOPNOTSUPP entry_num=0
another vSID          | ${inv} | ${entries(UNKNOWN)}                                          | EIO entry_num=0
not to be forwarded   | ${inv} | ${entries(SYNC)}                                             | EIO entry_num=0
a good one, a bad one | ${inv} | ${entries(VA, SYNC)}                                         | EIO entry_num=1
a bad one, a good one | ${inv} | ${entries(SYNC, VA)}                                         | EIO entry_num=0
by ASID               | ${inv} | ${entries(ASID)}                                             | ok entry_num=1
by address            | ${inv} | ${entries(VA)}                                               | ok entry_num=1
of the ATC            | ${inv} | ${entries(ATC)}                                              | ok entry_num=1
of a CD               | ${inv} | ${entries(CFGI_CD)}                                          | ok entry_num=1
of all CDs            | ${inv} | ${entries(CFGI_ALL)}                                         | ok entry_num=1
several               | ${inv} | ${entries(NSNH_ALL, ASID, VA, CFGI_CD, ATC)}                 | ok entry_num=5
a reserved bit        | ${inv} | ${entries(command('3000000001'))}                            | EIO entry_num=0
by VA, the VMM's VMID | ${inv} | ${entries(command('1200000077000300', '0010000000000000'))}  | ok entry_num=1
of a nested HWPT      | ${inv} | hwpt_id=$nested data_type=1 entry_len=16 entry_num=1 ${bytes} | EOPNOTSUPP entry_num=0
the vDEVICE goes      | ${destroy} | id=$vdev                                                 | ok
its vSID too          | ${inv} | ${entries(CFGI_ALL)}                                         | EIO entry_num=0
`,
    { before },
  );
  const many = (count: number, bad: number): string[] =>
    Array.from({ length: count }, (_, at) => (at === bad ? SYNC : VA));
  for (const [profile, rule] of [
    ['linux-7.3', 'per-block'],
    ['linux-7.3-validate-first', 'validate-first'],
  ])
    story(
      `100 entries, one of them bad (${rule})`,
      `
entry 70              | ${inv} | ${entries(...many(100, 70))} | EIO entry_num=${rule === 'per-block' ? 70 : 63}
entry 62              | ${inv} | ${entries(...many(100, 62))} | EIO entry_num=${rule === 'per-block' ? 62 : 0}
none                  | ${inv} | ${entries(...many(100, -1))} | ok entry_num=100
`,
      { before, kernel: { profile } },
    );
});

describe('viommu_alloc_with_data, hw_queue', () => {
  /** VER 1, 4 queues, 2 interfaces of 2 queues each, 2 pairs of StreamIDs. */
  const machine = { smmus: [{ name: 'smmu0', profile: 'everything', choices: { tegra241Param: 0x1121 } }] };
  const data = `data_len=16 data_uptr=bytes:${'00'.repeat(16)}`;
  story(
    'a page to be mapped',
    `
no data               | ${viommu}   | dev_id=$nvme0 hwpt_id=$parent type=2              | EINVAL
too little            | ${viommu}   | dev_id=$nvme0 hwpt_id=$parent type=2 data_len=8 data_uptr=$buf | EINVAL
no memory for it      | ${viommu}   | dev_id=$nvme0 hwpt_id=$parent type=2 data_len=16 data_uptr=0x1000 | EFAULT
to memory             | ${viommu}   | dev_id=$nvme0 hwpt_id=$parent type=2 data_len=16 data_uptr=$buf | ok out_viommu_id>viommu
offset and length     | mem.read    | va=$buf bytes=16                                  | ok hex=00100000000000000000010000000000
a page beyond         | mmap iommu0 | offset=0x2000 length=0x10000                      | ENXIO
two pages beyond      | mmap iommu0 | offset=0x3000 length=0x10000                      | ENXIO
before it             | mmap iommu0 | offset=0 length=0x10000                           | ENXIO
half of it            | mmap iommu0 | offset=0x1000 length=0x8000                       | ENXIO
twice of it           | mmap iommu0 | offset=0x1000 length=0x20000                      | ENXIO
private               | mmap iommu0 | offset=0x1000 length=0x10000 private=true         | EINVAL
not in pages          | mmap iommu0 | offset=0x1000 length=0x10001                      | EINVAL
to be executed        | mmap iommu0 | offset=0x1000 length=0x10000 exec=true            | EPERM
as it is              | mmap iommu0 | offset=0x1000 length=0x10000                      | ok
keeps its owner       | ${destroy}  | id=$viommu                                        | EBUSY
unmapped              | munmap iommu0 | offset=0x1000                                   | ok
is free               | ${destroy}  | id=$viommu                                        | ok
is gone               | mmap iommu0 | offset=0x1000 length=0x10000                      | ENXIO
`,
    { before: `${start}${device('nvme0')}${parent}`, machine },
  );
  const queue = 'iommu0 IOMMU_HW_QUEUE_ALLOC';
  const of = (arg: string): string => `${queue} | viommu_id=$viommu type=1 ${arg}`;
  story(
    'queues of a CMDQV',
    `
a vIOMMU              | ${viommu}   | dev_id=$nvme0 hwpt_id=$parent type=2 ${data}      | ok out_viommu_id>viommu
the default type      | ${queue}    | viommu_id=$viommu type=0 length=4096              | EOPNOTSUPP
a flag                | ${queue}    | viommu_id=$viommu type=1 flags=1                  | EOPNOTSUPP
no length             | ${of('nesting_parent_iova=0x1000000')}                          | EINVAL
it wraps              | ${of('nesting_parent_iova=0xffffffffffffffff length=4096')}     | EOVERFLOW
no vIOMMU             | ${queue}    | viommu_id=99 type=1 length=4096                   | ENOENT
another type          | ${queue}    | viommu_id=$viommu type=2 length=4096              | EOPNOTSUPP
nothing is there      | ${of('nesting_parent_iova=0x1000000 length=4096')}              | ENOENT
memory                | iommu0 IOMMU_IOAS_MAP | flags=7 ioas_id=$ioas user_va=$buf length=4096 iova=0x1000000 | ok
more                  | iommu0 IOMMU_IOAS_MAP | flags=7 ioas_id=$ioas user_va=$buf+4096 length=4096 iova=0x1001000 | ok
index 1 first         | ${of('index=1 nesting_parent_iova=0x1000000 length=4096')}      | EIO
no such index         | ${of('index=2 nesting_parent_iova=0x1000000 length=4096')}      | EINVAL
no power of two       | ${of('index=0 nesting_parent_iova=0x1000000 length=3072')}      | EINVAL
too short             | ${of('index=0 nesting_parent_iova=0x1000000 length=16')}        | EINVAL
index 0               | ${of('index=0 nesting_parent_iova=0x1000000 length=4096')}      | ok out_hw_queue_id>first
once                  | ${of('index=0 nesting_parent_iova=0x1000000 length=4096')}      | EEXIST
its memory stays      | iommu0 IOMMU_IOAS_UNMAP | ioas_id=$ioas iova=0x1000000 length=4096 | EBUSY
also from all         | iommu0 IOMMU_IOAS_UNMAP | ioas_id=$ioas iova=0 length=0xffffffffffffffff | EBUSY
the other can go      | iommu0 IOMMU_IOAS_UNMAP | ioas_id=$ioas iova=0x1001000 length=4096 | ok
index 1, half a page  | ${of('index=1 nesting_parent_iova=0x1000800 length=2048')}      | ok out_hw_queue_id>second
index 0 is needed     | ${destroy}  | id=$first                                         | EBUSY
index 1 is not        | ${destroy}  | id=$second                                        | ok
nor then index 0      | ${destroy}  | id=$first                                         | ok
its memory can go     | iommu0 IOMMU_IOAS_UNMAP | ioas_id=$ioas iova=0x1000000 length=4096 | ok
`,
    { before: `${start}${device('nvme0')}${parent}`, machine },
  );
  story(
    'an SMMU without CMDQV has none',
    `
no queue              | ${queue}    | viommu_id=$viommu type=1 length=4096              | EOPNOTSUPP
`,
    { before },
  );
});

describe('vdevice_tombstone', () => {
  const rows = (after: string): string => `
a vDEVICE             | ${vdevice} | viommu_id=$viommu dev_id=$nvme0 virt_id=0x99         | ok out_vdevice_id>vdev
the device goes       | close vfio:nvme0 |                                                | ok
${after}`;
  story(
    'the vDEVICE goes with its device',
    rows(`
is gone               | ${destroy} | id=$vdev                                             | ENOENT
the device too        | ${destroy} | id=$nvme0                                            | ENOENT
the nested one is not | ${destroy} | id=$nested                                           | ok
nor the vIOMMU        | ${destroy} | id=$viommu                                           | ok
its id is not reused  | iommu0 IOMMU_IOAS_ALLOC |                                         | ok out_ioas_id=2
nor then              | iommu0 IOMMU_IOAS_ALLOC |                                         | ok out_ioas_id=3
but those around it   | iommu0 IOMMU_IOAS_ALLOC |                                         | ok out_ioas_id=5
are, not itself       | iommu0 IOMMU_IOAS_ALLOC |                                         | ok out_ioas_id=6
`),
    { before },
  );
  story(
    'before 6.17 it stays',
    rows(`
is there              | ${destroy} | id=$vdev                                             | ok
`),
    { before, kernel: { profile: 'linux-6.16' } },
  );
});
