/**
 * The rules of protocol in one pass: what an unmapping takes, order, completion, queues, capabilities, faults,
 * proportion (I3 in part, I5, I6, I7, I10, I11, I12 of the catalogue). Each is a file of its own beside this one; they share one view of the machine.
 */
import type { MachineConfig } from '../core/config.ts';
import type { Entry, EntryType } from '../core/event.ts';
import { capabilityUse } from './capability-use.ts';
import { faultFidelity } from './fault-fidelity.ts';
import type { Finding } from './finding.ts';
import { honestCompletion } from './honest-completion.ts';
import type { Projection } from './projection.ts';
import { proportion } from './proportion.ts';
import { type LogRule, newWorld, type World, worldHandlers } from './protocol/world.ts';
import { queueIntegrity } from './queue-integrity.ts';
import { unmapping } from './unmapping.ts';
import { visibility } from './visibility.ts';

export const protocolRules: readonly LogRule[] = [
  unmapping,
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
      const runs = protocolRules.flatMap((rule) => rule.start(world));
      const lists = new Map<EntryType, Take[]>();
      const add = (type: string, take: Take): void => {
        const list = lists.get(type as EntryType);
        if (list === undefined) lists.set(type as EntryType, [take]);
        else list.push(take);
      };
      // The world first: a rule sees what the entry has made of it.
      for (const [type, change] of Object.entries(worldHandlers))
        add(type, (entry) => (change as (of: World, entry: Entry) => void)(world, entry));
      for (const { handlers } of runs)
        for (const [type, handler] of Object.entries(handlers)) add(type, handler as Take);
      const takes = new Map([...lists].map(([type, list]) => [type, takeAll(list)] as const));
      return { takes, answer: () => runs.flatMap((run) => run.told()) };
    },
  };
}

type Take = (entry: Entry) => void;

function takeAll(list: readonly Take[]): Take {
  const [only] = list;
  if (list.length === 1 && only !== undefined) return only;
  return (entry) => {
    for (const take of list) take(entry);
  };
}
