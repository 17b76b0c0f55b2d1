/**
 * Wants to show: the checks of the calls of a VFIO device's file in their order; attach, replace and detach with
 * auto domains; what a device reserves; and that what fails changes nothing. How: tables of
 * calls, and DMA before and after.
 */
import { describe, expect, it } from 'vitest';
import { host } from '../../support/kernel.ts';
import { add, endpoints, named, nestedWorld, type World, world } from '../../support/nesting.ts';
import { table } from '../../support/tables.ts';

const dma = (of: World, endpoint: string, iova = 0x10_0000, more: object = {}): unknown =>
  of.line({ op: 'dma', endpoint, iova, bytes: 8, access: 'read', ...more })['result'];
const vfio = (of: World, endpoint: string, name: string, cell: string): string =>
  String(of.line({ op: 'ioctl', fd: `vfio:${endpoint}`, name, arg: named(cell, of.names) })['errno'] ?? 'ok');
const attach = (of: World, endpoint: string, cell: string): string =>
  vfio(of, endpoint, 'VFIO_DEVICE_ATTACH_IOMMUFD_PT', cell);
const detach = (of: World, endpoint: string, cell = ''): string =>
  vfio(of, endpoint, 'VFIO_DEVICE_DETACH_IOMMUFD_PT', cell);
const objects = (of: World): number => of.state.kernel!.contexts[1]!.objects.size;

describe('VFIO_DEVICE_BIND_IOMMUFD', () => {
  const cases = table<'case' | 'hex' | 'errno' | 'old'>(`
case                                | hex                                                | errno  | old
1 too short                         | 0f000000 00000000 03000000 00000000                | EINVAL | EINVAL
2 a tail with data                  | 1c000000 00000000 03000000 00000000 0000000000000000 01000000 | E2BIG | ok
2 a tail of zeros                   | 1c000000 00000000 03000000 00000000 0000000000000000 00000000 | ok | ok
3 an unknown flag                   | 18000000 02000000 03000000 00000000 0000000000000000 | EINVAL | EINVAL
3 a negative fd                     | 18000000 00000000 ffffffff 00000000 0000000000000000 | EINVAL | EINVAL
7 a token, which no device has      | 18000000 01000000 63000000 00000000 0000000000000000 | EINVAL | EINVAL
8 an fd that is not open            | 18000000 00000000 63000000 00000000 0000000000000000 | EBADF  | EBADF
8 an fd of another kind             | 18000000 00000000 04000000 00000000 0000000000000000 | EBADFD | EBADFD
11 good, short                      | 10000000 00000000 03000000 00000000                | ok     | ok
`);
  for (const profile of ['linux-7.3', 'linux-6.16']) {
    it.each(cases)(`on ${profile}, $case`, ({ hex, errno, old }) => {
      const made = host({ profile }, { endpoints });
      for (const fd of ['iommu0', 'vfio:dev0']) made.line({ op: 'open', fd });
      const answer = made.line({ op: 'ioctl', fd: 'vfio:dev0', code: 0x3b76, hex: hex.replaceAll(' ', '') });
      expect(answer['errno'] ?? 'ok').toBe(profile === 'linux-7.3' ? errno : old);
    });
  }

  it('1 is EFAULT without memory; 6 and 9 refuse a second time; every other call before it is EINVAL', () => {
    const made = world();
    for (const fd of ['vfio:dev0#2', 'vfio:dev1#2']) made.line({ op: 'open', fd });
    const bind = (fd: string, arg: unknown): unknown =>
      made.line({ op: 'ioctl', fd, name: 'VFIO_DEVICE_BIND_IOMMUFD', arg })['errno'];
    expect(bind('vfio:dev0#2', '0xdead000')).toBe('EFAULT');
    expect(bind('vfio:dev0', { iommufd: 3 })).toBe('EINVAL');
    expect(bind('vfio:dev0#2', { iommufd: 3 })).toBe('EINVAL');
    for (const code of [0x3b77, 0x3b78, 0x3b6e])
      expect(made.line({ op: 'ioctl', fd: 'vfio:dev0#2', code, arg: 0 })['errno']).toBe('EINVAL');
  });

  it('10 is EPERM for a group that another context has, and EINVAL where walks are not coherent', () => {
    const grouped = endpoints.map((each) => ({ ...each, group: 'g' }));
    const made = host({}, { endpoints: grouped });
    for (const fd of ['iommu0', 'iommu1', 'vfio:dev0', 'vfio:dev1']) made.line({ op: 'open', fd });
    const bind = (fd: string, iommufd: number): unknown =>
      made.line({ op: 'ioctl', fd, name: 'VFIO_DEVICE_BIND_IOMMUFD', arg: { iommufd } })['errno'] ?? 'ok';
    expect([bind('vfio:dev0', 3), bind('vfio:dev1', 4), bind('vfio:dev1', 3)]).toEqual(['ok', 'EPERM', 'ok']);
    const idr0 = made.state.smmus['smmu0']!.config.idr['IDR0']!;
    const smmus = [{ name: 'smmu0', base: 0x1000_0000, idr: { IDR0: idr0 & ~0x10 } }];
    expect(() => world({}, { smmus, endpoints })).toThrow('EINVAL');
  });

  it('blocks the device, and gives it back to the host as it was', () => {
    const made = host({}, { endpoints });
    const before = made.state.drivers['smmu0']!.masters['dev0']!.attached[0];
    made.line({ op: 'open', fd: 'iommu0' });
    made.line({ op: 'open', fd: 'vfio:dev0' });
    made.line({ op: 'ioctl', fd: 'vfio:dev0', name: 'VFIO_DEVICE_BIND_IOMMUFD', arg: { iommufd: 3 } });
    expect(made.state.drivers['smmu0']!.masters['dev0']!.attached[0]).toBe('blocked');
    expect(made.ioctl('IOMMU_DESTROY', 'id=1')['errno']).toBe('EBUSY');
    made.line({ op: 'close', fd: 'vfio:dev0' });
    expect(made.state.drivers['smmu0']!.masters['dev0']!.attached[0]).toBe(before);
    expect(made.ioctl('IOMMU_DESTROY', 'id=1')['errno']).toBe('ENOENT');
  });

  it('keeps the context: its file may be closed first', () => {
    const made = nestedWorld();
    attach(made, 'dev0', 'pt_id=bypass');
    made.line({ op: 'close', fd: 'iommu0' });
    expect(dma(made, 'dev0')).toBe('ok');
    for (const fd of ['vfio:dev1', 'vfio:dev2', 'vfio:dev0']) made.line({ op: 'close', fd });
    expect(made.state.kernel!.contexts).toEqual({});
    expect(dma(made, 'dev0')).not.toBe('ok');
    // Nothing is left of it: the domains are those of the host, for its own devices.
    expect(made.state.drivers['smmu0']!.domains.size).toBe(2);
  });
});

