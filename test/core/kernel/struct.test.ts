/**
 * What one declaration of a struct gives must agree with itself, for every struct of the uAPI, of the
 * proposals and of virtio-iommu: values encoded and decoded come back, random bytes survive, `show` and `diff` name the same
 * fields. Then sizes in older releases, short and long input, and the mistakes that are refused.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { structs } from '../../../core/kernel/uapi/data-structs.ts';
import { enums, numbers } from '../../../core/kernel/uapi/enums.ts';
import { nameOf, showNames } from '../../../core/kernel/uapi/names.ts';
import { dataStruct, structNamed } from '../../../core/kernel/uapi/pointee.ts';
import { proposedStructs } from '../../../core/kernel/uapi/proposed-structs.ts';
import {
  decodeStruct,
  diffStruct,
  encodeStruct,
  type Struct,
  type StructField,
  s32,
  showStruct,
  sizeIn,
  struct,
  u8,
  u32,
  u64,
  u64s,
} from '../../../core/kernel/uapi/struct.ts';
import { ioctlStructs } from '../../../core/kernel/uapi/structs.ts';
import { virtioStructs } from '../../../core/virtio-iommu/structs.ts';

const everyStruct: readonly Struct[] = [
  ...Object.values(ioctlStructs),
  ...Object.values(structs),
  ...Object.values(proposedStructs),
  ...Object.values(virtioStructs),
];
const named = everyStruct.map((of) => [of.name, of] as const);

const whole = {
  u8: [0, 0xff],
  u16: [0, 0xffff],
  u32: [0, 0xffff_ffff],
  s32: [-(2 ** 31), 2 ** 31 - 1],
} as const;

function arbitraryOf({ type }: StructField): fc.Arbitrary<unknown> {
  const [, scalar = '', count] = /^(\w+?)(?:\[(\d+)\])?$/.exec(type) ?? [];
  const range = whole[scalar as keyof typeof whole];
  const each: fc.Arbitrary<unknown> =
    range === undefined
      ? fc.bigInt({ min: 0n, max: (1n << 64n) - 1n })
      : fc.integer({ min: range[0], max: range[1] });
  if (count === undefined) return each;
  return fc.array(each, { minLength: Number(count), maxLength: Number(count) });
}

/** A union has one value: fields that lie over another take its value. */
const valuesOf = (of: Struct) =>
  fc
    .record(Object.fromEntries(Object.entries(of.fields).map(([name, field]) => [name, arbitraryOf(field)])))
    .map((record) =>
      Object.fromEntries(
        Object.entries(record).map(([name, value]) => [name, record[of.fields[name]?.over ?? name] ?? value]),
      ),
    );

const bytesOf = (of: Struct) => fc.uint8Array({ minLength: of.bytes, maxLength: of.bytes });
/** Bytes that a field of the struct covers; the rest is the compiler's padding. */
const covered = (of: Struct) =>
  Math.max(...Object.values(of.fields).map(({ offset, bytes }) => offset + bytes));

describe('every struct', () => {
  it.each(named)('%s: decode(encode(values)) = values', (_, of) => {
    fc.assert(
      fc.property(valuesOf(of), (values) => {
        const bytes = encodeStruct(of, values);
        expect(bytes.length).toBe(of.bytes);
        expect(decodeStruct(of, bytes)).toEqual(values);
      }),
    );
  });

  it.each(named)('%s: encode(decode(bytes)) = bytes', (_, of) => {
    fc.assert(
      fc.property(bytesOf(of), (bytes) => {
        const again = encodeStruct(of, decodeStruct(of, bytes));
        expect(again.subarray(0, covered(of))).toEqual(bytes.subarray(0, covered(of)));
      }),
    );
  });

  it.each(named)('%s: diff names the fields whose bytes differ, show those that are not zero', (_, of) => {
    fc.assert(
      fc.property(bytesOf(of), bytesOf(of), fc.integer({ min: 0, max: of.bytes }), (before, other, keep) => {
        const after = Uint8Array.from(before, (byte, at) => (at < keep ? byte : other[at]!));
        const names = (differs: (at: number) => boolean) =>
          Object.entries(of.fields)
            .filter(([, field]) =>
              Array.from({ length: field.bytes }, (__, at) => field.offset + at).some(differs),
            )
            .map(([name]) => name);
        expect(diffStruct(of, before, after).map(({ field }) => field)).toEqual(
          names((at) => before[at] !== after[at]),
        );
        const shown = [...showStruct(of, after).matchAll(/ (\w+)=/g)].map((found) => found[1]);
        expect(shown).toEqual(names((at) => after[at] !== 0));
      }),
    );
  });

  it.each(named)('%s: pointers name structs and fields that are there', (_, of) => {
    for (const { points } of Object.values(of.fields)) {
      if (points?.to === 'struct') expect(structNamed(points.of)).toBeDefined();
      if (points?.to === 'data' || points?.to === 'entries') {
        expect([0, 1, 2].some((type) => dataStruct(points.by, type) !== undefined)).toBe(true);
        expect(of.fields).toHaveProperty(points.type);
        expect(of.fields).toHaveProperty(points.bytes);
      }
    }
  });
});

