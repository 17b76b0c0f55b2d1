/**
 * Wants to show: the designs that were proposed on the list until 2023 and not merged so, as kernels that can be called: what
 * each has and lacks, its checks, and what its calls do to hardware. How: the same nested set-up by the means of
 * each proposal, and commands that the SMMU took.
 */
import { describe, expect, it } from 'vitest';
import type { EntryOf } from '../../../core/event.ts';
import { host, memory, type Outcome } from '../../support/kernel.ts';
import { add, twoSmmus, type World, world } from '../../support/nesting.ts';
import { table } from '../../support/tables.ts';

const bytes = (...words: readonly (number | bigint)[]): string =>
  Buffer.from(new BigUint64Array(words.map(BigInt)).buffer).toString('hex');
const words32 = (...words: readonly number[]): string =>
  Buffer.from(new Uint32Array(words).buffer).toString('hex');
const fetched = (of: World): EntryOf<'command.fetched'>[] =>
  of.look().filter(({ type }) => type === 'command.fetched') as unknown as EntryOf<'command.fetched'>[];
const names = (of: World): string =>
  fetched(of)
    .map(({ command }) => command.replace('CMD_', ''))
    .join(' ');

const NH_ALL = 0x10n;
const ATC_INV = 0x40n;
const SYNC = 0x46n;
const BYPASS = '09'.padEnd(32, '0');
const onSix = {
  endpoints: twoSmmus.endpoints.map((each) => ({ ...each, ats: true })),
  smmus: twoSmmus.smmus,
};

describe('rfc-2017-08', () => {
  it('has no iommufd at all', () => {
    expect(host({ profile: 'rfc-2017-08' }).line({ op: 'open', fd: 'iommu0' })).toEqual({ errno: 'ENOENT' });
  });
});

