/**
 * Wants to show: the checks of HWPT_ALLOC, GET_HW_INFO and the dirty tracking calls in their order, by the
 * kernels that differ. How: tables; a case with two mistakes says which check comes first.
 */
import { describe, expect, it } from 'vitest';
import { add, nestedWorld, type World, world } from '../../support/nesting.ts';
import { table } from '../../support/tables.ts';

type Column = 'case' | 'arg' | 'errno';

function check(name: string, given: () => World, text: string): void {
  it.each(table<Column>(text))(`${name}, $case: $errno`, ({ arg, errno }) => {
    expect(given().says(name, arg)).toBe(errno);
  });
}

const BYPASS = '09'.padEnd(32, '0');
const data = (hex: string): string => `data_type=2 data_len=${hex.length / 2} data_uptr=hex:${hex}`;

describe('HWPT_ALLOC', () => {
  const given = (): World => {
    const made = nestedWorld();
    add(made, 'fault', 'IOMMU_FAULT_QUEUE_ALLOC', '', 'out_fault_id');
    add(made, 'paging', 'IOMMU_HWPT_ALLOC', 'dev_id=dev0 pt_id=ioas', 'out_hwpt_id');
    return made;
  };

  check(
    'IOMMU_HWPT_ALLOC',
    given,
    `
case                                          | arg                                                        | errno
1 reserved                                    | __reserved=1 data_len=1                                    | EOPNOTSUPP
2 no type, but data                           | data_len=16                                                | EINVAL
2 a type without data                         | data_type=2                                                | EINVAL
2 before 3                                    | data_type=2 dev_id=gone                                    | EINVAL
3 no such device                              | dev_id=gone pt_id=gone                                     | ENOENT
3 an id of another kind                       | dev_id=ioas pt_id=ioas                                     | ENOENT
4 no such target                              | dev_id=dev0 pt_id=gone                                     | EINVAL
5 a target of another kind: a device          | dev_id=dev0 pt_id=dev0                                     | EINVAL
5 a target of another kind: a nested HWPT     | dev_id=dev0 pt_id=bypass                                   | EINVAL
5 a target of another kind: a fault queue     | dev_id=dev0 pt_id=fault                                    | EINVAL
5 a target of another kind: a vDEVICE         | dev_id=dev0 pt_id=vdev                                     | EINVAL
5b an unknown flag                            | dev_id=dev0 pt_id=ioas flags=0x10                          | EOPNOTSUPP
5d faults of a nesting parent                 | dev_id=dev0 pt_id=ioas flags=5 fault_id=fault              | EOPNOTSUPP
5d before 6                                   | dev_id=dev0 pt_id=ioas flags=5 fault_id=gone               | EOPNOTSUPP
5e driver data of a paging HWPT               | dev_id=dev0 pt_id=ioas ${data(BYPASS)}                     | EOPNOTSUPP
5e a nesting parent that tracks               | dev_id=dev0 pt_id=ioas flags=3                             | EOPNOTSUPP
5e a nesting parent with PASIDs               | dev_id=dev0 pt_id=ioas flags=9                             | EOPNOTSUPP
5 on a parent: never on an SMMUv3             | dev_id=dev0 pt_id=parent ${data(BYPASS)}                   | EOPNOTSUPP
5 on a HWPT that is no parent                 | dev_id=dev0 pt_id=paging ${data(BYPASS)}                   | EOPNOTSUPP
5 on a vIOMMU of another SMMU, before flags   | dev_id=dev2 pt_id=viommu flags=0x10 ${data(BYPASS)}        | EINVAL
5 on a vIOMMU with a flag of paging HWPTs     | dev_id=dev0 pt_id=viommu flags=1 ${data(BYPASS)}           | EOPNOTSUPP
5 on a vIOMMU without data                    | dev_id=dev0 pt_id=viommu                                   | EOPNOTSUPP
4.4 1 PASID                                   | dev_id=dev0 pt_id=viommu flags=8 data_type=1 data_len=1    | EOPNOTSUPP
4.4 2 a type of another driver                | dev_id=dev0 pt_id=viommu data_type=1 data_len=16 data_uptr=nowhere | EINVAL
4.4 2 too short                               | dev_id=dev0 pt_id=viommu data_type=2 data_len=15 data_uptr=nowhere | EINVAL
4.4 2 too long, though zero                   | dev_id=dev0 pt_id=viommu ${data(BYPASS.padEnd(34, '0'))}   | EINVAL
4.4 2 not readable                            | dev_id=dev0 pt_id=viommu data_type=2 data_len=16 data_uptr=nowhere | EFAULT
4.4 3 V=0 with any bits                       | dev_id=dev0 pt_id=viommu ${data('fe'.padEnd(32, 'f'))}     | ok
4.4 4 a bit outside the masks                 | dev_id=dev0 pt_id=viommu ${data(`09000000000000010000000000000000`)} | EIO
4.4 5 Config of stage 2                       | dev_id=dev0 pt_id=viommu ${data('0d'.padEnd(32, '0'))}     | EIO
4.4 6 EATS of split stage                     | dev_id=dev0 pt_id=viommu ${data('0b000000000000000000002000000000')} | EIO
4.4 6 EATS reserved                           | dev_id=dev0 pt_id=viommu ${data('0b000000000000000000003000000000')} | EIO
4.4 EATS full                                 | dev_id=dev0 pt_id=viommu ${data('0b000000000000000000001000000000')} | ok
4.4 abort                                     | dev_id=dev0 pt_id=viommu ${data('01'.padEnd(32, '0'))}     | ok
6 no such fault queue                         | dev_id=dev0 pt_id=ioas flags=4 fault_id=gone               | ENOENT
6 a fault queue of another kind               | dev_id=dev0 pt_id=viommu flags=4 fault_id=ioas ${data(BYPASS)} | ENOENT
6 a bad vSTE before the fault queue           | dev_id=dev0 pt_id=viommu flags=4 fault_id=gone ${data('0d'.padEnd(32, '0'))} | EIO
7 plain                                       | dev_id=dev0 pt_id=ioas                                     | ok
7 a nesting parent                            | dev_id=dev0 pt_id=ioas flags=1                             | ok
7 dirty tracking and PASIDs                   | dev_id=dev0 pt_id=ioas flags=10                            | ok
7 with faults                                 | dev_id=dev0 pt_id=ioas flags=4 fault_id=fault              | ok
7 the unchecked reserved word                 | dev_id=dev0 pt_id=ioas __reserved2=1                       | ok
7 nested, with faults                         | dev_id=dev0 pt_id=viommu flags=4 fault_id=fault ${data(BYPASS)} | ok
`,
  );

  it('5c is EOPNOTSUPP for dirty tracking where hardware does not keep it', () => {
    const smmus = [{ name: 'smmu0', base: 0x1000_0000, idr: { IDR0: 0x08df_f63b } }];
    const made = world({}, { smmus, endpoints: [{ name: 'dev0', streamId: 8 }] });
    expect(made.says('IOMMU_HWPT_ALLOC', 'dev_id=dev0 pt_id=ioas flags=2')).toBe('EOPNOTSUPP');
    expect(made.says('IOMMU_HWPT_ALLOC', 'dev_id=dev0 pt_id=ioas flags=8')).toBe('ok');
  });

  it('leaves nothing behind where it fails late, and gives the id back', () => {
    const made = given();
    const objects = (): number => made.state.kernel!.contexts[1]!.objects.size;
    const domains = (): number => made.state.drivers['smmu0']!.domains.size;
    const before = [objects(), domains()];
    expect(made.says('IOMMU_HWPT_ALLOC', 'dev_id=dev0 pt_id=ioas flags=4 fault_id=gone')).toBe('ENOENT');
    expect(
      made.says('IOMMU_HWPT_ALLOC', `dev_id=dev0 pt_id=viommu flags=4 fault_id=gone ${data(BYPASS)}`),
    ).toBe('ENOENT');
    expect([objects(), domains()]).toEqual(before);
    expect(made.says('IOMMU_DESTROY', 'id=fault')).toBe('EBUSY');
    expect(made.says('IOMMU_DESTROY', 'id=viommu')).toBe('EBUSY');
    expect(made.says('IOMMU_DESTROY', 'id=bypass')).toBe('ok');
    expect(made.says('IOMMU_DESTROY', 'id=vdev')).toBe('ok');
    expect(made.says('IOMMU_DESTROY', 'id=viommu')).toBe('ok');
    expect(made.says('IOMMU_DESTROY', 'id=parent')).toBe('ok');
  });

  const byKernel = table<'kernel' | 'arg' | 'errno'>(`
kernel     | arg                                               | errno
linux-6.6  | dev_id=dev0 pt_id=ioas flags=1                    | EOPNOTSUPP
linux-6.6  | dev_id=gone pt_id=ioas flags=1                    | EOPNOTSUPP
linux-6.6  | dev_id=dev0 pt_id=ioas                            | ok
linux-6.7  | dev_id=gone pt_id=ioas flags=1                    | ENOENT
linux-6.7  | dev_id=dev0 pt_id=ioas flags=1                    | EOPNOTSUPP
linux-6.10 | dev_id=dev0 pt_id=ioas flags=2                    | EOPNOTSUPP
linux-6.11 | dev_id=dev0 pt_id=ioas flags=2                    | ok
linux-6.10 | dev_id=dev0 pt_id=ioas flags=4                    | EOPNOTSUPP
linux-6.12 | dev_id=dev0 pt_id=ioas flags=1                    | EOPNOTSUPP
linux-6.13 | dev_id=dev0 pt_id=ioas flags=1                    | ok
linux-6.14 | dev_id=dev0 pt_id=ioas flags=8                    | EOPNOTSUPP
linux-6.15 | dev_id=dev0 pt_id=ioas flags=8                    | ok
`);
  it.each(byKernel)('on $kernel, $arg: $errno', ({ kernel, arg, errno }) => {
    expect(world({ profile: kernel }).says('IOMMU_HWPT_ALLOC', arg)).toBe(errno);
  });

  it('refuses faults of a nested HWPT on an SMMUv3 while the driver sees the flag (before 6.15)', () => {
    for (const [profile, errno] of [
      ['linux-6.14', 'EOPNOTSUPP'],
      ['linux-6.15', 'ok'],
    ] as const) {
      const made = nestedWorld({ profile });
      add(made, 'fault', 'IOMMU_FAULT_QUEUE_ALLOC', '', 'out_fault_id');
      const arg = `dev_id=dev0 pt_id=viommu flags=4 fault_id=fault ${data(BYPASS)}`;
      expect(made.says('IOMMU_HWPT_ALLOC', arg)).toBe(errno);
    }
  });
});

