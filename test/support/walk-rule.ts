/** What the rule of walk bases says of steps on a machine whose registers were put into its state. */

import type { MachineConfig } from '../../core/config.ts';
import type { Entry } from '../../core/event.ts';
import type { State } from '../../core/state.ts';
import type { Finding } from '../../projections/finding.ts';
import { walkBases } from '../../projections/protocol/walk-bases.ts';
import { newWorld, worldHandlers } from '../../projections/protocol/world.ts';

export interface WalkRule {
  take(entries: readonly Entry[]): void;
  told(): readonly Finding[];
}

type Take = ((...given: unknown[]) => void) | undefined;

/** The rule alone, over a machine of one SMMU. */
export function openWalkRule(machine: MachineConfig, { smmus }: State): WalkRule {
  const world = newWorld(machine, 'main');
  for (const [name, { regs }] of Object.entries(smmus))
    Object.assign(world.units.get(name)?.bare.regs ?? {}, regs);
  const { handlers, told } = walkBases(world);
  return {
    told,
    take(entries) {
      for (const entry of entries) {
        (worldHandlers[entry.type] as Take)?.(world, entry);
        (handlers[entry.type] as Take)?.(entry);
      }
    },
  };
}
