/**
 * A command queue of hardware that goes from one guest to the next: what its last owner left in it is over and done
 * with first, or a CMD_SYNC of the new one fails for a CMD_ATC_INV that was never its own (IHI 0070 4.5.1, 7.1;
 * linux: tegra241_vcmdq_hw_deinit).
 */
import type { Finding } from '../finding.ts';
import { type Deed, deed, tell } from './tell.ts';
import type { RuleRun, World } from './world.ts';

interface Owned {
  /** The latest CMD_ATC_INV of the queue that timed out. */
  timedOut: Deed | undefined;
  /** The queue was enabled, for somebody new, since then. */
  enabled: Deed | undefined;
}

/** A run over all queues but the main ones. */
export function queueOwners(world: World): RuleRun {
  const told: Finding[] = [];
  const queues = new Map<string, Owned>();
  /** The queue that the last CMD_ATC_INV of each SMMU came from. */
  const asking = new Map<string, { readonly seq: number; readonly queue: string }>();
  return {
    told: () => told,
    handlers: {
      'command.fetched': ({ smmu, queue, command, seq }) => {
        if (queue !== undefined && command === 'CMD_ATC_INV') asking.set(smmu, { seq, queue });
      },
      'atc.timedout': (entry) => {
        const asked = asking.get(entry.smmu);
        if (asked?.seq !== entry.fetched) return;
        const timedOut = deed(entry, `CMD_ATC_INV timed out at ${entry.endpoint}`);
        queues.set(`${entry.smmu} ${asked.queue}`, { timedOut, enabled: undefined });
      },
      'atc.flushed': ({ smmu, queue }) => void queues.delete(`${smmu} ${queue}`),
      'register.written': (entry) => {
        if (queues.size === 0 || !entry.register.endsWith('_CONFIG') || (entry.value & 1n) === 0n) return;
        const name = entry.register.slice(0, -'_CONFIG'.length);
        const owned = queues.get(`${entry.smmu} ${name}`);
        if (owned !== undefined) owned.enabled = deed(entry, `${name} enabled for another owner`);
      },
      'command.rejected': (entry) => {
        const { smmu, queue = 'CMDQ', error, seq } = entry;
        const owned = queues.get(`${smmu} ${queue}`);
        if (error !== 'CERROR_ATC_INV_SYNC' || owned === undefined) return;
        queues.delete(`${smmu} ${queue}`);
        const { timedOut, enabled } = owned;
        if (timedOut === undefined || enabled === undefined) return;
        told.push(
          tell(world, {
            rule: 'I6',
            seq,
            title: `error-of-another: CMD_SYNC of ${queue} fails for a command of its last owner`,
            blame: { ...enabled, actor: 'kernel' },
            needed: `a CMD_SYNC behind what the last owner left in ${queue}, and its error cleared, before the queue goes on`,
            nearest: { seq: timedOut.seq, why: `${timedOut.what}, and no CMD_SYNC told its owner` },
            notes: [`${world.at(timedOut.seq)} ${timedOut.what}: that was before the queue changed hands`],
          }),
        );
      },
    },
  };
}