describe('GET_HW_INFO', () => {
  check(
    'IOMMU_GET_HW_INFO',
    world,
    `
case                          | arg                                                     | errno
1 an unknown flag             | flags=2 dev_id=gone                                     | EOPNOTSUPP
4 no such device              | dev_id=gone data_len=8 data_uptr=nowhere                | ENOENT
4 another kind                | dev_id=ioas                                             | ENOENT
6 a type of another driver    | flags=1 dev_id=dev0 in_data_type=1                      | EOPNOTSUPP
6 CMDQV without one           | flags=1 dev_id=dev0 in_data_type=3                      | EOPNOTSUPP
6 before 7                    | flags=1 dev_id=dev0 in_data_type=1 data_len=8 data_uptr=nowhere | EOPNOTSUPP
3 a type without the flag     | dev_id=dev0 in_data_type=1                              | ok
7 not writable                | dev_id=dev0 data_len=8 data_uptr=nowhere                | EFAULT
8 the length alone            | dev_id=dev0                                             | ok
8 the type asked for          | flags=1 dev_id=dev0 in_data_type=2                      | ok
`,
  );

  it('checks each reserved byte, one of which became an output in 6.15', () => {
    for (const [profile, byte, errno] of [
      ['linux-7.3', 28, 'ok'],
      ['linux-7.3', 29, 'EOPNOTSUPP'],
      ['linux-7.3', 31, 'EOPNOTSUPP'],
      ['linux-6.14', 28, 'EOPNOTSUPP'],
      ['linux-6.14', 31, 'EOPNOTSUPP'],
    ] as const) {
      const made = world({ profile });
      const bytes = new Uint8Array(40);
      bytes[0] = 40;
      bytes[8] = made.device['dev0']!;
      bytes[byte] = 1;
      const answer = made.line({
        op: 'ioctl',
        fd: 'iommu0',
        code: 0x3b8a,
        hex: Buffer.from(bytes).toString('hex'),
      });
      expect(answer['errno'] ?? 'ok', `${profile} ${byte}`).toBe(errno);
    }
  });

  it('copies what fits, zeroes what is beyond, and says the whole length', () => {
    const made = world();
    const long = made.ask('IOMMU_GET_HW_INFO', `dev_id=dev0 data_len=48 data_uptr=hex:${'ff'.repeat(48)}`);
    const words = (long['buffers'] as Record<string, string>)['data_uptr']!;
    expect(words.slice(80)).toBe('00'.repeat(8));
    expect(long['out']).toMatchObject({ data_len: 40, out_data_type: 2 });
    const short = made.ask('IOMMU_GET_HW_INFO', `dev_id=dev0 data_len=12 data_uptr=hex:${'ff'.repeat(16)}`);
    expect((short['buffers'] as Record<string, string>)['data_uptr']).toBe(`${words.slice(0, 24)}ffffffff`);
    expect(short['out']).toMatchObject({ data_len: 40 });
  });

  it('gives the identification registers as they are, and says so for the ledger', () => {
    const made = world();
    made.look();
    const answer = made.ask('IOMMU_GET_HW_INFO', 'dev_id=dev0');
    const [reported] = made.look().filter(({ type }) => type === 'hwinfo.reported');
    const { idr } = made.state.smmus['smmu0']!.config;
    const names = ['IDR0', 'IDR1', 'IDR2', 'IDR3', 'IDR4', 'IDR5', 'IIDR', 'AIDR'];
    expect(reported).toMatchObject({
      endpoint: 'dev0',
      smmu: 'smmu0',
      dataType: 2,
      maxPasidLog2: 5,
      words: [0, 0, ...names.map((name) => idr[name] ?? 0)],
    });
    // 1: dirty tracking; 8: ATS is not supported, for the endpoint has none.
    expect(answer['out']).toMatchObject({ out_max_pasid_log2: 5, out_capabilities: '0x9' });
  });

  it.each(
    table<'kernel' | 'type' | 'capabilities' | 'pasid'>(`
kernel     | type | capabilities | pasid
linux-6.12 | 0    | 0x1          | 0
linux-6.13 | 2    | 0x1          | 0
linux-6.15 | 2    | 0x7          | 5
linux-7.2  | 2    | 0xf          | 5
`),
  )('on $kernel: type $type, capabilities $capabilities', ({ kernel, type, capabilities, pasid }) => {
    const made = world(
      { profile: kernel },
      { endpoints: [{ name: 'dev0', streamId: 8, ssidBits: 5, pasidExec: true, pasidPriv: true }] },
    );
    const { out } = made.ask('IOMMU_GET_HW_INFO', 'dev_id=dev0') as { out: Record<string, unknown> };
    expect(out).toMatchObject({ out_data_type: Number(type), data_len: type === '0' ? 0 : 40 });
    expect(out['out_max_pasid_log2']).toBe(Number(pasid));
    expect(Number(out['out_capabilities'])).toBe(Number(capabilities));
  });
});

