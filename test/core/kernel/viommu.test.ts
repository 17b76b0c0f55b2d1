/**
 * Wants to show: the checks of VIOMMU_ALLOC, VDEVICE_ALLOC, VEVENTQ_ALLOC and HW_QUEUE_ALLOC in their order, by
 * the kernels that differ, and what the objects keep. How: tables; a case with two mistakes says which check
 * comes first.
 */
import { describe, expect, it } from 'vitest';
import { memory } from '../../support/kernel.ts';
import { add, nestedWorld, twoSmmus, type World, world } from '../../support/nesting.ts';
import { table } from '../../support/tables.ts';

type Column = 'case' | 'arg' | 'errno';

function check(name: string, given: () => World, text: string): void {
  it.each(table<Column>(text))(`${name}, $case: $errno`, ({ arg, errno }) => {
    expect(given().says(name, arg)).toBe(errno);
  });
}

/** Both SMMUs have a CMDQV: VER 1, 4 queues, 2 interfaces of 2 queues each, 2 pairs of StreamIDs. */
const PARAM = 0x1121;
const cmdqv = {
  ...twoSmmus,
  smmus: twoSmmus.smmus.map((smmu) => ({ ...smmu, choices: { tegra241Param: PARAM } })),
};
const MMAP = `data_len=16 data_uptr=hex:${'00'.repeat(16)}`;

describe('VIOMMU_ALLOC', () => {
  const given = (): World => {
    const made = nestedWorld();
    add(made, 'paging', 'IOMMU_HWPT_ALLOC', 'dev_id=dev0 pt_id=ioas', 'out_hwpt_id');
    return made;
  };
  check(
    'IOMMU_VIOMMU_ALLOC',
    given,
    `
case                             | arg                                       | errno
1 a flag                         | flags=1 type=1 dev_id=gone                | EOPNOTSUPP
1 the default type               | type=0 dev_id=gone                        | EOPNOTSUPP
2 no such device                 | type=9 dev_id=gone hwpt_id=gone           | ENOENT
2 another kind                   | type=1 dev_id=ioas hwpt_id=parent         | ENOENT
4 a type that nobody has         | type=9 dev_id=dev0 hwpt_id=gone           | EOPNOTSUPP
4 CMDQV without one              | type=2 dev_id=dev0 hwpt_id=parent         | EOPNOTSUPP
5 no such HWPT                   | type=1 dev_id=dev0 hwpt_id=gone           | ENOENT
5 a nested HWPT                  | type=1 dev_id=dev0 hwpt_id=bypass         | ENOENT
6 no nesting parent              | type=1 dev_id=dev0 hwpt_id=paging         | EINVAL
6 before 7                       | type=1 dev_id=dev2 hwpt_id=paging         | EINVAL
7 a parent of another SMMU       | type=1 dev_id=dev2 hwpt_id=parent         | EINVAL
good, driver data is ignored     | type=1 dev_id=dev1 hwpt_id=parent data_len=7 data_uptr=nowhere | ok
good, the unchecked reserved     | type=1 dev_id=dev0 hwpt_id=parent __reserved=1 | ok
`,
  );

  it.each(
    table<'iidr' | 'errno'>(`
iidr       | errno
0x4830043b | EOPNOTSUPP
0x4871043b | EOPNOTSUPP
0x4871143b | ok
`),
  )('4 is offered where hardware has no erratum of nesting: IIDR $iidr, $errno', ({ iidr, errno }) => {
    const smmus = [{ name: 'smmu0', base: 0x1000_0000, idr: { IIDR: Number(iidr) } }];
    const made = world({}, { smmus, endpoints: [{ name: 'dev0', streamId: 8 }] });
    expect(made.says('IOMMU_HWPT_ALLOC', 'dev_id=dev0 pt_id=ioas flags=1')).toBe(errno);
    // With a HWPT that is none: 4 comes before 5.
    const next = errno === 'ok' ? 'ENOENT' : errno;
    expect(made.says('IOMMU_VIOMMU_ALLOC', 'type=1 dev_id=dev0 hwpt_id=gone')).toBe(next);
  });

  it('keeps its parent, and the device not at all', () => {
    const made = given();
    expect(made.says('IOMMU_DESTROY', 'id=parent')).toBe('EBUSY');
    expect(made.says('IOMMU_DESTROY', 'id=viommu')).toBe('EBUSY');
    for (const id of ['bypass', 'vdev', 'viommu', 'parent', 'paging'])
      expect(made.says('IOMMU_DESTROY', `id=${id}`)).toBe('ok');
  });

  it('has the VMID of its parent: two on one parent share it, two parents have two', () => {
    const made = given();
    add(made, 'second', 'IOMMU_VIOMMU_ALLOC', 'type=1 dev_id=dev0 hwpt_id=parent', 'out_viommu_id');
    add(made, 'parent2', 'IOMMU_HWPT_ALLOC', 'dev_id=dev0 pt_id=ioas flags=1', 'out_hwpt_id');
    add(made, 'third', 'IOMMU_VIOMMU_ALLOC', 'type=1 dev_id=dev0 hwpt_id=parent2', 'out_viommu_id');
    const vmid = (name: string): unknown =>
      (made.state.kernel!.contexts[1]!.objects.get(made.names[name]!) as { vmid?: number }).vmid;
    expect([vmid('viommu'), vmid('second'), vmid('third')]).toEqual([1, 1, 2]);
  });
});

