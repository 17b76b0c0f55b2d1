/**
 * Tables of text: where many small cases differ in a few columns, a test writes them as a table that a
 * reader can hold beside the specification. Columns are parted by `|`; the first line names them;
 * lines of dashes and empty lines are left out.
 */
import { type MutableWords, writeBits } from '../../core/layout/field.ts';
import type { AnyField } from '../../core/layout/layout.ts';
import { profiles } from '../../core/smmu/profiles.ts';
import { registers } from '../../core/smmu/registers.ts';

export type Row<C extends string> = { readonly [K in C]: string };

/** The rows of a table, by column name. A cell that is missing is empty. */
export function table<C extends string>(text: string): readonly Row<C>[] {
  const lines = text.split('\n').filter((line) => line.trim() !== '' && !/^[\s|-]+$/.test(line));
  const cells = (line: string): string[] => line.split('|').map((cell) => cell.trim());
  const names = cells(lines[0] ?? '');
  return lines.slice(1).map((line) => {
    const values = cells(line);
    if (values.length > names.length) throw new Error(`too many columns: ${line}`);
    return Object.fromEntries(names.map((name, at) => [name, values[at] ?? ''])) as Row<C>;
  });
}

/** `A=1 B=x` as pairs; a lone name has the value `1`. */
export function pairs(text: string): readonly (readonly [string, string])[] {
  return text
    .split(/\s+/)
    .filter((part) => part !== '' && part !== '-')
    .map((part) => {
      const [name = '', value = '1'] = part.split('=');
      return [name, value] as const;
    });
}

/** Puts `A=1 B=NAME C=0x10` into a structure; numbers are raw field values, so reserved ones can be put too. */
export function put<W extends MutableWords>(
  fields: Readonly<Record<string, AnyField>>,
  words: W,
  text: string,
): W {
  for (const [name, value] of pairs(text)) {
    const field = fields[name];
    if (field === undefined) throw new Error(`no field ${name}`);
    const named = field.names?.[value];
    if (field.kind === 'addr') field.write(words, Number(value));
    else if (field.kind === 'u64') field.write(words, BigInt(value));
    else writeBits(words, field.hi, field.lo, named ?? Number(value));
  }
  return words;
}

/** The identification registers of the `everything` profile with some fields changed: `SSIDSIZE=0 CD2L=0`. */
export function idr(text: string): Record<string, number> {
  const values: Record<string, number> = { ...profiles.everything.idr };
  for (const [name, value] of pairs(text)) {
    const owner = ['IDR0', 'IDR1', 'IDR3', 'IDR5', 'AIDR'].find(
      (each) => name in registers.byName[each as 'IDR0'].fields,
    );
    if (owner === undefined) throw new Error(`no identification field ${name}`);
    const fields = registers.byName[owner as 'IDR0'].fields as Readonly<Record<string, AnyField>>;
    values[owner] = put(fields, [values[owner] ?? 0], `${name}=${value}`)[0] ?? 0;
  }
  return values;
}
