/** Who takes the turn that a name means: a unit of an SMMU, or a unit that works on tasks. */
import type { Decider } from './machine.ts';
import { findUnit } from './smmu/units.ts';
import { runTask } from './tasks/run.ts';

export const takeTurn: Decider<'turn'> = (context, { unit: name }) => {
  const found = findUnit(context.state.smmus, name);
  if (found?.unit.ready(found.smmu)) found.unit.turn(context, found.smmu);
  else if (found !== undefined || !runTask(context, name))
    context.emit('scheduler', { type: 'turn.passed', unit: name });
};