describe('dirty tracking', () => {
  const given = (): World => {
    const made = nestedWorld();
    add(made, 'plain', 'IOMMU_HWPT_ALLOC', 'dev_id=dev0 pt_id=ioas', 'out_hwpt_id');
    add(made, 'dirty', 'IOMMU_HWPT_ALLOC', 'dev_id=dev0 pt_id=ioas flags=2', 'out_hwpt_id');
    return made;
  };

  check(
    'IOMMU_HWPT_SET_DIRTY_TRACKING',
    given,
    `
case                         | arg                          | errno
an unknown flag, first       | flags=2 hwpt_id=gone         | EOPNOTSUPP
no such HWPT                 | flags=1 hwpt_id=gone         | ENOENT
a nested one                 | flags=1 hwpt_id=bypass       | ENOENT
one that does not track      | flags=1 hwpt_id=plain        | EOPNOTSUPP
on                           | flags=1 hwpt_id=dirty        | ok
off, though it is off        | flags=0 hwpt_id=dirty        | ok
the unchecked reserved word  | flags=1 hwpt_id=dirty __reserved=7 | ok
`,
  );

  const MAX = '0xffffffffffffffff';
  check(
    'IOMMU_HWPT_GET_DIRTY_BITMAP',
    given,
    `
case                         | arg                                                         | errno
an unknown flag, first       | flags=2 hwpt_id=gone                                        | EOPNOTSUPP
reserved                     | __reserved=1 hwpt_id=gone                                   | EOPNOTSUPP
no such HWPT, before range   | hwpt_id=gone length=0                                       | ENOENT
length 0                     | hwpt_id=plain length=0 page_size=0                          | EINVAL
it wraps                     | hwpt_id=plain iova=${MAX} length=0x1000                     | EOVERFLOW
not aligned to the IOAS      | hwpt_id=plain iova=0x100800 length=0x800 page_size=0        | EINVAL
page_size 0                  | hwpt_id=plain iova=0x100000 length=0x1000 page_size=0       | EINVAL
not a multiple of page_size  | hwpt_id=plain iova=0x101000 length=0x1000 page_size=0x2000  | EINVAL
one that does not track      | hwpt_id=plain iova=0x100000 length=0x1000 page_size=0x1000  | EOPNOTSUPP
good                         | hwpt_id=dirty iova=0x100000 length=0x1000 page_size=0x1000 data=hex:00 | ok
a bitmap nowhere             | hwpt_id=dirty iova=0x100000 length=0x1000 page_size=0x1000 data=nowhere | ok
a hole                       | hwpt_id=dirty iova=0x900000 length=0x1000 page_size=0x1000 data=hex:00 | ok
`,
  );

  it('ORs a bit for each page that a device has written, and clears it unless told not to', () => {
    const made = given();
    made.ask('IOMMU_HWPT_SET_DIRTY_TRACKING', 'flags=1 hwpt_id=dirty');
    expect(made.attach('dev0', made.names['dirty']!)['errno']).toBeUndefined();
    for (const iova of [0x10_1000, 0x10_9000])
      made.line({ op: 'dma', endpoint: 'dev0', iova, bytes: 8, access: 'write' });
    const range = 'hwpt_id=dirty iova=0x100000 length=0x10000 page_size=0x1000';
    const bits = (more: string): string =>
      String(
        (made.ask('IOMMU_HWPT_GET_DIRTY_BITMAP', `${range} ${more}`)['buffers'] as Record<string, string>)[
          'data'
        ],
      );
    expect(bits('flags=1 data=hex:8000')).toBe('8202');
    expect(bits('data=hex:0000')).toBe('0202');
    expect(bits('data=hex:0100')).toBe('0100');
  });
});
