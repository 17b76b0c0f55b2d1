/**
 * What one declaration gives must agree with itself. For every layout of the simulator: values encoded
 * and decoded come back, random words survive in the bits that the layout owns, and `show`, `diff` and
 * `mask` name the same bits. Then the mistakes that are refused: in a layout when the module loads, in
 * a value when it is encoded.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { addr, flag, oneOf, readBits, u64, uint, writeBits } from '../../../core/layout/field.ts';
import {
  type AnyField,
  decode,
  diff,
  encode,
  type Layout,
  layout,
  mask,
  show,
  showRaw,
} from '../../../core/layout/layout.ts';
import { register, registerFile, sixteen, writableBits } from '../../../core/layout/register.ts';
import { CD, L1CD } from '../../../core/smmu/cd.ts';
import { commandLayouts } from '../../../core/smmu/command-layout.ts';
import { S1_LEAF, S1_TABLE, S2_LEAF, S2_TABLE } from '../../../core/smmu/descriptor.ts';
import { eventRecords, PRI_ENTRY } from '../../../core/smmu/event-record.ts';
import { ecmdqRegisters, parFault, registers, vatosRegisters } from '../../../core/smmu/registers.ts';
import { L1STD, STE } from '../../../core/smmu/ste.ts';

type Any = Layout<Record<string, AnyField>>;

const everyLayout: readonly Any[] = [
  ...registers.list,
  ...vatosRegisters.list,
  ...ecmdqRegisters.list,
  ...Object.values(parFault),
  L1STD,
  STE,
  L1CD,
  CD,
  S1_TABLE,
  S1_LEAF,
  S2_TABLE,
  S2_LEAF,
  ...Object.values(commandLayouts).map((command) => command.layout),
  ...Object.values(eventRecords).map((record) => record.layout),
  PRI_ENTRY,
];

function arbitraryOf(field: AnyField): fc.Arbitrary<unknown> {
  const bits = BigInt(field.hi - field.lo + 1);
  const wide = fc.bigInt({ min: 0n, max: (1n << bits) - 1n });
  switch (field.kind) {
    case 'flag':
      return fc.boolean();
    case 'uint':
      return wide.map(Number);
    case 'addr':
      return wide.map((value) => Number(value << BigInt(field.lo & 63)));
    case 'u64':
      return wide.map((value) => value << BigInt(field.lo & 63));
    case 'oneOf':
      return fc.constantFrom(...Object.keys(field.names ?? {}));
  }
}

const valuesOf = (of: Any) =>
  fc.record(Object.fromEntries(Object.entries(of.fields).map(([name, field]) => [name, arbitraryOf(field)])));

const wordsOf = (of: Any) => {
  const length = Math.max(1, of.bytes / 4);
  return fc.uint32Array({ minLength: length, maxLength: length });
};

/** Reserved values of a `oneOf` have no name to come back by. */
const hasReserved = (values: Record<string, unknown>) => Object.values(values).includes('RESERVED');

const named = everyLayout.map((of) => [of.name, of] as const);

describe('every layout', () => {
  it.each(named)('%s: decode(encode(values)) = values', (_, of) => {
    fc.assert(
      fc.property(valuesOf(of), (values) => {
        expect(decode(of, encode(of, values))).toEqual(values);
      }),
    );
  });

  it.each(named)('%s: encode(decode(words)) = words in the bits it owns', (_, of) => {
    const owned = mask(of);
    fc.assert(
      fc.property(wordsOf(of), (words) => {
        const values = decode(of, words);
        fc.pre(!hasReserved(values));
        expect(encode(of, values)).toEqual(words.map((word, index) => word & owned[index]!));
      }),
      { maxSkipsPerRun: 10_000 },
    );
  });

  it.each(named)('%s: diff names exactly the fields whose bits differ', (_, of) => {
    fc.assert(
      fc.property(wordsOf(of), wordsOf(of), fc.boolean(), (before, other, same) => {
        const after = same ? before : other;
        const changed = Object.entries(of.fields)
          .filter(([name]) => {
            const bits = mask(of, [name]);
            return bits.some((ones, index) => ((before[index]! ^ after[index]!) & ones) !== 0);
          })
          .map(([name]) => name);
        expect(diff(of, before, after).map((change) => change.field)).toEqual(changed);
      }),
    );
  });

  it.each(named)('%s: show names the fields that are not zero', (_, of) => {
    const zero = new Uint32Array(of.bytes / 4);
    expect(show(of, zero)).toBe(`${of.name} { }`);
    const ones = show(
      of,
      zero.map(() => 0xffffffff),
    );
    for (const field of Object.keys(of.fields)) expect(ones).toContain(` ${field}=`);
  });

  it.each(named)('%s: lists its fields in bit order', (_, of) => {
    const from = Object.values(of.fields).map(({ lo }) => lo);
    expect(from).toEqual(from.toSorted((a, b) => a - b));
  });

  it.each(named)('%s: cites a section', (_, of) => {
    expect(of.spec).toMatch(/^(ARM D)?\d+(\.\d+)*$/);
  });
});

