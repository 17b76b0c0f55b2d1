/**
 * Wants to show: what Linux expects of PASIDs in its own self-test (fixture iommufd_device_pasid), and of the VFIO
 * calls that attach devices; an SMMUv3's PASID domains are stage 1, so no nested HWPT is one, and VFIO's ATTACH
 * replaces where the test's attach is EBUSY. How: the expectations as rows of stories.
 * linux: tools/testing/selftests/iommu/iommufd.c; vfio/device_cdev.c
 */
import { describe } from 'vitest';
import { story } from '../../support/steps.ts';

const start = `
open                  | open iommu0                 |                        | ok
an IOAS               | iommu0 IOMMU_IOAS_ALLOC     |                        | ok out_ioas_id>ioas
memory                | mem.alloc                   | bytes=65536            | ok va>buf
mapped                | iommu0 IOMMU_IOAS_MAP       | flags=7 ioas_id=$ioas user_va=$buf length=65536 iova=0x1000000 | ok
content               | mem.write                   | va=$buf hex=a1a2a3a4   | ok
`;
const device = (name: string): string => `
a device              | open vfio:${name}           |                        | ok
bound                 | vfio:${name} VFIO_DEVICE_BIND_IOMMUFD      | iommufd=iommu0 | ok out_devid>${name}
attached              | vfio:${name} VFIO_DEVICE_ATTACH_IOMMUFD_PT | pt_id=$ioas    | ok
`;
const before = `${start}${device('nvme0')}`;
const alloc = 'iommu0 IOMMU_HWPT_ALLOC';
const attach = 'vfio:nvme0 VFIO_DEVICE_ATTACH_IOMMUFD_PT';
const detach = 'vfio:nvme0 VFIO_DEVICE_DETACH_IOMMUFD_PT';
const read = (more: string): string => `dma nvme0 | iova=0x1000000 bytes=4 access=read ${more}`;
const BYPASS = `data_type=2 data_len=16 data_uptr=bytes:${'09'.padEnd(32, '0')}`;