describe('VFIO_DEVICE_ATTACH_IOMMUFD_PT', () => {
  const given = (): World => {
    const made = nestedWorld();
    add(made, 'fault', 'IOMMU_FAULT_QUEUE_ALLOC', '', 'out_fault_id');
    return made;
  };
  it.each(
    table<'case' | 'arg' | 'errno'>(`
case                               | arg                                  | errno
1 too short                        | argsz=11 pt_id=gone                  | EINVAL
1 an unknown flag                  | flags=2 pt_id=gone                   | EINVAL
3 no room for the PASID            | argsz=12 flags=1 pt_id=gone          | EINVAL
4 no such target                   | pt_id=gone                           | ENOENT
4 a device                         | pt_id=dev0                           | EINVAL
4 a fault queue                    | pt_id=fault                          | EINVAL
4 a vIOMMU                         | pt_id=viommu                         | EINVAL
a size far beyond it               | argsz=0xffffffff pt_id=parent        | ok
an IOAS                            | pt_id=ioas                           | ok
a parent                           | pt_id=parent                         | ok
a nested HWPT                      | pt_id=bypass                         | ok
`),
  )('$case: $errno', ({ arg, errno }) => {
    const made = given();
    expect(attach(made, 'dev0', arg)).toBe(errno);
    expect(dma(made, 'dev0')).toBe(errno === 'ok' ? 'ok' : 'abort');
  });

  it('refuses a domain of another SMMU', () => {
    const made = given();
    expect(attach(made, 'dev2', 'pt_id=parent')).toBe('EINVAL');
    expect(attach(made, 'dev2', 'pt_id=bypass')).not.toBe('ok');
    expect(dma(made, 'dev2')).toBe('abort');
  });

  it('needs a vDEVICE for nested HWPTs, by the kernel: none, any, or for stage 1', () => {
    const S1 = '0b00800000000000'.padEnd(32, '0');
    for (const [profile, bypass, stage1] of [
      ['linux-6.14', 'ok', 'ok'],
      ['linux-6.15', 'ENOENT', 'ENOENT'],
      ['linux-6.18', 'ENOENT', 'ENOENT'],
      ['linux-6.19', 'ok', 'ENOENT'],
    ] as const) {
      const made = nestedWorld({ profile });
      add(
        made,
        's1',
        'IOMMU_HWPT_ALLOC',
        `dev_id=dev0 pt_id=viommu data_type=2 data_len=16 data_uptr=hex:${S1}`,
        'out_hwpt_id',
      );
      // dev1 has no vDEVICE, dev0 has.
      expect([attach(made, 'dev1', 'pt_id=bypass'), attach(made, 'dev1', 'pt_id=s1')], profile).toEqual([
        bypass,
        stage1,
      ]);
      expect([attach(made, 'dev0', 'pt_id=bypass'), attach(made, 'dev0', 'pt_id=s1')], profile).toEqual([
        'ok',
        'ok',
      ]);
      expect(attach(made, 'dev0', 'pt_id=bypass')).toBe('ok');
    }
  });

  it('replaces what there is; a replace that fails leaves the old one', () => {
    const made = given();
    expect(attach(made, 'dev0', 'pt_id=parent')).toBe('ok');
    expect(attach(made, 'dev0', 'pt_id=bypass')).toBe('ok');
    expect(made.says('IOMMU_DESTROY', 'id=bypass')).toBe('EBUSY');
    add(made, 'other', 'IOMMU_IOAS_ALLOC', '', 'out_ioas_id');
    made.ioctl('IOMMU_IOAS_MAP', {
      ioas_id: made.names['other'],
      flags: 7,
      user_va: made.va,
      length: 0x1000,
      iova: 0x800_0000,
    });
    const before = objects(made);
    expect(attach(made, 'dev0', 'pt_id=other')).toBe('EADDRINUSE');
    expect(objects(made)).toBe(before);
    expect(dma(made, 'dev0')).toBe('ok');
    expect(made.says('IOMMU_DESTROY', 'id=bypass')).toBe('EBUSY');
    expect(attach(made, 'dev0', 'pt_id=parent')).toBe('ok');
    expect(made.says('IOMMU_DESTROY', 'id=bypass')).toBe('ok');
  });

  it('does nothing where the HWPT is the same', () => {
    const made = given();
    attach(made, 'dev0', 'pt_id=bypass');
    made.look();
    expect(attach(made, 'dev0', 'pt_id=bypass')).toBe('ok');
    expect(made.look().filter(({ type }) => type === 'command.consumed')).toEqual([]);
  });

  it('detaches the RID where the reply cannot be written, even for a PASID', () => {
    const made = nestedWorld();
    add(made, 'p', 'IOMMU_HWPT_ALLOC', 'dev_id=dev0 pt_id=ioas flags=8', 'out_hwpt_id');
    attach(made, 'dev0', 'pt_id=p');
    const va = String(made.line({ op: 'mem.alloc', bytes: 0x1000 })['va']);
    made.line({ op: 'mem.write', va, u32: [16, 1, made.names['p'], 3] });
    made.line({ op: 'set', path: 'schedule', value: 'manual' });
    const name = 'VFIO_DEVICE_ATTACH_IOMMUFD_PT';
    expect(made.line({ op: 'ioctl', fd: 'vfio:dev0', name, arg: va })).toMatchObject({ pending: true });
    // The memory goes while the hardware is waited for.
    made.line({ op: 'mem.free', va });
    made.look();
    made.line({ op: 'run' });
    expect(made.look()).toContainEqual(
      expect.objectContaining({ type: 'ioctl.completed', name, errno: 'EFAULT' }),
    );
    expect(dma(made, 'dev0')).toBe('abort');
    expect(dma(made, 'dev0', 0x10_0000, { ssid: 3 })).toBe('ok');
  });
});