describe('VDEVICE_ALLOC', () => {
  check(
    'IOMMU_VDEVICE_ALLOC',
    nestedWorld,
    `
case                             | arg                                        | errno
2 no such vIOMMU                 | viommu_id=gone dev_id=dev1 virt_id=1       | ENOENT
2 no such device                 | viommu_id=viommu dev_id=gone virt_id=1     | ENOENT
2 another kind                   | viommu_id=parent dev_id=dev1 virt_id=1     | ENOENT
3 a device of another SMMU       | viommu_id=viommu dev_id=dev2 virt_id=0x42  | EINVAL
5 the device has one             | viommu_id=viommu dev_id=dev0 virt_id=7     | EEXIST
6 the number is taken            | viommu_id=viommu dev_id=dev1 virt_id=0x42  | EEXIST
any number is good               | viommu_id=viommu dev_id=dev1 virt_id=0xffffffffffffffff | ok
good                             | viommu_id=viommu dev_id=dev1 virt_id=7     | ok
`,
  );

  it('5 is for all vIOMMUs from 6.17 on; before, a device may have many', () => {
    for (const [profile, errno] of [
      ['linux-6.16', 'ok'],
      ['linux-6.17', 'EEXIST'],
    ] as const) {
      const made = nestedWorld({ profile });
      add(made, 'second', 'IOMMU_VIOMMU_ALLOC', 'type=1 dev_id=dev0 hwpt_id=parent', 'out_viommu_id');
      expect(made.says('IOMMU_VDEVICE_ALLOC', 'viommu_id=second dev_id=dev0 virt_id=7')).toBe(errno);
      expect(made.says('IOMMU_VDEVICE_ALLOC', 'viommu_id=viommu dev_id=dev1 virt_id=0x42')).toBe('EEXIST');
    }
  });

  it('can be destroyed at any time, and its number used again', () => {
    const made = nestedWorld();
    made.attach('dev0', made.names['bypass']!);
    expect(made.says('IOMMU_DESTROY', 'id=vdev')).toBe('ok');
    expect(made.says('IOMMU_VDEVICE_ALLOC', 'viommu_id=viommu dev_id=dev1 virt_id=0x42')).toBe('ok');
  });

  it('goes with its device and leaves a tombstone from 6.17 on; before, it stays', () => {
    for (const [profile, destroy] of [
      ['linux-6.16', 'ok'],
      ['linux-6.17', 'ENOENT'],
    ] as const) {
      const made = nestedWorld({ profile });
      const { vdev } = made.names;
      made.line({ op: 'close', fd: 'vfio:dev0' });
      expect(made.says('IOMMU_DESTROY', 'id=vdev')).toBe(destroy);
      // The id of dev0 is free; the next one is that of the vDEVICE, unless it is a tombstone.
      add(made, 'a', 'IOMMU_IOAS_ALLOC', '', 'out_ioas_id');
      const b = add(made, 'b', 'IOMMU_IOAS_ALLOC', '', 'out_ioas_id');
      expect(b === vdev).toBe(destroy === 'ok');
    }
  });
});

