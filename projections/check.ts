/** The rules over a history, in one pass over its entries. */
import type { MachineConfig } from '../core/config.ts';
import type { Entry } from '../core/event.ts';
import type { Finding, Verdict } from './finding.ts';
import { openPass } from './projection.ts';
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
  const check = openCheck(machine, branchName, wanted);
  for (const entry of entries) check.take(entry);
  return check.findings();
}

/** A check of entries that come one by one. */
export interface Check {
  take(entry: Entry): void;
  /** What was found so far, by position. @param echoes with what worse findings tell too. */
  findings(echoes?: boolean): Finding[];
}

/** Opens a check of a history that begins at seq 1. @param wanted the rules to check by; all when absent. */
export function openCheck(
  machine: MachineConfig,
  branchName: string,
  wanted: readonly Rule[] = rules,
): Check {
  const ids = new Set(wanted.map(({ id }) => id));
  const asked = [
    ...new Set(wanted.flatMap(({ projection, also }) => (also ? [projection, also] : [projection]))),
  ];
  const pass = openPass(asked.map((projection) => projection(machine, branchName)));
  return {
    take: (entry) => pass.take(entry),
    findings(echoes = false) {
      const found = pass.answers().flatMap((each) => each.filter(({ rule }) => ids.has(rule)));
      return (echoes ? found : withoutEchoes(found)).sort((a, b) => seqOf(a) - seqOf(b));
    },
  };
}

/** Verdicts of findings that are told whatever else is found. */
export const HARM: ReadonlySet<Verdict> = new Set(['used-stale', 'could-be-used', 'remade-dirty']);

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
