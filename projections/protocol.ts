/**
 * The rules of protocol in one pass: what an unmapping takes, order, completion, queues, capabilities, faults,
 * proportion (I3 in part, I5, I6, I7, I10, I11, I12 of the catalogue). Each is a file of its own beside this one; they share one view of the machine.
 */
import type { MachineConfig } from '../core/config.ts';
import type { Entry } from '../core/event.ts';
import { capabilityUse } from './capability-use.ts';
import { faultFidelity } from './fault-fidelity.ts';
import type { Finding } from './finding.ts';
import { honestCompletion } from './honest-completion.ts';
import type { Projection } from './projection.ts';
import { proportion } from './proportion.ts';
import { guestWorlds, takesOf } from './protocol/guest-worlds.ts';
import { type LogRule, newWorld } from './protocol/world.ts';
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
      const guests = guestWorlds(world, branch, protocolRules);
      const takes = new Map(takesOf(world, runs));
      for (const [type, take] of guests.takes) {
        const own = takes.get(type);
        takes.set(type, own === undefined ? take : both(own, take));
      }
      return { takes, answer: () => [...runs.flatMap((run) => run.told()), ...guests.told()] };
    },
  };
}

type Take = (entry: Entry) => void;

/** The machine's world first. */
function both(own: Take, guests: Take): Take {
  return (entry) => {
    own(entry);
    guests(entry);
  };
}
