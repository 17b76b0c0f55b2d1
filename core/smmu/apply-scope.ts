/** Takes out of the caches what an invalidation covers, whether a command or a broadcast asks for it (3.17, 4.3, 4.4). */
import type { Context } from '../machine.ts';
import type { CacheName } from './events.ts';
import { coveredConfigFills, coveredTlbFills, type Scope } from './invalidate.ts';
import { cacheNames, type SmmuState } from './state.ts';

/**
 * Removes what the scope covers; `generous` hardware empties every cache concerned.
 * @param fetched seq of the entry that asked.
 */
export function applyScope(context: Context, smmu: SmmuState, scope: Scope, fetched: number): void {
  if (scope.kind === 'tlb' && smmu.config.emulator?.tlb === 'kept') return;
  const generous = smmu.config.invalidation === 'generous';
  for (const cache of cacheNames) {
    if (scope.kind === 'tlb' ? cache !== 'tlb' && cache !== 'walk' : !scope.caches.includes(cache)) continue;
    const removed = generous ? allFills(smmu, cache) : coveredFills(smmu, cache, scope);
    if (removed.length === 0) continue;
    context.emit(smmu.config.name, {
      type: 'cache.invalidated',
      smmu: smmu.config.name,
      cache,
      fetched,
      removed,
    });
  }
}

function coveredFills(smmu: SmmuState, cache: CacheName, scope: Scope): readonly number[] {
  if (scope.kind === 'tlb') {
    const fills =
      cache === 'walk'
        ? coveredTlbFills(smmu.caches.walk, scope)
        : coveredTlbFills(smmu.caches.tlb, scope, smmu.fragmented);
    return fills.map((entry) => entry.id);
  }
  if (cache === 'tlb' || cache === 'walk') return [];
  return coveredConfigFills(smmu.caches[cache], scope).map((entry) => entry.id);
}

function allFills(smmu: SmmuState, cache: CacheName): readonly number[] {
  return [...smmu.caches[cache].fills.range()].map(([id]) => id);
}
