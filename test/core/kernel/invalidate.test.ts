/**
 * Wants to show: HWPT_INVALIDATE, its checks in order, what it writes back whatever happens, which of the commands
 * reach hardware and as what, by both rules of a batch. How: tables of fields and answers; commands that the SMMU
 * consumed.
 */
import { describe, expect, it } from 'vitest';
import type { EntryOf } from '../../../core/event.ts';
import { add, named, nestedWorld, twoSmmus, type World } from '../../support/nesting.ts';
import { table } from '../../support/tables.ts';

const command = (lo: bigint, hi = 0n): string =>
  Buffer.from(new BigUint64Array([lo, hi]).buffer).toString('hex');
const NH_ALL = command(0x10n);
const CFGI_STE = command(0x03n);
const dataOf = (commands: readonly string[]): string =>
  `data_type=1 entry_len=16 entry_num=${commands.length} data_uptr=hex:${commands.join('')}`;

interface Answer {
  readonly errno: string;
  readonly handled: unknown;
}

function invalidate(of: World, cell: string): Answer {
  const { errno = 'ok', out } = of.ask('IOMMU_HWPT_INVALIDATE', cell) as {
    errno?: string;
    out: Record<string, unknown>;
  };
  return { errno, handled: out['entry_num'] };
}

/** Commands that hardware took since the last look, the driver's CMD_SYNC as `|`. */
function issued(of: World): string {
  const taken = of
    .look()
    .filter(({ type }) => type === 'command.consumed') as unknown as EntryOf<'command.consumed'>[];
  return taken.map(({ command: name }) => (name === 'CMD_SYNC' ? '|' : name.replace('CMD_', ''))).join(' ');
}

describe('HWPT_INVALIDATE', () => {
  it.each(
    table<'case' | 'arg' | 'errno' | 'handled'>(`
case                                  | arg                                                        | errno      | handled
1 reserved                            | __reserved=1 hwpt_id=gone entry_num=3                      | EOPNOTSUPP | 0
2 no array                            | hwpt_id=gone entry_num=3 entry_len=16                      | EINVAL     | 0
2 entries of no length                | hwpt_id=gone entry_num=3 data_uptr=nowhere                 | EINVAL     | 0
2b entries above a page               | hwpt_id=gone entry_num=3 entry_len=0x1001 data_uptr=nowhere | EINVAL    | 0
2b too many entries                   | hwpt_id=gone entry_num=0x80001 entry_len=16 data_uptr=nowhere | EINVAL  | 0
3 nobody                              | hwpt_id=gone entry_num=3 entry_len=16 data_uptr=nowhere    | ENOENT     | 0
4 a nested HWPT                       | hwpt_id=bypass entry_num=3 entry_len=16 data_uptr=nowhere  | EOPNOTSUPP | 0
6 a paging HWPT                       | hwpt_id=parent entry_num=3 entry_len=16 data_uptr=nowhere  | EINVAL     | 0
6 an IOAS                             | hwpt_id=ioas entry_num=3 entry_len=16 data_uptr=nowhere    | EINVAL     | 0
7 another driver's type, before EFAULT | hwpt_id=viommu data_type=0 entry_num=1 entry_len=16 data_uptr=nowhere | EINVAL | 0
7 not readable                        | hwpt_id=viommu data_type=1 entry_num=1 entry_len=16 data_uptr=nowhere | EFAULT | 0
7 no entries, the documented probe    | hwpt_id=viommu data_type=1                                 | EINVAL     | 0
7 no entries of another type          | hwpt_id=viommu data_type=0                                 | EINVAL     | 0
7 a longer entry with data in its tail | hwpt_id=viommu data_type=1 entry_num=1 entry_len=17 data_uptr=hex:${NH_ALL}01 | E2BIG | 0
7 a longer entry, its tail zero       | hwpt_id=viommu data_type=1 entry_num=1 entry_len=17 data_uptr=hex:${NH_ALL}00 | ok | 1
7 a shorter entry                     | hwpt_id=viommu data_type=1 entry_num=2 entry_len=1 data_uptr=hex:1030 | ok | 2
7 a longer entry beyond memory        | hwpt_id=viommu data_type=1 entry_num=1 entry_len=17 data_uptr=nowhere | EFAULT | 0
7 good                                | hwpt_id=viommu ${dataOf([NH_ALL, NH_ALL])}                 | ok         | 2
`),
  )('$case: $errno, $handled handled', ({ arg, errno, handled }) => {
    expect(invalidate(nestedWorld(), arg)).toEqual({ errno, handled: Number(handled) });
  });

  it('has no largest count before 7.3: an array beyond kernel memory is ENOMEM, and its count stays (2b)', () => {
    const made = nestedWorld({ profile: 'linux-6.19' });
    expect(
      invalidate(made, 'hwpt_id=viommu data_type=1 entry_num=0x80001 entry_len=16 data_uptr=nowhere'),
    ).toEqual({ errno: 'ENOMEM', handled: 0x8_0001 });
    expect(
      invalidate(
        made,
        `hwpt_id=viommu data_type=1 entry_num=1 entry_len=0x1001 data_uptr=hex:${NH_ALL.padEnd(0x2002, '0')}`,
      ),
    ).toEqual({ errno: 'ok', handled: 1 });
  });

  it('is ENOMEM with the count as it was when memory runs out', () => {
    const made = nestedWorld();
    made.line({ op: 'set', path: 'kernel.failNth', value: 1 });
    made.look();
    expect(invalidate(made, `hwpt_id=viommu ${dataOf([NH_ALL, NH_ALL, NH_ALL])}`)).toEqual({
      errno: 'ENOMEM',
      handled: 3,
    });
    expect(issued(made)).toBe('');
  });

  it('is ENOENT for all but nested HWPTs before 6.13, and EFAULT replaces all where the struct is gone', () => {
    const made = nestedWorld({ profile: 'linux-7.3', switches: { invalidateViommu: false } });
    for (const [id, errno] of [
      ['viommu', 'ENOENT'],
      ['ioas', 'ENOENT'],
      ['bypass', 'EOPNOTSUPP'],
    ])
      expect(invalidate(made, `hwpt_id=${id} ${dataOf([NH_ALL])}`).errno).toBe(errno);
  });
});

