/**
 * Wants to show: the quirks of the interface that a VMM has to know, one test each, in the order of the list in
 * the reference (section 8). Where another test shows the same in a table, this one shows it in short.
 */
import { describe, expect, it } from 'vitest';
import { memory } from '../../support/kernel.ts';
import { add, named, nestedWorld, type World, world } from '../../support/nesting.ts';

const command = (lo: bigint): string => Buffer.from(new BigUint64Array([lo, 0n]).buffer).toString('hex');
const NH_ALL = command(0x10n);
const invalidate = (of: World, commands: readonly string[], more = ''): unknown[] => {
  const array = `entry_len=16 entry_num=${commands.length} data_uptr=hex:${commands.join('')}`;
  const answer = of.ask('IOMMU_HWPT_INVALIDATE', `hwpt_id=viommu data_type=1 ${array} ${more}`);
  return [answer['errno'] ?? 'ok', (answer['out'] as Record<string, unknown>)['entry_num']];
};
const vfio = (of: World, endpoint: string, name: string, cell: string): Record<string, unknown> =>
  of.line({
    op: 'ioctl',
    fd: `vfio:${endpoint}`,
    name: `VFIO_DEVICE_${name}_IOMMUFD_PT`,
    arg: named(cell, of.names),
  });

describe('quirks', () => {
  it('1: a missing pt_id is EINVAL, a missing dev_id ENOENT', () => {
    const made = world();
    expect(made.says('IOMMU_HWPT_ALLOC', 'dev_id=dev0 pt_id=gone')).toBe('EINVAL');
    expect(made.says('IOMMU_HWPT_ALLOC', 'dev_id=gone pt_id=ioas')).toBe('ENOENT');
  });

  it('2: VIOMMU_ALLOC looks at the type before the HWPT', () => {
    expect(nestedWorld().says('IOMMU_VIOMMU_ALLOC', 'type=9 dev_id=dev0 hwpt_id=gone')).toBe('EOPNOTSUPP');
  });

  it('3: a vEVENTQ of a type that nobody has can be made', () => {
    expect(nestedWorld().says('IOMMU_VEVENTQ_ALLOC', 'viommu_id=viommu type=0xbeef veventq_depth=1')).toBe(
      'ok',
    );
  });

  it('4: entry_num counts what was not issued after EIO, and stays after ENOMEM', () => {
    const made = nestedWorld();
    made.look();
    expect(invalidate(made, [NH_ALL, NH_ALL, command(0x46n)])).toEqual(['EIO', 2]);
    expect(made.look().filter(({ type }) => type === 'command.fetched')).toEqual([]);
    made.line({ op: 'set', path: 'kernel.failNth', value: 1 });
    expect(invalidate(made, [NH_ALL, NH_ALL])).toEqual(['ENOMEM', 2]);
  });

  it('5: an array without entries is EINVAL, though documented as a probe', () => {
    const answer = nestedWorld().ask('IOMMU_HWPT_INVALIDATE', 'hwpt_id=viommu data_type=1');
    expect(answer['errno']).toBe('EINVAL');
  });

  it('6: CERROR_ILL is invisible to the caller', () => {
    const smmus = [{ name: 'smmu0', base: 0x1000_0000, choices: { strictReserved: true } }];
    const made = nestedWorld(
      { profile: 'linux-6.19' },
      { smmus, endpoints: [{ name: 'dev0', streamId: 8 }] },
    );
    made.look();
    // NH_VA with a reserved bit in its first word.
    expect(invalidate(made, [command(0x912n)])).toEqual(['ok', 1]);
    expect(made.look().some(({ type }) => type === 'command.rejected')).toBe(true);
  });

  it('7: UNMAP that fails may have removed areas', () => {
    const made = world();
    made.ioctl('IOMMU_IOAS_MAP', {
      ioas_id: made.ioas,
      flags: 7,
      user_va: made.va,
      length: 0x2000,
      iova: 0x20_0000,
    });
    expect(made.says('IOMMU_IOAS_UNMAP', 'ioas_id=ioas iova=0x100000 length=0x101000')).toBe('ENOENT');
    expect(made.says('IOMMU_IOAS_UNMAP', 'ioas_id=ioas iova=0x100000 length=0x10000')).toBe('ENOENT');
  });

  it('8: GET_DIRTY_BITMAP over a hole succeeds', () => {
    const made = world();
    add(made, 'dirty', 'IOMMU_HWPT_ALLOC', 'dev_id=dev0 pt_id=ioas flags=2', 'out_hwpt_id');
    const range = 'hwpt_id=dirty iova=0x7000000 length=0x1000 page_size=0x1000 data=hex:00';
    expect(made.says('IOMMU_HWPT_GET_DIRTY_BITMAP', range)).toBe('ok');
  });

  it('9: ALLOW_IOVAS refuses one byte, and no range clears the list', () => {
    const made = world();
    const range = (start: bigint, last: bigint): string =>
      Buffer.from(new BigUint64Array([start, last]).buffer).toString('hex');
    const allow = (hex: string): string =>
      made.says('IOMMU_IOAS_ALLOW_IOVAS', `ioas_id=ioas num_iovas=1 allowed_iovas=hex:${hex}`);
    expect([allow(range(5n, 5n)), allow(range(5n, 6n))]).toEqual(['EINVAL', 'ok']);
    expect(made.says('IOMMU_IOAS_ALLOW_IOVAS', 'ioas_id=ioas')).toBe('ok');
    expect(made.says('IOMMU_IOAS_MAP', `ioas_id=ioas flags=6 user_va=${made.va} length=0x1000`)).toBe('ok');
  });

  it('10: ids are used again at once, but for tombstones', () => {
    const made = nestedWorld();
    const id = add(made, 'a', 'IOMMU_IOAS_ALLOC', '', 'out_ioas_id');
    expect(made.says('IOMMU_DESTROY', 'id=a')).toBe('ok');
    expect(add(made, 'b', 'IOMMU_IOAS_ALLOC', '', 'out_ioas_id')).toBe(id);
    const { dev0, vdev } = made.names;
    made.line({ op: 'close', fd: 'vfio:dev0' });
    const next = ['c', 'd'].map((name) => add(made, name, 'IOMMU_IOAS_ALLOC', '', 'out_ioas_id'));
    expect(next[0]).toBe(dev0);
    expect(next).not.toContain(vdev);
  });

  it('11: HW_QUEUE_ALLOC takes a second id that nobody sees', () => {
    const smmus = [{ name: 'smmu0', base: 0x1000_0000, choices: { tegra241Param: 0x1121 } }];
    const made = nestedWorld({}, { smmus, endpoints: [{ name: 'dev0', streamId: 8 }] });
    const alloc = `type=2 dev_id=dev0 hwpt_id=parent data_len=16 data_uptr=hex:${'00'.repeat(16)}`;
    add(made, 'vcmdqv', 'IOMMU_VIOMMU_ALLOC', alloc, 'out_viommu_id');
    const user_va = memory(made, 0x1000);
    made.ioctl('IOMMU_IOAS_MAP', {
      ioas_id: made.ioas,
      flags: 7,
      user_va,
      length: 0x1000,
      iova: 0x4000_0000,
    });
    const queue = 'type=1 viommu_id=vcmdqv length=0x1000 nesting_parent_iova=0x40000000';
    const id = add(made, 'queue', 'IOMMU_HW_QUEUE_ALLOC', queue, 'out_hw_queue_id');
    expect(add(made, 'next', 'IOMMU_IOAS_ALLOC', '', 'out_ioas_id')).toBe(id + 2);
  });

  it('12: reading an empty vEVENTQ gives 0 bytes, as at the end of a file', () => {
    const made = nestedWorld();
    const answer = made.ask('IOMMU_VEVENTQ_ALLOC', 'viommu_id=viommu type=1 veventq_depth=1');
    const fd = (answer['out'] as { out_veventq_fd: number }).out_veventq_fd;
    expect(made.line({ op: 'read', fd, bytes: 40 })).toEqual({ hex: '' });
  });

  it('13: ATTACH with the same pt_id succeeds again; of an IOAS it may give another HWPT', () => {
    const made = world();
    const first = (vfio(made, 'dev0', 'ATTACH', 'pt_id=ioas')['out'] as { pt_id: number }).pt_id;
    expect(vfio(made, 'dev0', 'ATTACH', 'pt_id=ioas')['out']).toMatchObject({ pt_id: first });
    add(made, 'mine', 'IOMMU_HWPT_ALLOC', 'dev_id=dev0 pt_id=ioas', 'out_hwpt_id');
    vfio(made, 'dev0', 'ATTACH', 'pt_id=mine');
    add(made, 'taken', 'IOMMU_IOAS_ALLOC', '', 'out_ioas_id');
    expect(vfio(made, 'dev0', 'ATTACH', 'pt_id=ioas')['out']).not.toMatchObject({ pt_id: first });
  });

  it('14: a reply of ATTACH that cannot be written detaches the RID, of a PASID too', () => {
    const made = world();
    add(made, 'p', 'IOMMU_HWPT_ALLOC', 'dev_id=dev0 pt_id=ioas flags=8', 'out_hwpt_id');
    vfio(made, 'dev0', 'ATTACH', 'pt_id=p');
    const va = memory(made, 0x1000);
    made.line({ op: 'mem.write', va, u32: [16, 1, made.names['p'], 3] });
    made.line({ op: 'set', path: 'schedule', value: 'manual' });
    made.line({ op: 'ioctl', fd: 'vfio:dev0', name: 'VFIO_DEVICE_ATTACH_IOMMUFD_PT', arg: va });
    made.line({ op: 'mem.free', va });
    made.line({ op: 'run' });
    const device = made.state.kernel!.contexts[1]!.objects.get(made.names['dev0']!) as { attached?: object };
    expect(device.attached).toEqual({ 3: made.names['p'] });
  });

  it("15: data longer than the driver's struct is refused though zero; entries of an array may be longer", () => {
    const made = nestedWorld();
    const bypass = '09'.padEnd(34, '0');
    expect(
      made.says(
        'IOMMU_HWPT_ALLOC',
        `dev_id=dev0 pt_id=viommu data_type=2 data_len=17 data_uptr=hex:${bypass}`,
      ),
    ).toBe('EINVAL');
    const entry = `hwpt_id=viommu data_type=1 entry_len=17 entry_num=1 data_uptr=hex:${NH_ALL}00`;
    expect(made.says('IOMMU_HWPT_INVALIDATE', entry)).toBe('ok');
  });

  it('16: attaching to a nested HWPT reserves the MSI window in the IOAS of its parent', () => {
    const made = nestedWorld();
    const map = 'ioas_id=ioas flags=7 length=0x1000 iova=0x8000000';
    vfio(made, 'dev0', 'ATTACH', 'pt_id=bypass');
    expect(made.says('IOMMU_IOAS_MAP', `${map} user_va=${made.va}`)).toBe('EINVAL');
    vfio(made, 'dev0', 'DETACH', '');
    expect(made.says('IOMMU_IOAS_MAP', `${map} user_va=${made.va}`)).toBe('ok');
  });

  it('17: two vIOMMUs on one parent share a VMID, so an invalidation of one is one of the other', () => {
    const made = nestedWorld();
    add(made, 'second', 'IOMMU_VIOMMU_ALLOC', 'type=1 dev_id=dev0 hwpt_id=parent', 'out_viommu_id');
    const vmidOfNext = (viommu: string): bigint => {
      made.look();
      made.says(
        'IOMMU_HWPT_INVALIDATE',
        `hwpt_id=${viommu} data_type=1 entry_len=16 entry_num=1 data_uptr=hex:${NH_ALL}`,
      );
      const fetched = made.look().find(({ type }) => type === 'command.fetched') as unknown as { lo: bigint };
      return (fetched.lo >> 32n) & 0xffffn;
    };
    expect([vmidOfNext('viommu'), vmidOfNext('second')]).toEqual([1n, 1n]);
  });

  it('18: a vSTE with V=0 is accepted whatever else stands in it, and aborts', () => {
    const made = nestedWorld();
    const arg = `dev_id=dev0 pt_id=viommu data_type=2 data_len=16 data_uptr=hex:${'fe'.padEnd(32, 'f')}`;
    add(made, 'invalid', 'IOMMU_HWPT_ALLOC', arg, 'out_hwpt_id');
    expect(vfio(made, 'dev0', 'ATTACH', 'pt_id=invalid')['errno']).toBeUndefined();
    const dma = made.line({ op: 'dma', endpoint: 'dev0', iova: 0x10_0000, bytes: 8, access: 'read' });
    expect(dma).toMatchObject({ result: 'abort' });
  });
});
