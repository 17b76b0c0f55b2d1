/** Which streams a CMD_CFGI_* is for. */

import { quad } from '../../core/layout/words.ts';
import { scopesOf } from '../../core/smmu/command.ts';
import type { Scope } from '../../core/smmu/invalidate.ts';
import { scopeEnvOf } from './scopes.ts';
import type { Unit } from './world.ts';

/** Whether a command takes the STE (or a CD, with a SubstreamID) of a stream out of the caches. */
export function coversStructure(
  unit: Unit,
  { lo, hi }: { readonly lo: bigint; readonly hi: bigint },
): (streamId: number, substreamId?: number) => boolean {
  const scopes: readonly Scope[] = scopesOf(quad(lo, hi), scopeEnvOf(unit));
  return (streamId, substreamId) =>
    scopes.some(
      (scope) =>
        scope.kind === 'config' &&
        scope.first <= streamId &&
        scope.last >= streamId &&
        (substreamId === undefined
          ? scope.caches.includes('ste')
          : scope.substreamId === undefined || scope.substreamId === substreamId),
    );
}
