/**
 * The kinds of value a scenario line is made of. Each says in words what it expects: the same words
 * stand in messages and in `help scenario`.
 */
import * as z from 'zod';
import { meant } from '../../core/path/near.ts';

/** Most bytes that one line stores, reads or transfers. */
export const BYTES_MAX = 0x100_0000;

export interface ValueKind<T> {
  readonly expected: string;
  readonly schema: z.ZodType<T>;
}

const WHOLE = /^(0[xX][0-9a-fA-F]+|[0-9]+)$/;
const NAME = /^[A-Za-z_][\w-]*$/;
const HEX_BYTES = /^([0-9a-fA-F]{2})*$/;
/** Physical addresses have 52 bits at most, and numbers are exact up to here. */
const PA_MAX = 2n ** 52n - 1n;
const U64_MAX = 2n ** 64n - 1n;

/**
 * A kind from a function that gives undefined for what it does not take.
 * @param known names that a mistyped one may have meant
 */
export function kindOf<T>(
  expected: string,
  read: (raw: unknown) => T | undefined,
  known: readonly string[] = [],
): ValueKind<T> {
  const schema = z.unknown().transform((raw, context): T => {
    const value = read(raw);
    if (value !== undefined) return value;
    const near = typeof raw === 'string' ? meant(raw, known) : '';
    context.issues.push({ code: 'custom', message: `expected ${expected}${near}`, input: raw });
    return z.NEVER;
  });
  return { expected, schema };
}

/** A JSON number or a `"0x..."` string (from TypeScript also a bigint) as a bigint. */
export function wholeNumber(raw: unknown): bigint | undefined {
  if (typeof raw === 'number') return Number.isSafeInteger(raw) && raw >= 0 ? BigInt(raw) : undefined;
  if (typeof raw === 'bigint') return raw >= 0n ? raw : undefined;
  return typeof raw === 'string' && WHOLE.test(raw) ? BigInt(raw) : undefined;
}

function within(raw: unknown, min: bigint, max: bigint): bigint | undefined {
  const value = wholeNumber(raw);
  return value !== undefined && value >= min && value <= max ? value : undefined;
}

/** A number from `min` to `max`, both allowed. */
export function count(min: number, max: number): ValueKind<number> {
  const top = max > 0xffff ? `0x${max.toString(16)}` : String(max);
  return kindOf(`a whole number from ${min} to ${top}`, (raw) => {
    const value = within(raw, BigInt(min), BigInt(max));
    return value === undefined ? undefined : Number(value);
  });
}

export const pa: ValueKind<number> = kindOf('an address of at most 52 bits, a number or "0x..."', (raw) => {
  const value = within(raw, 0n, PA_MAX);
  return value === undefined ? undefined : Number(value);
});
export const iova: ValueKind<bigint> = kindOf('an address of at most 64 bits, a number or "0x..."', (raw) =>
  within(raw, 0n, U64_MAX),
);
export const u64: ValueKind<bigint> = kindOf('a value of at most 64 bits, a number or "0x..."', (raw) =>
  within(raw, 0n, U64_MAX),
);
export const flag: ValueKind<boolean> = kindOf('true or false', (raw) =>
  typeof raw === 'boolean' ? raw : undefined,
);
export const yes: ValueKind<true> = kindOf('true', (raw) => (raw === true ? true : undefined));
/** Of a thing: what paths can be made of. */
export const name: ValueKind<string> = kindOf('a name (letters, digits, _ and -)', (raw) =>
  typeof raw === 'string' && NAME.test(raw) ? raw : undefined,
);
const SMMU = /^[A-Za-z_][\w-]*(\.[A-Za-z_][\w-]*)?$/;
/** Of an SMMU: a name, or one in a VM. */
export const smmuName: ValueKind<string> = kindOf('the name of an SMMU, as smmu0 or vm0.smmu', (raw) =>
  typeof raw === 'string' && SMMU.test(raw) ? raw : undefined,
);
export const text: ValueKind<string> = kindOf('a text', (raw) =>
  typeof raw === 'string' && raw !== '' ? raw : undefined,
);
export const capacity: ValueKind<number | 'unbounded'> = kindOf('a count or "unbounded"', (raw) => {
  if (raw === 'unbounded') return raw;
  const value = within(raw, 0n, 2n ** 32n);
  return value === undefined ? undefined : Number(value);
});
export const anything: ValueKind<{ readonly value: unknown }> = kindOf('a value', (raw) =>
  raw === undefined ? undefined : { value: raw },
);

/** Bytes in memory order, two digits each; at least one, at most `bytesMax`. */
export function hexBytes(bytesMax: number): ValueKind<Uint8Array> {
  return kindOf(`1 to 0x${bytesMax.toString(16)} bytes as hexadecimal digits, without 0x`, (raw) => {
    if (typeof raw !== 'string' || raw === '' || raw.length > bytesMax * 2 || !HEX_BYTES.test(raw))
      return undefined;
    return Uint8Array.from({ length: raw.length / 2 }, (_, at) =>
      Number.parseInt(raw.slice(at * 2, at * 2 + 2), 16),
    );
  });
}

