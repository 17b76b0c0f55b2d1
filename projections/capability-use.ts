/**
 * I10, capability honesty: software uses what the ID registers offer, and nothing else; and what they offer works
 * (IHI 0070 6.3.1 to 6.3.6, 3.17, 4.1.2). Told with the position at which software read the register, if it did.
 */

import { broadcastTrust } from './protocol/broadcast-trust.ts';
import { declaredErrata } from './protocol/declared-errata.ts';
import { lackingCommands } from './protocol/lacking-commands.ts';
import { lackingRegisters } from './protocol/lacking-registers.ts';
import { lackingStructures } from './protocol/lacking-structures.ts';
import { misuses } from './protocol/misuses.ts';
import { promises } from './protocol/promises.ts';
import type { LogRule } from './protocol/world.ts';

export const capabilityUse: LogRule = {
  rule: 'I10',
  name: 'capability-use',
  finds: 'commands, structures and registers of features that the ID registers do not offer',
  start: (world) => [
    misuses(world, 'I10'),
    lackingCommands(world),
    lackingStructures(world),
    lackingRegisters(world),
    broadcastTrust(world),
    declaredErrata(world),
    promises(world),
  ],
  guests: (world) => [
    misuses(world, 'I10'),
    lackingCommands(world),
    lackingStructures(world),
    lackingRegisters(world),
  ],
};
