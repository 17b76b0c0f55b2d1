/**
 * The rules of protocol in one pass: order, completion, queues, capabilities, faults, proportion (I5, I6, I7, I10,
 * I11, I12 of the catalogue). Each is a file of its own beside this one; they share one view of the machine.
 */
import type { MachineConfig } from '../core/config.ts';
import type { Entry, EntryType } from '../core/event.ts';
import { capabilityUse } from './capability-use.ts';
import { faultFidelity } from './fault-fidelity.ts';
import type { Finding } from './finding.ts';
import { honestCompletion } from './honest-completion.ts';
import type { Projection } from './projection.ts';
import { proportion } from './proportion.ts';
import { joinRuns, type LogRule, newWorld, type World, worldHandlers } from './protocol/world.ts';
import { queueIntegrity } from './queue-integrity.ts';
import { visibility } from './visibility.ts';

export const protocolRules: readonly LogRule[] = [
  visibility,
  honestCompletion,
  queueIntegrity,
  capabilityUse,
  faultFidelity,
  proportion,
];

/** The rules over the log of one branch. `branch` names positions. */
export function protocol(machine: MachineConfig, branch: string): Projection<readonly Finding[]> {
  return {
    name: 'protocol',
    start() {
      const world = newWorld(machine, branch);
      const { handlers, told } = joinRuns(protocolRules.map((rule) => rule.start(world)));
      const takes = new Map<EntryType, (entry: Entry) => void>();
      for (const type of new Set([
        ...Object.keys(worldHandlers),
        ...Object.keys(handlers),
      ]) as Set<EntryType>) {
        const first = worldHandlers[type] as ((of: World, entry: Entry) => void) | undefined;
        const then = handlers[type] as ((entry: Entry) => void) | undefined;
        takes.set(type, (entry) => {
          first?.(world, entry);
          then?.(entry);
        });
      }
      return { takes, answer: told };
    },
  };
}
