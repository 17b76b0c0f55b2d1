/** Joins the deciders of the parts: what each stimulus asks for. */

import type { Event } from './event.ts';
import type { Deciders } from './machine.ts';
import { readMemory, writeMemory } from './memory/access.ts';
import { changeSetting, setEndpoint } from './settings.ts';
import { accessDevice } from './smmu/access.ts';
import { receiveBroadcast } from './smmu/broadcast.ts';
import { issueCommand } from './smmu/cmdq.ts';
import { readRegister, writeRegister } from './smmu/mmio.ts';
import { takeTurn } from './smmu/units.ts';

export const deciders: Deciders = {
  'mmio.write': writeRegister,
  'mmio.read': readRegister,
  'mem.write': writeMemory,
  'mem.read': readMemory,
  dma: accessDevice,
  'endpoint.set': setEndpoint,
  'command.issue': issueCommand,
  'cpu.tlbi': receiveBroadcast,
  turn: takeTurn,
  set: changeSetting,
  note: () => {},
  observe: ({ emit }, { events }) => {
    for (const { actor, ...event } of events) emit(String(actor ?? 'trace'), event as unknown as Event);
  },
};
