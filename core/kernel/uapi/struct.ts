/**
 * C structs of the uAPI as tables: fields with byte offset, type and direction. Decoding, encoding,
 * printing, comparing and the size in each release come from the one declaration. Layouts are those of
 * a 64-bit little-endian kernel: every field stands at a multiple of its size, `__aligned_u64` or not.
 * Fields up to 32 bits are numbers, wider ones bigints. Bytes beyond a struct are the caller's.
 */
import { assert } from '../../assert.ts';
import type { FieldChange } from '../../layout/layout.ts';
import { type NameSet, showNames } from './names.ts';
import { atLeast, type Version } from './versions.ts';

/**
 * Who fills a field: `inout` is read and written. `reserved0` must be zero and is checked; `reserved`
 * is documented as zero and not checked.
 */
export type Direction = 'in' | 'out' | 'inout' | 'reserved0' | 'reserved';

/**
 * What the user memory at a pointer holds; `count`, `bytes` and `type` name fields of the same struct
 * (`bytes` may be a number). `dir` is the direction of the memory, not of the pointer.
 * `struct`: `count` structs named `of`. `data`: one struct, chosen by `type` among those of `by`, of
 * `bytes` bytes. `entries`: `count` such structs. `bytes`: plain bytes. `bitmap`: bits that are ORed in;
 * how many follows from the range.
 */
export type Pointer =
  | { readonly to: 'struct'; readonly of: string; readonly count: string | 1; readonly dir: Direction }
  | {
      readonly to: 'data';
      readonly by: string;
      readonly type: string;
      readonly bytes: string;
      readonly dir: Direction;
    }
  | {
      readonly to: 'entries';
      readonly by: string;
      readonly type: string;
      readonly bytes: string;
      readonly count: string;
      readonly dir: Direction;
    }
  | { readonly to: 'bytes'; readonly bytes: string | number; readonly dir: Direction }
  | { readonly to: 'bitmap'; readonly dir: Direction };

interface About {
  /** Names of its values, or of its flag bits. */
  readonly names?: NameSet;
  readonly points?: Pointer;
  /** The release that added it, where the struct is older. */
  readonly since?: Version;
  /** The field whose bytes it shares: a union. */
  readonly over?: string;
}

type Scalar = 'u8' | 'u16' | 'u32' | 's32' | 'u64';
export type FieldType = Scalar | `${'u8' | 'u32' | 'u64'}[${number}]`;

export interface StructField<T = unknown> extends About {
  readonly type: FieldType;
  readonly offset: number;
  readonly bytes: number;
  /** Bytes that its offset is a multiple of. */
  readonly align: number;
  readonly dir: Direction;
  read(view: DataView): T;
  write(view: DataView, value: T): void;
}

export interface Struct<F = Record<string, StructField<unknown>>> {
  /** As the header calls it. */
  readonly name: string;
  /** sizeof, with all fields. */
  readonly bytes: number;
  readonly fields: F;
}

export type Values<S extends { fields: Record<string, StructField<unknown>> }> = {
  readonly [K in keyof S['fields']]: S['fields'][K] extends StructField<infer T> ? T : never;
};

interface Coder<T> {
  readonly bytes: number;
  readonly fits: (value: T) => boolean;
  readonly read: (view: DataView, at: number) => T;
  readonly write: (view: DataView, at: number, value: T) => void;
}

const within = (min: number, max: number) => (value: number) =>
  Number.isInteger(value) && value >= min && value <= max;

// biome-ignore format: a table
const coders = {
  u8:  { bytes: 1, fits: within(0, 0xff),                   read: (view, at) => view.getUint8(at),        write: (view, at, value) => view.setUint8(at, value) },
  u16: { bytes: 2, fits: within(0, 0xffff),                 read: (view, at) => view.getUint16(at, true), write: (view, at, value) => view.setUint16(at, value, true) },
  u32: { bytes: 4, fits: within(0, 0xffff_ffff),            read: (view, at) => view.getUint32(at, true), write: (view, at, value) => view.setUint32(at, value, true) },
  s32: { bytes: 4, fits: within(-0x8000_0000, 0x7fff_ffff), read: (view, at) => view.getInt32(at, true),  write: (view, at, value) => view.setInt32(at, value, true) },
} as const satisfies Readonly<Record<string, Coder<number>>>;

const coder64: Coder<bigint> = {
  bytes: 8,
  fits: (value) => BigInt.asUintN(64, value) === value,
  read: (view, at) => view.getBigUint64(at, true),
  write: (view, at, value) => view.setBigUint64(at, value, true),
};

type Declare<T> = (offset: number, dir: Direction, about?: About) => StructField<T>;
type DeclareMany<T> = (
  offset: number,
  count: number,
  dir: Direction,
  about?: About,
) => StructField<readonly T[]>;

function one<T>(type: Scalar, { bytes, fits, read, write }: Coder<T>): Declare<T> {
  return (offset, dir, about) => ({
    ...about,
    type,
    offset,
    bytes,
    align: bytes,
    dir,
    read: (view) => read(view, offset),
    write: (view, value) => {
      if (!fits(value)) assert(false, `${value} fits ${type} at ${offset}`);
      write(view, offset, value);
    },
  });
}

function many<T>(type: 'u8' | 'u32' | 'u64', { bytes, fits, read, write }: Coder<T>): DeclareMany<T> {
  return (offset, count, dir, about) => ({
    ...about,
    type: `${type}[${count}]`,
    offset,
    bytes: bytes * count,
    align: bytes,
    dir,
    read: (view) => Array.from({ length: count }, (_, index) => read(view, offset + index * bytes)),
    write: (view, values) => {
      assert(values.length === count && values.every(fits), `${values} fits ${type}[${count}] at ${offset}`);
      for (const [index, value] of values.entries()) write(view, offset + index * bytes, value);
    },
  });
}

