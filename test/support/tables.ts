/**
 * Tables of text: where many small cases differ in a few columns, a test writes them as a table that a
 * reader can hold beside the specification. Columns are parted by `|`; the first line names them;
 * lines of dashes and empty lines are left out.
 */
import { type MutableWords, readBits, writeBits } from '../../core/layout/field.ts';
import type { AnyField } from '../../core/layout/layout.ts';
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

/**
 * The first row that covers a point: under each column of the point, `-` covers everything and `a,b`
 * covers `a` and `b`.
 */
export function firstRow<C extends string, P extends C>(
  rows: readonly Row<C>[],
  point: { readonly [K in P]: string | number },
): Row<C> {
  const names = Object.keys(point) as P[];
  const covers = (cell: string, value: string): boolean => cell === '-' || cell.split(',').includes(value);
  const row = rows.find((each) => names.every((name) => covers(each[name], String(point[name]))));
  if (row === undefined) throw new Error(`no row covers ${JSON.stringify(point)}`);
  return row;
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

/** Gives the named fields of a structure the bits they have in another of its kind. */
export function graft(
  fields: Readonly<Record<string, AnyField>>,
  names: readonly string[],
  words: Uint32Array,
  from: Uint32Array,
): Uint32Array {
  const grown = words.slice();
  for (const name of names) {
    const field = fields[name];
    if (field === undefined) throw new Error(`no field ${name}`);
    for (let bit = field.lo; bit <= field.hi; bit += 1) writeBits(grown, bit, bit, readBits(from, bit, bit));
  }
  return grown;
}

const identificationRegisters = registers.list.filter(({ name }) => /^(IDR\d|AIDR)$/.test(name));

/** Identification registers with some fields changed: `SSIDSIZE=0 CD2L=0`. */
export function withFields(base: Readonly<Record<string, number>>, text: string): Record<string, number> {
  const values: Record<string, number> = { ...base };
  for (const [name, value] of pairs(text)) {
    const owner = identificationRegisters.find(({ fields }) => name in fields);
    if (owner === undefined) throw new Error(`no identification field ${name}`);
    values[owner.name] = put(owner.fields, [values[owner.name] ?? 0], `${name}=${value}`)[0] ?? 0;
  }
  return values;
}

/** Stage 1 alone, faults terminate; what needs stage 2, ATS, PRI, stalls, HTTU, MSIs or broadcasts is 0. */
const STAGE_1 = withFields(
  {},
  `S1P TTF=2 COHACC ASID16 SEV CD2L TTENDIAN=2 STALL_MODEL=1 ST_LEVEL=1
   SIDSIZE=16 SSIDSIZE=20 EVENTQS=19 CMDQS=19 ATTR_PERMS_OVR ATTR_TYPES_OVR
   HAD STT RIL BBML=2 E0PD OAS=5 GRAN4K GRAN16K GRAN64K ArchMinorRev=3`,
);

/** The identification registers that a test means: those of stage 1 alone with some fields changed. */
export function idr(text: string): Record<string, number> {
  return withFields(STAGE_1, text);
}
