/**
 * What is owed to one SMMU now. Obligations stand under the tags by which commands and accesses ask
 * for them, so that neither goes through the whole ledger; its size follows what is owed, not the
 * length of the log.
 */
import type { Scope, TlbScope } from '../../core/smmu/invalidate.ts';
import { contextKey } from '../../core/smmu/keys.ts';
import {
  addChange,
  type Change,
  discharges,
  type Invalidation,
  isTlb,
  isUpperClean,
  type Obligation,
  type ObligationKind,
  type Output,
  type Structure,
  type Target,
  type TlbTarget,
} from './obligation.ts';
import { addOutput, newOutputs, type OutputIndex, removeOutput } from './outputs.ts';
import { addSlot, candidates, newSlots, removeSlot, type Slots, slotAt } from './slots.ts';

/** Obligations of one (regime, VMID, ASID or global). */
interface Bucket {
  readonly target: TlbTarget;
  readonly slots: Slots;
  /** Those of every address. */
  readonly wide: Set<Obligation>;
}

export interface Ledger {
  readonly tlb: Map<number, Bucket>;
  /** By StreamID; of an L1STD, its first. */
  readonly config: Map<number, Obligation[]>;
  /** Memory that leaves, and table descriptors, may still lead to. */
  readonly pages: OutputIndex<Obligation>;
  readonly tables: OutputIndex<Obligation>;
  /** The last discharged obligation of a descriptor or structure, by address; the oldest go first. */
  readonly past: Map<number, Obligation>;
  /** seq of the last change that made any entry wrong. */
  lastHarm: number;
  size: number;
}

export interface Owed {
  readonly kind: ObligationKind;
  readonly structure: Structure;
  readonly where: number;
  readonly targets: readonly [Target, ...Target[]];
  readonly output?: Output;
  readonly upper?: Obligation | undefined;
  /** Of a stage 2 descriptor, where the entry holds stage 1 too. */
  readonly stage2?: Obligation['stage2'];
  readonly attributes?: boolean;
}

const PAST_MAX = 65_536;
/** Obligations of one slot that differ in what they lead to. */
const SLOT_MAX = 8;

/** A ledger in which nothing is owed. */
export function newLedger(): Ledger {
  return {
    tlb: new Map(),
    config: new Map(),
    pages: newOutputs(),
    tables: newOutputs(),
    past: new Map(),
    lastHarm: 0,
    size: 0,
  };
}

/** Adds what a change makes owed, or the change to what the same place owes already. */
export function owe(ledger: Ledger, owed: Owed, change: Change): Obligation {
  ledger.lastHarm = change.seq;
  const same = samePlace(ledger, owed);
  if (same !== undefined) {
    addChange(same, change);
    same.upper = owed.upper ?? same.upper;
    if (owed.attributes === true) same.attributes = true;
    return same;
  }
  const { kind, structure, where, targets, stage2, output, upper, attributes } = owed;
  const obligation: Obligation = {
    kind,
    structure,
    where,
    targets,
    ...(stage2 === undefined ? {} : { stage2 }),
    output,
    upper,
    ...(attributes === undefined ? {} : { attributes }),
    changes: [change],
    covered: undefined,
    remade: 0,
    reported: false,
    done: false,
  };
  insert(ledger, obligation);
  return obligation;
}

/** The obligation that a further change of the same place joins. */
function samePlace(ledger: Ledger, owed: Owed): Obligation | undefined {
  let count = 0;
  let open: Obligation | undefined;
  let last: Obligation | undefined;
  for (const each of standing(ledger, owed.targets[0], owed.kind)) {
    if (each.where !== owed.where || each.kind !== owed.kind) continue;
    count += 1;
    last = each;
    if (each.covered === undefined && each.output?.pa === owed.output?.pa) open = each;
  }
  if (open !== undefined || last === undefined || count < SLOT_MAX) return open;
  // Software that never completes anything: the latest of many is owed again.
  uncover(last);
  return last;
}

function uncover(obligation: Obligation): void {
  const owed = obligation.covered?.owed;
  if (owed !== undefined) owed.splice(owed.indexOf(obligation), 1);
  obligation.covered = undefined;
}

