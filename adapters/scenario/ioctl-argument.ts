/**
 * The argument of an ioctl in a scenario line, as bytes: fields by the names of the uAPI, absent ones 0, the
 * size that of the newest struct, as of a client that was built with the newest headers. A pointer may be an address, or what it is to lead to: `{bytes}`,
 * `{struct, value}`, `{array, values}`; that is put into the process's memory with the struct.
 */
import type { Request } from '../../core/kernel/requests.ts';
import { structs } from '../../core/kernel/uapi/data-structs.ts';
import { members } from '../../core/kernel/uapi/enums.ts';
import { encodeStruct, type Struct, type StructField } from '../../core/kernel/uapi/struct.ts';
import { ioctlStructs } from '../../core/kernel/uapi/structs.ts';
import { meant } from '../../core/path/near.ts';
import { showFound } from '../input-error.ts';
import { wholeNumber } from './values.ts';

export interface Buffer {
  readonly field: string;
  /** Where in the struct its address goes. */
  readonly offset: number;
  readonly bytes: Uint8Array;
}

export interface Argument {
  readonly bytes: Uint8Array;
  readonly buffers: readonly Buffer[];
}

export interface ArgumentProblem {
  readonly field: string;
  readonly problem: string;
}

/** Most bytes that are placed because a `size` asks for them. */
const SIZE_MAX = 0x1_0000;
const HEX = /^([0-9a-fA-F]{2})*$/;
const known: Readonly<Record<string, Struct>> = { ...structs, ...ioctlStructs };
/** First fields that say how long the struct is. */
const SIZE_FIELDS: readonly string[] = ['size', 'argsz'];
/** Fields that hold an fd. */
const FD_FIELDS: readonly string[] = ['fd', 'iommufd'];

/** @param fdOf the number of an open file's name */
export function encodeArgument(
  { struct }: Request & { readonly struct: Struct },
  fields: Readonly<Record<string, unknown>>,
  fdOf: (name: string) => number | undefined,
): Argument | ArgumentProblem {
  const { tail = '', ...given } = fields;
  const after = hexBytes(tail);
  if (after === undefined)
    return { field: 'arg.tail', problem: `expected hexadecimal digits, found ${showFound(tail)}` };
  const sizeField = Object.keys(struct.fields)[0] ?? '';
  const values: Record<string, unknown> = SIZE_FIELDS.includes(sizeField)
    ? { [sizeField]: struct.bytes }
    : {};
  const buffers: Buffer[] = [];
  for (const [name, raw] of Object.entries(given)) {
    const field = struct.fields[name];
    if (field === undefined) return { field: 'arg', problem: unknownField(name, Object.keys(struct.fields)) };
    const content = contentOf(raw);
    if (content !== undefined) {
      if ('problem' in content || field.type !== 'u64') return pointerProblem(name, raw, content);
      buffers.push({ field: name, offset: field.offset, bytes: content.bytes });
      continue;
    }
    const value =
      FD_FIELDS.includes(name) && typeof raw === 'string'
        ? (fdOf(raw) ?? numberOf(field, raw))
        : fieldValue(field, raw);
    if (value === undefined)
      return { field: `arg.${name}`, problem: `expected ${expected(field)}, found ${showFound(raw)}` };
    values[name] = value;
  }
  return {
    bytes: placed(struct, values, { size: struct.bytes, after, sizeField, given: Object.keys(given) }),
    buffers,
  };
}

/** The struct as long as the kernel's or as fields were given, the tail, and zeros up to the size it claims. */
function placed(
  struct: Struct,
  values: Readonly<Record<string, unknown>>,
  how: {
    readonly size: number;
    readonly after: Uint8Array;
    readonly sizeField: string;
    readonly given: readonly string[];
  },
): Uint8Array {
  const ends = how.given.map((name) => endOf(struct, name));
  const length = Math.max(how.size, ...ends);
  const claimed = Number(values[how.sizeField] ?? 0);
  const whole = new Uint8Array(Math.max(length + how.after.length, claimed <= SIZE_MAX ? claimed : 0));
  whole.set(encodeStruct(struct, values).subarray(0, length));
  whole.set(how.after, length);
  return whole;
}

/** Where a field ends, bytes; 0 for none of that name. */
function endOf({ fields }: Struct, name: string): number {
  const field = fields[name];
  return field === undefined ? 0 : field.offset + field.bytes;
}

type Content = { readonly bytes: Uint8Array } | { readonly problem: string };