describe('rfc-2023-03', () => {
  /** A guest queue of 8 entries in memory of the process, CONS behind it, and a nested HWPT on a parent. */
  interface Guest extends World {
    readonly queue: bigint;
    readonly cons: bigint;
  }

  function guest(more: object = {}): Guest {
    const made = world({ profile: 'rfc-2023-03', ...more }, onSix);
    const data = (flags: number, ste = 0n, more: readonly bigint[] = [0n, 0n]): string =>
      `hwpt_type=2 data_len=40 data_uptr=hex:${bytes(flags, ste === 0n ? 0 : 64, ste, ...more)}`;
    add(made, 'parent', 'IOMMU_HWPT_ALLOC', `dev_id=dev0 pt_id=ioas ${data(1)}`, 'out_hwpt_id');
    const page = BigInt(memory(made, 0x1000));
    made.line({ op: 'mem.write', va: page + 0x800n, u64: [9, 0, 0, 0, 0, 0, 0, 0] });
    add(
      made,
      'nested',
      'IOMMU_HWPT_ALLOC',
      `dev_id=dev0 pt_id=parent ${data(0, page + 0x800n)}`,
      'out_hwpt_id',
    );
    return Object.assign(made, { queue: page, cons: page + 0x400n });
  }

  function handOver(
    of: Guest,
    commands: readonly bigint[],
    cons: number,
    more: { prod?: number; log2size?: number; size?: number } = {},
  ): Outcome {
    const { prod = (cons + commands.length) % 16, log2size = 3, size = 16 } = more;
    for (const [at, lo] of commands.entries())
      of.line({ op: 'mem.write', va: of.queue + BigInt(((cons + at) % 8) * 16), u64: [lo, 0] });
    of.line({ op: 'mem.write', va: of.cons, u32: [cons] });
    const queue = bytes(of.queue, of.cons) + words32(prod, size, log2size, 0);
    of.look();
    return of.ask('IOMMU_HWPT_INVALIDATE', `hwpt_id=nested data_len=32 data_uptr=hex:${queue}`);
  }
  const consOf = (of: Guest): string =>
    String(of.line({ op: 'mem.read', process: 'proc0', va: of.cons, bytes: 4 })['hex']);

  it('reads the queue from CONS to PROD itself, round its end, and moves CONS', () => {
    const made = guest();
    expect(handOver(made, [NH_ALL, 0x99_00000000n | NH_ALL, NH_ALL], 6)['errno']).toBeUndefined();
    const taken = fetched(made);
    expect(taken.map(({ command }) => command)).toEqual([
      'CMD_TLBI_NH_ALL',
      'CMD_TLBI_NH_ALL',
      'CMD_TLBI_NH_ALL',
      'CMD_SYNC',
    ]);
    // The guest's VMID is ignored.
    expect(taken.map(({ lo }) => (lo >> 32n) & 0xffffn).slice(0, 3)).toEqual([1n, 1n, 1n]);
    expect(consOf(made)).toBe(words32(9));
  });

  it('passes over what it does not forward', () => {
    const made = guest();
    expect(handOver(made, [NH_ALL, SYNC, 0x03n, NH_ALL, SYNC], 0)['errno']).toBeUndefined();
    expect(names(made)).toBe('TLBI_NH_ALL TLBI_NH_ALL SYNC');
    expect(consOf(made)).toBe(words32(5));
    handOver(made, [SYNC], 5);
    expect([names(made), consOf(made)]).toEqual(['', words32(6)]);
  });

  it('stops at what it does not forward, where a scenario says so', () => {
    const made = guest({ switches: { unknownCommand: 'EIO' } });
    expect(handOver(made, [NH_ALL, SYNC, NH_ALL], 0)['errno']).toBeUndefined();
    expect([names(made), consOf(made)]).toEqual(['TLBI_NH_ALL SYNC', words32(0x0100_0001)]);
  });

  it('leaves CERROR_ILL and the index in CONS for a StreamID that nobody has, and succeeds', () => {
    const made = guest();
    const atc = (0x42n << 32n) | ATC_INV;
    expect(handOver(made, [NH_ALL, atc, NH_ALL], 0)['errno']).toBeUndefined();
    expect([names(made), consOf(made)]).toEqual(['TLBI_NH_ALL SYNC', words32(0x0100_0001)]);
    expect(made.says('IOMMU_SET_DEV_DATA', `dev_id=dev0 data_len=4 data_uptr=hex:${words32(0x42)}`)).toBe(
      'ok',
    );
    expect(handOver(made, [atc, NH_ALL], 1)['errno']).toBeUndefined();
    expect([names(made), consOf(made)]).toEqual(['ATC_INV TLBI_NH_ALL SYNC', words32(3)]);
  });

  it.each(
    table<'case' | 'cons' | 'prod' | 'log2size' | 'size' | 'errno'>(`
case                     | cons | prod | log2size | size | errno
entries of another size  | 0    | 1    | 3        | 8    | EINVAL
a queue beyond IDR1      | 0    | 1    | 20       | 16   | EINVAL
PROD beyond the queue    | 0    | 16   | 3        | 16   | EINVAL
more than the queue has  | 0    | 9    | 3        | 16   | EINVAL
a full queue             | 0    | 8    | 3        | 16   | ok
an empty queue           | 5    | 5    | 3        | 16   | ok
`),
  )('$case: $errno', ({ cons, prod, log2size, size, errno }) => {
    const more = { prod: Number(prod), log2size: Number(log2size), size: Number(size) };
    expect(handOver(guest(), [], Number(cons), more)['errno'] ?? 'ok').toBe(errno);
  });

  it.each(
    table<'case' | 'name' | 'arg' | 'errno'>(`
case                              | name                   | arg                                                  | errno
a reserved word                   | IOMMU_HWPT_INVALIDATE  | __reserved=1 hwpt_id=gone                            | EOPNOTSUPP
nobody                            | IOMMU_HWPT_INVALIDATE  | hwpt_id=gone data_len=1                              | ENOENT
a parent                          | IOMMU_HWPT_INVALIDATE  | hwpt_id=parent data_len=32                           | ENOENT
data of another length            | IOMMU_HWPT_INVALIDATE  | hwpt_id=nested data_len=31 data_uptr=nowhere         | EINVAL
data nowhere                      | IOMMU_HWPT_INVALIDATE  | hwpt_id=nested data_len=32 data_uptr=nowhere         | EFAULT
nobody's data                     | IOMMU_SET_DEV_DATA     | dev_id=gone data_len=4 data_uptr=nowhere             | ENOENT
data of another length            | IOMMU_SET_DEV_DATA     | dev_id=dev0 data_len=8 data_uptr=nowhere             | EINVAL
data nowhere                      | IOMMU_SET_DEV_DATA     | dev_id=dev0 data_len=4 data_uptr=nowhere             | EFAULT
none to take back                 | IOMMU_UNSET_DEV_DATA   | dev_id=dev0                                          | EINVAL
a type of HWPT without data       | IOMMU_HWPT_ALLOC       | dev_id=dev0 pt_id=ioas hwpt_type=2                   | EINVAL
a plain HWPT                      | IOMMU_HWPT_ALLOC       | dev_id=dev0 pt_id=ioas                               | ok
a type of another driver          | IOMMU_HWPT_ALLOC       | dev_id=dev0 pt_id=ioas hwpt_type=1 data_len=40 data_uptr=nowhere | EINVAL
reserved ranges, no room          | IOMMU_RESV_IOVA_RANGES | dev_id=dev0                                          | EMSGSIZE
a vIOMMU                          | IOMMU_VIOMMU_ALLOC     | type=1                                               | ENOTTY
`),
  )('$name, $case: $errno', ({ name, arg, errno }) => {
    expect(guest().says(name, arg)).toBe(errno);
  });

  it('has one table of virtual StreamIDs for an SMMU, whoever owns the devices', () => {
    const made = guest();
    const set = (device: string, sid: number): string =>
      made.says('IOMMU_SET_DEV_DATA', `dev_id=${device} data_len=4 data_uptr=hex:${words32(sid)}`);
    expect([set('dev0', 0x42), set('dev0', 0x43), set('dev1', 0x42), set('dev2', 0x42)]).toEqual([
      'ok',
      'EEXIST',
      'EEXIST',
      'ok',
    ]);
    expect(made.says('IOMMU_UNSET_DEV_DATA', 'dev_id=dev0')).toBe('ok');
    expect(set('dev1', 0x42)).toBe('ok');
  });

  it('writes a C_BAD_STE record where the STE is refused', () => {
    const made = guest();
    const ste = BigInt(memory(made, 0x1000));
    made.line({ op: 'mem.write', va: ste, u64: [0xd, 0] });
    const data = bytes(0, 64, ste, 32, ste + 0x100n);
    expect(
      made.says('IOMMU_HWPT_ALLOC', `dev_id=dev0 pt_id=parent hwpt_type=2 data_len=40 data_uptr=hex:${data}`),
    ).toBe('EIO');
    const record = String(made.line({ op: 'mem.read', process: 'proc0', va: ste + 0x100n, bytes: 8 })['hex']);
    expect(record).toBe(words32(0x04, 0));
  });

  it("tells a device's reserved ranges", () => {
    const answer = guest().ask(
      'IOMMU_RESV_IOVA_RANGES',
      `dev_id=dev0 num_iovas=1 resv_iovas=hex:${'00'.repeat(16)}`,
    );
    expect(answer).toMatchObject({
      out: { num_iovas: 1 },
      buffers: { resv_iovas: bytes(0x800_0000, 0x80f_ffff) },
    });
  });
});

