/**
 * Wants to show: what kernels of each release do not have yet, asked in the words of their own time. How: one
 * story for each release that brought something, run on it and on the release before.
 * linux: include/uapi/linux/iommufd.h, vfio.h; drivers/iommu/iommufd
 */
import { describe } from 'vitest';
import { story } from '../../support/steps.ts';
import { table } from '../../support/tables.ts';

// Each call as a client of the kernel makes it that has it; `before` and `since` are the answers without and with.
const calls = table<'release' | 'earlier' | 'name' | 'arg' | 'before' | 'since'>(`
release | earlier | name                          | arg                              | before     | since
6.6     | 6.5     | IOMMU_HWPT_ALLOC              | dev_id=99                        | ENOTTY     | ENOENT
6.6     | 6.5     | IOMMU_GET_HW_INFO             | dev_id=99                        | ENOTTY     | ENOENT
6.7     | 6.6     | IOMMU_HWPT_ALLOC              | size=40 flags=1 dev_id=99        | EOPNOTSUPP | ENOENT
6.7     | 6.6     | IOMMU_HWPT_SET_DIRTY_TRACKING | hwpt_id=99                       | ENOTTY     | ENOENT
6.7     | 6.6     | IOMMU_HWPT_GET_DIRTY_BITMAP   | hwpt_id=99                       | ENOTTY     | ENOENT
6.8     | 6.7     | IOMMU_HWPT_INVALIDATE         | hwpt_id=99                       | ENOTTY     | ENOENT
6.11    | 6.10    | IOMMU_FAULT_QUEUE_ALLOC       |                                  | ENOTTY     | ok
6.11    | 6.10    | IOMMU_HWPT_ALLOC              | flags=4 dev_id=99 fault_id=7     | E2BIG      | ENOENT
6.13    | 6.12    | IOMMU_IOAS_MAP_FILE           | ioas_id=99 flags=6               | ENOTTY     | ENOENT
6.13    | 6.12    | IOMMU_VIOMMU_ALLOC            | type=1 dev_id=99                 | ENOTTY     | ENOENT
6.13    | 6.12    | IOMMU_VDEVICE_ALLOC           | viommu_id=99                     | ENOTTY     | ENOENT
6.13    | 6.12    | IOMMU_IOAS_CHANGE_PROCESS     |                                  | ENOTTY     | ok
6.15    | 6.14    | IOMMU_VEVENTQ_ALLOC           | viommu_id=99 type=1 veventq_depth=1 | ENOTTY  | ENOENT
6.17    | 6.16    | IOMMU_HW_QUEUE_ALLOC          | viommu_id=99 type=1 length=1     | ENOTTY     | ENOENT
6.17    | 6.16    | IOMMU_VIOMMU_ALLOC            | type=1 dev_id=99 data_len=1      | E2BIG      | ENOENT
6.17    | 6.16    | IOMMU_GET_HW_INFO             | flags=1 dev_id=99                | EOPNOTSUPP | ENOENT
`);

describe('a call of a later kernel', () => {
  for (const { release, earlier, name, arg, before, since } of calls) {
    for (const [profile, answer] of [
      [`linux-${earlier}`, before],
      [`linux-${release}`, since],
    ] as const)
      story(
        `${name} ${arg} on ${profile}`,
        `
open       | open iommu0    |        | ok
asked      | iommu0 ${name} | ${arg} | ${answer}
`,
        { kernel: { profile } },
      );
  }
});

const start = `
open                  | open iommu0                 |                        | ok
an IOAS               | iommu0 IOMMU_IOAS_ALLOC     |                        | ok out_ioas_id>ioas
a device              | open vfio:nvme0             |                        | ok
bound                 | vfio:nvme0 VFIO_DEVICE_BIND_IOMMUFD | argsz=16 iommufd=iommu0 | ok out_devid>nvme0
`;
const attach = 'vfio:nvme0 VFIO_DEVICE_ATTACH_IOMMUFD_PT';

