/**
 * Wants to show: the lines that ask a kernel answer as the design says, arguments are what was meant, and a bad
 * line stops before anything of it has happened. How: lines, and what they answer or how they are refused.
 */
import { describe, expect, it } from 'vitest';
import { InputError } from '../../../adapters/input-error.ts';
import { type Host, host, hostWithIoas, memory } from '../../support/kernel.ts';
import { table } from '../../support/tables.ts';

/** Why a line is refused; nothing of it is in the log. */
function refusal(of: Host, line: object): string {
  of.look();
  try {
    of.line(line as { op: string });
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    expect(of.look()).toEqual([]);
    return error.message.replace(/^test:[0-9]+: /, '');
  }
  return 'not refused';
}

describe('the machine line', () => {
  it.each(
    table<'kernel' | 'message'>(`
kernel                                          | message
{"profile":"linux-9"}                           | machine: kernel.profile: expected a kernel profile such as linux-7.3
{"switches":{"batchRul":"x"}}                   | machine: kernel.switches: unknown field "batchRul"
{"switches":{"batchRule":"never"}}              | machine: kernel.switches.batchRule: expected one of "per-block", "validate-first", found never
5                                               | machine: kernel: expected an object
`),
  )('refuses kernel $kernel', ({ kernel, message }) => {
    expect(() => host(JSON.parse(kernel) as object)).toThrow(message);
  });

  it('boots a kernel whatever the schedule, with the switches it was given', () => {
    for (const schedule of ['eager', 'manual', 'seeded']) {
      const of = host({ profile: 'linux-6.13', switches: { noiommu: true } }, { schedule });
      expect(of.state).toMatchObject({ tasks: [], drivers: { smmu0: { running: true } } });
      expect(of.state.kernel).toMatchObject({ profile: 'linux-6.13', switches: { noiommu: true } });
    }
  });

  it('of a machine without a kernel: its lines are refused', () => {
    const message = 'expected a machine with a kernel ({"op":"machine","kernel":{}}), found one without';
    const of = host(null as unknown as object);
    expect(refusal(of, { op: 'mem.alloc', bytes: 1 })).toBe(`mem.alloc: ${message}`);
    expect(refusal(of, { op: 'mem.write', va: 1, hex: '00' })).toBe(`mem.write: ${message}`);
    expect(refusal(of, { op: 'ioctl', fd: 'iommu0', code: 1 })).toBe(`ioctl: ${message}`);
  });
});

