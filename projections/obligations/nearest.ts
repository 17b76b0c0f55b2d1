/**
 * The command that came closest to discharging an obligation, and the field by which it missed: too
 * early, refused, without a CMD_SYNC, or of another address, ASID, VMID, level, stream.
 */
import { decode } from '../../core/layout/layout.ts';
import { type CommandName, commandLayouts } from '../../core/smmu/command-layout.ts';
import { configMismatch, type Scope, type TlbScope, tlbMismatch } from '../../core/smmu/invalidate.ts';
import type { Commands } from './commands.ts';
import {
  type Invalidation,
  isTlb,
  isUpperClean,
  lastChange,
  type Obligation,
  type Target,
} from './obligation.ts';

export interface Miss {
  /** seq of the position it reached. */
  readonly seq: number;
  readonly command: Invalidation;
  readonly why: string;
}

/** Fields that differ count ten each; what comes too early is worse than what comes after. */
const FIELD = 10;
const EARLY = 12;
/** A broad command before the change is hardly meant for it. */
const BROAD_EARLY = 35;
const SCORE_MAX = 30;

/** The best of the commands still remembered that reached a position up to `until`, if any is near at all. */
export function nearestMiss(commands: Commands, obligation: Obligation, until: number): Miss | undefined {
  let best: { readonly score: number; readonly miss: Miss } | undefined;
  const consider = (command: Invalidation): void => {
    const found = judge(command, obligation);
    if (found === undefined || found.miss.seq > until || found.score > SCORE_MAX) return;
    const better = best === undefined || found.score < best.score;
    if (better || (found.score === best?.score && found.miss.seq > best.miss.seq)) best = found;
  };
  for (const command of commands.recent) consider(command);
  for (const command of commands.inFlight.values()) consider(command);
  for (const command of commands.pending.values()) consider(command);
  return best?.miss;
}

function judge(command: Invalidation, obligation: Obligation): { score: number; miss: Miss } | undefined {
  const changed = lastChange(obligation).seq;
  const seq = command.performed || command.rejected || command.fetched || command.produced;
  const result = (score: number, why: string): { score: number; miss: Miss } => ({
    score,
    miss: { seq, command, why },
  });
  const targets = ownTargets(obligation);
  let best: { score: number; fields: readonly Mismatch[] } | undefined;
  for (const scope of command.scopes) {
    const fields = mismatches(scope, targets);
    if (fields === undefined) continue;
    if (best === undefined || fields.length < best.fields.length)
      best = { score: fields.length * FIELD, fields };
  }
  if (best === undefined) return undefined;
  const reached = command.unissued === undefined ? command.performed : command.produced;
  const early = reached !== 0 && reached < changed;
  const wide = command.scopes.some((scope) => isBroad(scope));
  if (best.fields.length > 0) {
    const why = best.fields.map(({ why: text }) => text).join('; ');
    return result(best.score + (early ? EARLY : 0) + best.fields.length, why);
  }
  if (command.rejected !== 0) return result(1, `refused with ${command.error}, it had no effect`);
  if (early) return result(wide ? BROAD_EARLY : EARLY, 'too early: performed before the change');
  if (command.unissued !== undefined)
    return result(0, `counted as handled by ${command.unissued}, never issued`);
  if (command.performed === 0) return result(0, 'queued, not performed yet');
  if (command.synced === 0) return result(0, 'no CMD_SYNC has completed after it');
  return undefined;
}

/** One command has to take what is above with it, as long as that is not gone. */
function ownTargets(obligation: Obligation): readonly Target[] {
  const { upper, targets } = obligation;
  if (upper === undefined || (upper.kind === 'config') !== (obligation.kind === 'config')) return targets;
  return isUpperClean(obligation) ? targets : [...targets, ...upper.targets];
}

function isBroad(scope: Scope): boolean {
  return scope.kind === 'tlb' ? scope.range === undefined : scope.last !== scope.first;
}

export interface Mismatch {
  readonly field: string;
  readonly why: string;
}

/**
 * Every field by which the scope misses one of the targets; undefined when it is of another kind.
 * @param holds how the other side's value is told: what is owed, or what an entry has.
 */