describe('pasid_attach', () => {
  story(
    'which HWPTs can be a PASID’s',
    `
nothing to detach     | ${detach} | flags=1 pasid=100                                 | ok
a parent              | ${alloc}  | dev_id=$nvme0 pt_id=$ioas flags=1                 | ok out_hwpt_id>parent
for PASIDs            | ${alloc}  | dev_id=$nvme0 pt_id=$ioas flags=8                 | ok out_hwpt_id>first
another               | ${alloc}  | dev_id=$nvme0 pt_id=$ioas flags=8                 | ok out_hwpt_id>second
not for PASIDs        | ${alloc}  | dev_id=$nvme0 pt_id=$ioas                         | ok out_hwpt_id>plain
a parent for PASIDs   | ${alloc}  | dev_id=$nvme0 pt_id=$ioas flags=9                 | EOPNOTSUPP
tracking, for PASIDs  | ${alloc}  | dev_id=$nvme0 pt_id=$ioas flags=10                | ok out_hwpt_id>tracking
the RID on a parent   | ${attach} | pt_id=$parent                                     | ok
so no PASID           | ${attach} | flags=1 pasid=100 pt_id=$first                    | EINVAL
the RID on the IOAS   | ${attach} | pt_id=$ioas                                       | ok
so no PASID           | ${attach} | flags=1 pasid=100 pt_id=$first                    | EINVAL
the RID on such       | ${attach} | pt_id=$first                                      | ok
a PASID               | ${attach} | flags=1 pasid=100 pt_id=$second                   | ok pt_id=$second
so no other RID       | ${attach} | pt_id=$parent                                     | EINVAL
nor an IOAS           | ${attach} | pt_id=$ioas                                       | EINVAL
but such              | ${attach} | pt_id=$second                                     | ok
is used               | iommu0 IOMMU_DESTROY | id=$second                             | EBUSY
detached              | ${detach} | flags=1 pasid=100                                 | ok
not for PASIDs        | ${attach} | flags=1 pasid=100 pt_id=$plain                    | EINVAL
a parent              | ${attach} | flags=1 pasid=100 pt_id=$parent                   | EINVAL
an IOAS               | ${attach} | flags=1 pasid=100 pt_id=$ioas                     | EINVAL
nobody                | ${attach} | flags=1 pasid=100 pt_id=99                        | ENOENT
a PASID               | ${attach} | flags=1 pasid=100 pt_id=$first                    | ok
replaced              | ${attach} | flags=1 pasid=100 pt_id=$second                   | ok
by the same           | ${attach} | flags=1 pasid=100 pt_id=$second                   | ok
not by an IOAS        | ${attach} | flags=1 pasid=100 pt_id=$ioas                     | EINVAL
it stays              | ${read('ssid=100')}                                           | ok result=ok hex=a1a2a3a4
another has nothing   | ${read('ssid=101')}                                           | ok result=abort event=C_BAD_CD
tracking              | ${attach} | flags=1 pasid=101 pt_id=$tracking                 | ok
now it has            | ${read('ssid=101')}                                           | ok result=ok hex=a1a2a3a4
the RID has too       | ${read('')}                                                   | ok result=ok hex=a1a2a3a4
too large             | ${attach} | flags=1 pasid=256 pt_id=$first                    | EINVAL
as large as can be    | ${attach} | flags=1 pasid=255 pt_id=$first                    | ok
detached              | ${detach} | flags=1 pasid=100                                 | ok
has nothing           | ${read('ssid=100')}                                           | ok result=abort
twice                 | ${detach} | flags=1 pasid=100                                 | ok
the RID               | ${detach} |                                                   | ok
others stay           | ${read('ssid=101')}                                           | ok result=ok hex=a1a2a3a4
unbound               | close vfio:nvme0 |                                            | ok
all are free          | iommu0 IOMMU_DESTROY | id=$first                              | ok
all are free          | iommu0 IOMMU_DESTROY | id=$tracking                           | ok
`,
    { before },
  );
  story(
    'nested HWPTs and a device without PASIDs',
    `
a parent              | ${alloc}  | dev_id=$nvme0 pt_id=$ioas flags=1                 | ok out_hwpt_id>parent
a vIOMMU              | iommu0 IOMMU_VIOMMU_ALLOC | dev_id=$nvme0 hwpt_id=$parent type=1 | ok out_viommu_id>viommu
nested, for PASIDs    | ${alloc}  | dev_id=$nvme0 pt_id=$viommu flags=8 ${BYPASS}     | EOPNOTSUPP
nested                | ${alloc}  | dev_id=$nvme0 pt_id=$viommu ${BYPASS}             | ok out_hwpt_id>nested
the RID on such       | ${alloc}  | dev_id=$nvme0 pt_id=$ioas flags=8                 | ok out_hwpt_id>first
attached              | ${attach} | pt_id=$first                                      | ok
not a PASID's         | ${attach} | flags=1 pasid=100 pt_id=$nested                   | EINVAL
another device        | vfio:nic0 VFIO_DEVICE_ATTACH_IOMMUFD_PT | flags=1 pasid=100 pt_id=$parent | EINVAL
not with such a RID   | vfio:nic0 VFIO_DEVICE_ATTACH_IOMMUFD_PT | flags=1 pasid=100 pt_id=$first | EINVAL
its RID on such       | vfio:nic0 VFIO_DEVICE_ATTACH_IOMMUFD_PT | pt_id=$first        | ok
it has no PASIDs      | vfio:nic0 VFIO_DEVICE_ATTACH_IOMMUFD_PT | flags=1 pasid=100 pt_id=$first | ok
so that has no effect | dma nic0 | iova=0x1000000 bytes=4 access=read ssid=100        | ok result=abort
a parent is none      | vfio:nic0 VFIO_DEVICE_ATTACH_IOMMUFD_PT | flags=1 pasid=100 pt_id=$parent | EINVAL
`,
    { before: before + device('nic0') },
  );
  story(
    'arguments',
    `
an unknown flag       | ${attach} | flags=2 pt_id=$ioas                               | EINVAL
too short             | ${attach} | argsz=11 pt_id=$ioas                              | EINVAL
too short for a PASID | ${attach} | argsz=12 flags=1 pt_id=$ioas                      | EINVAL
without one           | ${attach} | argsz=12 pt_id=$ioas                              | ok
longer                | ${attach} | argsz=17 pt_id=$ioas tail=ff                      | ok
no pointer            | ${attach} | number=0                                          | EFAULT
detach: a flag        | ${detach} | flags=2                                           | EINVAL
detach: too short     | ${detach} | argsz=7                                           | EINVAL
detach: for a PASID   | ${detach} | argsz=8 flags=1                                   | EINVAL
detach: without one   | ${detach} | argsz=8                                           | ok
detach: no pointer    | ${detach} | number=0                                          | EFAULT
not a device's call   | vfio:nvme0 IOMMU_IOAS_ALLOC |                                 | ENOTTY
not a context's call  | iommu0 VFIO_DEVICE_ATTACH_IOMMUFD_PT | pt_id=$ioas            | ENOTTY
`,
    { before },
  );
});