describe('a command of a guest', () => {
  const forwarded = table<'command' | 'lo' | 'hi' | 'issued' | 'word0'>(`
command                        | lo                 | hi                 | issued           | word0
NSNH_ALL, all else cleared     | 0x30               | 0x0                | TLBI_NH_ALL      | 0x100000010
NH_ALL, its VMID replaced      | 0x00000bad00000010 | 0x0                | TLBI_NH_ALL      | 0x100000010
NH_ASID                        | 0x1234000000000011 | 0x0                | TLBI_NH_ASID     | 0x1234000100000011
NH_VA                          | 0x1234000000000012 | 0x0000000000401001 | TLBI_NH_VA       | 0x1234000100000012
NH_VAA                         | 0x13               | 0x0000000000401001 | TLBI_NH_VAA      | 0x100000013
CFGI_CD                        | 0x4200000005       | 0x1                | CFGI_CD          | 0x10800000005
CFGI_CD_ALL                    | 0x4200000006       | 0x0                | CFGI_CD_ALL      | 0x10800000006
ATC_INV                        | 0x4200000040       | 0x34               | ATC_INV          | 0x10800000040
ATC_INV of nobody              | 0x9900000040       | 0x34               | EIO              |
CFGI_CD of nobody              | 0x9900000005       | 0x1                | EIO              |
CFGI_STE                       | 0x4200000003       | 0x1                | EIO              |
CFGI_ALL                       | 0x04               | 0x1f               | EIO              |
SYNC                           | 0x46               | 0x0                | EIO              |
S2_IPA                         | 0x2a               | 0x1000             | EIO              |
S12_VMALL                      | 0x28               | 0x0                | EIO              |
EL2_ALL                        | 0x20               | 0x0                | EIO              |
EL2_VA                         | 0x22               | 0x1000             | EIO              |
PREFETCH_CONFIG                | 0x4200000001       | 0x0                | EIO              |
PRI_RESP                       | 0x4200000041       | 0x0                | EIO              |
RESUME                         | 0x4200000044       | 0x0                | EIO              |
an opcode that is none         | 0xff               | 0x0                | EIO              |
`);
  const withAts = { ...twoSmmus, endpoints: twoSmmus.endpoints.map((each) => ({ ...each, ats: true })) };

  it.each(forwarded)('$command: $issued', ({ lo, hi, issued: expected, word0 }) => {
    const made = nestedWorld({}, withAts);
    made.look();
    const answer = invalidate(made, `hwpt_id=viommu ${dataOf([command(BigInt(lo), BigInt(hi))])}`);
    const fetched = made
      .look()
      .filter(({ type }) => type === 'command.fetched') as unknown as EntryOf<'command.fetched'>[];
    if (expected === 'EIO') {
      expect([answer, fetched]).toEqual([{ errno: 'EIO', handled: 0 }, []]);
      return;
    }
    expect(answer).toEqual({ errno: 'ok', handled: 1 });
    expect(fetched.map(({ command: name }) => name)).toEqual([`CMD_${expected}`, 'CMD_SYNC']);
    expect(fetched[0]!.lo).toBe(BigInt(word0));
  });

  it.each(
    table<'command' | 'lo' | 'hi'>(`
command                                | lo                 | hi
NSNH_ALL with a VMID                   | 0x100000030        | 0x0
NH_ALL with an ASID                    | 0x1000000000010    | 0x0
NH_ASID with a second word             | 0x11               | 0x1
NH_VA with a reserved bit              | 0x12               | 0x1002
NH_VA with NUM and no TG               | 0x1012             | 0x1000
NH_VA with TG and no range             | 0x12               | 0x1400
ATC_INV of more than all               | 0x4200000040       | 0x35
CFGI_CD_ALL with Leaf                  | 0x4200000006       | 0x1
NH_ALL, its second word                | 0x10               | 0x1000
`),
  )('$command is EIO from 7.3 on, and passed through before', ({ lo, hi }) => {
    for (const [profile, errno] of [
      ['linux-7.3', 'EIO'],
      ['linux-6.19', 'ok'],
    ] as const) {
      const made = nestedWorld({ profile }, withAts);
      expect(invalidate(made, `hwpt_id=viommu ${dataOf([command(BigInt(lo), BigInt(hi))])}`).errno).toBe(
        errno,
      );
    }
  });

  it('that hardware refuses is invisible to the caller (4.7)', () => {
    const smmus = [{ name: 'smmu0', base: 0x1000_0000, choices: { strictReserved: true } }];
    const made = nestedWorld({ profile: 'linux-6.19' }, { smmus, endpoints: twoSmmus.endpoints.slice(0, 2) });
    made.look();
    // A reserved bit of NH_VA: CERROR_ILL, which the driver mends.
    expect(invalidate(made, `hwpt_id=viommu ${dataOf([command(0x12n, 0x1002n), NH_ALL])}`)).toEqual({
      errno: 'ok',
      handled: 2,
    });
    const after = made.look();
    expect(after).toContainEqual(expect.objectContaining({ type: 'command.rejected', error: 'CERROR_ILL' }));
    expect(after).toContainEqual(
      expect.objectContaining({ type: 'driver.told', what: 'skipping command in error state' }),
    );
  });
});

