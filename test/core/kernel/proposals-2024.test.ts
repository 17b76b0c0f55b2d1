/**
 * Wants to show: the vIOMMU as it was first proposed in 2024, and hw_info as its critics wanted it. How: calls of
 * those kernels, and commands that the SMMU took.
 */
import { describe, expect, it } from 'vitest';
import type { EntryOf } from '../../../core/event.ts';
import { memory } from '../../support/kernel.ts';
import { add, named, nestedWorld, twoSmmus, type World, world } from '../../support/nesting.ts';
import { table } from '../../support/tables.ts';

const bytes = (...words: readonly (number | bigint)[]): string =>
  Buffer.from(new BigUint64Array(words.map(BigInt)).buffer).toString('hex');
const words32 = (...words: readonly number[]): string =>
  Buffer.from(new Uint32Array(words).buffer).toString('hex');
const attach = (of: World, endpoint: string, cell: string): unknown =>
  of.line({
    op: 'ioctl',
    fd: `vfio:${endpoint}`,
    name: 'VFIO_DEVICE_ATTACH_IOMMUFD_PT',
    arg: named(cell, of.names),
  })['errno'] ?? 'ok';
const dma = (of: World, endpoint: string, iova = 0x10_0000): unknown =>
  of.line({ op: 'dma', endpoint, iova, bytes: 8, access: 'read' })['result'];
const fetched = (of: World): EntryOf<'command.fetched'>[] =>
  of.look().filter(({ type }) => type === 'command.fetched') as unknown as EntryOf<'command.fetched'>[];
const NH_ALL = 0x10n;
const ATC_INV = 0x40n;
const BYPASS = '09'.padEnd(32, '0');
const onSix = {
  endpoints: twoSmmus.endpoints.map((each) => ({ ...each, ats: true })),
  smmus: twoSmmus.smmus,
};

