/** All rules over a history, in one pass over its entries. */
import type { MachineConfig } from '../core/config.ts';
import type { Entry } from '../core/event.ts';
import type { Finding } from './finding.ts';
import { runProjections } from './projection.ts';
import { staleTranslation } from './stale-translation.ts';

/**
 * The findings of a history, by position. `entries` are read once, in order, and not kept; what is
 * kept is bounded by the structures that are linked and by what is owed, not by the length.
 */
export function checkHistory(
  entries: Iterable<Entry>,
  machine: MachineConfig,
  branchName: string,
): Finding[] {
  const answers = runProjections(entries, [staleTranslation(machine, branchName)]);
  return answers.flatMap((findings) => [...findings]);
}