function standing(ledger: Ledger, target: Target, kind: ObligationKind): Iterable<Obligation> {
  if (!isTlb(target)) return ledger.config.get(target.streamId) ?? [];
  const bucket = ledger.tlb.get(keyOf(target));
  if (bucket === undefined) return [];
  return kind === 'tags' ? bucket.wide : slotAt(bucket.slots, target.va, target.sizeLog2);
}

function keyOf({ regime, stage, vmid, asid, global }: TlbTarget): number {
  return contextKey(regime, stage === 2 ? 2 : 1, vmid, global ? 0 : asid, global);
}

function insert(ledger: Ledger, obligation: Obligation): void {
  const target = obligation.targets[0];
  ledger.size += 1;
  if (!isTlb(target)) {
    const list = ledger.config.get(target.streamId);
    if (list === undefined) ledger.config.set(target.streamId, [obligation]);
    else list.push(obligation);
    addOutput(ledger.tables, obligation);
    return;
  }
  const key = keyOf(target);
  let bucket = ledger.tlb.get(key);
  if (bucket === undefined) {
    bucket = { target, slots: newSlots(), wide: new Set() };
    ledger.tlb.set(key, bucket);
  }
  if (obligation.kind === 'tags') bucket.wide.add(obligation);
  else addSlot(bucket.slots, target.va, target.sizeLog2, obligation);
  addOutput(obligation.kind === 'table' ? ledger.tables : ledger.pages, obligation);
}

/** Takes the obligation out: it is discharged, or what it came from was undone. */
export function remove(ledger: Ledger, obligation: Obligation): void {
  if (obligation.done) return;
  obligation.done = true;
  ledger.size -= 1;
  const target = obligation.targets[0];
  if (!isTlb(target)) {
    const left = (ledger.config.get(target.streamId) ?? []).filter((each) => each !== obligation);
    if (left.length === 0) ledger.config.delete(target.streamId);
    else ledger.config.set(target.streamId, left);
    removeOutput(ledger.tables, obligation);
    return;
  }
  const key = keyOf(target);
  const bucket = ledger.tlb.get(key);
  if (bucket === undefined) return;
  if (obligation.kind === 'tags') bucket.wide.delete(obligation);
  else removeSlot(bucket.slots, target.va, target.sizeLog2, obligation);
  removeOutput(obligation.kind === 'table' ? ledger.tables : ledger.pages, obligation);
  if (bucket.wide.size === 0 && bucket.slots.map.size === 0) ledger.tlb.delete(key);
}

/** Discharges: the covering command was performed and a CMD_SYNC completed it. */
export function discharge(ledger: Ledger, obligation: Obligation): void {
  remove(ledger, obligation);
  ledger.past.delete(obligation.where);
  ledger.past.set(obligation.where, obligation);
  if (ledger.past.size <= PAST_MAX) return;
  for (const oldest of ledger.past.keys()) {
    ledger.past.delete(oldest);
    return;
  }
}

/** A command was performed: what it covers now waits for its CMD_SYNC. */
export function cover(ledger: Ledger, command: Invalidation): void {
  const below: Obligation[] = [];
  for (const scope of command.scopes) {
    for (const obligation of reachedBy(ledger, scope)) {
      if (obligation.covered !== undefined || !discharges(command.scopes, obligation)) continue;
      if (isUpperClean(obligation)) mark(command, obligation);
      else below.push(obligation);
    }
  }
  // What is above may have gone with this command. Tables come before what is below them.
  below.sort((a, b) => depth(a) - depth(b));
  for (const obligation of below) if (isUpperClean(obligation)) mark(command, obligation);
}

function mark(command: Invalidation, obligation: Obligation): void {
  if (obligation.covered !== undefined) return;
  obligation.covered = command;
  command.owed.push(obligation);
}

/** Bounded by the levels of tables. */
function depth({ upper }: Obligation): number {
  return upper === undefined ? 0 : 1 + depth(upper);
}

/** Obligations that a scope may cover; the caller asks each. */
function reachedBy(ledger: Ledger, scope: Scope): readonly Obligation[] {
  return scope.kind === 'tlb'
    ? tlbReachedBy(ledger, scope)
    : configReachedBy(ledger, scope.first, scope.last);
}

