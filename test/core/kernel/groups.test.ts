/**
 * Wants to show: attach, replace and detach of groups and of PASIDs, and which HWPTs go together. How: tables of
 * calls, and DMA before and after.
 */
import { describe, expect, it } from 'vitest';
import { add, named, nestedWorld, twoSmmus, type World } from '../../support/nesting.ts';
import { table } from '../../support/tables.ts';

const dma = (of: World, endpoint: string, iova = 0x10_0000, more: object = {}): unknown =>
  of.line({ op: 'dma', endpoint, iova, bytes: 8, access: 'read', ...more })['result'];
const vfio = (of: World, endpoint: string, name: string, cell: string): string =>
  String(of.line({ op: 'ioctl', fd: `vfio:${endpoint}`, name, arg: named(cell, of.names) })['errno'] ?? 'ok');
const attach = (of: World, endpoint: string, cell: string): string =>
  vfio(of, endpoint, 'VFIO_DEVICE_ATTACH_IOMMUFD_PT', cell);
const detach = (of: World, endpoint: string, cell = ''): string =>
  vfio(of, endpoint, 'VFIO_DEVICE_DETACH_IOMMUFD_PT', cell);

describe('a group', () => {
  const given = (): World => {
    const made = nestedWorld(
      {},
      { ...twoSmmus, endpoints: twoSmmus.endpoints.slice(0, 2).map((each) => ({ ...each, group: 'g' })) },
    );
    add(made, 'vdev1', 'IOMMU_VDEVICE_ALLOC', 'viommu_id=viommu dev_id=dev1 virt_id=0x43', 'out_vdevice_id');
    return made;
  };
  const both = (of: World): unknown[] => ['dev0', 'dev1'].map((each) => dma(of, each));

  it('moves as a whole: an attach of one, a replace by one, and the detach of the last', () => {
    const made = given();
    expect(attach(made, 'dev0', 'pt_id=parent')).toBe('ok');
    expect(both(made)).toEqual(['ok', 'ok']);
    // Attached already by its group: counted only; another HWPT is refused.
    expect(attach(made, 'dev1', 'pt_id=bypass')).toBe('EINVAL');
    made.look();
    expect(attach(made, 'dev1', 'pt_id=parent')).toBe('ok');
    expect(made.look().filter(({ type }) => type === 'command.consumed')).toEqual([]);
    expect(attach(made, 'dev1', 'pt_id=bypass')).toBe('ok');
    expect(made.says('IOMMU_DESTROY', 'id=bypass')).toBe('EBUSY');
    detach(made, 'dev0');
    expect(both(made)).toEqual(['ok', 'ok']);
    detach(made, 'dev1');
    expect(both(made)).toEqual(['abort', 'abort']);
    expect(made.says('IOMMU_DESTROY', 'id=bypass')).toBe('ok');
  });
});

describe('ATS of a nested device', () => {
  const withAts = {
    ...twoSmmus,
    endpoints: twoSmmus.endpoints.map((each) => ({ ...each, ats: true })),
  };
  const vste = (words: string): string =>
    `dev_id=dev0 pt_id=viommu data_type=2 data_len=16 data_uptr=hex:${words.padEnd(32, '0')}`;

  it.each(
    table<'vste' | 'words' | 'old' | 'now'>(`
vste                     | words                            | old   | now
stage 1 that asks        | 0b001000000000000000001000000000 | true  | true
stage 1 that does not    | 0b0010                           | false | false
bypass                   | 09                               | false | true
abort                    | 01                               | false | true
`),
  )('$vste: $old, and from 6.19 on $now', ({ words, old, now }) => {
    for (const [profile, expected] of [
      ['linux-6.18', old],
      ['linux-6.19', now],
    ] as const) {
      const made = nestedWorld({ profile }, withAts);
      add(made, 'nested', 'IOMMU_HWPT_ALLOC', vste(words), 'out_hwpt_id');
      expect(attach(made, 'dev0', 'pt_id=nested')).toBe('ok');
      const { atsEnabled } = made.state.drivers['smmu0']!.masters['dev0']!;
      expect([atsEnabled, made.state.endpoints['dev0']!.ats], profile).toEqual([
        expected === 'true',
        expected === 'true',
      ]);
    }
  });
});