export const u8 = one('u8', coders.u8);
export const u16 = one('u16', coders.u16);
export const u32 = one('u32', coders.u32);
export const s32 = one('s32', coders.s32);
export const u64 = one('u64', coder64);
export const u8s = many('u8', coders.u8);
export const u32s = many('u32', coders.u32);
export const u64s = many('u64', coder64);

/** Declares a struct; throws when a field is not aligned, overlaps another or leaves a gap before it. */
export function struct<const F extends Record<string, StructField<unknown>>>(
  name: string,
  fields: F,
): Struct<F> {
  let end = 0;
  for (const [field, { offset, bytes, align, over }] of Object.entries(fields)) {
    assert(offset % align === 0, `${name}.${field} at ${offset} is aligned to ${align}`);
    if (over !== undefined) {
      assert(
        fields[over]?.offset === offset && fields[over].bytes === bytes,
        `${name}.${field} lies over ${over}`,
      );
      continue;
    }
    assert(offset === end, `${name}.${field} at ${offset} follows at ${end}`);
    end = offset + bytes;
  }
  return { name, bytes: sizeof(Object.values(fields)), fields };
}

/** The size of a struct in a release: the end of the fields it has, rounded up to their alignment. */
export function sizeIn(of: Struct, version: Version): number {
  return sizeof(
    Object.values(of.fields).filter(({ since }) => since === undefined || atLeast(version, since)),
  );
}

function sizeof(fields: readonly StructField<unknown>[]): number {
  const align = Math.max(1, ...fields.map((field) => field.align));
  const end = Math.max(0, ...fields.map(({ offset, bytes }) => offset + bytes));
  return Math.ceil(end / align) * align;
}

/** Every field's value; bytes that are missing at the end read as zero, further ones are ignored. */
export function decodeStruct<F extends Record<string, StructField<unknown>>>(
  of: Struct<F>,
  bytes: Uint8Array,
): Values<Struct<F>> {
  const view = onScratch(of.bytes, bytes);
  const out: Record<string, unknown> = {};
  for (const field in of.fields) out[field] = of.fields[field]?.read(view);
  return out as Values<Struct<F>>;
}

/** The bytes of a struct with the given fields; all others are zero, or as in `base`. */
export function encodeStruct<F extends Record<string, StructField<unknown>>>(
  of: Struct<F>,
  values: Partial<Values<Struct<F>>>,
  base: Uint8Array = new Uint8Array(),
): Uint8Array {
  const view = onScratch(of.bytes, base);
  for (const field in values) {
    const declared = of.fields[field];
    assert(declared !== undefined, `${of.name} has a field ${field}`);
    const value = values[field];
    if (value === undefined) continue;
    const other =
      declared.over === undefined ? undefined : (values as Record<string, unknown>)[declared.over];
    assert(other === undefined || other === value, `${of.name}.${field} and ${declared.over} are one`);
    declared.write(view, value);
  }
  return scratch.slice(0, of.bytes);
}

/** `iommu_destroy { size=8 id=3 }`: fields that are not zero, in order. */
export function showStruct(of: Struct, bytes: Uint8Array): string {
  const view = padded(of.bytes, bytes);
  const parts = Object.entries(of.fields)
    .filter(([, field]) => !isZero(field, view))
    .map(([name, field]) => `${name}=${showField(field, view)}`);
  return parts.length === 0 ? `${of.name} { }` : `${of.name} { ${parts.join(' ')} }`;
}

/** The fields that differ, shown. */
export function diffStruct(of: Struct, before: Uint8Array, after: Uint8Array): readonly FieldChange[] {
  const [old, now] = [padded(of.bytes, before), padded(of.bytes, after)];
  return Object.entries(of.fields)
    .map(([name, field]) => ({ field: name, before: showField(field, old), after: showField(field, now) }))
    .filter((change) => change.before !== change.after);
}

/** The largest struct has fewer bytes. */
const SCRATCH_BYTES = 1024;
const scratch = new Uint8Array(SCRATCH_BYTES);
const scratchView = new DataView(scratch.buffer);

/** The struct's bytes, to be read or written before the next is: a view of its own costs more than its fields. */
function onScratch(size: number, bytes: Uint8Array): DataView {
  assert(size <= SCRATCH_BYTES, 'a struct fits into the scratch');
  const given = Math.min(size, bytes.length);
  for (let at = 0; at < given; at += 1) scratch[at] = bytes[at] ?? 0;
  scratch.fill(0, given, size);
  return scratchView;
}

function padded(size: number, bytes: Uint8Array): DataView {
  const whole = new Uint8Array(size);
  whole.set(bytes.subarray(0, size));
  return new DataView(whole.buffer);
}

function isZero({ offset, bytes }: StructField<unknown>, view: DataView): boolean {
  return new Uint8Array(view.buffer, offset, bytes).every((byte) => byte === 0);
}

function showField(field: StructField<unknown>, view: DataView): string {
  const value = field.read(view) as number | bigint | readonly (number | bigint)[];
  if (typeof value === 'object') return `[${value.map((each) => showNumber(each)).join(' ')}]`;
  return field.names === undefined ? showNumber(value) : showNames(field.names, value);
}

/** Small and negative numbers in decimal, others in hexadecimal. */
function showNumber(value: number | bigint): string {
  return value < 10 ? String(value) : `0x${value.toString(16)}`;
}