/** What a pointer is to lead to; undefined where the value is none of these. */
function contentOf(raw: unknown): Content | undefined {
  if (typeof raw !== 'object' || raw === null || Array.isArray(raw)) return undefined;
  const { bytes, struct, value, array, values } = raw as Readonly<Record<string, unknown>>;
  if (bytes !== undefined) {
    const read = hexBytes(bytes);
    return read === undefined ? { problem: 'expected hexadecimal digits' } : { bytes: read };
  }
  if (struct !== undefined) return encodeNamed(struct, [value]);
  if (array !== undefined)
    return Array.isArray(values) ? encodeNamed(array, values) : { problem: 'expected values, a list' };
  return { problem: 'expected {bytes}, {struct, value} or {array, values}' };
}

function encodeNamed(name: unknown, values: readonly unknown[]): Content {
  const of = typeof name === 'string' && Object.hasOwn(known, name) ? known[name] : undefined;
  if (of === undefined)
    return {
      problem: `expected the name of a struct${meant(String(name), Object.keys(known))}, found ${showFound(name)}`,
    };
  const parts: Uint8Array[] = [];
  for (const each of values) {
    const encoded = encodeFields(of, each);
    if ('problem' in encoded) return encoded;
    parts.push(encoded.bytes);
  }
  const whole = new Uint8Array(parts.length * of.bytes);
  for (const [at, part] of parts.entries()) whole.set(part, at * of.bytes);
  return { bytes: whole };
}

function encodeFields(of: Struct, raw: unknown): Content {
  if (typeof raw !== 'object' || raw === null)
    return { problem: `expected the fields of ${of.name}, found ${showFound(raw)}` };
  const values: Record<string, unknown> = {};
  for (const [name, each] of Object.entries(raw)) {
    const field = of.fields[name];
    if (field === undefined) return { problem: unknownField(name, Object.keys(of.fields)) };
    const value = fieldValue(field, each);
    if (value === undefined)
      return { problem: `${name}: expected ${expected(field)}, found ${showFound(each)}` };
    values[name] = value;
  }
  return { bytes: encodeStruct(of, values) };
}

function unknownField(name: string, names: readonly string[]): string {
  return `unknown field "${name}", expected ${names.join(', ')}${meant(name, names)}`;
}

function pointerProblem(name: string, raw: unknown, content: Content): ArgumentProblem {
  const field = `arg.${name}`;
  if ('problem' in content) return { field, problem: content.problem };
  return { field, problem: `expected a number, found ${showFound(raw)}` };
}

/** A number, names of values or flags parted by `|`, or a list for an array; as the field's codec takes it. */
function fieldValue(field: StructField, raw: unknown): unknown {
  const count = /\[([0-9]+)\]$/.exec(field.type)?.[1];
  if (count === undefined) return numberOf(field, raw);
  if (!Array.isArray(raw) || raw.length !== Number(count)) return undefined;
  const scalar = {
    ...field,
    type: field.type.slice(0, field.type.indexOf('[')) as StructField['type'],
    bytes: field.bytes / raw.length,
  };
  const values = raw.map((each) => numberOf(scalar, each));
  return values.includes(undefined) ? undefined : values;
}

function numberOf({ type, bytes }: StructField, raw: unknown): number | bigint | undefined {
  const value = namedNumber(raw) ?? wholeNumber(raw) ?? negative(raw);
  if (value === undefined) return undefined;
  const bits = bytes * 8;
  if (value >= 2n ** BigInt(bits) || value < -(2n ** BigInt(bits - 1))) return undefined;
  if (bits === 64) return BigInt.asUintN(64, value);
  return Number(type === 's32' ? BigInt.asIntN(bits, value) : BigInt.asUintN(bits, value));
}

function negative(raw: unknown): bigint | undefined {
  if (typeof raw === 'boolean') return raw ? 1n : 0n;
  return typeof raw === 'number' && Number.isSafeInteger(raw) ? BigInt(raw) : undefined;
}

/** The value of a name, or of names parted by `|`. */
export function namedNumber(raw: unknown): bigint | undefined {
  if (typeof raw !== 'string' || !/^[A-Z]/.test(raw)) return undefined;
  const bits = raw
    .split('|')
    .map((name) => (Object.hasOwn(members, name) ? members[name as keyof typeof members]?.[0] : undefined));
  return bits.includes(undefined) ? undefined : bits.reduce((all, bit) => all | BigInt(bit ?? 0), 0n);
}

function expected({ type, points }: StructField): string {
  const number = type.includes('[') ? `a list of ${type}` : `a number (${type}) or names of values`;
  return points === undefined ? number : `an address, {bytes}, {struct, value} or {array, values}`;
}

function hexBytes(raw: unknown): Uint8Array | undefined {
  if (typeof raw !== 'string' || !HEX.test(raw)) return undefined;
  return Uint8Array.from({ length: raw.length / 2 }, (_, at) =>
    Number.parseInt(raw.slice(at * 2, at * 2 + 2), 16),
  );
}