describe('rfc-2024-05', () => {
  function guest(machine: object = onSix): World {
    const made = world({ profile: 'rfc-2024-05' }, machine);
    add(made, 'parent', 'IOMMU_HWPT_ALLOC', 'dev_id=dev0 pt_id=ioas flags=1', 'out_hwpt_id');
    add(made, 'viommu', 'IOMMU_VIOMMU_ALLOC', 'type=0 dev_id=dev0 hwpt_id=parent', 'out_viommu_id');
    return made;
  }
  const array = (...commands: readonly bigint[]): string =>
    `data_type=1 entry_len=16 entry_num=${commands.length} data_uptr=hex:${commands.map((lo) => bytes(lo, 0x34)).join('')}`;
  const atc = (sid: number): bigint => (BigInt(sid) << 32n) | ATC_INV;

  it.each(
    table<'case' | 'name' | 'arg' | 'errno'>(`
case                            | name                       | arg                                              | errno
a flag                          | IOMMU_VIOMMU_ALLOC         | flags=1 dev_id=gone                              | EOPNOTSUPP
no such device, before the type | IOMMU_VIOMMU_ALLOC         | type=9 dev_id=gone                               | ENOENT
a type that nobody has          | IOMMU_VIOMMU_ALLOC         | type=9 dev_id=dev0 hwpt_id=gone                  | EOPNOTSUPP
no such HWPT                    | IOMMU_VIOMMU_ALLOC         | dev_id=dev0 hwpt_id=gone                         | ENOENT
reserved                        | IOMMU_VIOMMU_SET_VDEV_ID   | __reserved=1 viommu_id=gone                      | EOPNOTSUPP
no such vIOMMU                  | IOMMU_VIOMMU_SET_VDEV_ID   | viommu_id=gone dev_id=dev0 vdev_id=1             | ENOENT
no such device                  | IOMMU_VIOMMU_SET_VDEV_ID   | viommu_id=viommu dev_id=gone vdev_id=1           | ENOENT
a device of another SMMU        | IOMMU_VIOMMU_SET_VDEV_ID   | viommu_id=viommu dev_id=dev2 vdev_id=1           | EINVAL
good                            | IOMMU_VIOMMU_SET_VDEV_ID   | viommu_id=viommu dev_id=dev0 vdev_id=1           | ok
not set                         | IOMMU_VIOMMU_UNSET_VDEV_ID | viommu_id=viommu dev_id=dev0 vdev_id=1           | EINVAL
a device of another SMMU        | IOMMU_VIOMMU_ATTACH        | viommu_id=viommu dev_id=dev2                     | EINVAL
good                            | IOMMU_VIOMMU_ATTACH        | viommu_id=viommu dev_id=dev0                     | ok
nobody's caches                 | IOMMU_DEV_INVALIDATE       | dev_id=gone ${array(atc(1))}                     | ENOENT
a command of no device          | IOMMU_DEV_INVALIDATE       | dev_id=dev0 ${array(NH_ALL)}                     | EIO
no such vIOMMU                  | IOMMU_VQUEUE_ALLOC         | viommu_id=gone                                   | ENOENT
a vIOMMU without queues         | IOMMU_VQUEUE_ALLOC         | viommu_id=viommu data_len=16 data_uptr=nowhere   | EOPNOTSUPP
what came later                 | IOMMU_HW_QUEUE_ALLOC       | viommu_id=viommu                                 | ENOTTY
`),
  )('$name, $case: $errno', ({ name, arg, errno }) => {
    expect(guest().says(name, arg)).toBe(errno);
  });

  it('sets and unsets virtual StreamIDs: one a device, one device each', () => {
    const made = guest();
    const set = (cell: string): string => made.says('IOMMU_VIOMMU_SET_VDEV_ID', `viommu_id=viommu ${cell}`);
    const unset = (cell: string): string =>
      made.says('IOMMU_VIOMMU_UNSET_VDEV_ID', `viommu_id=viommu ${cell}`);
    expect([
      set('dev_id=dev0 vdev_id=0x42'),
      set('dev_id=dev0 vdev_id=0x43'),
      set('dev_id=dev1 vdev_id=0x42'),
    ]).toEqual(['ok', 'EEXIST', 'EEXIST']);
    expect([
      unset('dev_id=dev0 vdev_id=0x43'),
      unset('dev_id=dev1 vdev_id=0x42'),
      unset('dev_id=dev0 vdev_id=0x42'),
    ]).toEqual(['EINVAL', 'EINVAL', 'ok']);
    expect(set('dev_id=dev1 vdev_id=0x42')).toBe('ok');
  });

  it('invalidates by the vIOMMU, by a name of its own for the same call, or by the device', () => {
    const made = guest();
    made.says('IOMMU_VIOMMU_SET_VDEV_ID', 'viommu_id=viommu dev_id=dev0 vdev_id=0x42');
    for (const name of ['IOMMU_HWPT_INVALIDATE', 'IOMMU_VIOMMU_INVALIDATE']) {
      made.look();
      expect(made.says(name, `hwpt_id=viommu ${array(atc(0x42))}`)).toBe('ok');
      expect(fetched(made)[0]!.lo >> 32n).toBe(0x108n);
    }
    expect(made.says('IOMMU_HWPT_INVALIDATE', `hwpt_id=viommu ${array(atc(0x99))}`)).toBe('EIO');
    made.look();
    // Whatever StreamID it says, the device is the one of the call.
    expect(made.says('IOMMU_DEV_INVALIDATE', `dev_id=dev1 ${array(atc(0x99))}`)).toBe('ok');
    expect(fetched(made)[0]!.lo >> 32n).toBe(0x109n);
  });

  it('reaches a parent through a nested HWPT of the kernel, which goes with the attachment', () => {
    const made = guest();
    const objects = (): number => made.state.kernel!.contexts[1]!.objects.size;
    expect(attach(made, 'dev0', 'pt_id=parent')).toBe('EINVAL');
    made.says('IOMMU_VIOMMU_ATTACH', 'viommu_id=viommu dev_id=dev0');
    expect(made.says('IOMMU_VIOMMU_ATTACH', 'viommu_id=viommu dev_id=dev0')).toBe('EBUSY');
    const before = objects();
    expect(attach(made, 'dev0', 'pt_id=parent')).toBe('ok');
    expect([dma(made, 'dev0'), objects()]).toEqual(['ok', before + 1]);
    const attached = made.state.drivers['smmu0']!.masters['dev0']!.attached[0];
    expect(made.state.drivers['smmu0']!.domains.get(Number(attached))).toMatchObject({
      kind: 'nested',
      vste: [9n, 0n],
    });
    made.line({ op: 'ioctl', fd: 'vfio:dev0', name: 'VFIO_DEVICE_DETACH_IOMMUFD_PT', arg: {} });
    expect([dma(made, 'dev0'), objects()]).toEqual(['abort', before]);
  });

  it('nests on the parent or on the vIOMMU', () => {
    const made = guest();
    for (const on of ['parent', 'viommu'])
      expect(
        made.says(
          'IOMMU_HWPT_ALLOC',
          `dev_id=dev0 pt_id=${on} data_type=2 data_len=16 data_uptr=hex:${BYPASS}`,
        ),
      ).toBe('ok');
    add(made, 'paging', 'IOMMU_HWPT_ALLOC', 'dev_id=dev0 pt_id=ioas', 'out_hwpt_id');
    expect(
      made.says(
        'IOMMU_HWPT_ALLOC',
        `dev_id=dev0 pt_id=paging data_type=2 data_len=16 data_uptr=hex:${BYPASS}`,
      ),
    ).toBe('EINVAL');
  });

  it('makes queues of a CMDQV by their address in the guest', () => {
    const smmus = [{ name: 'smmu0', base: 0x1000_0000, choices: { tegra241Param: 0x1121 } }];
    const made = guest({ smmus, endpoints: [{ name: 'dev0', streamId: 8 }] });
    add(made, 'vcmdqv', 'IOMMU_VIOMMU_ALLOC', 'type=1 dev_id=dev0 hwpt_id=parent', 'out_viommu_id');
    const user_va = memory(made, 0x1000);
    made.ioctl('IOMMU_IOAS_MAP', {
      ioas_id: made.ioas,
      flags: 7,
      user_va,
      length: 0x1000,
      iova: 0x4000_0000,
    });
    const vqueue = (index: number, log2size: number, base: number): string =>
      made.says(
        'IOMMU_VQUEUE_ALLOC',
        `viommu_id=vcmdqv data_len=16 data_uptr=hex:${words32(index, log2size)}${bytes(base)}`,
      );
    expect([
      vqueue(1, 7, 0x4000_0000),
      vqueue(0, 20, 0x4000_0000),
      vqueue(0, 7, 0x5000_0000),
      vqueue(0, 7, 0x4000_0000),
    ]).toEqual(['EIO', 'EINVAL', 'ENOENT', 'ok']);
    expect(made.says('IOMMU_IOAS_UNMAP', 'ioas_id=ioas iova=0x40000000 length=0x1000')).toBe('EBUSY');
  });
});

