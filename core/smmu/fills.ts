/**
 * Filling caches: room is made first, by the configured replacement, and what is filled is logged.
 * A cache of capacity 0 takes nothing.
 */
import type { Capacity } from '../config.ts';
import type { Event, EventOf } from '../event.ts';
import type { Context } from '../machine.ts';
import type { CacheName } from './events.ts';
import { contextKey, vaKey } from './keys.ts';
import { type ConfigEntry, cacheNames, type SmmuState } from './state.ts';

type ConfigFill = Omit<ConfigEntry, 'id' | 'smmu'>;
type TlbFill = EventOf<'tlb.filled'>;

/** Which configured capacity holds for each cache. */
export const capacityOf: Readonly<Record<CacheName, 'ste' | 'cd' | 'tlb' | 'walk'>> = {
  l1std: 'ste',
  ste: 'ste',
  l1cd: 'cd',
  cd: 'cd',
  walk: 'walk',
  tlb: 'tlb',
};

/** Caches a structure. Returns the seq of the fill, 0 when the cache takes nothing. */
export function fillConfig(context: Context, smmu: SmmuState, fill: ConfigFill): number {
  const held = smmu.caches[fill.cache as 'ste'].find(fill.streamId, fill.substreamId);
  return put(context, smmu, fill.cache, held?.id, { type: 'config.filled', smmu: smmu.config.name, ...fill });
}

/** Whether the cache takes anything. */
export function takesFills(smmu: SmmuState, cache: CacheName): boolean {
  return smmu.config.caches[capacityOf[cache]] !== 0;
}

/** Caches a translation or a table. Returns the seq of the fill, 0 when the cache takes nothing. */
export function fillTlb(context: Context, smmu: SmmuState, fill: TlbFill): number {
  const primary = contextKey(fill.regime, fill.stage, fill.vmid, fill.asid, fill.global, fill.aset);
  const held = smmu.caches[fill.cache as 'tlb'].find(primary, vaKey(fill.va, fill.sizeLog2));
  return put(context, smmu, fill.cache, held?.id, fill);
}

function put(
  context: Context,
  smmu: SmmuState,
  cache: CacheName,
  held: number | undefined,
  event: Event,
): number {
  const capacity: Capacity = smmu.config.caches[capacityOf[cache]];
  if (capacity === 0) return 0;
  if (held !== undefined) evict(context, smmu, cache, 'replaced', [held]);
  const fills = smmu.caches[cache].fills;
  if (capacity !== 'unbounded' && fills.size >= capacity) {
    if (smmu.config.replacement === 'flush-all') {
      evict(
        context,
        smmu,
        cache,
        'full: flushed',
        [...fills.range()].map(([id]) => id),
      );
    } else {
      while (smmu.caches[cache].fills.size >= capacity) {
        evict(context, smmu, cache, 'full: oldest', [smmu.caches[cache].fills.firstKey() ?? 0]);
      }
    }
  }
  return context.emit(smmu.config.name, event);
}

/** Makes every cache as small as its configured capacity, oldest entries first. */
export function shrinkCaches(context: Context, smmu: SmmuState): void {
  for (const cache of cacheNames) {
    const capacity: Capacity = smmu.config.caches[capacityOf[cache]];
    const { fills } = smmu.caches[cache];
    if (capacity === 'unbounded' || fills.size <= capacity) continue;
    const removed = [...fills.range()].slice(0, fills.size - capacity).map(([id]) => id);
    evict(context, smmu, cache, 'capacity changed', removed);
  }
}

function evict(
  { emit }: Context,
  smmu: SmmuState,
  cache: CacheName,
  why: string,
  removed: readonly number[],
): void {
  emit(smmu.config.name, { type: 'cache.evicted', smmu: smmu.config.name, cache, why, removed });
}
