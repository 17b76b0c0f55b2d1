/**
 * A command in a scenario line: by name and fields, in the specification's spelling. What the fields
 * may be comes from the command layouts.
 */

import type { AnyField } from '../../core/layout/layout.ts';
import { encode } from '../../core/layout/layout.ts';
import { meant } from '../../core/path/near.ts';
import { type CommandName, commandLayouts } from '../../core/smmu/command-layout.ts';
import { showFound } from '../input-error.ts';
import { wholeNumber } from './values.ts';

export type Encoded =
  | { readonly lo: bigint; readonly hi: bigint }
  | { readonly problem: string; readonly field: string };

/** The two doublewords of a command, or what is wrong with which field. */
export function encodeFields(name: string, fields: Readonly<Record<string, unknown>>): Encoded {
  const names = Object.keys(commandLayouts);
  if (!names.includes(name))
    return {
      field: 'command',
      problem: `expected a command of IHI 0070 4${meant(name, names)}, found ${showFound(name)}`,
    };
  const { layout, opcode } = commandLayouts[name as CommandName];
  const values: Record<string, unknown> = { Opcode: opcode };
  for (const [field, raw] of Object.entries(fields)) {
    const declared = (layout.fields as Record<string, AnyField>)[field];
    const known = Object.keys(layout.fields).filter((each) => each !== 'Opcode');
    if (declared === undefined || field === 'Opcode')
      return {
        field: `fields.${field}`,
        problem: `expected one of ${known.join(', ')}, found ${showFound(field)}`,
      };
    const value = fieldValue(declared, raw);
    if (value === undefined)
      return { field: `fields.${field}`, problem: `expected ${expected(declared)}, found ${showFound(raw)}` };
    values[field] = value;
  }
  const words = encode(layout, values as never);
  const double = (at: number): bigint => (BigInt(words[at + 1] ?? 0) << 32n) | BigInt(words[at] ?? 0);
  return { lo: double(0), hi: double(2) };
}

function expected({ kind, hi, lo, names }: AnyField): string {
  if (names !== undefined) return Object.keys(names).join(' or ');
  if (kind === 'flag') return 'true or false';
  if (kind === 'uint') return `a number for bits [${hi}:${lo}]`;
  const step = 2 ** (lo & 63);
  return `an address of at most ${(hi & 63) + 1} bits${step === 1 ? '' : `, a multiple of 0x${step.toString(16)}`}`;
}

function fieldValue({ kind, hi, lo, names }: AnyField, raw: unknown): unknown {
  if (names !== undefined) return typeof raw === 'string' && raw in names ? raw : undefined;
  if (kind === 'flag')
    return raw === true || raw === 1 ? true : raw === false || raw === 0 ? false : undefined;
  const value = wholeNumber(raw);
  if (value === undefined) return undefined;
  if (kind === 'uint') return value < 1n << BigInt(hi - lo + 1) ? Number(value) : undefined;
  // An address keeps its place in its doubleword.
  const aligned = value % (1n << BigInt(lo & 63)) === 0n;
  if (!aligned || value >= 1n << BigInt((hi & 63) + 1)) return undefined;
  return kind === 'u64' ? value : Number(value);
}
