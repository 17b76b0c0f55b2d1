/** What an access would get if nothing were cached: registers as the log says, tables as memory says. */
import type { Context } from '../../core/machine.ts';
import { type Request, type Translation, translate } from '../../core/smmu/translate.ts';
import type { State } from '../../core/state.ts';
import type { Unit, World } from './world.ts';

/** The answer of the SMMU without caches, and without errata. */
export function freshAnswer({ watch }: World, { bare }: Unit, request: Request): Translation {
  const state = { memory: watch.memory } as unknown as State;
  const context: Context = { state, emit: () => 0 };
  return translate(context, bare, request);
}
