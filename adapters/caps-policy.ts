/**
 * A policy of capabilities, kept beside the sources: what guests may be told, must be told, must not be told, each with
 * its reason. Lines that contradict each other are refused before anything is judged.
 */
import { fieldNames } from '../projections/caps/fields.ts';
import { type LedgerRow, numberIn } from '../projections/caps/row.ts';
import type { CapsVerdict } from '../projections/caps/verdict.ts';
import { type FileRecord, readRecords } from './findings/records.ts';
import { InputError } from './input-error.ts';
import { count, kindOf, oneOf, text } from './scenario/values.ts';

/** Fields of a line. Without a value: any that is not 0. */
export const policyFields = {
  rule: {
    kind: oneOf('allow', 'forbid', 'require'),
    doc: 'allow: a leak or a mismatch is known and may stay',
  },
  field: {
    kind: kindOf(
      'a field, as IDR0.BTM',
      (raw) => (fieldNames.includes(raw as string) ? (raw as string) : undefined),
      fieldNames,
    ),
    doc: 'which field',
  },
  value: {
    kind: count(0, 0xffff_ffff),
    optional: true,
    doc: 'what the guest is told; any but 0 when left out',
  },
  reason: { kind: text, doc: 'why' },
} as const;

export type PolicyLine = FileRecord<typeof policyFields>;

/** Reads a policy; InputError for a bad line, and for one that contradicts a line before it. */
export function readPolicy(file: string): readonly PolicyLine[] {
  const lines = readRecords(file, policyFields);
  for (const [at, line] of lines.entries()) {
    const other = lines.slice(0, at).find((each) => contradicts(each, line));
    if (other !== undefined)
      throw new InputError(
        `field: expected no contradiction of line ${other.line} (${told(other)}), found ${told(line)}`,
        { file, line: line.line },
      );
  }
  return lines;
}

const told = ({ rule, field, value }: PolicyLine): string =>
  `${rule} ${field}${value === undefined ? '' : `=${value}`}`;

/** Whether a value is one that the line speaks of. */
function speaksOf({ value }: PolicyLine, of: number): boolean {
  return value === undefined ? of !== 0 : of === value;
}

/** Whether there is a value that both speak of. */
function meet(a: PolicyLine, b: PolicyLine): boolean {
  if (a.value === undefined && b.value === undefined) return true;
  return a.value === undefined ? speaksOf(a, b.value ?? 0) : speaksOf(b, a.value);
}

function contradicts(a: PolicyLine, b: PolicyLine): boolean {
  if (a.field !== b.field) return false;
  if (a.rule === 'require' && b.rule === 'require') return !meet(a, b);
  if ((a.rule === 'forbid') === (b.rule === 'forbid')) return false;
  const [forbid, other] = a.rule === 'forbid' ? [a, b] : [b, a];
  // Any value but 0 is asked for, and one of them is forbidden: others are left.
  const leaves = other.rule === 'require' && other.value === undefined && forbid.value !== undefined;
  return !leaves && meet(a, b);
}

export interface Breach {
  readonly row: LedgerRow;
  readonly line: PolicyLine;
  readonly seq: number;
  readonly why: string;
}

/** Where guests are told what the policy forbids, or not told what it requires. */
export function breachesOf(rows: readonly LedgerRow[], policy: readonly PolicyLine[]): readonly Breach[] {
  return rows.flatMap((row) => {
    const { guest } = row.cells;
    const value = numberIn(guest);
    if (guest === undefined || value === undefined) return [];
    return policy
      .filter(({ field }) => field === row.field)
      .flatMap((line): Breach[] => {
        const { rule } = line;
        const speaks = speaksOf(line, value);
        const broken = rule === 'forbid' ? speaks : rule === 'require' && !speaks;
        const wanted = line.value === undefined ? 'more than 0' : line.value;
        const why = rule === 'forbid' ? `guest told ${value}` : `guest told ${value}, required ${wanted}`;
        return broken ? [{ row, line, seq: guest.seq, why }] : [];
      });
  });
}

/** The line that lets a verdict stand, if there is one. */
export function allowing(
  { field, cells }: LedgerRow,
  verdict: CapsVerdict,
  policy: readonly PolicyLine[],
): PolicyLine | undefined {
  if (verdict !== 'leak' && verdict !== 'mismatch') return undefined;
  const value = numberIn(cells.guest) ?? 0;
  return policy.find((line) => line.rule === 'allow' && line.field === field && speaksOf(line, value));
}
