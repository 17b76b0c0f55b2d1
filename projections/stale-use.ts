/**
 * I1, I3 and I8: no access is served from what software has taken away. I1: a completed invalidation
 * covers the entry, and hardware kept it. I3: no invalidation covers the change of the descriptor. I8:
 * the STE or CD in force is none that stood in memory since the last completed CMD_CFGI_* (IHI 0070
 * 3.21, 4.3, 4.4).
 */
import type { EntryOf } from '../core/event.ts';
import type { Request } from '../core/smmu/translate.ts';
import { judgeContext } from './entry-of-another.ts';
import { type AccessEntry, explainUse, positions } from './explain.ts';
import type { Finding } from './finding.ts';
import type { State } from './invalidation-state.ts';
import { mapAround } from './obligations/around.ts';
import { accessEnded } from './obligations/fills.ts';
import { judgeNestedAttributes } from './obligations/nested-attributes.ts';
import { judgeNestedUse } from './obligations/nested-use.ts';
import { isDeferred } from './obligations/obligation.ts';
import { judgeSplitUse } from './obligations/split-use.ts';
import { judgeUse } from './obligations/use.ts';
import { putOff } from './put-off.ts';
import { releaseOf } from './release.ts';
import { judgeTranslated } from './stale-atc.ts';
import { blamed, blamedAtc, isQueuedByGuest } from './swallowed.ts';
import { judgeVirtual } from './virtual-use.ts';

/** Findings that carry a map; making one costs as much as a hundred entries. */
const MAPS_MAX = 64;

/** Judges one access, by what it rests on. */
export function checkAccess(
  state: State,
  entry: EntryOf<'access.completed'> | EntryOf<'access.terminated'>,
): void {
  state.watch.clock.hardwareTick = entry.tick;
  const asked = state.stimulus;
  const shadow = state.shadows.get(entry.smmu);
  if (shadow === undefined) return;
  const { retried } = state;
  if (retried?.ends === true && retried.cause === entry.cause) {
    retried.ends = false; // Software's word ends it, no table.
    return;
  }
  const request = requestOf(state, entry);
  const line = asked?.type === 'dma' && asked.seq === entry.cause ? asked.line : undefined;
  const another = judgeContext(shadow, state.teller, entry, request, line);
  if (another !== undefined) {
    accessEnded(shadow.fills);
    state.findings.push(another);
    return;
  }
  // A Translated transaction rests on an answer of before: what the ATC held is judged, or nothing.
  const translated = asked?.type === 'dma' && asked.seq === entry.cause && asked.translated === true;
  const split = translated ? judgeSplitUse(shadow, entry, request) : undefined;
  if (translated && split === undefined) {
    const found = judgeTranslated(shadow, state.teller, entry, request, asked.line);
    const owner = entry.type === 'access.completed' ? (ownersOf(state, entry.pa) ?? []) : [];
    if (found === undefined) return;
    const finding = found.kept ? found.finding : blamedAtc(state, shadow, found);
    state.findings.push({ ...finding, notes: [...finding.notes, ...owner] });
    return;
  }
  const own = split ?? judgeUse(shadow, entry, request);
  const nested =
    own ?? judgeNestedUse(shadow, entry, request) ?? judgeNestedAttributes(shadow, entry, request);
  accessEnded(shadow.fills);
  const stale = nested ?? judgeVirtual(state, shadow, entry, request);
  if (stale === undefined || stale === 'allowed' || stale.guilty.every(isDeferred)) return;
  if (isQueuedByGuest(state, shadow, stale.guilty[0], entry.streamId)) return;
  const { findings, teller } = state;
  const tags = stale.stale === 'tlb' ? stale.tlb?.entry : undefined;
  const map =
    tags === undefined || findings.length >= MAPS_MAX ? undefined : mapAround(shadow, request, tags);
  const owner = entry.type === 'access.completed' ? ownersOf(state, entry.pa) : [];
  const meanwhile = owner === undefined ? {} : { meanwhile: owner };
  const told = explainUse(teller, { shadow, ...stale, access: entry, line, map, ...meanwhile });
  const [obligation] = stale.guilty;
  const tell = (): Finding =>
    stale.survived === undefined ? blamed(state, told, shadow, obligation, entry.streamId) : told;
  // What was paid already is not put off until it is.
  if (obligation.done || !putOff(state, shadow, obligation, tell)) findings.push(tell());
}

/** Who gave the memory back and who got it; undefined where the log says nothing of owners. */
function ownersOf({ releases, teller }: State, pa: number): readonly string[] | undefined {
  if (!releases.seen) return undefined;
  const found = releaseOf(releases, pa);
  if (found === undefined) return [];
  const at = positions(teller);
  const { seq, owner, taken } = found;
  return [
    `${at(seq)} the page was returned by ${owner}: it is no longer the device's`,
    ...(taken === undefined ? [] : [`${at(taken.seq)} and given to ${taken.owner}`]),
  ];
}

/** A fault that stalls is judged as one that ends the access: a stale entry may be what refuses. */
export function checkStalled(state: State, entry: EntryOf<'access.stalled'>): void {
  const { stag, held, request, data, type, ...common } = entry;
  state.stalled.set(entry.seq, request);
  checkAccess(state, { ...common, type: 'access.terminated', result: 'stall' });
}

/** A stalled access is tried again, as it was asked, or ends. */
export function stallEnded(state: State, entry: EntryOf<'stall.ended'>): void {
  const request = state.stalled.get(entry.stalled);
  state.stalled.delete(entry.stalled);
  const ends = entry.how !== 'retry';
  state.retried = request === undefined ? undefined : { cause: entry.cause, request, ends };
}

/** The access as it was asked; privilege and kind stand with the DMA. */
function requestOf(
  { stimulus, retried }: State,
  { streamId, substreamId, iova, access, cause }: AccessEntry,
): Request {
  const dma = stimulus?.type === 'dma' && stimulus.seq === cause ? stimulus : undefined;
  const again = retried?.cause === cause ? retried.request : undefined;
  const { exec = false, privileged = false } = dma ?? again ?? {};
  return { streamId, substreamId, iova, access, exec, privileged };
}