describe('lines that ask a kernel', () => {
  it.each(
    table<'line' | 'message'>(`
line                                                                 | message
{"op":"mem.alloc","bytes":0}                                         | mem.alloc: bytes: expected a whole number from 1 to 0x400000000000
{"op":"mem.alloc","bytes":1,"kind":"soft"}                           | mem.alloc: kind: expected "anon-shared" or "hugetlb"
{"op":"mem.write","pa":1,"va":1,"hex":"00"}                          | mem.write: expected pa, or process and va, or vm and gpa, found more than one
{"op":"mem.read","bytes":1}                                          | mem.read: expected pa, or process and va, or vm and gpa, found none
{"op":"mem.read","pa":1,"process":"proc0","bytes":1}                 | mem.read: expected pa, or process and va, or vm and gpa, found more than one
{"op":"ioctl","fd":"iommu0"}                                         | ioctl: expected exactly one of name, code, found none
{"op":"ioctl","fd":"iommu0","name":"IOMMU_IOAS_MAPP"}                | ioctl: name: expected the name of an ioctl of iommufd or VFIO (did you mean IOMMU_IOAS_MAP or IOMMU_IOAS_COPY or IOMMU_IOAS_UNMAP?), found "IOMMU_IOAS_MAPP"
{"op":"ioctl","fd":"iommu0","name":"IOMMU_DESTROY","arg":{"idd":1}}  | ioctl: arg: unknown field "idd", expected size, id
{"op":"ioctl","fd":"iommu0","name":"IOMMU_DESTROY","arg":{"id":"x"}} | ioctl: arg.id: expected a number (u32) or names of values, found "x"
{"op":"ioctl","fd":"iommu0","name":"IOMMU_DESTROY","arg":{"id":4294967296}} | ioctl: arg.id: expected a number (u32)
{"op":"ioctl","fd":"iommu0","name":"IOMMU_DESTROY","arg":{"tail":"0"}} | ioctl: arg.tail: expected hexadecimal digits, found "0"
{"op":"ioctl","fd":"iommu0","name":"IOMMU_DESTROY","arg":"one"}      | ioctl: arg: expected a number or the fields of the struct, found "one"
{"op":"ioctl","fd":"iommu0","name":"IOMMU_DESTROY","arg":{},"hex":"00"} | ioctl: expected arg or hex, found both
{"op":"ioctl","fd":"iommu0","name":"VFIO_SET_IOMMU","arg":{}}        | ioctl: arg: expected a number: VFIO_SET_IOMMU has no struct
{"op":"ioctl","fd":"iommu0","name":"IOMMU_DESTROY","arg":{"id":{"bytes":"00"}}} | ioctl: arg.id: expected a number
{"op":"ioctl","fd":"iommu0","name":"IOMMU_IOAS_ALLOW_IOVAS","arg":{"allowed_iovas":{"array":"iova","values":[]}}} | ioctl: arg.allowed_iovas: expected the name of a struct
{"op":"ioctl","fd":"iommu0","name":"IOMMU_IOAS_ALLOW_IOVAS","arg":{"allowed_iovas":{"struct":"iommu_iova_range","value":{"end":1}}}} | ioctl: arg.allowed_iovas: unknown field "end", expected start, last
{"op":"ioctl","fd":"iommu0","name":"IOMMU_IOAS_ALLOW_IOVAS","arg":{"allowed_iovas":{"struct":"iommu_iova_range","value":{"last":-1.5}}}} | ioctl: arg.allowed_iovas: last: expected a number (u64)
{"op":"ioctl","fd":"iommu0","name":"IOMMU_IOAS_ALLOW_IOVAS","arg":{"allowed_iovas":{}}} | ioctl: arg.allowed_iovas: expected {bytes}, {struct, value} or {array, values}
{"op":"open","fd":"tty0"}                                            | open: fd: expected iommu0, iommu1, ..., container or vfio:ENDPOINT, found "tty0"
{"op":"open","fd":"vfio:"}                                           | open: fd: expected iommu0, iommu1, ..., container or vfio:ENDPOINT, found "vfio:"
{"op":"close","fd":"iomu0"}                                          | close: fd: expected the name of a file (iommu0, container, vfio:ENDPOINT) or the number of an open one, found "iomu0"
{"op":"ioctl","fd":-1,"name":"IOMMU_DESTROY"}                        | ioctl: fd: expected the name of a file
{"op":"turn","unit":"kernal"}                                        | turn: unit: expected one of
`),
  )('$line is refused', ({ line, message }) => {
    expect(refusal(hostWithIoas(), JSON.parse(line) as object)).toContain(message);
  });

  it('open, close and their errors', () => {
    const of = host({}, { endpoints: [{ name: 'dev0', streamId: 8 }] });
    const answers = [
      { op: 'open', fd: 'iommu0' },
      { op: 'open', fd: 'iommu0' },
      { op: 'open', fd: 'vfio:dev0' },
      { op: 'open', fd: 'vfio:dev0#2' },
      { op: 'open', fd: 'vfio:dev1' },
      { op: 'close', fd: 4 },
      { op: 'close', fd: 'vfio:dev0' },
      { op: 'close', fd: 'iommu0' },
      { op: 'open', fd: 'iommu1' },
      { op: 'read', fd: 'iommu1', bytes: 8 },
      { op: 'write', fd: 'iommu1', hex: '00' },
      { op: 'read', fd: 9, bytes: 8 },
      { op: 'write', fd: '9', hex: '00' },
    ].map((line) => of.line(line));
    expect(answers).toEqual([
      { fd: 3 },
      { errno: 'EBUSY' },
      { fd: 4 },
      { fd: 5 },
      { errno: 'ENOENT' },
      {},
      { errno: 'EBADF' },
      {},
      { fd: 3 },
      { errno: 'EINVAL' },
      { errno: 'EINVAL' },
      { errno: 'EBADF' },
      { errno: 'EBADF' },
    ]);
  });

  it('an argument has names of flags, negative numbers and names of files', () => {
    const of = hostWithIoas();
    const flags = 'IOMMU_IOAS_MAP_FIXED_IOVA|IOMMU_IOAS_MAP_READABLE';
    const answer = of.ioctl('IOMMU_IOAS_MAP_FILE', {
      ioas_id: 1,
      flags,
      fd: 'iommu0',
      length: -1,
      iova: '0x10',
    });
    expect(answer).toMatchObject({ out: { flags: 5, fd: 3, length: '0xffffffffffffffff', iova: '0x10' } });
    expect(of.ioctl('IOMMU_IOAS_MAP_FILE', { fd: -1 })).toMatchObject({ out: { fd: -1 } });
    const asked = { op: 'ioctl', fd: 'iommu0', name: 'VFIO_CHECK_EXTENSION', arg: 'VFIO_TYPE1v2_IOMMU' };
    expect(of.line(asked)).toMatchObject({ ret: 1 });
  });

  it('an argument is as long as the newest struct, or as the size given', () => {
    const bytes = (profile: string, arg: object): number => {
      const of = hostWithIoas({ profile });
      return String(of.ioctl('IOMMU_HWPT_ALLOC', arg as Record<string, unknown>)['hex']).length / 2;
    };
    expect([bytes('linux-6.6', {}), bytes('linux-6.7', {}), bytes('linux-7.3', {})]).toEqual([48, 48, 48]);
    expect(bytes('linux-6.6', { fault_id: 1 })).toBe(48);
    expect(bytes('linux-6.6', { size: 24, fault_id: 1 })).toBe(48);
    const of = hostWithIoas({ profile: 'linux-6.6' });
    expect(of.errno('IOMMU_HWPT_ALLOC', 'fault_id=1')).toBe('E2BIG');
    expect(of.errno('IOMMU_HWPT_ALLOC', 'fault_id=0')).toBe('ENOENT');
    expect(of.errno('IOMMU_HWPT_ALLOC', 'size=24 fault_id=1')).toBe('ENOENT');
    expect(bytes('linux-7.3', { size: 64 })).toBe(64);
    expect(bytes('linux-7.3', { tail: 'ffff' })).toBe(50);
  });

  it('a struct lies where its address says, and buffers where its pointers do', () => {
    const of = hostWithIoas();
    const values = [{ start: '0x1000', last: '0x1fff' }];
    const answer = of.ioctl('IOMMU_IOAS_ALLOW_IOVAS', {
      ioas_id: 1,
      num_iovas: 1,
      allowed_iovas: { array: 'iommu_iova_range', values },
    });
    const { allowed_iovas } = answer['out'] as { allowed_iovas: string };
    const hex = '0010000000000000ff1f000000000000';
    expect(of.line({ op: 'mem.read', va: allowed_iovas, bytes: 16 })).toEqual({ hex });
    expect(answer['buffers']).toEqual({ allowed_iovas: hex });
    const one = { struct: 'iommu_iova_range', value: values[0] };
    expect(
      of.ioctl('IOMMU_IOAS_ALLOW_IOVAS', { ioas_id: 1, num_iovas: 1, allowed_iovas: one }),
    ).toMatchObject({ ret: 0 });
  });

  it('an address is passed as it is, and another process can be the one that asks', () => {
    const of = hostWithIoas();
    const va = memory(of, 0x1000);
    of.line({ op: 'mem.write', va, u32: [12, 0, 0] });
    const ask = { op: 'ioctl', fd: 'iommu0', code: 0x3b81, arg: va };
    expect(of.line(ask)).toMatchObject({ ret: 0, out: { out_ioas_id: 2 } });
    expect(of.line({ op: 'mem.read', va, bytes: 12 })).toEqual({ hex: '0c0000000000000002000000' });
    expect(of.line({ ...ask, process: 'proc1' })).toEqual({ ret: -1, errno: 'EFAULT' });
    expect(of.ioctl('IOMMU_IOAS_ALLOC', {}, { process: 'proc1' })).toMatchObject({ out: { out_ioas_id: 3 } });
  });

  it('what a line answers can be saved and given to others', () => {
    const of = hostWithIoas();
    of.line({ op: 'mem.alloc', bytes: 4096, save: { buffer: 'va' } });
    const arg = { ioas_id: 1, flags: 6, user_va: '$buffer', length: 4096 };
    of.line({ op: 'ioctl', fd: 'iommu0', name: 'IOMMU_IOAS_MAP', arg, save: { where: 'out.iova' } });
    expect(of.ioctl('IOMMU_IOAS_UNMAP', { ioas_id: 1, iova: '$where', length: 4096 })).toMatchObject({
      ret: 0,
    });
  });

  it('a call that waits is pending under the manual schedule, and calls after it wait for it', () => {
    const of = hostWithIoas({}, { schedule: 'manual', endpoints: [{ name: 'dev0', streamId: 8 }] });
    const fd = 'vfio:dev0';
    of.line({ op: 'open', fd });
    const bind = of.ioctl('VFIO_DEVICE_BIND_IOMMUFD', { iommufd: 'iommu0' }, { fd });
    expect(bind).toMatchObject({ pending: true });
    expect(of.ioctl('IOMMU_IOAS_ALLOC', {})).toMatchObject({ pending: true, out: { out_ioas_id: 0 } });
    expect(of.line({ op: 'turn', unit: 'kernel' })).toEqual({ moved: false });
    expect(of.line({ op: 'run' })).toMatchObject({ quiet: true });
    const ended = of.look().filter(({ type }) => type === 'ioctl.completed');
    expect(ended.map((entry) => (entry as { name?: string }).name).slice(-2)).toEqual([
      'VFIO_DEVICE_BIND_IOMMUFD',
      'IOMMU_IOAS_ALLOC',
    ]);
  });
});
