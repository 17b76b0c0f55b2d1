/**
 * The host's kernel as the one that waits: a call that answers, or memory that is given back, while a CMD_SYNC of
 * its own timed out or was never queued; and commands of a guest that an answer counts as handled.
 */
import type { EntryOf } from '../../core/event.ts';
import type { Finding } from '../finding.ts';
import { invalidates, wordsOf } from './scopes.ts';
import { type Deed, deed, tell } from './tell.ts';
import type { RuleRun, World } from './world.ts';

interface Queued {
  /** Invalidations that no completed CMD_SYNC stands behind, by the seq of the fetch; what they are. */
  readonly unsynced: Map<number, string>;
}

/** Calls that promise that what they took away is gone from hardware. */
const PROMISES =
  /^(IOMMU_IOAS_UNMAP|IOMMU_IOAS_DESTROY|IOMMU_DESTROY|IOMMU_HWPT_INVALIDATE|IOMMU_IOAS_UNMAP_DMA|VFIO_IOMMU_UNMAP_DMA|VFIO_DEVICE_(DETACH|ATTACH)_IOMMUFD_PT)$/;

interface TimedOut {
  readonly driver: string;
  readonly index: number;
  readonly blame: Deed;
}

/** A run over all drivers of the kernel. */
export function ownWaits(world: World): RuleRun {
  const told: Finding[] = [];
  const queued = new Map<string, Queued>();
  for (const name of world.units.keys()) queued.set(name, { unsynced: new Map() });
  const timedOut: TimedOut[] = [];
  const open = new Set<number>();
  return {
    told: () => told,
    handlers: {
      'command.fetched': ({ smmu, seq, lo, hi, command, queue }) => {
        const unit = world.units.get(smmu);
        if (unit === undefined || world.machine.kernel == null || queue !== undefined) return;
        if (invalidates(wordsOf(lo, hi), unit)) queued.get(smmu)?.unsynced.set(seq, command);
      },
      'command.rejected': ({ smmu, fetched }) => queued.get(smmu)?.unsynced.delete(fetched),
      'sync.completed': ({ smmu, index, queue }) => {
        if (queue !== undefined) return;
        queued.get(smmu)?.unsynced.clear();
        for (const [at, each] of timedOut.entries())
          if (each.driver === smmu && each.index === index) timedOut.splice(at, 1);
      },
      'sync.timedout': (entry) => {
        const { driver, index } = entry;
        timedOut.push({
          driver,
          index,
          blame: deed(entry, `gave up the CMD_SYNC at slot ${index} of ${driver}`),
        });
      },
      'ioctl.begun': ({ seq }) => open.add(seq),
      'ioctl.completed': (entry) => {
        open.delete(entry.ioctl);
        if (entry.errno !== undefined) return;
        const what = `${entry.name} answered success`;
        if (timedOut.length > 0) afterTimeout(world, told, timedOut, entry, what);
        else if (open.size === 0 && PROMISES.test(entry.name)) withoutSync(world, told, queued, entry);
      },
      'pages.returned': (entry) => {
        if (timedOut.length > 0) afterTimeout(world, told, timedOut, entry, 'memory was given back');
      },
      'commands.unissued': (entry) => told.push(unissued(world, entry)),
    },
  };
}

function afterTimeout(
  world: World,
  told: Finding[],
  timedOut: TimedOut[],
  entry: { readonly seq: number; readonly actor: string },
  what: string,
): void {
  for (const { driver, blame } of timedOut.splice(0)) {
    told.push(
      tell(world, {
        rule: 'I6',
        seq: entry.seq,
        title: `timeout-taken-for-completion: ${what} after a CMD_SYNC of ${driver} timed out`,
        actor: entry.actor,
        consequence: 'isolation',
        blame,
        after: [deed(entry, what)],
        needed: 'an error to the caller, or the memory held back until a later CMD_SYNC completes',
      }),
    );
  }
}

function withoutSync(
  world: World,
  told: Finding[],
  queued: ReadonlyMap<string, Queued>,
  entry: EntryOf<'ioctl.completed'>,
): void {
  for (const [smmu, { unsynced }] of queued) {
    const [first] = unsynced;
    if (first === undefined) continue;
    const [fetched, command] = first;
    const lost = [...unsynced.keys()];
    unsynced.clear();
    told.push(
      tell(world, {
        rule: 'I6',
        title: `answered-before-sync: ${entry.name}`,
        consequence: 'isolation',
        blame: deed(entry, `answered success; no CMD_SYNC of ${smmu} stands behind its invalidations`),
        needed: 'CMD_SYNC behind the invalidations, consumed before the call answers',
        nearest: { seq: fetched, why: `${command} was queued, and no CMD_SYNC after it` },
        lost,
      }),
    );
  }
}

function unissued(world: World, entry: EntryOf<'commands.unissued'>): Finding {
  const count = entry.commands.length;
  return tell(world, {
    rule: 'I6',
    title: `counted-but-not-issued: ${count} commands in the answer of ${entry.name}`,
    consequence: 'isolation',
    blame: deed(entry, `counted ${count} commands as handled that no queue of ${entry.smmu} ever saw`),
    needed: 'what was converted issued before the call ends, or entry_num without it',
    lost: [entry.seq],
  });
}
