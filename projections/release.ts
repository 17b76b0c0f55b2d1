/**
 * I2: memory is released, or takes a new role, only when nothing can reach it any more: no descriptor
 * or structure that a walk may read, no cache entry without a completed covering invalidation, no ATC
 * (IHI 0070 3.21). It is asked at the release, not at the access that comes of it. Only what is dirty
 * or linked is looked at, by the page.
 */
import type { EntryOf } from '../core/event.ts';
import { explainRelease, explainReuse } from './explain-release.ts';
import type { Finding } from './finding.ts';
import type { State } from './invalidation-state.ts';
import type { AtcHeld } from './obligations/atcs.ts';
import { type Change, isDeferred, type Obligation } from './obligations/obligation.ts';
import { leadingTo } from './obligations/outputs.ts';
import type { Shadow } from './obligations/shadow.ts';
import { type Claim, heldBy, type LiveLeaf, toldOf } from './obligations/tables.ts';
import { type Region, regionsIn } from './obligations/watch.ts';

/** Memory that was given back dirty, and to whom it went then. */
export interface Released {
  readonly seq: number;
  readonly pa: number;
  readonly bytes: number;
  readonly owner: string;
  taken?: { readonly seq: number; readonly owner: string };
}

export interface Releases {
  /** The log tells who owns memory. */
  seen: boolean;
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
  return { seen: false, dirty: [], waiting: new Map() };
}

/** The kernel, a driver or a process gave pages back. */
export function pagesReturned(state: State, entry: EntryOf<'pages.returned'>): void {
  const { releases, findings, shadows, teller } = state;
  releases.seen = true;
  const { pa, bytes, seq, owner } = entry;
  const structures = structuresIn(state, pa, bytes);
  for (const shadow of shadows.values()) {
    const ways = waysTo(shadow, pa, bytes, structures);
    if (ways === undefined) continue;
    for (const obligation of ways.obligations) obligation.reported = true;
    for (const held of ways.held) held.reported = true;
    const [first] = ways.obligations;
    if (first !== undefined && ways.leaves.length + ways.structures.length === 0)
      releases.waiting.set(first, { at: findings.length, change: first.changes[0] });
    findings.push(explainRelease(teller, { shadow, entry, ways }));
    for (const { table } of ways.leaves) toldOf(table);
    for (const structure of ways.structures) structure.told?.();
    releases.dirty.push({ seq, pa, bytes, owner });
    if (releases.dirty.length > DIRTY_MAX) releases.dirty.shift();
  }
}

/** Somebody got pages: told with what was released dirty. */
export function pagesTaken({ releases }: State, { pa, bytes, seq, owner }: EntryOf<'pages.taken'>): void {
  releases.seen = true;
  for (const each of releases.dirty)
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
    const release = { position: finding.position, actor: finding.actor, what: finding.title };
    findings[found.at] = { ...finding, blame: release, after: [store] };
  }
}

function structuresIn({ watch }: State, pa: number, bytes: number): readonly Region[] {
  return regionsIn(watch, pa, bytes).filter((region) => region.held() !== undefined);
}

function waysTo(shadow: Shadow, pa: number, bytes: number, structures: readonly Region[]): Ways | undefined {
  const { ledger, tables, atcs } = shadow;
  const owed = [...leadingTo(ledger.pages, pa, bytes), ...leadingTo(ledger.tables, pa, bytes)];
  const obligations = owed.filter((each) => !each.reported && each.kind !== 'relaxed' && !isDeferred(each));
  const held = leadingTo(atcs.outputs, pa, bytes).filter(({ reported }) => !reported);
  const leaves = leadingTo(tables.live, pa, bytes).filter(({ table }) => heldBy(table) !== undefined);
  const own = structures.filter(({ smmu }) => smmu === shadow.name);
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