describe('decoding', () => {
  const { iommu_hwpt_alloc: alloc } = ioctlStructs;

  it('reads the missing end of a short struct as zero and leaves a longer one alone', () => {
    const bytes = encodeStruct(alloc, { size: 24, dev_id: 3, pt_id: 4, fault_id: 9 });
    expect(decodeStruct(alloc, bytes.subarray(0, 24))).toMatchObject({ dev_id: 3, pt_id: 4, fault_id: 0 });
    const long = new Uint8Array(64).fill(0xff);
    long.set(bytes);
    expect(decodeStruct(alloc, long)).toEqual(decodeStruct(alloc, bytes));
  });

  it('reads a union by both names', () => {
    const bytes = encodeStruct(ioctlStructs.iommu_hw_info, { out_data_type: 2 });
    expect(decodeStruct(ioctlStructs.iommu_hw_info, bytes)).toMatchObject({
      in_data_type: 2,
      out_data_type: 2,
    });
  });

  it('is little-endian and signed where the header is', () => {
    const bytes = encodeStruct(ioctlStructs.iommu_ioas_map_file, { fd: -1, iova: 0x0102_0304_0506_0708n });
    expect([...bytes.subarray(12, 16), ...bytes.subarray(32)]).toEqual([
      255, 255, 255, 255, 8, 7, 6, 5, 4, 3, 2, 1,
    ]);
    expect(decodeStruct(ioctlStructs.iommu_ioas_map_file, bytes).fd).toBe(-1);
  });
});

describe('encoding', () => {
  const { iommu_ioas_unmap: unmap } = ioctlStructs;

  it('puts fields into bytes that are there, and copies', () => {
    const base = encodeStruct(unmap, { size: 24, ioas_id: 7, iova: 0x1000n });
    const after = encodeStruct(unmap, { length: 0x2000n }, base);
    expect(decodeStruct(unmap, after)).toEqual({ size: 24, ioas_id: 7, iova: 0x1000n, length: 0x2000n });
    expect(decodeStruct(unmap, base).length).toBe(0n);
  });

  it('refuses what does not fit', () => {
    expect(() => encodeStruct(unmap, { size: 2 ** 32 })).toThrow(/fits u32 at 0/);
    expect(() => encodeStruct(unmap, { size: 1.5 })).toThrow(/fits u32/);
    expect(() => encodeStruct(unmap, { iova: -1n })).toThrow(/fits u64 at 8/);
    expect(() => encodeStruct(unmap, { iova: 1n << 64n })).toThrow(/fits u64/);
    expect(() => encodeStruct(structs.iommu_hwpt_arm_smmuv3, { ste: [1n] })).toThrow(/fits u64\[2\]/);
    expect(() => encodeStruct(unmap, { id: 1 } as never)).toThrow(/has a field id/);
    const union = { in_data_type: 1, out_data_type: 2 };
    expect(() => encodeStruct(ioctlStructs.iommu_hw_info, union)).toThrow(/in_data_type are one/);
  });
});

