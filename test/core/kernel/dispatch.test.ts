/**
 * Wants to show: the order of checks and the negotiation of sizes that all ioctls of an iommufd share, what is
 * copied back, and what kernels before a call answer. How: tables of bytes and answers.
 */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { rows } from '../../../core/kernel/iommufd/rows.ts';
import { callsIn, kernelProfiles, type ProfileName } from '../../../core/kernel/profiles.ts';
import { requestsOf } from '../../../core/kernel/requests.ts';
import { contextsText, host, hostWithIoas, memory } from '../../support/kernel.ts';
import { table } from '../../support/tables.ts';

type Column = 'case' | 'code' | 'bytes' | 'errno' | 'after';

// `bytes` is what stands in memory; NULL and HOLE are addresses without any. DESTROY has 8 bytes and wants them all,
// HWPT_ALLOC (0x89) 48, of which 24 are enough. `after`: what stands there then, where it changed.
const rowsOfCode = table<Column>(`
case                                       | code       | bytes                            | errno      | after
a good struct                              | 0x3b81     | 0c000000 00000000 00000000       | ok         | 0c000000 00000000 02000000
bytes beyond it are not looked at          | 0x3b81     | 0c000000 00000000 00000000 ff    | ok         | 0c000000 00000000 02000000 ff
a longer struct, its tail zero             | 0x3b81     | 10000000 00000000 00000000 00000000 | ok      | 10000000 00000000 02000000 00000000
a longer struct with data in its tail      | 0x3b81     | 10000000 00000000 00000000 00000001 | E2BIG   |
the same, the first of two bytes           | 0x3b81     | 0e000000 00000000 00000000 0100  | E2BIG      |
shorter than the smallest                  | 0x3b81     | 0b000000 00000000 00000000       | EINVAL     |
a size of 0                                | 0x3b81     | 00000000 00000000 00000000       | EINVAL     |
a reserved flag                            | 0x3b81     | 0c000000 01000000 00000000       | EOPNOTSUPP |
no memory                                  | 0x3b81     | NULL                             | EFAULT     |
an unknown number in the table's range     | 0x3bff     | 0c000000 00000000 00000000       | ENOTTY     |
a number below it that no container has    | 0x3b7f     | NULL                             | ENOTTY     |
direction bits in the code                 | 0xc0083b81 | 0c000000 00000000 00000000       | ENOTTY     |
another magic                              | 0x3c81     | 0c000000 00000000 00000000       | ENOTTY     |
another magic, and no memory               | 0x3c81     | NULL                             | EFAULT     |
a number of the container                  | 0x3b64     | NULL                             | ok         |
a size that memory does not have           | 0x3b81     | 0000ff00 00000000 00000000       | EFAULT     |
`);

const compact = (text: string): string => text.replaceAll(' ', '');

describe('an ioctl of an iommufd file', () => {
  it.each(rowsOfCode)('$case: $errno', ({ code, bytes, errno, after }) => {
    const kernel = hostWithIoas();
    const how = bytes === 'NULL' ? { arg: 0 } : { hex: compact(bytes) };
    const answer = kernel.line({ op: 'ioctl', fd: 'iommu0', code, ...how });
    expect(answer['errno'] ?? 'ok').toBe(errno);
    if (bytes !== 'NULL') expect(answer['hex']).toBe(compact(after === '' ? bytes : after));
  });

  it('reads zeros for what a short struct does not have', () => {
    const kernel = hostWithIoas();
    // dev_id 7 is nobody: what is beyond the 24 bytes (data_type, data_len) was good.
    const short = compact('18000000 00000000 07000000 01000000 00000000 00000000');
    expect(kernel.line({ op: 'ioctl', fd: 'iommu0', code: 0x3b89, hex: short })['errno']).toBe('ENOENT');
  });

  it('is EFAULT where the tail of a longer struct leaves the memory', () => {
    const kernel = hostWithIoas();
    const end = BigInt(memory(kernel, 4096)) + 4096n;
    kernel.line({ op: 'mem.write', va: end - 12n, u32: [16, 0, 0] });
    const answer = kernel.line({ op: 'ioctl', fd: 'iommu0', name: 'IOMMU_IOAS_ALLOC', arg: end - 12n });
    expect(answer).toMatchObject({ ret: -1, errno: 'EFAULT' });
  });

  it('changes nothing where it fails, and gives its id back', () => {
    const kernel = hostWithIoas();
    expect(kernel.errno('IOMMU_IOAS_ALLOC', 'flags=1')).toBe('EOPNOTSUPP');
    expect(kernel.ioctl('IOMMU_IOAS_ALLOC', {})).toMatchObject({ out: { out_ioas_id: 2 } });
  });

  it('is EBADF for a file that is closed, and ENOTTY for a memfd', () => {
    const kernel = hostWithIoas();
    const { fd } = kernel.line({ op: 'mem.memfd', bytes: 4096 });
    expect(kernel.errno('IOMMU_IOAS_ALLOC', {}, { fd })).toBe('ENOTTY');
    kernel.line({ op: 'close', fd: 'iommu0' });
    expect(kernel.errno('IOMMU_IOAS_ALLOC', {})).toBe('EBADF');
  });

  it('is ENOTTY on a kernel that does not have it, whatever its struct says', () => {
    const newest = [...callsIn('linux-7.3').values()].filter(({ file }) => file === 'iommufd');
    for (const profile of Object.keys(kernelProfiles) as ProfileName[]) {
      if (callsIn(profile).size === 0) continue;
      const kernel = hostWithIoas({ profile });
      const has = new Set([...callsIn(profile).values()].map(({ code }) => code));
      for (const { name, code } of newest) {
        if (has.has(code)) continue;
        expect([profile, name, kernel.errno(name, {})]).toEqual([profile, name, 'ENOTTY']);
      }
    }
  });

  it('cannot be asked of a kernel without iommufd', () => {
    expect(host({ profile: 'rfc-2017-08' }).line({ op: 'open', fd: 'iommu0' })).toEqual({ errno: 'ENOENT' });
  });

  it('has a row for each that kernels have', () => {
    const missing = [...requestsOf('linux-7.3').keys()].filter(
      (name) => name.startsWith('IOMMU_') && !Object.hasOwn(rows, name),
    );
    expect(missing).toEqual([]);
  });
});