describe('a batch of 100 commands', () => {
  const batch = (bad: number): string[] =>
    Array.from({ length: 100 }, (_, at) => (at === bad ? CFGI_STE : NH_ALL));
  const all = (count: number): string =>
    Array.from({ length: count }, () => 'TLBI_NH_ALL')
      .concat('|')
      .join(' ');

  it.each(
    table<'rule' | 'bad' | 'handled' | 'reached'>(`
rule           | bad | handled | reached
per-block      | 70  | 70      | 63
per-block      | 0   | 0       | 0
per-block      | 62  | 62      | 0
per-block      | 63  | 63      | 63
per-block      | 99  | 99      | 63
validate-first | 70  | 63      | 63
validate-first | 62  | 0       | 0
validate-first | 99  | 63      | 63
`),
  )(
    '$rule, entry $bad bad: EIO, entry_num $handled, $reached reached hardware',
    ({ rule, bad, handled, reached }) => {
      const made = nestedWorld({ switches: { batchRule: rule } });
      made.look();
      expect(invalidate(made, `hwpt_id=viommu ${dataOf(batch(Number(bad)))}`)).toEqual({
        errno: 'EIO',
        handled: Number(handled),
      });
      expect(issued(made)).toBe(reached === '0' ? '' : all(Number(reached)));
    },
  );

  it('goes out in blocks of 63, each with a CMD_SYNC', () => {
    const made = nestedWorld();
    made.look();
    expect(invalidate(made, `hwpt_id=viommu ${dataOf(batch(-1))}`)).toEqual({ errno: 'ok', handled: 100 });
    expect(issued(made)).toBe(`${all(63)} ${all(37)}`);
  });

  it.each(
    table<'rule' | 'count' | 'handled'>(`
rule           | count | handled
per-block      | 100   | 62
per-block      | 2     | 1
validate-first | 100   | 0
`),
  )('$rule, $count commands that time out: $handled handled', ({ rule, count, handled }) => {
    const made = nestedWorld({ switches: { batchRule: rule } });
    // The Command queue is off: nothing is consumed, and nobody mends it.
    made.line({ op: 'mmio.write', smmu: 'smmu0', reg: 'CR0', size: 4, value: 0 });
    const commands = batch(-1).slice(0, Number(count));
    const answer = invalidate(made, `hwpt_id=viommu ${dataOf(commands)}`);
    expect(answer).toEqual({ errno: 'ETIMEDOUT', handled: Number(handled) });
  });

  it('of none succeeds where the core drives batches', () => {
    const made = nestedWorld({ profile: 'linux-7.3-validate-first' });
    expect(invalidate(made, 'hwpt_id=viommu data_type=1')).toEqual({ errno: 'ok', handled: 0 });
    expect(invalidate(made, 'hwpt_id=viommu data_type=0')).toEqual({ errno: 'EINVAL', handled: 0 });
  });
});

