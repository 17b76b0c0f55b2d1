/** From the number in a type field, or the name in a pointer, to the struct that is meant. */
import { own } from '../../lookup.ts';
import { dataStructs, type StructName, structs } from './data-structs.ts';
import { type MemberName, numbers } from './enums.ts';
import { proposedData, proposedStructs } from './proposed-structs.ts';
import type { Struct } from './struct.ts';

const rows: readonly (readonly [by: string, type: number, struct: Struct])[] = [
  ...Object.entries(dataStructs).flatMap(([by, types]) =>
    (Object.entries(types) as [MemberName, StructName][]).map(
      ([name, struct]) => [by, numbers[name], structs[struct] as Struct] as const,
    ),
  ),
  ...Object.entries(proposedData).flatMap(([by, types]) =>
    Object.values(types).map(([type, struct]) => [by, type, struct as Struct] as const),
  ),
];

/** The struct of a data type: `by` as in a `Pointer`, or the enum's name. Undefined for a type without data. */
export function dataStruct(by: string, type: number): Struct | undefined {
  return rows.find(([set, number]) => set === by && number === type)?.[2];
}

/** The struct that a pointer names in `of`. */
export function structNamed(name: string): Struct | undefined {
  return own<Struct>(structs, name) ?? own<Struct>(proposedStructs, name);
}