describe('fields', () => {
  it('reads and writes bits across a word', () => {
    const words = new Uint32Array(2);
    writeBits(words, 47, 16, 0xdeadbeef);
    expect(words).toEqual(Uint32Array.of(0xbeef0000, 0x0000dead));
    expect(readBits(words, 47, 16)).toBe(0xdeadbeef);
  });

  it('leaves the other bits alone', () => {
    for (const field of [flag(40), uint(43, 28), addr(51, 12), u64(63, 4), oneOf(33, 31, { ZERO: 0 })]) {
      const words = Uint32Array.of(0xffffffff, 0xffffffff);
      field.write(words, (field.read(Uint32Array.of(0, 0)) ?? 'ZERO') as never);
      expect(words).toEqual(mask(layout('L', { bytes: 8, spec: '0' }, { field })).map((word) => ~word));
    }
  });

  it('keeps an address in its place, a wide one too', () => {
    const words = Uint32Array.of(0xfffff123, 0xffffffff);
    expect(addr(55, 12).read(words)).toBe(0xff_ffff_ffff_f000);
    expect(u64(55, 2).read(words)).toBe(0xff_ffff_ffff_f120n);
    expect(addr(119, 76).read(Uint32Array.of(0, 0, 0x80200601, 0))).toBe(0x80200000);
  });

  it('reads the last 53-bit address exactly', () => {
    const field = addr(247, 195);
    const words = new Uint32Array(8).fill(0xffffffff);
    expect(BigInt(field.read(words))).toBe(0xff_ffff_ffff_fff8n);
  });

  it('names a value without a name RESERVED', () => {
    expect(decode(STE, Uint32Array.of(0b0010)).Config).toBe('RESERVED');
    expect(show(STE, Uint32Array.of(0b0010))).toBe('STE { Config=RESERVED(1) }');
  });

  it('refuses a field that is too wide', () => {
    expect(() => uint(32, 0)).toThrow(/at most 32 bits/);
    expect(() => addr(55, 2)).toThrow(/53 bits or fewer/);
    expect(() => addr(70, 60)).toThrow(/one doubleword/);
    expect(() => u64(70, 60)).toThrow(/one doubleword/);
    expect(() => oneOf(1, 0, { FIVE: 5 })).toThrow(/FIVE=5/);
    expect(() => oneOf(1, 0, { A: 1, B: 1 })).toThrow(/B=1/);
  });
});

