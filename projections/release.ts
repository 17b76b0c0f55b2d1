/**
 * I2: memory is released, or takes a new role, only when nothing can reach it any more: no descriptor
 * or structure that a walk may read, no cache entry without a completed covering invalidation, no ATC
 * (IHI 0070 3.21). It is asked at the release, not at the access that comes of it. Only what is dirty
 * or linked is looked at, by the page.
 */
import type { EntryOf } from '../core/event.ts';
import { inSpace, NOWHERE } from '../core/memory/space.ts';
import { positions } from './explain.ts';
import { explainRelease, explainReuse } from './explain-release.ts';
import type { Finding } from './finding.ts';
import type { State } from './invalidation-state.ts';
import type { AtcHeld } from './obligations/atcs.ts';
import { cleanedBy, culpritsOf } from './obligations/nested-use.ts';
import { type Change, isDeferred, type Obligation } from './obligations/obligation.ts';
import { leadingTo } from './obligations/outputs.ts';
import type { Shadow } from './obligations/shadow.ts';
import { type Claim, heldBy, type LiveLeaf, toldOf } from './obligations/tables.ts';
import { type Region, regionsIn } from './obligations/watch.ts';
import { blameAnswer, blameVmm, swallowedBy, unissuedFor } from './swallowed.ts';

export interface Piece {
  readonly pa: number;
  readonly bytes: number;
}

/** Memory that was given back dirty, and to whom it went then. */
export interface Released extends Piece {
  readonly seq: number;
  readonly owner: string;
  taken?: { readonly seq: number; readonly owner: string };
}

export interface Releases {
  /** The log tells who owns memory. */
  seen: boolean;
  /** Memory of processes that is held. */
  readonly backings: Map<number, { readonly owner: string; readonly pieces: readonly Piece[] }>;
  /** The latest dirty ones. */
  readonly dirty: Released[];
  /** Findings that an invalidation which comes too late turns into ones of order. */
  readonly waiting: Map<Obligation, { readonly at: number; readonly change: Change }>;
}

/** Ways by which released memory may still be reached. */
export interface Ways {
  readonly obligations: readonly Obligation[];
  readonly held: readonly AtcHeld[];
  readonly leaves: readonly LiveLeaf[];
  readonly structures: readonly Region[];
}

const DIRTY_MAX = 256;

/** Nothing was released. */
export function newReleases(): Releases {
  return { seen: false, backings: new Map(), dirty: [], waiting: new Map() };
}

/** A driver, or the kernel for itself, gave pages back. */
export function pagesReturned(state: State, { pa, bytes, seq, owner }: EntryOf<'pages.returned'>): void {
  release(state, [{ pa, bytes }], seq, owner);
}

/** Memory of a process; it is free when nobody holds it any more, a pin being a hold. */
export function backingMade(
  { releases }: State,
  { backing, runs, kind, seq }: EntryOf<'backing.made'>,
): void {
  const pieces = runs.map(({ pa, size }) => ({ pa, bytes: size }));
  const owner = `memory ${backing} of processes (${kind})`;
  releases.backings.set(backing, { owner, pieces });
  for (const piece of pieces) noteTaken(releases, piece, seq, owner);
}

/** With the last hold it goes back. */
export function backingHeld(state: State, { backing, users, seq }: EntryOf<'backing.held'>): void {
  const found = users === 0 ? state.releases.backings.get(backing) : undefined;
  if (found === undefined) return;
  state.releases.backings.delete(backing);
  release(state, found.pieces, seq, found.owner);
}

/** The VMM has taken memory from its guest: no device of the guest reaches it any more. */
export function slotGone(state: State, { vm, seq, errno }: EntryOf<'vm.answered'>): void {
  const guest = state.guests.get(vm);
  if (guest === undefined || guest.lost.length === 0) return;
  if (errno === undefined) release(state, guest.lost, seq, `${vm}.vmm`);
  guest.lost = [];
}

