/** The rules over a history, in one pass over its entries. */
import type { MachineConfig } from '../core/config.ts';
import type { Entry } from '../core/event.ts';
import type { Finding } from './finding.ts';
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
  const asked = [...new Set(wanted.map((rule) => rule.projection))];
  const answers = runProjections(
    entries,
    asked.map((projection) => projection(machine, branchName)),
  );
  return answers
    .flatMap((findings) => findings.filter(({ rule }) => ids.has(rule)))
    .sort((a, b) => seqOf(a) - seqOf(b));
}

/** Where the finding stands in its branch. */
export function seqOf({ position }: Pick<Finding, 'position'>): number {
  return Number(position.slice(position.lastIndexOf('@') + 1));
}