describe('bind', () => {
  const bind = (name: string): string => `vfio:${name} VFIO_DEVICE_BIND_IOMMUFD`;
  story(
    'checks in their order',
    `
a device              | open vfio:nvme0     |                                         | ok
not bound             | ${attach}           | pt_id=$ioas                             | EINVAL
not bound             | ${detach}           |                                         | EINVAL
too short             | ${bind('nvme0')}    | argsz=15 iommufd=iommu0                 | EINVAL
longer, with data     | ${bind('nvme0')}    | argsz=25 iommufd=iommu0 tail=01         | E2BIG
no pointer            | ${bind('nvme0')}    | number=0                                | EFAULT
a negative file       | ${bind('nvme0')}    | iommufd=-1                              | EINVAL
an unknown flag       | ${bind('nvme0')}    | iommufd=iommu0 flags=2                  | EINVAL
no file               | ${bind('nvme0')}    | iommufd=99                              | EBADF
another kind          | ${bind('nvme0')}    | iommufd=vfio:nvme0                      | EBADFD
the old struct        | ${bind('nvme0')}    | argsz=16 iommufd=iommu0                 | ok out_devid=2
twice                 | ${bind('nvme0')}    | iommufd=iommu0                          | EINVAL
opened again          | open vfio:nvme0#2   |                                         | ok
another's             | ${bind('nvme0#2')}  | iommufd=iommu0                          | EINVAL
attached              | ${attach}           | pt_id=$ioas                             | ok pt_id=3
closed                | close vfio:nvme0    |                                         | ok
now it can            | ${bind('nvme0#2')}  | iommufd=iommu0                          | ok out_devid=2
the context goes      | close iommu0        |                                         | ok
the device keeps it   | vfio:nvme0#2 VFIO_DEVICE_ATTACH_IOMMUFD_PT | pt_id=$ioas      | ok
DMA works             | ${read('')}         | ok result=ok hex=a1a2a3a4
closed                | close vfio:nvme0#2  |                                         | ok
DMA does not          | ${read('')}         | ok result=abort
`,
    { before: start },
  );
  story(
    'a device of two contexts',
    `
another context       | open iommu1         |                                         | ok
its ids are its own   | iommu1 IOMMU_IOAS_ALLOC |                                     | ok out_ioas_id=1
a device              | open vfio:nvme0     |                                         | ok
bound                 | ${bind('nvme0')}    | iommufd=iommu1                          | ok out_devid=2
not known here        | ${alloc}            | dev_id=2 pt_id=$ioas                    | ENOENT
known there           | iommu1 IOMMU_HWPT_ALLOC | dev_id=2 pt_id=1                    | ok out_hwpt_id=3
`,
    { before: start },
  );
});