export function mismatches(
  scope: Scope,
  targets: readonly Target[],
  holds = 'owed for',
): readonly Mismatch[] | undefined {
  const found = new Map<string, Mismatch>();
  for (const target of targets) {
    if (isTlb(target) !== (scope.kind === 'tlb')) return undefined;
    let rest = scope;
    for (let round = 0; round < 8; round += 1) {
      const field = isTlb(target)
        ? tlbMismatch(rest as TlbScope, target)
        : rest.kind === 'config'
          ? configMismatch(rest, target)
          : undefined;
      if (field === undefined) break;
      if (!found.has(field)) found.set(field, { field, why: describe(field, scope, target, holds) });
      rest = without(field, rest, target);
    }
  }
  return [...found.values()];
}

/** The scope as if the field did not miss: to find what else does. */
function without(field: string, scope: Scope, target: Target): Scope {
  if (scope.kind === 'config') {
    const { substreamId, ...rest } = scope;
    if (field === 'substreamId') return rest;
    if (isTlb(target)) return scope;
    if (field === 'streamId') return { ...scope, first: target.streamId, last: target.streamId };
    return { ...scope, caches: [target.cache] };
  }
  if (!isTlb(target)) return scope;
  const { vmid, asid, range, granuleLog2, level, sharedOnly, ...rest } = scope;
  const kept = {
    ...(vmid === undefined || field === 'vmid' ? {} : { vmid }),
    ...(asid === undefined || field === 'asid' ? {} : { asid }),
    ...(sharedOnly === undefined || field === 'aset' ? {} : { sharedOnly }),
    ...(range === undefined || field === 'address' ? {} : { range }),
    ...(granuleLog2 === undefined || field === 'granule' ? {} : { granuleLog2 }),
    ...(level === undefined || field === 'level' ? {} : { level }),
  };
  return {
    ...rest,
    ...kept,
    regimes: field === 'regime' ? [target.regime] : scope.regimes,
    stages: field === 'stage' ? [target.stage] : scope.stages,
    leafOnly: field === 'leaf' ? false : scope.leafOnly,
  };
}

const hex = (value: number | bigint | undefined): string => `0x${(value ?? 0).toString(16)}`;

function describe(field: string, scope: Scope, target: Target, holds: string): string {
  if (scope.kind === 'config' || !isTlb(target)) {
    if (isTlb(target) || scope.kind === 'tlb') return field;
    if (field === 'streamId')
      return `StreamID differs: ${hex(scope.first)}, ${holds} ${hex(target.streamId)}`;
    if (field === 'substreamId')
      return `SubstreamID differs: ${hex(scope.substreamId)}, ${holds} ${hex(target.substreamId)}`;
    return `it leaves ${target.cache.toUpperCase()} entries alone`;
  }
  switch (field) {
    case 'asid':
      return target.global
        ? 'by ASID it leaves global entries alone'
        : `ASID differs: ${hex(scope.asid)}, ${holds} ${hex(target.asid)}`;
    case 'aset':
      return 'CD.ASET=1: a broadcast by ASID leaves it alone';
    case 'vmid':
      return `VMID differs: ${hex(scope.vmid)}, ${holds} ${hex(target.vmid)}`;
    case 'address':
      return `range ${hex(scope.range?.start)}-${hex((scope.range?.end ?? 1n) - 1n)} does not hold ${hex(target.va)}`;
    case 'granule':
      return `TG differs: 2^${scope.granuleLog2} bytes, owed for 2^${target.granuleLog2}`;
    case 'level':
      return `TTL=${scope.level} leaves level ${target.level} alone`;
    case 'leaf':
      return 'Leaf=1 leaves table entries alone, Leaf=0 is needed';
    default:
      return `${field} differs`;
  }
}

/** `CMD_TLBI_NH_VA ASID=0x12 Address=0x40100000 Leaf=1`: fields that are not zero. */
export function showCommand({ command, words }: Pick<Invalidation, 'command' | 'words'>): string {
  const known = command in commandLayouts ? commandLayouts[command as CommandName] : undefined;
  if (known === undefined) return command;
  const { layout } = known;
  const fields = decode(layout, words) as Readonly<Record<string, unknown>>;
  const declared = layout.fields as Readonly<Record<string, { show(words: ArrayLike<number>): string }>>;
  const parts = Object.keys(declared)
    .filter((name) => name !== 'Opcode' && !isZero(fields[name]))
    .map((name) => `${name}=${declared[name]?.show(words)}`);
  return [command, ...parts].join(' ');
}

function isZero(value: unknown): boolean {
  return value === 0 || value === 0n || value === false || value === 'NONE' || value === 'NSH';
}
