/** A projection that follows the live machine: the same fold, over an Observable of entries. */
import { defer, map, type Observable } from 'rxjs';
import type { Entry } from '../core/event.ts';
import { type Answers, openPass, type Projection } from './projection.ts';

/**
 * The answers after each step (`Simulation.entries$` emits once a step). Each subscription begins
 * anew, so subscribe before the first entry.
 */
export function liveProjections<const L extends readonly Projection<unknown>[]>(
  entries$: Observable<readonly Entry[]>,
  list: L,
): Observable<Answers<L>> {
  return defer(() => {
    const pass = openPass(list);
    return entries$.pipe(
      map((entries) => {
        for (const entry of entries) pass.take(entry);
        return pass.answers();
      }),
    );
  });
}
