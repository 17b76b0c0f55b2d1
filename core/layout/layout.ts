/**
 * A layout declares the fields of one structure once; decoding, encoding, printing, comparing and
 * masks come from it. Overlaps and fields outside the structure are refused when a module loads.
 */
import { assert } from '../assert.ts';
import { type Field, type MutableWords, readBits, type Words } from './field.ts';

export interface Layout<F = Record<string, Field>> {
  readonly name: string;
  /** Section of IHI 0070 (or of the Arm ARM) that prints the structure. */
  readonly spec: string;
  readonly bytes: number;
  readonly fields: F;
}

/** A field of whatever type: `read` and `write` are methods, so every field is one of these. */
export type AnyField = Field<unknown>;

export type Decoded<L extends { fields: Record<string, AnyField> }> = {
  readonly [K in keyof L['fields']]: L['fields'][K] extends Field<infer T> ? T : never;
};

/** Declares a structure; throws when fields overlap or stand outside it. */
export function layout<const F extends Record<string, AnyField>>(
  name: string,
  about: { readonly bytes: number; readonly spec: string },
  fields: F,
): Layout<F> {
  const taken = new Map<number, string>();
  for (const [field, { hi, lo }] of Object.entries(fields)) {
    assert(hi >= lo && hi < about.bytes * 8, `${name}.${field} [${hi}:${lo}] lies in ${about.bytes} bytes`);
    for (let bit = lo; bit <= hi; bit += 1) {
      assert(!taken.has(bit), `${name}.${field} overlaps ${taken.get(bit)} at bit ${bit}`);
      taken.set(bit, field);
    }
  }
  return { name, ...about, fields };
}

/** Every field's value. */
export function decode<F extends Record<string, AnyField>>(of: Layout<F>, words: Words): Decoded<Layout<F>> {
  const out: Record<string, unknown> = {};
  for (const field in of.fields) out[field] = of.fields[field]?.read(words);
  return out as Decoded<Layout<F>>;
}

/** The words of a structure with the given fields; all others are zero. */
export function encode<F extends Record<string, AnyField>>(
  of: Layout<F>,
  values: Partial<Decoded<Layout<F>>>,
): Uint32Array {
  const words = new Uint32Array(Math.max(1, of.bytes / 4));
  for (const field in values) {
    const value = values[field];
    const declared = of.fields[field];
    assert(declared !== undefined, `${of.name} has a field ${field}`);
    if (value !== undefined) declared.write(words as MutableWords, value);
  }
  return words;
}

/** `STE { V=1 Config=NESTED S1ContextPtr=0x80001000 }`: fields that are not zero, in order. */
export function show(of: Layout<Record<string, AnyField>>, words: Words): string {
  const parts = Object.entries(of.fields)
    .filter(([, field]) => !isZero(field, words))
    .map(([name, field]) => `${name}=${field.show(words)}`);
  return parts.length === 0 ? `${of.name} { }` : `${of.name} { ${parts.join(' ')} }`;
}

function isZero(field: AnyField, words: Words): boolean {
  for (let lo = field.lo; lo <= field.hi; lo += 32) {
    if (readBits(words, Math.min(field.hi, lo + 31), lo) !== 0) return false;
  }
  return true;
}

export interface FieldChange {
  readonly field: string;
  readonly before: string;
  readonly after: string;
}

/** The fields that differ, shown. */
export function diff(
  of: Layout<Record<string, AnyField>>,
  before: Words,
  after: Words,
): readonly FieldChange[] {
  const changes: FieldChange[] = [];
  for (const [field, declared] of Object.entries(of.fields)) {
    for (let lo = declared.lo; lo <= declared.hi; lo += 32) {
      const hi = Math.min(declared.hi, lo + 31);
      if (readBits(before, hi, lo) !== readBits(after, hi, lo)) {
        changes.push({ field, before: declared.show(before), after: declared.show(after) });
        break;
      }
    }
  }
  return changes;
}

/** Words with ones in the named fields (all fields when none is named). */
export function mask(of: Layout<Record<string, AnyField>>, names?: readonly string[]): Uint32Array {
  const words = new Uint32Array(Math.max(1, of.bytes / 4));
  for (const [name, field] of Object.entries(of.fields)) {
    if (names !== undefined && !names.includes(name)) continue;
    for (let bit = field.lo; bit <= field.hi; bit += 1) {
      const index = bit >>> 5;
      words[index] = (words[index] ?? 0) | (1 << (bit & 31));
    }
  }
  return words;
}

/** The words as the specification prints them: 64-bit hexadecimal, lowest first. */
export function showRaw(words: Words): string {
  const parts: string[] = [];
  for (let index = 0; index < words.length; index += 2) {
    const high = (words[index + 1] ?? 0) >>> 0;
    const low = (words[index] ?? 0) >>> 0;
    parts.push(`0x${high.toString(16).padStart(8, '0')}${low.toString(16).padStart(8, '0')}`);
  }
  return parts.join(' ');
}