describe('layout', () => {
  const about = { bytes: 4, spec: '1.1' };

  it('refuses fields that overlap or stand outside', () => {
    expect(() => layout('L', about, { a: uint(3, 0), b: flag(3) })).toThrow(/L.b overlaps a at bit 3/);
    expect(() => layout('L', about, { a: flag(32) })).toThrow(/L.a \[32:32\] lies in 4 bytes/);
  });

  it('refuses values that do not fit', () => {
    expect(() => encode(STE, { S2VMID: 0x1_0000 })).toThrow(/does not fit/);
    expect(() => encode(STE, { S2VMID: -1 })).toThrow(/does not fit/);
    expect(() => encode(STE, { S2TTB: 0x80060008 })).toThrow(/does not fit addr/);
    expect(() => encode(STE, { Config: 'RESERVED' })).toThrow(/RESERVED is a name/);
    expect(() => encode(STE, { s2vmid: 1 } as never)).toThrow(/STE has a field s2vmid/);
    expect(() => encode(commandLayouts.CMD_SYNC.layout, { MSIAddress: 1n << 56n })).toThrow(/does not fit/);
  });

  it('shows, compares and masks', () => {
    const before = encode(STE, { V: true, Config: 'S1', S1ContextPtr: 0x80040000 });
    const after = encode(STE, { V: true, Config: 'NESTED', S1ContextPtr: 0x80040000, S2VMID: 3 });
    expect(show(STE, after)).toBe('STE { V=1 Config=NESTED S1ContextPtr=0x80040000 S2VMID=3 }');
    expect(diff(STE, before, after)).toEqual([
      { field: 'Config', before: 'S1', after: 'NESTED' },
      { field: 'S2VMID', before: '0', after: '3' },
    ]);
    expect(mask(STE, ['V', 'Config'])).toEqual(Uint32Array.of(0xf, ...new Array(15).fill(0)));
    expect(showRaw(before.slice(0, 4))).toBe('0x000000008004000b 0x0000000000000000');
  });
});

describe('register', () => {
  const about = { offset: 0x8, width: 64, access: 'RW', spec: '1.1' } as const;
  const R = register(
    'R',
    { ...about, guard: ['CMDQEN'], readOnly: ['B'] },
    { A: uint(3, 0), B: flag(40), C: flag(41) },
  );

  it('derives the write mask from the fields', () => {
    expect(R.writeMask).toEqual(Uint32Array.of(0xf, 0x200));
    expect(register('S', { ...about, access: 'RO' }, { A: flag(0) }).writeMask).toEqual(Uint32Array.of(0, 0));
  });

  it('takes guarded bits away while their guard holds', () => {
    expect(writableBits(R, () => false)).toEqual(Uint32Array.of(0xf, 0x200));
    expect(writableBits(R, (guard) => guard === 'CMDQEN')).toEqual(Uint32Array.of(0, 0));
    const { CR1 } = registers.byName;
    expect(writableBits(CR1, (guard) => guard === 'SMMUEN')).toEqual(Uint32Array.of(0x03f));
    expect(writableBits(CR1, (guard) => guard === 'EVENTQEN')).toEqual(Uint32Array.of(0xfc0));
    expect(writableBits(CR1, () => true)).toEqual(Uint32Array.of(0));
  });

  it('is found by name and by the offset of each word', () => {
    const file = registerFile([R, register('T', { ...about, offset: 0, width: 32 }, {})]);
    expect(file.byName.R).toBe(R);
    expect(file.at(0x8)).toEqual({ register: R, word: 0 });
    expect(file.at(0xc)).toEqual({ register: R, word: 1 });
    expect(file.at(0x0)?.register.name).toBe('T');
    expect(file.at(0x4)).toBeUndefined();
    expect(file.at(0xa)).toBeUndefined();
  });

  it('refuses what overlaps, repeats or is misaligned', () => {
    const inside = register('U', { ...about, offset: 0xc, width: 32 }, {});
    expect(() => registerFile([R, inside])).toThrow(/U overlaps R/);
    expect(() => registerFile([R, { ...R, offset: 0x20 }])).toThrow(/R is declared once/);
    expect(() => register('V', { ...about, offset: 0x4 }, {})).toThrow(/aligned to 64 bits/);
    expect(() => register('W', { ...about, width: 32 }, { A: flag(32) })).toThrow(/lies in 4 bytes/);
    expect(() =>
      register('X', { ...about, fieldGuards: { SMMUEN: ['Y' as never] } }, { A: flag(0) }),
    ).toThrow(/Y/);
  });

  it('makes sixteen fields in a row', () => {
    expect(Object.keys(sixteen('P', 0, 4))).toHaveLength(16);
    expect(sixteen('P', 448, 3).P15).toMatchObject({ hi: 495, lo: 493 });
  });
});
