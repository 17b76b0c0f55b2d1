/** What commands stand for: whether one makes up for another that was lost. */
import { decode } from '../../core/layout/layout.ts';
import { commandName, type ScopeEnv, scopesOf } from '../../core/smmu/command.ts';
import { type CommandFields, commandLayouts } from '../../core/smmu/command-layout.ts';
import type { ConfigScope, Scope, TlbScope } from '../../core/smmu/invalidate.ts';
import { isE2h, vmidWildcard } from '../../core/smmu/regs.ts';
import type { Unit } from './world.ts';

/** What scopes depend on now. */
export function scopeEnvOf({ features, bare }: Unit): ScopeEnv {
  return { features, e2h: isE2h(bare), wildcard: vmidWildcard(bare) };
}

/** Whether the command invalidates anything. */
export function invalidates(words: readonly number[], unit: Unit): boolean {
  return commandName(words) === 'CMD_ATC_INV' || scopesOf(words, scopeEnvOf(unit)).length > 0;
}

/** Whether all that `lost` was to drop is dropped by `done` too. */
export function makesUpFor(done: readonly number[], lost: readonly number[], unit: Unit): boolean {
  if (commandName(lost) === 'CMD_ATC_INV')
    return commandName(done) === 'CMD_ATC_INV' && spansAtc(atcOf(done), atcOf(lost));
  const env = scopeEnvOf(unit);
  const scopes = scopesOf(done, env);
  return scopesOf(lost, env).every((each) => scopes.some((scope) => spans(scope, each)));
}

type AtcInv = CommandFields<'CMD_ATC_INV'>;

const atcOf = (words: readonly number[]): AtcInv => decode(commandLayouts.CMD_ATC_INV.layout, words);

function spansAtc(wide: AtcInv, narrow: AtcInv): boolean {
  if (wide.StreamID !== narrow.StreamID || wide.Size < narrow.Size) return false;
  if (wide.SSV && !(narrow.SSV && (wide.G || wide.SubstreamID === narrow.SubstreamID))) return false;
  if (wide.Size >= 52) return true;
  const size = 2n ** BigInt(12 + wide.Size);
  return BigInt(wide.Address) / size === BigInt(narrow.Address) / size;
}

/** Whether every entry that `narrow` covers is covered by `wide`. */
export function spans(wide: Scope, narrow: Scope): boolean {
  if (wide.kind === 'config') return narrow.kind === 'config' && spansConfig(wide, narrow);
  return narrow.kind === 'tlb' && spansTlb(wide, narrow);
}

function spansConfig(wide: ConfigScope, narrow: ConfigScope): boolean {
  if (!narrow.caches.every((cache) => wide.caches.includes(cache))) return false;
  if (wide.substreamId !== undefined && wide.substreamId !== narrow.substreamId) return false;
  return wide.first <= narrow.first && wide.last >= narrow.last;
}

function spansTlb(wide: TlbScope, narrow: TlbScope): boolean {
  if (!narrow.regimes.every((regime) => wide.regimes.includes(regime))) return false;
  if (!narrow.stages.every((stage) => wide.stages.includes(stage))) return false;
  if (wide.vmid !== undefined && wide.vmid !== narrow.vmid) return false;
  if (wide.asid !== undefined && wide.asid !== narrow.asid) return false;
  if (!wide.globals && narrow.globals && narrow.range === undefined) return false;
  if (wide.leafOnly && !narrow.leafOnly) return false;
  if (wide.level !== undefined && wide.level !== narrow.level) return false;
  if (wide.range === undefined) return true;
  const { range } = narrow;
  return range !== undefined && wide.range.start <= range.start && wide.range.end >= range.end;
}
