/**
 * I1, I3 and I8: no access is served from what software has taken away. I1: a completed invalidation
 * covers the entry, and hardware kept it. I3: no invalidation covers the change of the descriptor. I8:
 * the STE or CD in force is none that stood in memory since the last completed CMD_CFGI_* (IHI 0070
 * 3.21, 4.3, 4.4).
 */
import type { EntryOf } from '../core/event.ts';
import type { Request } from '../core/smmu/translate.ts';
import { type AccessEntry, explainUse } from './explain.ts';
import type { State } from './invalidation-state.ts';
import { mapAround } from './obligations/around.ts';
import { accessEnded } from './obligations/fills.ts';
import { judgeNestedUse } from './obligations/nested-use.ts';
import { judgeUse } from './obligations/use.ts';
import { judgeTranslated } from './stale-atc.ts';

/** Findings that carry a map; making one costs as much as a hundred entries. */
const MAPS_MAX = 64;

/** Judges one access, by what it rests on. */
export function checkAccess(
  state: State,
  entry: EntryOf<'access.completed'> | EntryOf<'access.terminated'>,
): void {
  state.watch.hardwareTick = entry.tick;
  const asked = state.stimulus;
  const shadow = state.shadows.get(entry.smmu);
  if (shadow === undefined) return;
  const request = requestOf(state, entry);
  // A Translated transaction rests on an answer of before: what the ATC held is judged, or nothing.
  if (asked?.type === 'dma' && asked.seq === entry.cause && asked.translated === true) {
    const found = judgeTranslated(shadow, state.teller, entry, request, asked.line);
    if (found !== undefined) state.findings.push(found);
    return;
  }
  const stale = judgeUse(shadow, entry, request) ?? judgeNestedUse(shadow, entry, request);
  accessEnded(shadow.fills);
  if (stale === undefined) return;
  const { stimulus, findings, teller } = state;
  const tags = stale.stale === 'tlb' ? stale.tlb?.entry : undefined;
  const map =
    tags === undefined || findings.length >= MAPS_MAX ? undefined : mapAround(shadow, request, tags);
  const line = stimulus?.type === 'dma' && stimulus.seq === entry.cause ? stimulus.line : undefined;
  findings.push(explainUse(teller, { ...stale, shadow, access: entry, line, map }));
}

/** The access as it was asked; privilege and kind stand with the DMA. */
function requestOf(
  { stimulus }: State,
  { streamId, substreamId, iova, access, cause }: AccessEntry,
): Request {
  const dma = stimulus?.type === 'dma' && stimulus.seq === cause ? stimulus : undefined;
  const { exec = false, privileged = false } = dma ?? {};
  return { streamId, substreamId, iova, access, exec, privileged };
}
