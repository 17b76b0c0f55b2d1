/** The rules over a history, in one pass over its entries. */
import type { MachineConfig } from '../core/config.ts';
import type { Entry } from '../core/event.ts';
import type { Finding, Verdict } from './finding.ts';
import { runProjections } from './projection.ts';
import { type Rule, rules } from './rules.ts';

/**
 * The findings of a history, by position. `entries` are read once, in order, and not kept; what is
 * kept is bounded by the structures that are linked and by what is owed, not by the length.
 * @param wanted the rules to check by; all when absent.
 */
export function checkHistory(
  entries: Iterable<Entry>,
  machine: MachineConfig,
  branchName: string,
  wanted: readonly Rule[] = rules,
): Finding[] {
  const ids = new Set(wanted.map(({ id }) => id));
  const asked = [
    ...new Set(wanted.flatMap(({ projection, also }) => (also ? [projection, also] : [projection]))),
  ];
  const answers = runProjections(
    entries,
    asked.map((projection) => projection(machine, branchName)),
  );
  const found = answers.flatMap((findings) => findings.filter(({ rule }) => ids.has(rule)));
  return withoutEchoes(found).sort((a, b) => seqOf(a) - seqOf(b));
}

const HARM: ReadonlySet<Verdict> = new Set(['used-stale', 'could-be-used', 'remade-dirty']);

/** What a worse finding tells by its blame, or by the command that came nearest, is told once. */
function withoutEchoes(found: readonly Finding[]): Finding[] {
  const told = new Set<string>();
  for (const { verdict, missing, blame } of found) {
    if (!HARM.has(verdict)) continue;
    told.add(blame.position);
    if (missing.nearest.position !== null) told.add(missing.nearest.position);
  }
  return found.filter(({ lost = [] }) => !lost.some((position) => told.has(position)));
}

/** Where the finding stands in its branch. */
export function seqOf({ position }: Pick<Finding, 'position'>): number {
  return Number(position.slice(position.lastIndexOf('@') + 1));
}
