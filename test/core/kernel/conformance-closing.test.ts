/**
 * Wants to show: in which order objects can go, and what ends with a file or a process (the ends of fixtures in
 * the kernel's self-test, where everything is left to the closing of the file, and iommufd's documentation of
 * references). How: rows of stories.
 * linux: iommufd/main.c; vfio/device_cdev.c; tools/testing/selftests/iommu/iommufd.c
 */
import { describe } from 'vitest';
import { story } from '../../support/steps.ts';

const destroy = 'iommu0 IOMMU_DESTROY';
const attach = 'vfio:nvme0 VFIO_DEVICE_ATTACH_IOMMUFD_PT';
const STAGE1 = `data_type=2 data_len=16 data_uptr=bytes:${'0b0001'.padEnd(32, '0')}`;
const before = `
open                  | open iommu0                 |                        | ok
an IOAS               | iommu0 IOMMU_IOAS_ALLOC     |                        | ok out_ioas_id>ioas
memory                | mem.alloc                   | bytes=65536            | ok va>buf
mapped                | iommu0 IOMMU_IOAS_MAP       | flags=7 ioas_id=$ioas user_va=$buf length=65536 iova=0x10000 | ok
a device              | open vfio:nvme0             |                        | ok
bound                 | vfio:nvme0 VFIO_DEVICE_BIND_IOMMUFD | iommufd=iommu0 | ok out_devid>nvme0
a parent              | iommu0 IOMMU_HWPT_ALLOC     | flags=1 dev_id=$nvme0 pt_id=$ioas | ok out_hwpt_id>parent
a vIOMMU              | iommu0 IOMMU_VIOMMU_ALLOC   | dev_id=$nvme0 hwpt_id=$parent type=1 | ok out_viommu_id>viommu
a vDEVICE             | iommu0 IOMMU_VDEVICE_ALLOC  | viommu_id=$viommu dev_id=$nvme0 virt_id=0x99 | ok out_vdevice_id>vdev
an event queue        | iommu0 IOMMU_VEVENTQ_ALLOC  | viommu_id=$viommu type=1 veventq_depth=4 | ok out_veventq_id>queue out_veventq_fd>events
a nested HWPT         | iommu0 IOMMU_HWPT_ALLOC     | dev_id=$nvme0 pt_id=$viommu ${STAGE1} | ok out_hwpt_id>nested
attached              | ${attach}                   | pt_id=$nested          | ok
`;
const closed = `
the device goes       | close vfio:nvme0            |                        | ok
`;

describe('references', () => {
  story(
    'what is used cannot go, from the leaves it can',
    `
used by the device    | ${destroy} | id=$nested     | EBUSY
by the nested one     | ${destroy} | id=$viommu     | EBUSY
by the vIOMMU         | ${destroy} | id=$parent     | EBUSY
by the parent         | ${destroy} | id=$ioas       | EBUSY
by its fd             | ${destroy} | id=$queue      | EBUSY
bound                 | ${destroy} | id=$nvme0      | EBUSY
free at any time      | ${destroy} | id=$vdev       | ok
detached              | vfio:nvme0 VFIO_DEVICE_DETACH_IOMMUFD_PT | | ok
is free               | ${destroy} | id=$nested     | ok
by the event queue    | ${destroy} | id=$viommu     | EBUSY
its fd                | close $events |             | ok
is free               | ${destroy} | id=$queue      | ok
is free               | ${destroy} | id=$viommu     | ok
is free               | ${destroy} | id=$parent     | ok
is free, areas and all| ${destroy} | id=$ioas       | ok
until it is unbound   | ${destroy} | id=$nvme0      | EBUSY
${closed}
gone                  | ${destroy} | id=$nvme0      | ENOENT
`,
    { before },
  );
  story(
    'a device file that is closed detaches and unbinds',
    `
${closed}
the vDEVICE with it   | ${destroy} | id=$vdev       | ENOENT
no longer used        | ${destroy} | id=$nested     | ok
opened again          | open vfio:nvme0             |                        | ok
bound                 | vfio:nvme0 VFIO_DEVICE_BIND_IOMMUFD | iommufd=iommu0 | ok out_devid=$nvme0
the vIOMMU is there   | iommu0 IOMMU_HWPT_ALLOC     | dev_id=$nvme0 pt_id=$viommu ${STAGE1} | ok out_hwpt_id>nested
a vDEVICE is needed   | ${attach}                   | pt_id=$nested          | ENOENT
its number is free    | iommu0 IOMMU_VDEVICE_ALLOC  | viommu_id=$viommu dev_id=$nvme0 virt_id=0x99 | ok
attached              | ${attach}                   | pt_id=$nested          | ok
`,
    { before },
  );
});

describe('closing', () => {
  const again = `
opened again          | open iommu0                 |                        | ok
it is another         | ${destroy}                  | id=$ioas               | ENOENT
ids begin again       | iommu0 IOMMU_IOAS_ALLOC     |                        | ok out_ioas_id=1
`;
  story(
    'the context, while a device is bound: it lives on',
    `
closed                | close iommu0                |                        | ok
gone as a file        | ${destroy}                  | id=$nested             | EBADF
${again}
the device is taken   | open vfio:nvme0#2           |                        | ok
by the first          | vfio:nvme0#2 VFIO_DEVICE_BIND_IOMMUFD | iommufd=iommu0 | EINVAL
still with its ids    | ${attach}                   | pt_id=$parent          | ok
DMA                   | dma nvme0                   | iova=0x10000 bytes=4 access=read | ok result=ok
${closed}
no DMA                | dma nvme0                   | iova=0x10000 bytes=4 access=read | ok result=abort
now it is free        | vfio:nvme0#2 VFIO_DEVICE_BIND_IOMMUFD | iommufd=iommu0 | ok out_devid=2
`,
    { before },
  );
  story(
    'the device, then the context, then an event fd',
    `
${closed}
closed                | close iommu0                |                        | ok
still to be read      | read $events                | bytes=40               | ok hex=
closed                | close $events               |                        | ok
${again}
`,
    { before },
  );
  story(
    'a process that ends closes its files, the device first or last',
    `
it ends               | process.exit proc0          |                        | ok
no DMA                | dma nvme0                   | iova=0x10000 bytes=4 access=read | ok result=abort
its files are closed  | ${destroy}                  | id=$ioas               | EBADF
${again}
the device is free    | open vfio:nvme0             |                        | ok
for another           | vfio:nvme0 VFIO_DEVICE_BIND_IOMMUFD | iommufd=iommu0 | ok out_devid=2
`,
    { before },
  );
});
