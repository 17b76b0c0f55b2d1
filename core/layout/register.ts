/**
 * A register is a layout with an offset and an access rule, and a register file is a list of them that
 * do not overlap. IHI 0070 6.1 and 6.2. Access rules are data only; what a write sets in motion is not
 * here.
 */
import { assert } from '../assert.ts';
import { type Field, uint } from './field.ts';
import { type AnyField, type Layout, layout, mask } from './layout.ts';

/** `RO`: writes are ignored. `RW`: writes store the fields, as far as the guards let them. */
export type Access = 'RO' | 'RW';

/** A number, or why there is none: fixed by the profile, UNKNOWN, or IMPLEMENTATION DEFINED. */
export type Reset = number | 'constant' | 'UNKNOWN' | 'IMPDEF';

/**
 * A named condition that makes a register writable only while the named bit, and its acknowledge copy
 * when there is one, are 0. Where the bits stand is the table
 * `guardBits` of the device.
 */
export type Guard =
  | 'SMMUEN'
  | 'CMDQEN'
  | 'EVENTQEN'
  | 'PRIQEN'
  | 'GERROR_IRQEN'
  | 'EVENTQ_IRQEN'
  | 'PRIQ_IRQEN'
  | 'TABLES_PRESET'
  | 'QUEUES_PRESET'
  | 'DPT_WALK_EN'
  | 'GBPA.Update'
  | 'GMPAM.Update'
  | 'GBPMPAM.Update'
  | 'GATOS.RUN'
  | 'VATOS.RUN'
  | 'ECMDQ.EN';

export interface GuardedBits {
  readonly guard: Guard;
  readonly mask: Uint32Array;
}

export interface Register<N extends string = string, F = Record<string, AnyField>> extends Layout<F> {
  readonly name: N;
  /** Bytes from the start of the block. */
  readonly offset: number;
  readonly width: 32 | 64;
  readonly access: Access;
  readonly reset: Reset;
  /** Bits a write may ever change: none in an `RO` register, never a reserved bit. */
  readonly writeMask: Uint32Array;
  /** Bits that a write leaves alone while the guard holds. */
  readonly guards: readonly GuardedBits[];
}

export interface RegisterAbout<F> {
  readonly offset: number;
  readonly width: 32 | 64;
  readonly access: Access;
  readonly spec: string;
  /** 0 when not given. */
  readonly reset?: Reset;
  /** Guards of the whole register. */
  readonly guard?: readonly Guard[];
  /** Guards of some fields. */
  readonly fieldGuards?: Readonly<Partial<Record<Guard, readonly (keyof F & string)[]>>>;
  /** Fields of an `RW` register that a write does not change. */
  readonly readOnly?: readonly (keyof F & string)[];
}

/** Declares a register; throws when a field does not fit, or the offset is not aligned to the width. */
export function register<const N extends string, const F extends Record<string, AnyField>>(
  name: N,
  about: RegisterAbout<F>,
  fields: F,
): Register<N, F> {
  const { offset, width, access, spec, reset = 0, guard = [], fieldGuards = {}, readOnly = [] } = about;
  assert(offset % (width / 8) === 0, `${name} at 0x${offset.toString(16)} is aligned to ${width} bits`);
  const of = layout(name, { bytes: width / 8, spec }, fields);
  const names = Object.keys(fields);
  const writable = access === 'RO' ? [] : names.filter((field) => !readOnly.includes(field));
  const guards: GuardedBits[] = guard.map((each) => ({ guard: each, mask: mask(of) }));
  for (const [each, guarded] of Object.entries(fieldGuards) as [Guard, readonly string[]][]) {
    for (const field of guarded) assert(names.includes(field), `${name} has the guarded field ${field}`);
    guards.push({ guard: each, mask: mask(of, guarded) });
  }
  return { ...of, name, offset, width, access, reset, writeMask: mask(of, writable), guards };
}

/** The bits a write may change now, given which guards hold (their bit, or its copy, is 1). */
export function writableBits(of: Register, holds: (guard: Guard) => boolean): Uint32Array {
  const bits = Uint32Array.from(of.writeMask);
  for (const { guard, mask: guarded } of of.guards) {
    if (!holds(guard)) continue;
    for (let index = 0; index < bits.length; index += 1) {
      bits[index] = (bits[index] ?? 0) & ~(guarded[index] ?? 0);
    }
  }
  return bits;
}

/** A 32-bit word of the register file: the register and which of its words it is. */
export interface RegisterWord<R extends Register = Register> {
  readonly register: R;
  readonly word: 0 | 1;
}

export interface RegisterFile<R extends Register> {
  /** In the order given. */
  readonly list: readonly R[];
  readonly byName: { readonly [S in R as S['name']]: S };
  /** What stands at a 32-bit aligned offset; `word` 1 is the upper half of a 64-bit register. */
  at(offset: number): RegisterWord<R> | undefined;
}

/** Throws when two registers share an offset or a name. */
export function registerFile<const L extends readonly Register[]>(list: L): RegisterFile<L[number]> {
  const words = new Map<number, RegisterWord<L[number]>>();
  const byName: Record<string, Register> = {};
  for (const each of list) {
    assert(byName[each.name] === undefined, `${each.name} is declared once`);
    byName[each.name] = each;
    for (let word = 0; word < each.width / 32; word += 1) {
      const offset = each.offset + word * 4;
      assert(!words.has(offset), `${each.name} overlaps ${words.get(offset)?.register.name}`);
      words.set(offset, { register: each, word: word as 0 | 1 });
    }
  }
  return {
    list,
    byName: byName as RegisterFile<L[number]>['byName'],
    at: (offset) => words.get(offset),
  };
}

type UpTo15 = 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9 | 10 | 11 | 12 | 13 | 14 | 15;

/** Sixteen equal fields in a row, `prefix0` at bit `lo` first: permission indices come so. */
export function sixteen<const P extends string>(
  prefix: P,
  lo: number,
  width: number,
): { readonly [K in `${P}${UpTo15}`]: Field<number> } {
  const fields: Record<string, Field<number>> = {};
  for (let index = 0; index < 16; index += 1) {
    const from = lo + index * width;
    fields[`${prefix}${index}`] = uint(from + width - 1, from);
  }
  return fields as { readonly [K in `${P}${UpTo15}`]: Field<number> };
}