describe('VEVENTQ_ALLOC', () => {
  const given = (): World => {
    const made = nestedWorld();
    add(made, 'queue', 'IOMMU_VEVENTQ_ALLOC', 'viommu_id=viommu type=1 veventq_depth=2', 'out_veventq_id');
    return made;
  };
  check(
    'IOMMU_VEVENTQ_ALLOC',
    given,
    `
case                             | arg                                            | errno
1 a flag                         | flags=1 type=1 veventq_depth=0                 | EOPNOTSUPP
1 reserved                       | __reserved=1 type=1 veventq_depth=0            | EOPNOTSUPP
1 the default type               | type=0 veventq_depth=0                         | EOPNOTSUPP
2 depth 0                        | type=1 veventq_depth=0 viommu_id=gone          | EINVAL
2 too deep                       | type=1 veventq_depth=0x80001 viommu_id=gone    | EINVAL
3 no such vIOMMU                 | type=1 veventq_depth=1 viommu_id=gone          | ENOENT
3 another kind                   | type=1 veventq_depth=1 viommu_id=parent        | ENOENT
4 it has one of the type         | type=1 veventq_depth=1 viommu_id=viommu        | EEXIST
5 a type that nobody has         | type=0xbeef veventq_depth=1 viommu_id=viommu   | ok
the deepest                      | type=2 veventq_depth=0x80000 viommu_id=viommu  | ok
`,
  );

  it('2 has no largest depth before 7.3', () => {
    const made = nestedWorld({ profile: 'linux-6.19' });
    expect(made.says('IOMMU_VEVENTQ_ALLOC', 'viommu_id=viommu type=1 veventq_depth=0xffffffff')).toBe('ok');
  });

  it('is kept by its fd, and keeps the vIOMMU', () => {
    const made = given();
    const fd = made.ask('IOMMU_VEVENTQ_ALLOC', 'viommu_id=viommu type=7 veventq_depth=1')['out'] as Record<
      string,
      number
    >;
    expect(made.says('IOMMU_DESTROY', `id=${fd['out_veventq_id']}`)).toBe('EBUSY');
    made.line({ op: 'close', fd: fd['out_veventq_fd'] });
    expect(made.says('IOMMU_DESTROY', `id=${fd['out_veventq_id']}`)).toBe('ok');
    expect(made.says('IOMMU_DESTROY', 'id=viommu')).toBe('EBUSY');
  });
});