/** Little-endian words, one or a list, as bytes. */
export function littleEndian(width: 4 | 8, wordsMax: number): ValueKind<Uint8Array> {
  const top = width === 8 ? U64_MAX : 0xffff_ffffn;
  return kindOf(`a list of 1 to ${wordsMax} numbers of at most ${width * 8} bits`, (raw) => {
    const list: readonly unknown[] = Array.isArray(raw) ? raw : [raw];
    if (list.length === 0 || list.length > wordsMax) return undefined;
    const out = new Uint8Array(list.length * width);
    const view = new DataView(out.buffer);
    for (const [at, each] of list.entries()) {
      const value = within(each, 0n, top);
      if (value === undefined) return undefined;
      if (width === 8) view.setBigUint64(at * 8, value, true);
      else view.setUint32(at * 4, Number(value), true);
    }
    return out;
  });
}

/** Of so few names a hint would only say one of them again. */
const FEW = 4;

/** One of some texts. */
export function oneOf<const N extends string>(...names: readonly N[]): ValueKind<N> {
  const expected = names.map((each) => `"${each}"`).join(' or ');
  return kindOf(expected, (raw) => names.find((each) => each === raw), names.length > FEW ? names : []);
}

/** An object whose names are one of `names` and whose values are all of one kind. */
export function mapOf<const N extends string, T>(
  names: readonly N[] | undefined,
  of: ValueKind<T>,
): ValueKind<Readonly<Record<N, T>>> {
  const shape =
    names === undefined
      ? z.record(z.string(), of.schema)
      : strict(Object.fromEntries(names.map((each) => [each, { kind: of, optional: true, doc: '' }])));
  const listed = names === undefined ? 'NAME' : names.join('|');
  return {
    expected: `{${listed}: ${of.expected}}`,
    schema: objectFirst(shape) as unknown as z.ZodType<Readonly<Record<N, T>>>,
  };
}

/** A list whose elements are all of one kind. */
export function listOf<T>(of: ValueKind<T>): ValueKind<readonly T[]> {
  const expected = `a list of ${of.expected}`;
  const isList = z.custom<readonly unknown[]>(Array.isArray, { error: `expected ${expected}` });
  return { expected, schema: isList.pipe(z.array(of.schema)) as unknown as z.ZodType<readonly T[]> };
}

/** Such a value, or null. */
export function nullOr<T>(of: ValueKind<T>): ValueKind<T | null> {
  const schema = z.unknown().transform((raw, context): T | null => {
    if (raw === null) return null;
    const parsed = of.schema.safeParse(raw);
    if (parsed.success) return parsed.data;
    for (const { message, path } of parsed.error.issues)
      context.issues.push({ code: 'custom', message, path: [...path], input: raw });
    return z.NEVER;
  });
  return { expected: `${of.expected} or null`, schema };
}

/** One field of a line or of an object in it. */
export interface FieldRow {
  readonly kind: ValueKind<unknown>;
  readonly optional?: true;
  readonly doc: string;
}
export type Fields = Readonly<Record<string, FieldRow>>;

export type ValueOf<K> = K extends ValueKind<infer T> ? T : never;
export type ObjectOf<F extends Fields> = {
  readonly [K in keyof F]: F[K] extends { readonly optional: true }
    ? ValueOf<F[K]['kind']> | undefined
    : ValueOf<F[K]['kind']>;
};

/** An object with just these fields. */
export function objectOf<const F extends Fields>(fields: F): ValueKind<ObjectOf<F>> {
  const parts = Object.entries(fields).map(([field, { optional }]) =>
    optional === true ? `${field}?` : field,
  );
  return {
    expected: `{${parts.join(', ')}}`,
    schema: objectFirst(strict(fields)) as unknown as z.ZodType<ObjectOf<F>>,
  };
}

/** A schema that takes the fields, and refuses others with the names that could be meant. */
export function strict(fields: Fields): z.ZodType<Record<string, unknown>> {
  const names = Object.keys(fields);
  const shape = Object.fromEntries(
    Object.entries(fields).map(([field, { kind, optional }]) => [
      field,
      optional === true ? kind.schema.optional() : kind.schema,
    ]),
  );
  return z.strictObject(shape, {
    error: (issue) => {
      if (issue.code !== 'unrecognized_keys') return undefined;
      const [unknown = ''] = (issue as unknown as { keys: string[] }).keys;
      return `unknown field "${unknown}", expected ${names.join(', ')}${meant(unknown, names)}`;
    },
  });
}

function objectFirst(schema: z.ZodType): z.ZodType {
  const isObject = z.custom((raw) => typeof raw === 'object' && raw !== null && !Array.isArray(raw), {
    error: 'expected an object',
  });
  return isObject.pipe(schema as z.ZodType<unknown, unknown>);
}