// What differs for the same call of a device; rows of one case are read from the top.
const differences = table<'what' | 'name' | 'arg' | 'answers'>(`
what                     | name              | arg                               | answers
hw_info before SMMUv3    | IOMMU_GET_HW_INFO | size=32 dev_id=$nvme0             | 6.6=ok,out_data_type=0 6.12=ok,out_data_type=0 6.13=ok,out_data_type=2 7.3=ok,out_data_type=2
a nesting parent         | IOMMU_HWPT_ALLOC  | size=40 flags=1 dev_id=$nvme0 pt_id=$ioas | 6.6=EOPNOTSUPP 6.12=EOPNOTSUPP 6.13=ok 7.3=ok
PASIDs                   | IOMMU_HWPT_ALLOC  | size=40 flags=8 dev_id=$nvme0 pt_id=$ioas | 6.12=EOPNOTSUPP 6.13=EOPNOTSUPP 6.14=EOPNOTSUPP 6.15=ok 7.3=ok
invalidation of an IOAS  | IOMMU_HWPT_INVALIDATE | hwpt_id=$ioas                 | 6.8=ENOENT 6.12=ENOENT 6.13=EINVAL 7.3=EINVAL
many entries             | IOMMU_HWPT_INVALIDATE | hwpt_id=99 entry_num=0x80001 entry_len=16 data_uptr=0x1000 | 6.13=ENOENT 7.2=ENOENT 7.3=EINVAL
a file that is none      | IOMMU_IOAS_MAP_FILE | flags=6 ioas_id=$ioas fd=99     | 6.13=EBADF 6.18=EBADF 6.19=EINVAL 7.3=EINVAL
`);

describe('the same call', () => {
  for (const { what, name, arg, answers } of differences) {
    for (const each of answers.split(/\s+/)) {
      const [release = '', ...answer] = each.split(/[=](.*)/).filter((part) => part !== '');
      story(
        `${what} on ${release}`,
        `${start}
asked      | iommu0 ${name} | ${arg} | ${answer.join('').replaceAll(',', ' ')}
`,
        { kernel: { profile: `linux-${release}` } },
      );
    }
  }
});

describe('nested attach without a vDEVICE', () => {
  const bypass = `data_type=2 data_len=16 data_uptr=bytes:${'09'.padEnd(32, '0')}`;
  const stage1 = `data_type=2 data_len=16 data_uptr=bytes:${'0b0001'.padEnd(32, '0')}`;
  for (const [release, onBypass, onStage1] of [
    ['6.13', 'ok', 'ok'],
    ['6.14', 'ok', 'ok'],
    ['6.15', 'ENOENT', 'ENOENT'],
    ['6.18', 'ENOENT', 'ENOENT'],
    ['6.19', 'ok', 'ENOENT'],
    ['7.3', 'ok', 'ENOENT'],
  ])
    story(
      `on ${release}`,
      `${start}
a parent              | iommu0 IOMMU_HWPT_ALLOC   | flags=1 dev_id=$nvme0 pt_id=$ioas     | ok out_hwpt_id>parent
a vIOMMU              | iommu0 IOMMU_VIOMMU_ALLOC | size=24 dev_id=$nvme0 hwpt_id=$parent type=1 | ok out_viommu_id>viommu
bypass                | iommu0 IOMMU_HWPT_ALLOC   | dev_id=$nvme0 pt_id=$viommu ${bypass} | ok out_hwpt_id>bypass
stage 1               | iommu0 IOMMU_HWPT_ALLOC   | dev_id=$nvme0 pt_id=$viommu ${stage1} | ok out_hwpt_id>stage1
to bypass             | ${attach}                 | pt_id=$bypass                         | ${onBypass}
to stage 1            | ${attach}                 | pt_id=$stage1                         | ${onStage1}
`,
      { kernel: { profile: `linux-${release}` } },
    );
});

describe('before 6.6', () => {
  for (const release of ['6.2', '6.5'])
    story(
      `devices come by way of a group, and take no iommufd, on ${release}`,
      `
open                  | open iommu0     |                                       | ok
an IOAS               | iommu0 IOMMU_IOAS_ALLOC |                               | ok out_ioas_id=1
a device              | open vfio:nvme0 |                                       | ok
not bound             | vfio:nvme0 VFIO_DEVICE_BIND_IOMMUFD | argsz=16 iommufd=iommu0 | ENOTTY
not attached          | ${attach}       | pt_id=1                               | ENOTTY
nor detached          | vfio:nvme0 VFIO_DEVICE_DETACH_IOMMUFD_PT |              | ENOTTY
`,
      { kernel: { profile: `linux-${release}` } },
    );
});

describe('PASID attach', () => {
  for (const [release, answer] of [
    ['6.14', 'EINVAL'],
    ['6.15', 'EINVAL'],
  ] as const)
    story(
      `of an IOAS on ${release}`,
      `${start}
asked                 | ${attach}       | argsz=16 flags=1 pasid=5 pt_id=$ioas  | ${answer}
`,
      { kernel: { profile: `linux-${release}` } },
    );
});