describe('Tegra241 CMDQV', () => {
  const given = (): World => {
    const made = nestedWorld({}, cmdqv);
    const alloc = `type=2 dev_id=dev0 hwpt_id=parent ${MMAP}`;
    add(made, 'vcmdqv', 'IOMMU_VIOMMU_ALLOC', alloc, 'out_viommu_id');
    // One huge page of memory for queues, contiguous; and scattered pages behind it.
    const whole = memory(made, 0x20_0000, { kind: 'contiguous' });
    const torn = memory(made, 0x4000, { kind: 'scattered' });
    const map = (va: string, iova: number, length: number, flags = 7): unknown =>
      made.ioctl('IOMMU_IOAS_MAP', { ioas_id: made.ioas, flags, user_va: va, length, iova });
    map(whole, 0x4000_0000, 0x20_0000);
    map(torn, 0x5000_0000, 0x4000);
    map(memory(made, 0x1000), 0x6000_0000, 0x1000, 3);
    return made;
  };
  const queue = 'type=1 viommu_id=vcmdqv';

  it('tells of itself: version, queues of one interface, pairs', () => {
    const answer = given().ask(
      'IOMMU_GET_HW_INFO',
      `flags=1 dev_id=dev0 in_data_type=3 data_len=8 data_uptr=hex:${'ff'.repeat(8)}`,
    );
    expect(answer).toMatchObject({
      out: { data_len: 8, out_data_type: 3 },
      buffers: { data_uptr: '0000000001010100' },
    });
  });

  check(
    'IOMMU_VIOMMU_ALLOC',
    given,
    `
case                             | arg                                                     | errno
no driver data                   | type=2 dev_id=dev0 hwpt_id=parent                       | EINVAL
driver data of another length    | type=2 dev_id=dev0 hwpt_id=parent data_len=24 data_uptr=nowhere | EINVAL
no interface is free             | type=2 dev_id=dev0 hwpt_id=parent data_len=16 data_uptr=nowhere | ENOSPC
`,
  );

  it('says where its page is mapped from, and keeps that page apart', () => {
    const made = nestedWorld(
      {},
      {
        ...cmdqv,
        smmus: [{ name: 'smmu0', base: 0x1000_0000, choices: { tegra241Param: 0x1341 } }],
        endpoints: [{ name: 'dev0', streamId: 8 }],
      },
    );
    const alloc = (data: string): Record<string, unknown> =>
      made.ask('IOMMU_VIOMMU_ALLOC', `type=2 dev_id=dev0 hwpt_id=parent ${data}`);
    expect(alloc('data_len=16 data_uptr=nowhere')['errno']).toBe('EFAULT');
    const words = (offset: number): string =>
      Buffer.from(new BigUint64Array([BigInt(offset), 0x1_0000n]).buffer).toString('hex');
    expect(alloc(MMAP)).toMatchObject({ buffers: { data_uptr: words(0x1000) } });
    expect(alloc(MMAP)).toMatchObject({ buffers: { data_uptr: words(0x1_1000) } });
  });

  check(
    'IOMMU_VDEVICE_ALLOC',
    given,
    `
case                             | arg                                        | errno
a number of more than 20 bits    | viommu_id=vcmdqv dev_id=dev1 virt_id=0x100000 | EINVAL
the largest number               | viommu_id=vcmdqv dev_id=dev1 virt_id=0xfffff  | ok
`,
  );

  it('refuses a vDEVICE when no pair is free', () => {
    const three = [8, 9, 10].map((streamId, at) => ({ name: `dev${at}`, streamId }));
    const made = nestedWorld(
      {},
      { smmus: [{ name: 'smmu0', base: 0x1000_0000, choices: { tegra241Param: 0x0121 } }], endpoints: three },
    );
    add(made, 'vcmdqv', 'IOMMU_VIOMMU_ALLOC', `type=2 dev_id=dev0 hwpt_id=parent ${MMAP}`, 'out_viommu_id');
    expect(made.says('IOMMU_VDEVICE_ALLOC', 'viommu_id=vcmdqv dev_id=dev1 virt_id=1')).toBe('ok');
    expect(made.says('IOMMU_VDEVICE_ALLOC', 'viommu_id=vcmdqv dev_id=dev2 virt_id=2')).toBe('ENOSPC');
  });

  check(
    'IOMMU_HW_QUEUE_ALLOC',
    given,
    `
case                             | arg                                                          | errno
1 a flag                         | flags=1 type=1 length=0                                      | EOPNOTSUPP
1 the default type               | type=0 length=0                                              | EOPNOTSUPP
2 length 0                       | type=1 length=0 viommu_id=gone                               | EINVAL
3 it wraps                       | type=1 length=2 nesting_parent_iova=0xffffffffffffffff viommu_id=gone | EOVERFLOW
4 no such vIOMMU                 | type=1 length=32 viommu_id=gone                              | ENOENT
5 a vIOMMU without queues        | type=1 length=32 viommu_id=viommu                            | EOPNOTSUPP
5 an unknown type of queue       | type=2 length=32 viommu_id=vcmdqv                            | EOPNOTSUPP
6 pages beyond all arrays        | ${queue} length=0x100000000 index=9                          | ENOMEM
6 page arithmetic                | ${queue} length=0xfffffffffffff001 nesting_parent_iova=0xfff index=9 | ERANGE
7 not mapped, before the index   | ${queue} length=0x1000 nesting_parent_iova=0x90000000 index=9 | ENOENT
7 mapped in part                 | ${queue} length=0x1001 nesting_parent_iova=0x401ff000        | ENOENT
7 not readable                   | ${queue} length=0x1000 nesting_parent_iova=0x60000000        | EPERM
8 scattered, before the length   | ${queue} length=0x1800 nesting_parent_iova=0x50000000        | EFAULT
5.5 1 no such index              | ${queue} length=0x1800 nesting_parent_iova=0x40000000 index=2 | EINVAL
5.5 3 not the lowest             | ${queue} length=0x1800 nesting_parent_iova=0x40000000 index=1 | EIO
5.5 4 no power of two            | ${queue} length=0x1800 nesting_parent_iova=0x40000000        | EINVAL
5.5 4 too short                  | ${queue} length=16 nesting_parent_iova=0x40000000            | EINVAL
5.5 5 not aligned                | ${queue} length=0x2000 nesting_parent_iova=0x40001000        | EINVAL
6 the smallest                   | ${queue} length=32 nesting_parent_iova=0x40000020            | ok
6 a large one                    | ${queue} length=0x200000 nesting_parent_iova=0x40000000      | ok
`,
  );

  it('takes two ids, locks its memory, and is destroyed from the highest index down', () => {
    const made = given();
    const first = add(
      made,
      'q0',
      'IOMMU_HW_QUEUE_ALLOC',
      `${queue} length=0x1000 nesting_parent_iova=0x40000000`,
      'out_hw_queue_id',
    );
    const second = add(
      made,
      'q1',
      'IOMMU_HW_QUEUE_ALLOC',
      `${queue} index=1 length=0x1000 nesting_parent_iova=0x40001000`,
      'out_hw_queue_id',
    );
    expect(second).toBe(first + 2);
    expect(made.says('IOMMU_HW_QUEUE_ALLOC', `${queue} length=0x1000 nesting_parent_iova=0x40002000`)).toBe(
      'EEXIST',
    );
    expect(made.says('IOMMU_DESTROY', `id=${first + 1}`)).toBe('EBUSY');
    expect(made.says('IOMMU_IOAS_UNMAP', 'ioas_id=ioas iova=0x40000000 length=0x200000')).toBe('EBUSY');
    expect(made.says('IOMMU_DESTROY', 'id=q0')).toBe('EBUSY');
    expect(made.says('IOMMU_DESTROY', 'id=q1')).toBe('ok');
    expect(made.says('IOMMU_DESTROY', 'id=q0')).toBe('ok');
    expect(made.says('IOMMU_IOAS_UNMAP', 'ioas_id=ioas iova=0x40000000 length=0x200000')).toBe('ok');
    expect(made.says('IOMMU_DESTROY', 'id=vcmdqv')).toBe('ok');
  });

  it('gives both ids back where it fails', () => {
    const made = given();
    const objects = (): number => made.state.kernel!.contexts[1]!.objects.size;
    const before = objects();
    for (const bad of [
      '0x90000000 length=32',
      '0x60000000 length=32',
      '0x50000000 length=0x2000',
      '0x40000000 length=48',
    ])
      made.says('IOMMU_HW_QUEUE_ALLOC', `${queue} nesting_parent_iova=${bad}`);
    expect(objects()).toBe(before);
    expect(made.says('IOMMU_IOAS_UNMAP', 'ioas_id=ioas iova=0x40000000 length=0x200000')).toBe('ok');
  });

  it.each(
    table<'offset' | 'length' | 'more' | 'errno'>(`
offset  | length   | more        | errno
0x1000  | 0x10001  |             | EINVAL
0x1000  | 0        |             | EINVAL
0x1000  | 0x10000  | private     | EINVAL
0x1000  | 0x10000  | exec        | EPERM
0x2000  | 0x10000  | exec        | EPERM
0x2000  | 0x10000  |             | ENXIO
0x0     | 0x10000  |             | ENXIO
0x1000  | 0x8000   |             | ENXIO
0x1000  | 0x10000  |             | ok
`),
  )('mmap of $offset, $length bytes $more: $errno', ({ offset, length, more, errno }) => {
    const made = given();
    const map = { op: 'mmap', fd: 'iommu0', offset, length, ...(more === '' ? {} : { [more]: true }) };
    expect(made.line(map)['errno'] ?? 'ok').toBe(errno);
    expect(made.says('IOMMU_DESTROY', 'id=vcmdqv')).toBe(errno === 'ok' ? 'EBUSY' : 'ok');
    if (errno !== 'ok') return;
    const unmap = { op: 'munmap', fd: 'iommu0', offset };
    expect([made.line(unmap), made.line(unmap)]).toEqual([{}, { errno: 'EINVAL' }]);
    expect(made.says('IOMMU_DESTROY', 'id=vcmdqv')).toBe('ok');
  });

  it('is kept by a mapping, with its context, until its process ends', () => {
    const made = given();
    expect(made.line({ op: 'mmap', fd: 'iommu0', offset: 0x1000, length: 0x1_0000 })).toEqual({});
    for (const name of Object.keys(made.state.kernel!.names)) made.line({ op: 'close', fd: name });
    expect(Object.keys(made.state.kernel!.contexts)).toEqual(['1']);
    made.line({ op: 'process.exit' });
    expect(made.state.kernel!.contexts).toEqual({});
    // Those of the host alone.
    expect(Object.values(made.state.drivers).map(({ domains }) => domains.size)).toEqual([2, 1]);
  });

  it('does not exist before 6.17', () => {
    const made = nestedWorld({ profile: 'linux-6.16' }, cmdqv);
    expect(made.says('IOMMU_VIOMMU_ALLOC', 'type=2 dev_id=dev0 hwpt_id=parent')).toBe('EOPNOTSUPP');
    expect(made.says('IOMMU_HW_QUEUE_ALLOC', 'type=1')).toBe('ENOTTY');
  });
});
