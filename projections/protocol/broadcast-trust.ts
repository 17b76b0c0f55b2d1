/**
 * Broadcast TLB maintenance that software relies on though the SMMU does not take part: IDR0.BTM=0 or CR2.PTM=1
 * (IHI 0070 3.17, 6.3.12.1). A descriptor that a TLB entry rests on was changed, a broadcast stands for the change,
 * and no command of the SMMU ever does.
 */
import type { EntryOf } from '../../core/event.ts';
import { own } from '../../core/lookup.ts';
import { broadcastMessage, broadcastScope, broadcasts } from '../../core/smmu/broadcast.ts';
import { scopesOf } from '../../core/smmu/command.ts';
import { type Scope, tlbMismatch } from '../../core/smmu/invalidate.ts';
import { vmidWildcard } from '../../core/smmu/regs.ts';
import type { Finding } from '../finding.ts';
import { showChange } from '../obligations/tell.ts';
import { knownFrom } from './id-reads.ts';
import { scopeEnvOf, wordsOf } from './scopes.ts';
import { deed, tell } from './tell.ts';
import type { RuleRun, Unit, World } from './world.ts';

type Fill = EntryOf<'tlb.filled'>;

interface Trusted {
  readonly fill: Fill;
  readonly unit: Unit;
  /** seq of the change, and what it was. */
  readonly change: number;
  readonly what: string;
  broadcast:
    | { readonly seq: number; readonly actor: string; readonly operation: string; readonly why: string }
    | undefined;
}

/** Descriptors that are remembered. */
const FILLS_MAX = 4096;

/** A run over all SMMUs. */
export function broadcastTrust(world: World): RuleRun {
  /** By the address of the descriptor. */
  const fills = new Map<number, Fill>();
  const changed = new Map<number, Trusted>();
  const covered = (unit: Unit, scopes: readonly Scope[]): readonly Trusted[] =>
    [...changed.values()].filter(
      (each) =>
        each.unit === unit &&
        scopes.some((scope) => scope.kind === 'tlb' && tlbMismatch(scope, each.fill) === undefined),
    );
  return {
    told: () => [...changed.values()].flatMap((each) => trusted(world, each)),
    handlers: {
      'tlb.filled': (entry) => {
        if (fills.size >= FILLS_MAX) fills.delete(fills.keys().next().value ?? 0);
        fills.set(entry.descriptorPa, entry);
      },
      'memory.written': ({ pa, value, old, seq, actor }) => {
        const fill = fills.get(pa);
        const unit = fill === undefined ? undefined : world.units.get(fill.smmu);
        if (
          fill === undefined ||
          unit === undefined ||
          value === old ||
          (old & 1n) === 0n ||
          actor === fill.smmu
        )
          return;
        const what = showChange({ seq, actor, pa, before: old, after: value });
        changed.set(pa, { fill, unit, change: seq, what, broadcast: undefined });
      },
      'cpu.tlbi': (entry) => {
        const row = own(broadcasts, entry.operation);
        if (row === undefined || changed.size === 0) return;
        for (const unit of world.units.values()) {
          const why = ignoredBecause(unit);
          if (why === undefined) continue;
          const scope = broadcastScope(
            row,
            broadcastMessage(row, entry),
            unit.features,
            vmidWildcard(unit.bare),
          );
          const { seq, actor, operation } = entry;
          for (const each of covered(unit, [scope])) each.broadcast ??= { seq, actor, operation, why };
        }
      },
      'command.fetched': ({ smmu, command, lo, hi }) => {
        const unit = world.units.get(smmu);
        if (unit === undefined || changed.size === 0 || !command.startsWith('CMD_TLBI')) return;
        for (const { fill } of covered(unit, scopesOf(wordsOf(lo, hi), scopeEnvOf(unit))))
          changed.delete(fill.descriptorPa);
      },
    },
  };
}

const PTM = 1 << 2;

function ignoredBecause({ features, bare }: Unit): string | undefined {
  if (!features.btm) return 'IDR0.BTM=0';
  return ((bare.regs['CR2'] ?? 0) & PTM) !== 0 ? 'CR2.PTM=1' : undefined;
}

function trusted(world: World, { unit, change, what, broadcast }: Trusted): readonly Finding[] {
  if (broadcast === undefined) return [];
  const { operation, why } = broadcast;
  return [
    tell(world, {
      rule: 'I10',
      title: `broadcast-not-heard: TLBI ${operation}, ${unit.name} has ${why}`,
      consequence: 'isolation',
      blame: deed(broadcast, `TLBI ${operation} broadcast for ${what}: ${unit.name} does not take part`),
      needed: 'the CMD_TLBI_* that says the same, and CMD_SYNC',
      nearest: { seq: broadcast.seq, why: `the broadcast was not for ${unit.name}: ${why}` },
      notes: [`${world.at(change)} ${what}`, knownFrom(world, unit, 'IDR0.BTM')],
      lost: [change, broadcast.seq],
    }),
  ];
}
