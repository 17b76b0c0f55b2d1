/**
 * I6, honest completion: whoever waits goes on only when his own CMD_SYNC was consumed without an error, and what
 * is counted as done was done (IHI 0070 4.7.3, 7.1; linux: arm_smmu_cmdq_skip_err, arm_vsmmu_cache_invalidate).
 * An invalidation that is lost (refused, skipped, not answered) must be made up for before anyone goes on.
 */
import { lostCommands } from './protocol/lost-commands.ts';
import { ownWaits } from './protocol/own-waits.ts';
import { queueOwners } from './protocol/queue-owners.ts';
import type { LogRule } from './protocol/world.ts';

export const honestCompletion: LogRule = {
  rule: 'I6',
  name: 'honest-completion',
  finds: 'invalidations that were lost while their issuer was told, or took it, that all is done',
  start: (world) => [lostCommands(world), ownWaits(world), queueOwners(world)],
  guests: (world) => [lostCommands(world)],
};