describe('v4-2024-11', () => {
  it('reports idr[] as hardware has it, or what is listed alone', () => {
    const words = (profile: string): readonly number[] => {
      const made = nestedWorld({ profile });
      made.look();
      made.ask('IOMMU_GET_HW_INFO', 'dev_id=dev0');
      const reported = made.look().find(({ type }) => type === 'hwinfo.reported') as unknown as {
        words: readonly number[];
      };
      return reported.words;
    };
    const { idr } = nestedWorld().state.smmus['smmu0']!.config;
    const raw = words('v4-2024-11');
    expect(raw.slice(2, 8)).toEqual([0, 1, 2, 3, 4, 5].map((at) => idr[`IDR${at}`] ?? 0));
    const clean = words('v4-2024-11-sanitised');
    const bit = (values: readonly number[], register: number, at: number): number =>
      (values[2 + register]! >>> at) & 1;
    // BTM and HTTU are hardware's, and no VM's; the granules are both.
    expect([bit(raw, 0, 5), bit(clean, 0, 5), bit(raw, 0, 7), bit(clean, 0, 7)]).toEqual([1, 0, 1, 0]);
    expect([bit(raw, 5, 4), bit(clean, 5, 4)]).toEqual([1, 1]);
    expect([clean[4], clean[6]]).toEqual([0, 0]);
  });
});