function tlbReachedBy(ledger: Ledger, scope: TlbScope): readonly Obligation[] {
  const found: Obligation[] = [];
  for (const { target, slots, wide } of bucketsOf(ledger, scope)) {
    if (!scope.regimes.includes(target.regime) || !scope.stages.includes(target.stage)) continue;
    if (scope.vmid !== undefined && (scope.vmid ^ target.vmid) >>> (scope.wildcard ?? 0) !== 0) continue;
    found.push(...wide);
    candidates(slots, scope.range, found);
  }
  return found;
}

function bucketsOf(
  ledger: Ledger,
  { regimes, stages, vmid, asid, wildcard = 0 }: TlbScope,
): Iterable<Bucket> {
  const ofStage2 = vmid !== undefined && wildcard === 0 && stages.length === 1 && stages[0] === 2;
  if (!ofStage2 && (vmid === undefined || asid === undefined || wildcard > 0)) return ledger.tlb.values();
  const found: Bucket[] = [];
  const look = (key: number): void => {
    const bucket = ledger.tlb.get(key);
    if (bucket !== undefined) found.push(bucket);
  };
  for (const regime of regimes) {
    if (ofStage2) look(contextKey(regime, 2, vmid, 0, false));
    else {
      look(contextKey(regime, 1, vmid ?? 0, asid ?? 0, false));
      look(contextKey(regime, 1, vmid ?? 0, 0, true));
    }
  }
  return found;
}

/** Widest span of an L1STD, in StreamIDs. */
const SPLITS = [64, 256, 1024];

function configReachedBy(ledger: Ledger, first: number, last: number): readonly Obligation[] {
  if (last - first > ledger.config.size) return [...ledger.config.values()].flat();
  const found = new Set<Obligation>();
  for (let sid = first; sid <= last; sid += 1) {
    for (const obligation of ledger.config.get(sid) ?? []) found.add(obligation);
  }
  for (const split of SPLITS) {
    for (const obligation of ledger.config.get(first - (first % split)) ?? []) found.add(obligation);
  }
  return [...found];
}

/** Everything outstanding that could leave a wrong TLB or walk-cache entry for `va`. */
export function tlbObligations(
  ledger: Ledger,
  tags: Pick<TlbTarget, 'regime' | 'stage' | 'vmid' | 'asid'>,
  va: bigint,
): readonly Obligation[] {
  const found: Obligation[] = [];
  if (ledger.tlb.size === 0) return found;
  const range = { start: va, end: va + 1n };
  const stage = tags.stage === 2 ? 2 : 1;
  for (const global of stage === 2 ? [false] : [false, true]) {
    const bucket = ledger.tlb.get(contextKey(tags.regime, stage, tags.vmid, global ? 0 : tags.asid, global));
    if (bucket === undefined) continue;
    found.push(...bucket.wide);
    candidates(bucket.slots, range, found);
  }
  return found;
}

/** What is outstanding for leaves in a range, under one ASID (stage 1, no VMID) or VMID (stage 2). */
export function tlbObligationsIn(
  ledger: Ledger,
  stage: 1 | 2,
  tag: number,
  range: { readonly start: bigint; readonly end: bigint },
): readonly Obligation[] {
  const found: Obligation[] = [];
  const [vmid, asid] = stage === 1 ? [0, tag] : [tag, 0];
  for (const regime of ['EL1', 'EL2_E2H'] as const) {
    const bucket = ledger.tlb.get(contextKey(regime, stage, vmid, asid, false));
    if (bucket !== undefined) candidates(bucket.slots, range, found);
  }
  // A slot of a wide range may only touch it.
  return found.filter(({ structure, targets: [target] }) => {
    return structure === 'leaf' && isTlb(target) && target.va >= range.start && target.va < range.end;
  });
}

/** Everything outstanding that could leave a wrong STE, CD or level 1 descriptor for the stream. */
export function configObligations(ledger: Ledger, streamId: number, substreamId = 0): readonly Obligation[] {
  if (ledger.config.size === 0) return [];
  return configReachedBy(ledger, streamId, streamId).filter((obligation) =>
    obligation.targets.some((target) => {
      if (isTlb(target)) return false;
      if (target.cache === 'l1std')
        return streamId >= target.streamId && streamId < target.streamId + target.span;
      if (target.streamId !== streamId) return false;
      const inSpan = substreamId >= target.substreamId && substreamId < target.substreamId + target.span;
      return target.cache === 'ste' || inSpan;
    }),
  );
}