describe('auto domains', () => {
  const auto = (of: World, endpoint: string): number => {
    const answer = of.attach(endpoint, of.ioas);
    return (answer['out'] as { pt_id: number }).pt_id;
  };

  it('are made for an IOAS, used again where they fit, and go with their last user', () => {
    const made = world();
    const before = objects(made);
    const first = auto(made, 'dev0');
    expect(auto(made, 'dev1')).toBe(first);
    // dev2 is behind another SMMU: the first does not fit.
    const second = auto(made, 'dev2');
    expect(second).not.toBe(first);
    expect(['dev0', 'dev1', 'dev2'].map((each) => dma(made, each))).toEqual(['ok', 'ok', 'ok']);
    expect(made.says('IOMMU_DESTROY', `id=${first}`)).toBe('EBUSY');
    expect([detach(made, 'dev0'), objects(made)]).toEqual(['ok', before + 2]);
    expect([detach(made, 'dev1'), objects(made)]).toEqual(['ok', before + 1]);
    expect([detach(made, 'dev2'), objects(made)]).toEqual(['ok', before]);
    expect(['dev0', 'dev1', 'dev2'].map((each) => dma(made, each))).toEqual(['abort', 'abort', 'abort']);
    expect(made.says('IOMMU_DESTROY', 'id=ioas')).toBe('ok');
  });

  it('are never HWPTs that somebody made, nor parents, nor for PASIDs', () => {
    const made = nestedWorld();
    add(made, 'mine', 'IOMMU_HWPT_ALLOC', 'dev_id=dev0 pt_id=ioas', 'out_hwpt_id');
    const made1 = auto(made, 'dev0');
    expect([made.names['mine'], made.names['parent']]).not.toContain(made1);
    expect(made.says('IOMMU_VIOMMU_ALLOC', `type=1 dev_id=dev0 hwpt_id=${made1}`)).toBe('EINVAL');
    expect(attach(made, 'dev0', 'flags=1 pasid=1 pt_id=ioas')).toBe('EINVAL');
  });

  it('are replaced by others of their IOAS, which free the id at once', () => {
    const made = world();
    const first = auto(made, 'dev0');
    attach(made, 'dev1', 'pt_id=ioas');
    expect(add(made, 'mine', 'IOMMU_HWPT_ALLOC', 'dev_id=dev0 pt_id=ioas', 'out_hwpt_id')).toBe(first + 1);
    attach(made, 'dev0', 'pt_id=mine');
    attach(made, 'dev1', 'pt_id=mine');
    expect(add(made, 'next', 'IOMMU_IOAS_ALLOC', '', 'out_ioas_id')).toBe(first);
  });
});

