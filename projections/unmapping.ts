/**
 * I3, its second half: an unmapping removes what was there when it was ordered, no more than was asked, and says as
 * much as it did.
 */
import { removedAreas } from './protocol/removed-areas.ts';
import { unmappedSizes } from './protocol/unmapped-sizes.ts';
import type { LogRule } from './protocol/world.ts';

export const unmapping: LogRule = {
  rule: 'I3',
  name: 'coverage',
  finds: 'unmappings that take more than they were asked to',
  start: (world) => [removedAreas(world), unmappedSizes(world)],
};