describe('showing', () => {
  it('names flags, values and arrays', () => {
    const flags = numbers.IOMMU_IOAS_MAP_FIXED_IOVA | numbers.IOMMU_IOAS_MAP_READABLE | 0x40;
    const map = encodeStruct(ioctlStructs.iommu_ioas_map, { size: 40, flags, iova: 0x1000n });
    expect(showStruct(ioctlStructs.iommu_ioas_map, map)).toBe(
      'iommu_ioas_map { size=0x28 flags=IOMMU_IOAS_MAP_FIXED_IOVA|IOMMU_IOAS_MAP_READABLE|0x40 iova=0x1000 }',
    );
    const vste = encodeStruct(structs.iommu_hwpt_arm_smmuv3, { ste: [0x9n, 0n] });
    expect(showStruct(structs.iommu_hwpt_arm_smmuv3, vste)).toBe('iommu_hwpt_arm_smmuv3 { ste=[9 0] }');
    expect(showStruct(structs.iommu_hwpt_arm_smmuv3, new Uint8Array(16))).toBe('iommu_hwpt_arm_smmuv3 { }');
    const before = encodeStruct(ioctlStructs.iommu_vfio_ioas, { op: 0 });
    const after = encodeStruct(ioctlStructs.iommu_vfio_ioas, { op: 2 });
    expect(diffStruct(ioctlStructs.iommu_vfio_ioas, before, after)).toEqual([
      { field: 'op', before: 'IOMMU_VFIO_IOAS_GET', after: 'IOMMU_VFIO_IOAS_CLEAR' },
    ]);
  });

  it('shows numbers without a name as they are', () => {
    expect(showNames(enums.iommu_viommu_type, 9)).toBe('0x9');
    expect(showNames(enums.iommu_viommu_type, 1)).toBe('IOMMU_VIOMMU_TYPE_ARM_SMMUV3');
    expect(showNames(enums.iommufd_ioas_map_flags, 0)).toBe('0x0');
    expect(nameOf(enums.iommu_hw_info_type, 0n)).toBe('IOMMU_HW_INFO_TYPE_NONE');
    expect(nameOf(enums.iommu_hw_info_type, 9)).toBeUndefined();
  });
});

describe('declaring', () => {
  it('refuses overlaps, gaps and fields out of line', () => {
    expect(() => struct('s', { a: u32(0, 'in'), b: u32(0, 'in') })).toThrow(/s.b at 0 follows at 4/);
    expect(() => struct('s', { a: u32(0, 'in'), b: u32(8, 'in') })).toThrow(/s.b at 8 follows at 4/);
    expect(() => struct('s', { a: u32(0, 'in'), b: u64(4, 'in') })).toThrow(/s.b at 4 is aligned to 8/);
    expect(() => struct('s', { a: u32(0, 'in'), b: u8(0, 'in', { over: 'a' }) })).toThrow(/s.b lies over a/);
  });

  it('rounds the size up as a compiler does, and follows the releases', () => {
    expect(struct('s', { a: u64(0, 'in'), b: u8(8, 'in') }).bytes).toBe(16);
    expect(struct('s', { a: s32(0, 'in') }).bytes).toBe(4);
    const of = struct('s', {
      a: u32(0, 'in'),
      b: u32(4, 'in', { since: '6.7' }),
      c: u64s(8, 2, 'in', { since: '6.11' }),
    });
    expect([sizeIn(of, '6.6'), sizeIn(of, '6.7'), sizeIn(of, '6.10'), sizeIn(of, '7.3')]).toEqual([
      4, 8, 8, 24,
    ]);
  });
});

describe('data types', () => {
  it('stand for structs, those of proposals for theirs', () => {
    expect(dataStruct('iommu_hwpt_data_type', 2)).toBe(structs.iommu_hwpt_arm_smmuv3);
    expect(dataStruct('iommu_viommu_type', 2)).toBe(structs.iommu_viommu_tegra241_cmdqv);
    expect(dataStruct('iommu_hwpt_data_type', 0)).toBeUndefined();
    expect(dataStruct('iommu_hwpt_type', 2)).toBe(proposedStructs['iommu_hwpt_arm_smmuv3 2023-05']);
    expect(dataStruct('iommu_hwpt_invalidate 2023-11', 2)).toBe(structs.iommu_viommu_arm_smmuv3_invalidate);
    expect(structNamed('iommu_vqueue_tegra241_cmdqv')).toBe(proposedStructs.iommu_vqueue_tegra241_cmdqv);
    expect(structNamed('__proto__')).toBeUndefined();
  });
});