describe('what a device reserves', () => {
  const ranges = (of: World): string[] => {
    const answer = of.ask(
      'IOMMU_IOAS_IOVA_RANGES',
      `ioas_id=ioas num_iovas=4 allowed_iovas=hex:${'00'.repeat(64)}`,
    );
    const hex = (answer['buffers'] as Record<string, string>)['allowed_iovas']!;
    const words = Buffer.from(hex, 'hex');
    const count = (answer['out'] as { num_iovas: number }).num_iovas;
    return Array.from({ length: count }, (_, at) =>
      [0, 8].map((offset) => words.readBigUInt64LE(at * 16 + offset).toString(16)).join('-'),
    );
  };

  it('is the MSI window, for as long as it is attached; a nested HWPT takes it in the IOAS of its parent', () => {
    for (const target of ['ioas', 'parent', 'bypass']) {
      const made = nestedWorld();
      expect(ranges(made)[0]).toMatch(/^0-/);
      attach(made, 'dev0', `pt_id=${target}`);
      expect(ranges(made).map((each) => each.split('-')[0])).toEqual(['0', '8100000']);
      expect(ranges(made)[0]).toBe('0-7ffffff');
      detach(made, 'dev0');
      expect(ranges(made)).toHaveLength(1);
    }
  });

  it('may not meet areas or allowed ranges', () => {
    const made = world();
    made.ioctl('IOMMU_IOAS_MAP', {
      ioas_id: made.ioas,
      flags: 7,
      user_va: made.va,
      length: 0x1000,
      iova: 0x80f_f000,
    });
    expect(attach(made, 'dev0', 'pt_id=ioas')).toBe('EADDRINUSE');
    made.ioctl('IOMMU_IOAS_UNMAP', { ioas_id: made.ioas, iova: 0x80f_f000, length: 0x1000 });
    const range = Buffer.from(new BigUint64Array([0x700_0000n, 0x800_0000n]).buffer).toString('hex');
    made.ioctl('IOMMU_IOAS_ALLOW_IOVAS', {
      ioas_id: made.ioas,
      num_iovas: 1,
      allowed_iovas: { bytes: range },
    });
    expect(attach(made, 'dev0', 'pt_id=ioas')).toBe('EADDRINUSE');
    made.ioctl('IOMMU_IOAS_ALLOW_IOVAS', { ioas_id: made.ioas });
    expect(attach(made, 'dev0', 'pt_id=ioas')).toBe('ok');
  });
});

describe('VFIO_DEVICE_DETACH_IOMMUFD_PT', () => {
  it.each(
    table<'arg' | 'errno'>(`
arg                     | errno
argsz=7                 | EINVAL
flags=2                 | EINVAL
argsz=8 flags=1         | EINVAL
argsz=8                 | ok
flags=1 pasid=7         | ok
`),
  )('$arg: $errno', ({ arg, errno }) => {
    const made = world();
    expect(detach(made, 'dev0', arg)).toBe(errno);
  });
});