describe('several SMMUs', () => {
  it('have a vIOMMU and a parent each, over one IOAS; commands go to the SMMU of the vIOMMU', () => {
    const made = nestedWorld();
    add(made, 'parent1', 'IOMMU_HWPT_ALLOC', 'dev_id=dev2 pt_id=ioas flags=1', 'out_hwpt_id');
    add(made, 'viommu1', 'IOMMU_VIOMMU_ALLOC', 'type=1 dev_id=dev2 hwpt_id=parent1', 'out_viommu_id');
    made.look();
    invalidate(made, `hwpt_id=viommu1 ${dataOf([NH_ALL])}`);
    const fetched = made
      .look()
      .filter(({ type }) => type === 'command.fetched') as unknown as EntryOf<'command.fetched'>[];
    expect(fetched.map(({ smmu }) => smmu)).toEqual(['smmu1', 'smmu1']);
    expect(named('a=viommu1', made.names)['a']).toBe(made.names['viommu1']);
  });

  it('number VMIDs for themselves', () => {
    const made = nestedWorld();
    add(made, 'parent1', 'IOMMU_HWPT_ALLOC', 'dev_id=dev2 pt_id=ioas flags=1', 'out_hwpt_id');
    add(made, 'viommu1', 'IOMMU_VIOMMU_ALLOC', 'type=1 dev_id=dev2 hwpt_id=parent1', 'out_viommu_id');
    const vmid = (name: string): unknown =>
      (made.state.kernel!.contexts[1]!.objects.get(made.names[name]!) as { vmid?: number }).vmid;
    expect([vmid('viommu'), vmid('viommu1')]).toEqual([1, 1]);
  });
});