describe('DESTROY', () => {
  it('finds objects by id, refuses 0, and gives an id again at once', () => {
    const kernel = hostWithIoas();
    for (const id of [2, 3, 4])
      expect(kernel.ioctl('IOMMU_IOAS_ALLOC', {})).toMatchObject({ out: { out_ioas_id: id } });
    expect(kernel.errno('IOMMU_DESTROY', 'id=0')).toBe('ENOENT');
    expect(kernel.errno('IOMMU_DESTROY', 'id=5')).toBe('ENOENT');
    for (const id of [3, 2]) expect(kernel.errno('IOMMU_DESTROY', { id })).toBe('ok');
    expect(kernel.errno('IOMMU_DESTROY', 'id=2')).toBe('ENOENT');
    for (const id of [2, 3, 5])
      expect(kernel.ioctl('IOMMU_IOAS_ALLOC', {})).toMatchObject({ out: { out_ioas_id: id } });
  });
});

describe('random bytes', () => {
  const requests = [...requestsOf('linux-7.3').values()];
  const plausible = fc.oneof(
    fc.constantFrom(0, 1, 2, 6, 7, 8, 0x10, 0x1000, 0xffff_ffff),
    fc.nat(0xffff_ffff),
  );
  const words = fc.array(plausible, { minLength: 2, maxLength: 14 });

  it('as an address, or as a code, end in an answer too', () => {
    const kernel = hostWithIoas();
    const va = BigInt(memory(kernel, 0x1000));
    const address = fc.oneof(
      fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
      fc.bigInt({ min: va - 0x40n, max: va + 0x1040n }),
      fc.constantFrom(0n, 2n ** 47n - 4n, 2n ** 64n - 1n),
    );
    const code = fc.oneof(fc.constantFrom(...requests.map((each) => each.code)), fc.nat(0xffff_ffff));
    fc.assert(
      fc.property(code, address, words, (asked, arg, values) => {
        kernel.line({ op: 'mem.write', va, u32: values });
        const answer = kernel.line({ op: 'ioctl', fd: 'iommu0', code: asked, arg });
        expect(answer['ret']).toBeTypeOf('number');
      }),
      { numRuns: 1500 },
    );
  });

  it('end in an answer, and where that is an errno nothing but the argument has changed', () => {
    const kernel = hostWithIoas();
    const va = memory(kernel, 0x10000);
    kernel.ioctl('IOMMU_IOAS_MAP', { ioas_id: 1, flags: 7, user_va: va, length: 0x10000, iova: 0x1000 });
    const contexts = (): string => contextsText(kernel.state);
    fc.assert(
      fc.property(fc.constantFrom(...requests), words, fc.boolean(), ({ code, bytes }, values, sized) => {
        const struct = new Uint32Array(values);
        if (sized) struct[0] = bytes;
        const hex = Buffer.from(struct.buffer).toString('hex');
        const before = contexts();
        const answer = kernel.line({ op: 'ioctl', fd: 'iommu0', code, hex });
        expect(answer['ret']).toBeTypeOf('number');
        if (answer['errno'] !== undefined && kernel.look().some(({ type }) => type === 'areas.removed'))
          return;
        if (answer['errno'] !== undefined) expect(contexts()).toBe(before);
      }),
      { numRuns: 3000 },
    );
  });
});
