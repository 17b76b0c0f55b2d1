/**
 * Suppressions: findings that somebody knows and has a reason to leave. A line names the rule and the place:
 * who did it, which device met it, which structure, where its store stands; `*` stands for anything.
 */
import type { Finding } from '../../projections/finding.ts';
import { rules, rulesNamed } from '../../projections/rules.ts';
import { summaryOf } from '../../projections/summary.ts';
import { kindOf, text } from '../scenario/values.ts';
import { type FileRecord, readRecords } from './records.ts';

const RULE_NAMES = rules.flatMap(({ id, name, aliases = [] }) => [id, name, ...aliases]);

/** Fields of a suppression. */
export const suppressionFields = {
  rule: {
    kind: kindOf(
      'the id or name of a rule (`help rules`), or "*"',
      (raw) => (raw === '*' || RULE_NAMES.includes(raw as string) ? (raw as string) : undefined),
      RULE_NAMES,
    ),
    doc: 'which rule',
  },
  place: {
    kind: text,
    doc: 'actor, endpoint, structure, address, line:N, pc or SUMMARY; * stands for anything',
  },
  reason: { kind: text, doc: 'why it may stay' },
} as const;

export type Suppression = FileRecord<typeof suppressionFields>;

/** Reads a file of suppressions. */
export function readSuppressions(file: string): readonly Suppression[] {
  return readRecords(file, suppressionFields);
}

export interface Suppressed {
  readonly kept: readonly Finding[];
  /** With how many findings each took away. */
  readonly used: ReadonlyMap<Suppression, number>;
  readonly unused: readonly Suppression[];
}

/** Takes away what is suppressed; the first suppression that fits a finding is the one used. */
export function suppress(found: readonly Finding[], suppressions: readonly Suppression[]): Suppressed {
  const used = new Map<Suppression, number>();
  const kept = found.filter((finding) => {
    const fits = suppressions.find((each) => isMeant(each, finding));
    if (fits !== undefined) used.set(fits, (used.get(fits) ?? 0) + 1);
    return fits === undefined;
  });
  return { kept, used, unused: suppressions.filter((each) => !used.has(each)) };
}

function isMeant({ rule, place }: Suppression, finding: Finding): boolean {
  if (rule !== '*' && !rulesNamed(rule).some(({ id }) => id === finding.rule)) return false;
  const pattern = new RegExp(`^${place.split('*').map(escaped).join('.*')}$`);
  return placesOf(finding).some((each) => pattern.test(each));
}

function escaped(part: string): string {
  return part.replace(/[.+?^${}()|[\]\\]/g, '\\$&');
}

/** Everything by which people say where a finding is. */
function placesOf(finding: Finding): readonly string[] {
  const { actor, access, blame, obligations } = finding;
  const places = [actor, blame.actor, access?.endpoint, blame.pc, summaryOf(finding)];
  const lines = [access?.line, blame.line].map((line) => (line === undefined ? undefined : `line:${line}`));
  const structures = obligations.flatMap(({ structure, where }) => [structure, where]);
  return [...places, ...lines, ...structures].flatMap((each) => (each === undefined ? [] : [each]));
}
