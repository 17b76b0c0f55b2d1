/**
 * Broadcast TLB maintenance that software relies on though the SMMU does not take part: IDR0.BTM=0 or CR2.PTM=1
 * (IHI 0070 3.17, 6.3.12.1). A descriptor that a TLB entry rests on was changed, a broadcast stands for the change,
 * and no command of the SMMU ever does.
 */

import type { EntryOf } from '../../core/event.ts';
import { quad } from '../../core/layout/words.ts';
import { own } from '../../core/lookup.ts';
import { broadcastMessage, broadcastScope, broadcasts } from '../../core/smmu/broadcast.ts';
import { scopesOf } from '../../core/smmu/command.ts';
import { type Scope, tlbMismatch } from '../../core/smmu/invalidate.ts';
import { vmidWildcard } from '../../core/smmu/regs.ts';
import type { Finding } from '../finding.ts';
import { showChange } from '../obligations/tell.ts';
import { knownFrom } from './id-reads.ts';
import { scopeEnvOf } from './scopes.ts';
import { deed, tell } from './tell.ts';
import type { RuleRun, Unit, World } from './world.ts';

type Fill = EntryOf<'tlb.filled'>;

interface Trusted {
  readonly fill: Fill;
  readonly unit: Unit;
  /** seq of the change. */
  readonly change: number;
  readonly before: bigint;
  readonly after: bigint;
  broadcast:
    | { readonly seq: number; readonly actor: string; readonly operation: string; readonly why: string }
    | undefined;
}

/** Descriptors, changes and commands that are remembered. */
const FILLS_MAX = 4096;
const COMMANDS_MAX = 512;

type Fetched = EntryOf<'command.fetched'>;

/** A run over all SMMUs. */
export function broadcastTrust(world: World): RuleRun {
  /** By the address of the descriptor. */
  const fills = new Map<number, Fill>();
  const changed = new Map<number, Trusted>();
  /** The latest invalidations, a ring: what they cover is asked when a broadcast comes, which is seldom. */
  const recent: Fetched[] = [];
  let next = 0;
  let marked = 0;
  const covers = (entry: Fetched, { unit, fill, change }: Trusted): boolean =>
    entry.smmu === unit.name &&
    entry.seq > change &&
    scopesOf(quad(entry.lo, entry.hi), scopeEnvOf(unit)).some((scope) => reaches(scope, fill));
  return {
    told: () => [...changed.values()].flatMap((each) => trusted(world, each)),
    handlers: {
      'tlb.filled': (entry) => {
        if (fills.size >= FILLS_MAX) fills.delete(fills.keys().next().value ?? 0);
        fills.set(entry.descriptorPa, entry);
      },
      'memory.written': ({ pa, value, old, seq, actor }) => {
        const fill = fills.get(pa);
        if (fill === undefined || value === old || (old & 1n) === 0n || actor === fill.smmu) return;
        const unit = world.units.get(fill.smmu);
        if (unit === undefined) return;
        if (changed.size >= FILLS_MAX) changed.delete(changed.keys().next().value ?? 0);
        changed.set(pa, { fill, unit, change: seq, before: old, after: value, broadcast: undefined });
      },
      'cpu.tlbi': (entry) => {
        const row = own(broadcasts, entry.operation);
        if (row === undefined) return;
        for (const [pa, each] of changed) {
          const why = ignoredBecause(each.unit);
          if (why === undefined || each.broadcast !== undefined) continue;
          const { features, bare } = each.unit;
          const message = broadcastMessage(row, entry);
          if (!reaches(broadcastScope(row, message, features, vmidWildcard(bare)), each.fill)) continue;
          if (recent.some((command) => covers(command, each))) {
            changed.delete(pa);
            continue;
          }
          const { seq, actor, operation } = entry;
          each.broadcast = { seq, actor, operation, why };
          marked += 1;
        }
      },
      'command.fetched': (entry) => {
        if (!entry.command.startsWith('CMD_TLBI')) return;
        recent[next] = entry;
        next = (next + 1) % COMMANDS_MAX;
        if (marked === 0) return;
        for (const [pa, each] of changed) {
          if (each.broadcast === undefined || !covers(entry, each)) continue;
          changed.delete(pa);
          marked -= 1;
        }
      },
    },
  };
}

const reaches = (scope: Scope, fill: Fill): boolean =>
  scope.kind === 'tlb' && tlbMismatch(scope, fill) === undefined;

const PTM = 1 << 2;

function ignoredBecause({ features, bare }: Unit): string | undefined {
  if (!features.btm) return 'IDR0.BTM=0';
  return ((bare.regs['CR2'] ?? 0) & PTM) !== 0 ? 'CR2.PTM=1' : undefined;
}

function trusted(world: World, trust: Trusted): readonly Finding[] {
  const { unit, fill, change: seq, before, after, broadcast } = trust;
  if (broadcast === undefined) return [];
  const what = showChange({ seq, actor: '', pa: fill.descriptorPa, before, after });
  const { operation, why } = broadcast;
  return [
    tell(world, {
      rule: 'I10',
      title: `broadcast-not-heard: TLBI ${operation}, ${unit.name} has ${why}`,
      consequence: 'isolation',
      blame: deed(broadcast, `TLBI ${operation} broadcast for ${what}: ${unit.name} does not take part`),
      needed: 'the CMD_TLBI_* that says the same, and CMD_SYNC',
      nearest: { seq: broadcast.seq, why: `the broadcast was not for ${unit.name}: ${why}` },
      notes: [`${world.at(seq)} ${what}`, knownFrom(world, unit, 'IDR0.BTM')],
      lost: [seq, broadcast.seq],
      capability: { smmu: unit.name, field: 'IDR0.BTM' },
    }),
  ];
}