/** One release is told once for each SMMU, however many pieces it has. */
function release(state: State, pieces: readonly Piece[], seq: number, owner: string): void {
  const { releases, shadows } = state;
  releases.seen = true;
  for (const shadow of shadows.values())
    if (shadow.space === undefined) releaseFrom(state, shadow, pieces, seq, owner);
}

/** What the SMMU may still reach of it. Returns whether that is told. */
function releaseFrom(
  { releases, findings, teller }: State,
  shadow: Shadow,
  pieces: readonly Piece[],
  seq: number,
  owner: string,
): boolean {
  const all = pieces.flatMap((piece) => {
    const ways = waysTo(shadow, piece.pa, piece.bytes);
    return ways === undefined ? [] : [{ piece, ways }];
  });
  const [first] = all;
  if (first === undefined) return false;
  const ways = joined(all.map((each) => each.ways));
  for (const obligation of ways.obligations) obligation.reported = true;
  for (const held of ways.held) held.reported = true;
  const [owed] = ways.obligations;
  if (owed !== undefined && ways.leaves.length + ways.structures.length === 0)
    releases.waiting.set(owed, { at: findings.length, change: owed.changes[0] });
  findings.push(explainRelease(teller, { shadow, entry: { ...first.piece, seq, owner }, ways }));
  for (const { table } of ways.leaves) toldOf(table);
  for (const structure of ways.structures) structure.told?.();
  for (const { piece } of all) noteDirty(releases, { ...piece, seq, owner });
  return true;
}

function joined(all: readonly Ways[]): Ways {
  return {
    obligations: [...new Set(all.flatMap(({ obligations }) => obligations))],
    held: [...new Set(all.flatMap(({ held }) => held))],
    leaves: [...new Set(all.flatMap(({ leaves }) => leaves))],
    structures: [...new Set(all.flatMap(({ structures }) => structures))],
  };
}

function noteDirty({ dirty }: Releases, released: Released): void {
  dirty.push(released);
  if (dirty.length > DIRTY_MAX) dirty.shift();
}

/**
 * A guest's kernel gave pages back. What its stage 1 still leads there is judged: the host's stage 2 goes on
 * mapping them, and its tables are the host's. A guest's tables are not followed, so the entries that were
 * made of a descriptor which changed since stand for what is owed.
 */
export function guestFreed(state: State, { vm, gpa, bytes, seq, what }: EntryOf<'page.freed'>): void {
  const windows = state.spaces.get(vm) ?? [];
  const pa = inSpace({ spaces: { [vm]: windows } } as Parameters<typeof inSpace>[0], vm, gpa);
  if (pa === NOWHERE) return;
  state.releases.seen = true;
  const owner = `${vm} (${what})`;
  // What the guest's own SMMU may still reach is the guest's fault, whatever hardware has.
  const own = [...state.shadows.values()].filter(({ space }) => space === vm);
  if (own.filter((shadow) => releaseFrom(state, shadow, [{ pa: gpa, bytes }], seq, owner)).length > 0) return;
  for (const shadow of state.shadows.values()) {
    if (shadow.space !== undefined) continue;
    const held = leadingTo(shadow.atcs.outputs, pa, bytes).filter(({ reported }) => !reported);
    const obligations = [
      ...leadingTo(shadow.fills.guest, pa, bytes).filter(({ entry }) => entry.stage === 12),
      ...leadingTo(shadow.fills.guest, gpa, bytes).filter(({ entry }) => entry.stage === 1),
    ].flatMap((fill) =>
      culpritsOf(shadow, fill)
        .filter((culprit) => culprit.through === undefined && cleanedBy(shadow, culprit) === undefined)
        .map(({ obligation }) => obligation)
        .filter((each) => !isDeferred(each)),
    );
    if (obligations.length + held.length === 0) continue;
    for (const each of held) each.reported = true;
    const ways: Ways = { obligations, held, leaves: [], structures: [] };
    const entry = { pa, bytes, seq, owner };
    const told = explainRelease(state.teller, { shadow, entry, ways });
    const [owed] = obligations;
    const at = positions(state.teller);
    const unissued = owed && unissuedFor(shadow, owed);
    const swallowed = owed && own.map(({ name }) => swallowedBy(state, owed, { smmu: name })).find(Boolean);
    if (unissued) state.findings.push(blameAnswer(told, at, unissued));
    else state.findings.push(swallowed ? blameVmm(told, at, swallowed) : told);
    noteDirty(state.releases, entry);
  }
}

