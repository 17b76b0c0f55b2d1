/**
 * What a command does besides invalidating (its scopes stand in `command.ts`): prefetches, stalls, and
 * messages to endpoints. IHI 0070 4.2, 4.5, 4.7. A command without a row has no effect of its own.
 */

import { invalidateAtc, respondToPages } from '../endpoint/commands.ts';
import type { Words } from '../layout/field.ts';
import { decode } from '../layout/layout.ts';
import type { Context } from '../machine.ts';
import { type CommandFields, type CommandName, commandLayouts } from './command-layout.ts';
import { prefetchAddresses, prefetchConfig } from './prefetch.ts';
import { resume, terminateStalls } from './stalls.ts';
import type { InFlight, SmmuState } from './state.ts';

type Effect<N extends CommandName> = (
  context: Context,
  smmu: SmmuState,
  fields: CommandFields<N>,
  command: InFlight,
) => void;

// biome-ignore format: a table
const effects: { readonly [N in CommandName]?: Effect<N> } = {
  CMD_PREFETCH_CONFIG: prefetchConfig,
  CMD_PREFETCH_ADDR:   prefetchAddresses,
  CMD_ATC_INV:         invalidateAtc,
  CMD_PRI_RESP:        respondToPages,
};

/** What is done by the time the command is consumed: what stalls later is not meant (4.7.1, 4.7.2). */
// biome-ignore format: a table
const atConsumption: { readonly [N in CommandName]?: Effect<N> } = {
  CMD_RESUME:     resume,
  CMD_STALL_TERM: (context, smmu, { StreamID }) => terminateStalls(context, smmu, StreamID),
};

/** Does what must be done before CONS passes the command. */
export function takeEffectAtConsumption(
  context: Context,
  smmu: SmmuState,
  command: InFlight,
  words: Words,
): void {
  apply(atConsumption, context, smmu, command, words);
}

/** Does what the command says, once it is consumed and it is its turn. */
export function takeEffect(context: Context, smmu: SmmuState, command: InFlight, words: Words): void {
  apply(effects, context, smmu, command, words);
}

function apply(
  table: { readonly [N in CommandName]?: Effect<N> },
  context: Context,
  smmu: SmmuState,
  command: InFlight,
  words: Words,
): void {
  const name = command.command as CommandName;
  const effect = table[name] as Effect<CommandName> | undefined;
  effect?.(context, smmu, decode(commandLayouts[name].layout, words) as CommandFields, command);
}

/** When a command does more than invalidate: before CONS passes it, or in its own turn after that. */
export function effectMoment(name: CommandName): 'at consumption' | 'after consumption' | undefined {
  if (atConsumption[name] !== undefined) return 'at consumption';
  return effects[name] === undefined ? undefined : 'after consumption';
}
