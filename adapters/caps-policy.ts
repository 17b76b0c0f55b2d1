/**
 * A policy of capabilities, kept beside the sources: what guests may be told, must be told, must not be told, each with
 * its reason. Lines that contradict each other are refused before anything is judged.
 */
import type { Register } from '../core/layout/register.ts';
import { registers } from '../core/smmu/registers.ts';
import { fieldNames, idRegisters } from '../projections/caps/fields.ts';
import { type NamedPolicy, namedPolicies, type PolicyName } from '../projections/caps/policies.ts';
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

/** Reads a policy; InputError for a bad line, and for one that leaves no value beside those before it. */
export function readPolicy(file: string): readonly PolicyLine[] {
  const lines = readRecords(file, policyFields);
  for (const [at, line] of lines.entries()) {
    const place = { file, line: line.line };
    const most = mostOf(line.field);
    if (line.value !== undefined && line.value > most)
      throw new InputError(
        `value: expected a whole number from 0 to ${most}, as ${line.field} has them, found ${line.value}`,
        place,
      );
    const before = lines.slice(0, at).filter(({ field }) => field === line.field);
    const other = before.find((each) => contradicts(each, line));
    if (other !== undefined)
      throw new InputError(
        `field: expected no contradiction of line ${other.line} (${told(other)}), found ${told(line)}`,
        place,
      );
    if (!leavesValue([...before, line], most)) {
      const others = before.map((each) => `${each.line} (${told(each)})`).join(', ');
      throw new InputError(
        `field: expected a value that is left for ${line.field} by lines ${others}, found ${told(line)}`,
        place,
      );
    }
  }
  return lines;
}

/** The largest value of a field. */
function mostOf(name: string): number {
  const [register = '', field = ''] = name.split('.');
  const declared = idRegisters.find((each) => each === register);
  if (declared === undefined) return 0xffff_ffff;
  const { fields }: Register = registers.byName[declared];
  const found = fields[field];
  return found === undefined ? 0xffff_ffff : 2 ** (found.hi - found.lo + 1) - 1;
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

/** Two lines that say the opposite of one value: what leaves none only together is seen by `leavesValue`. */
function contradicts(a: PolicyLine, b: PolicyLine): boolean {
  if (a.rule === 'require' && b.rule === 'require') return !meet(a, b);
  if ((a.rule === 'forbid') === (b.rule === 'forbid')) return false;
  const [forbid, other] = a.rule === 'forbid' ? [a, b] : [b, a];
  // Any value but 0 is asked for, and one of them is forbidden: others may be left.
  const leaves = other.rule === 'require' && other.value === undefined && forbid.value !== undefined;
  return !leaves && meet(a, b);
}

/** Whether a field can have a value by all of these lines. @param most its largest value */
function leavesValue(lines: readonly PolicyLine[], most: number): boolean {
  const kept = (value: number): boolean =>
    lines.every((line) => line.rule === 'allow' || speaksOf(line, value) === (line.rule === 'require'));
  // Only what lines name can be lost: one value more than they have is enough to look at.
  const named = lines.map(({ value }) => value ?? 0);
  const free = Array.from({ length: named.length + 1 }, (_, at) => at + 1);
  return [0, ...named, ...free].some((value) => value <= most && kept(value));
}

export interface Breach {
  readonly row: LedgerRow;
  /** The rule of the line, or the name of the policy. */
  readonly rule: string;
  readonly reason: string;
  /** Line of the file; 0 for a policy with a name. */
  readonly line: number;
  readonly seq: number;
  readonly why: string;
}

/** Where a policy with a name is not kept. */
export function breachesOfNamed(rows: readonly LedgerRow[], name: PolicyName): readonly Breach[] {
  const { about, breach }: NamedPolicy = namedPolicies[name];
  return rows.flatMap((row) => {
    const why = breach(row);
    const seq = row.cells.guest?.seq ?? row.cells.report?.seq ?? 0;
    return why === undefined ? [] : [{ row, rule: name, reason: about, line: 0, seq, why }];
  });
}

/** Where guests are told what the policy forbids, or not told what it requires. */
export function breachesOf(rows: readonly LedgerRow[], policy: readonly PolicyLine[]): readonly Breach[] {
  return rows.flatMap((row) => {
    // Of hw_info the report is what a VMM is told.
    const guest = row.field.startsWith('hw_info') ? row.cells.report : row.cells.guest;
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
        return broken ? [{ row, rule, reason: line.reason, line: line.line, seq: guest.seq, why }] : [];
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