describe('PASIDs', () => {
  const given = (kernel: object = {}): World => {
    const made = nestedWorld(kernel);
    add(made, 'p', 'IOMMU_HWPT_ALLOC', 'dev_id=dev0 pt_id=ioas flags=8', 'out_hwpt_id');
    add(made, 'plain', 'IOMMU_HWPT_ALLOC', 'dev_id=dev0 pt_id=ioas', 'out_hwpt_id');
    return made;
  };

  it.each(
    table<'rid' | 'asked' | 'errno'>(`
rid     | asked                             | errno
        | flags=1 pasid=3 pt_id=p           | ok
p       | flags=1 pasid=3 pt_id=p           | ok
p       | flags=1 pasid=3 pt_id=plain       | EINVAL
plain   | flags=1 pasid=3 pt_id=p           | EINVAL
parent  | flags=1 pasid=3 pt_id=p           | EINVAL
bypass  | flags=1 pasid=3 pt_id=p           | EINVAL
        | flags=1 pasid=3 pt_id=parent      | EINVAL
        | flags=1 pasid=3 pt_id=bypass      | EINVAL
        | flags=1 pasid=3 pt_id=ioas        | EINVAL
        | flags=1 pasid=32 pt_id=p          | EINVAL
        | flags=1 pasid=31 pt_id=p          | ok
        | argsz=15 flags=1 pasid=3 pt_id=p  | EINVAL
`),
  )('RID on `$rid`, $asked: $errno', ({ rid, asked, errno }) => {
    const made = given();
    if (rid !== '') expect(attach(made, 'dev0', `pt_id=${rid}`)).toBe('ok');
    expect(attach(made, 'dev0', asked)).toBe(errno);
  });

  it('reach what they are attached to, until they are detached', () => {
    const made = given();
    attach(made, 'dev0', 'pt_id=p');
    attach(made, 'dev0', 'flags=1 pasid=3 pt_id=p');
    expect(dma(made, 'dev0', 0x10_0000, { ssid: 3 })).toBe('ok');
    expect(dma(made, 'dev0', 0x10_0000, { ssid: 4 })).toBe('abort');
    // With PASIDs in use the RID keeps to HWPTs that are made for them.
    expect([attach(made, 'dev0', 'pt_id=plain'), attach(made, 'dev0', 'pt_id=bypass')]).toEqual([
      'EINVAL',
      'EINVAL',
    ]);
    expect([detach(made, 'dev0', 'flags=1 pasid=3'), detach(made, 'dev0', 'flags=1 pasid=9')]).toEqual([
      'ok',
      'ok',
    ]);
    expect(dma(made, 'dev0', 0x10_0000, { ssid: 3 })).toBe('abort');
    expect(dma(made, 'dev0')).toBe('ok');
    expect(attach(made, 'dev0', 'pt_id=plain')).toBe('ok');
  });

  it('of a device without any are refused in 6.15, and a success without effect later', () => {
    for (const [profile, errno] of [
      ['linux-6.15', 'EINVAL'],
      ['linux-7.3', 'ok'],
    ] as const) {
      const made = given({ profile });
      expect(attach(made, 'dev1', 'flags=1 pasid=3 pt_id=p')).toBe(errno);
      expect(dma(made, 'dev1', 0x10_0000, { ssid: 3 })).toBe('abort');
    }
  });

  it('are unknown before 6.15', () => {
    const made = nestedWorld({ profile: 'linux-6.14' });
    expect(attach(made, 'dev0', 'flags=1 pt_id=parent')).toBe('EINVAL');
  });
});