/** Somebody got pages: told with what was released dirty. */
export function pagesTaken({ releases }: State, { pa, bytes, seq, owner }: EntryOf<'pages.taken'>): void {
  releases.seen = true;
  noteTaken(releases, { pa, bytes }, seq, owner);
}

function noteTaken({ dirty }: Releases, { pa, bytes }: Piece, seq: number, owner: string): void {
  for (const each of dirty)
    if (each.taken === undefined && each.pa < pa + bytes && pa < each.pa + each.bytes)
      each.taken = { seq, owner };
}

/** What became of the memory meanwhile, if it was given back dirty. */
export function releaseOf({ dirty }: Releases, pa: number): Released | undefined {
  return dirty.findLast((each) => pa >= each.pa && pa < each.pa + each.bytes);
}

/** The invalidation came after the release: then the order is to blame, and the release the event. */
export function cameTooLate({ releases, findings }: State, discharged: readonly Obligation[]): void {
  if (releases.waiting.size === 0) return;
  for (const obligation of discharged) {
    const found = releases.waiting.get(obligation);
    const finding = found === undefined ? undefined : findings[found.at];
    if (found === undefined || finding === undefined) continue;
    releases.waiting.delete(obligation);
    const [store] = [finding.blame];
    // Behind the kind of finding the title says what was given back.
    const what = finding.title.replace(/^[a-z-]+: /, '');
    const release = { position: finding.position, actor: finding.actor, what };
    findings[found.at] = { ...finding, blame: release, after: [store] };
  }
}

function waysTo(shadow: Shadow, pa: number, bytes: number): Ways | undefined {
  const { ledger, tables, atcs, watch } = shadow;
  const owed = [...leadingTo(ledger.pages, pa, bytes), ...leadingTo(ledger.tables, pa, bytes)];
  const obligations = owed.filter((each) => !each.reported && each.kind !== 'relaxed' && !isDeferred(each));
  const held = leadingTo(atcs.outputs, pa, bytes).filter(({ reported }) => !reported);
  const leaves = leadingTo(tables.live, pa, bytes).filter(({ table }) => heldBy(table) !== undefined);
  const own = regionsIn(watch, pa, bytes).filter(
    (region) => region.smmu === shadow.name && region.held() !== undefined,
  );
  if (obligations.length + held.length + leaves.length + own.length === 0) return undefined;
  return { obligations, held, leaves, structures: own };
}

/** Each obligation whose entry may lead into memory with a new role is told once. */
export function reuses(
  state: Pick<State, 'teller'>,
  shadow: Shadow,
  pa: number,
  bytes: number,
  by: Claim,
  mapped: boolean,
): readonly Finding[] {
  if (by.change.initial === true || shadow.ledger.size === 0) return [];
  const tables = leadingTo(shadow.ledger.tables, pa, bytes);
  // A page may be mapped twice; only as a table it must not be.
  const pages = mapped ? [] : leadingTo(shadow.ledger.pages, pa, bytes);
  const findings: Finding[] = [];
  for (const obligation of [...pages, ...tables]) {
    if (obligation.reported || obligation.kind === 'relaxed' || obligation.where === by.where) continue;
    if (isDeferred(obligation)) continue;
    // A stale pointer to what stands there again.
    if (obligation.kind === 'config' && obligation.output?.pa === pa && !mapped) continue;
    obligation.reported = true;
    const at = obligation.output?.pa ?? pa;
    findings.push(explainReuse(state.teller, { shadow, obligation, pa: Math.max(pa, at), bytes, by }));
  }
  return findings;
}