describe('v6-2023-11', () => {
  function guest(profile: string): World {
    const made = world({ profile }, onSix);
    add(made, 'parent', 'IOMMU_HWPT_ALLOC', 'dev_id=dev0 pt_id=ioas flags=1', 'out_hwpt_id');
    add(
      made,
      'nested',
      'IOMMU_HWPT_ALLOC',
      `dev_id=dev0 pt_id=parent data_type=2 data_len=16 data_uptr=hex:${BYPASS}`,
      'out_hwpt_id',
    );
    return made;
  }
  const reqs = (...commands: readonly bigint[]): string =>
    `req_type=2 req_len=16 req_num=${commands.length} reqs_uptr=hex:${commands.map((lo) => bytes(lo, 0)).join('')}`;

  it.each(
    table<'case' | 'arg' | 'errno' | 'num' | 'code'>(`
case                 | arg                                                 | errno  | num | code
no requests          | hwpt_id=gone req_num=1                              | EINVAL | 0   | 0
nobody               | hwpt_id=gone ${reqs(NH_ALL)}                        | ENOENT | 0   | 0
a parent             | hwpt_id=parent ${reqs(NH_ALL)}                      | ENOENT | 0   | 0
another type         | hwpt_id=nested req_type=1 req_len=16 req_num=1 reqs_uptr=nowhere | EINVAL | 0 | 0
good                 | hwpt_id=nested ${reqs(NH_ALL, 0x30n)}               | ok     | 2   | 0
a bad one            | hwpt_id=nested ${reqs(NH_ALL, SYNC)}                | EIO    | 1   | 1
a StreamID, for there is no table of them | hwpt_id=nested ${reqs((0x42n << 32n) | ATC_INV)} | EIO | 0 | 1
`),
  )('$case: $errno, req_num $num, code $code', ({ arg, errno, num, code }) => {
    const { errno: got = 'ok', out } = guest('v6-2023-11').ask('IOMMU_HWPT_INVALIDATE', arg) as {
      errno?: string;
      out: object;
    };
    expect(got).toBe(errno);
    expect(out).toMatchObject({ req_num: Number(num), out_driver_error_code: Number(code) });
  });

  it('tells through an event fd in its variant: the word says that a record waits', () => {
    const made = guest('v6-2023-11-event-fd');
    const bad = `hwpt_id=nested ${reqs(NH_ALL, SYNC)}`;
    // Nobody listens: nothing waits.
    expect(made.ask('IOMMU_HWPT_INVALIDATE', bad)).toMatchObject({
      errno: 'EIO',
      out: { out_driver_error_code: 0 },
    });
    expect(made.says('IOMMU_HWPT_EVENT_ALLOC', 'hwpt_id=parent')).toBe('ENOENT');
    const fd = (made.ask('IOMMU_HWPT_EVENT_ALLOC', 'hwpt_id=nested')['out'] as { out_event_fd: number })
      .out_event_fd;
    expect(made.says('IOMMU_HWPT_EVENT_ALLOC', 'hwpt_id=nested')).toBe('EEXIST');
    expect(made.ask('IOMMU_HWPT_INVALIDATE', bad)).toMatchObject({
      errno: 'EIO',
      out: { out_driver_error_code: 1 },
    });
    // HWPT, index 1, CERROR_ILL.
    expect(made.line({ op: 'read', fd, bytes: 16 })).toEqual({
      hex: words32(made.names['nested']!, 1, 1, 0),
    });
    expect(guest('v6-2023-11').says('IOMMU_HWPT_EVENT_ALLOC', 'hwpt_id=nested')).toBe('ENOTTY');
  });
});
