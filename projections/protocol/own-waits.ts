/**
 * The host's kernel as the one that waits: a call or an unmap that answers, or memory that is given back, while a
 * CMD_SYNC of its own timed out or was never queued; and commands of a guest that an answer counts as handled.
 */
import { changed } from '../../core/changed.ts';
import type { EntryOf } from '../../core/event.ts';
import { scopesOf } from '../../core/smmu/command.ts';
import type { Finding } from '../finding.ts';
import { type HandedOver, handedBack, noteHanded, noteIssued } from '../handed-over.ts';
import { hex } from '../obligations/tell.ts';
import { scopeEnvOf } from './scopes.ts';
import { type Deed, deed, tell } from './tell.ts';
import { newUnsynced, published, type Queued, synced, type Unsynced, unitAtWork } from './unsynced.ts';
import type { RuleRun, World } from './world.ts';

/** Calls that promise that what they took away is gone from hardware. */
const PROMISES =
  /^(IOMMU_IOAS_UNMAP|IOMMU_DESTROY|IOMMU_HWPT_INVALIDATE|VFIO_IOMMU_UNMAP_DMA|VFIO_DEVICE_(DETACH|ATTACH)_IOMMUFD_PT)$/;

interface TimedOut {
  readonly driver: string;
  readonly index: number;
  readonly blame: Deed;
}

interface Waits {
  readonly world: World;
  readonly told: Finding[];
  readonly queues: ReadonlyMap<string, Unsynced>;
  readonly timedOut: TimedOut[];
  /** Calls that have not ended. */
  readonly open: Set<number>;
  /** ASID of each stage 1 domain. */
  readonly asids: Map<number, number>;
}

/** A run over all drivers of the kernel. */
export function ownWaits(world: World): RuleRun {
  if (world.machine.kernel == null) return { told: () => [], handlers: {} };
  const queues = new Map([...world.units].map(([name, unit]) => [name, newUnsynced(unit)] as const));
  const waits: Waits = { world, told: [], queues, timedOut: [], open: new Set(), asids: new Map() };
  const { told, timedOut, open, asids } = waits;
  const handed = new Map<number, HandedOver>();
  return {
    told: () => told,
    handlers: {
      'register.written': (entry) => {
        const queue = queues.get(entry.smmu);
        if (entry.register === 'CMDQ_PROD' && queue !== undefined) published(world, queue, entry);
      },
      'sync.completed': ({ smmu, index, queue }) => {
        const of = queues.get(smmu);
        if (queue !== undefined || of === undefined) return;
        synced(of, index);
        for (const [at, each] of timedOut.entries())
          if (each.driver === smmu && each.index === index) timedOut.splice(at, 1);
      },
      'sync.timedout': (entry) => {
        const { driver, index } = entry;
        if (!queues.has(driver)) return;
        const what = `gave up the CMD_SYNC at slot ${hex(index)} of ${driver}`;
        timedOut.push({ driver, index, blame: deed(entry, what) });
      },
      'domain.made': ({ seq, driver, domain }) => {
        if (queues.has(driver) && domain.kind === 's1') asids.set(seq, domain.asid);
      },
      'ioctl.begun': ({ seq }) => open.add(seq),
      'ioctl.completed': (entry) => {
        open.delete(entry.ioctl);
        const left = handedBack(handed, entry, (smmu) => queues.get(smmu)?.commands);
        if (left !== undefined) told.push(unissued(world, changed(entry, left)));
        if (entry.errno !== undefined) return;
        if (timedOut.length > 0) afterTimeout(waits, entry, `${entry.name} answered success`);
        else if (open.size === 0 && PROMISES.test(entry.name)) withoutSync(waits, entry);
      },
      'dma.unmapped': (entry) => {
        if (entry.errno !== undefined || entry.lazy === true || !queues.has(entry.driver)) return;
        if (timedOut.length > 0) afterTimeout(waits, entry, `the unmap of ${hex(entry.iova)} returned`);
        else unmappedBeforeSync(waits, entry);
      },
      'pages.returned': (entry) => {
        if (timedOut.length > 0) afterTimeout(waits, entry, 'memory was given back');
      },
      'commands.unissued': (entry) => told.push(unissued(world, entry)),
      'task.paused': (entry) => noteHanded(handed, entry),
      'command.fetched': (entry) => {
        if (handed.size > 0) noteIssued(handed, entry);
      },
    },
  };
}

function afterTimeout(
  { world, told, timedOut }: Waits,
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

/** No other call is open: all that is queued is of this one, or of calls that have ended. */
function withoutSync(waits: Waits, entry: EntryOf<'ioctl.completed'>): void {
  for (const [smmu, { commands }] of waits.queues) {
    const [first] = commands.values();
    if (first === undefined) continue;
    // Workers and CPUs beside the call have commands of their own on their way, and wait for them themselves.
    const own = unitAtWork(waits.world);
    if ([...commands.values()].some(({ by }) => by !== own)) continue;
    const lost = [...commands.values()].map((each) => each.published);
    commands.clear();
    waits.told.push(answeredEarly(waits.world, smmu, entry.name, first, lost, entry));
  }
}

/** Other CPUs may have commands in the queue: those for its own addresses count. */
function unmappedBeforeSync(waits: Waits, entry: EntryOf<'dma.unmapped'>): void {
  const queue = waits.queues.get(entry.driver);
  if (queue === undefined || queue.commands.size === 0) return;
  const asid = entry.domain === undefined ? undefined : waits.asids.get(entry.domain);
  if (asid === undefined) return;
  const end = entry.iova + BigInt(entry.bytes);
  const env = scopeEnvOf(queue.unit);
  for (const [at, each] of queue.commands) {
    const own = scopesOf(each.words, env).some(
      (scope) =>
        scope.kind === 'tlb' &&
        scope.asid === asid &&
        (scope.range === undefined || (scope.range.start < end && scope.range.end > entry.iova)),
    );
    if (!own) continue;
    queue.commands.delete(at);
    const what = `the unmap of ${hex(entry.iova)}`;
    waits.told.push(answeredEarly(waits.world, entry.driver, what, each, [each.published], entry));
    return;
  }
}

function answeredEarly(
  world: World,
  smmu: string,
  what: string,
  { command, published: at }: Queued,
  lost: readonly number[],
  entry: { readonly seq: number; readonly actor: string },
): Finding {
  return tell(world, {
    rule: 'I6',
    title: `answered-before-sync: ${what}`,
    consequence: 'isolation',
    blame: deed(entry, `${what} returned; no completed CMD_SYNC of ${smmu} stands behind its ${command}`),
    needed: 'CMD_SYNC behind the invalidations, consumed before the caller goes on',
    nearest: { seq: at, why: `${command} was queued, and no CMD_SYNC after it has completed` },
    lost,
  });
}

function unissued(
  world: World,
  entry: Pick<EntryOf<'commands.unissued'>, 'seq' | 'actor' | 'name' | 'smmu' | 'commands'>,
): Finding {
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
