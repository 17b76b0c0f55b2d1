/**
 * Accesses that wait for software: stalls, their records, and how they end. IHI 0070 3.12.2, 4.7.1,
 * 4.7.2, 6.3.9. What is decided on an access takes effect in a turn of its own.
 */
import type { Context } from '../machine.ts';
import { aboutPiece, type Dma, type Piece } from './dma.ts';
import type { StallFate } from './events.ts';
import type { Fault } from './fault.ts';
import { raise } from './raise.ts';
import { limits, type SmmuState, type Stall } from './state.ts';
import { STE, steConfig } from './ste.ts';
import type { Refused, Request } from './translate.ts';

/** Lets an access wait. Returns false: the rest of the DMA waits with it. */
export function stall(
  context: Context,
  smmu: SmmuState,
  dma: Dma,
  piece: Piece,
  seen: Request,
  { fault, why: reason, basis }: Refused & { readonly fault: Fault },
): false {
  const about = { ...aboutPiece(smmu, dma, piece), reason, ...basis };
  const name = smmu.config.name;
  if (smmu.stalls.length >= limits.stalls) {
    context.emit(name, { type: 'misuse.noted', smmu: name, rule: 'stall-lost', detail: fault.record });
    context.emit(dma.endpoint, { type: 'access.terminated', ...about, result: 'abort' });
    return false;
  }
  const { size: total, exec, privileged, data } = dma;
  const held = !hasRoom(smmu);
  const stag = held ? 0 : freeStag(smmu);
  if (!held) raise(context, smmu, seen, fault, { stag });
  context.emit(dma.endpoint, {
    type: 'access.stalled',
    ...about,
    stag,
    ...(held ? { held } : {}),
    request: { total, done: piece.done, exec, privileged },
    ...(data === undefined ? {} : { data }),
  });
  return false;
}

/** STALL_MAX bounds the stalls software has to deal with; more wait without a record (6.3.6). */
function hasRoom(smmu: SmmuState): boolean {
  let told = 0;
  for (const each of smmu.stalls) if (!each.held) told += 1;
  return told < Math.max(1, smmu.features.stallMax);
}

/** The lowest STAG that no stalled access has. */
function freeStag({ stalls }: SmmuState): number {
  const taken = new Set(stalls.filter((each) => !each.held).map((each) => each.stag));
  let stag = 0;
  while (taken.has(stag)) stag += 1;
  return stag;
}

/** CMD_RESUME: the access with that STAG and StreamID goes on, or ends; no match is no effect (4.7.1). */
export function resume(
  context: Context,
  smmu: SmmuState,
  { StreamID, STAG, Ac, Ab }: { StreamID: number; STAG: number; Ac: boolean; Ab: boolean },
): void {
  const name = smmu.config.name;
  const found = smmu.stalls.find((each) => isWaiting(each, StreamID) && !each.held && each.stag === STAG);
  if (found === undefined || isUntold(smmu, found)) {
    const detail = `no stalled access of StreamID 0x${StreamID.toString(16)} has STAG ${STAG}`;
    context.emit(name, { type: 'misuse.noted', smmu: name, rule: 'resume-no-match', detail });
    return;
  }
  decide(context, smmu, Ac ? 'retry' : Ab || smmu.features.termModel ? 'abort' : 'raz-wi', [found]);
}

/**
 * CMD_STALL_TERM: all accesses of the stream that are stalled now end with an abort. On a stream that still
 * lets accesses stall it is UNPREDICTABLE which: these, as always (4.7.2).
 */
export function terminateStalls(context: Context, smmu: SmmuState, streamId: number): void {
  const found = smmu.stalls.filter((each) => isWaiting(each, streamId));
  if (found.length > 0 && isLive(smmu, streamId)) {
    const name = smmu.config.name;
    const detail = `StreamID 0x${streamId.toString(16)} may stall anew: its STE does not abort`;
    context.emit(name, { type: 'misuse.noted', smmu: name, rule: 'stall-term-live', detail });
  }
  decide(context, smmu, 'abort', found);
}

/** The STE that hardware has of the stream lets accesses through. One that is not cached says nothing. */
function isLive(smmu: SmmuState, streamId: number): boolean {
  const held = smmu.caches.ste.find(streamId, 0);
  if (held === undefined) return false;
  // Both lie in the first byte.
  const { V, Config } = STE.fields;
  return V.read(held.words) && steConfig({ Config: Config.read(held.words) }) !== 'ABORT';
}

/** SMMUEN went to 0: every stalled access is to be aborted, also one that was to be tried again (6.3.9.6). */
export function abandonStalls(context: Context, smmu: SmmuState): void {
  decide(
    context,
    smmu,
    'abort',
    smmu.stalls.filter((each) => each.fate === undefined || each.fate === 'retry'),
  );
}

/**
 * A CMD_SYNC: stalls whose record is not visible yet are tried again, so that no record of what was
 * invalidated appears later (4.7.3).
 */
export function retryUntold(context: Context, smmu: SmmuState): void {
  const untold = smmu.records.filter((each) => each.stag !== undefined);
  if (untold.length === 0) return;
  const again = smmu.stalls.filter((each) => each.fate === undefined && isUntold(smmu, each));
  const name = smmu.config.name;
  for (const { record, raised } of untold)
    context.emit(name, { type: 'record.withdrawn', smmu: name, record, raised });
  decide(context, smmu, 'retry', again);
}

function isWaiting(each: Stall, streamId: number): boolean {
  return each.fate === undefined && each.streamId === streamId;
}

function isUntold(smmu: SmmuState, { streamId, stag, held }: Stall): boolean {
  return !held && smmu.records.some((each) => each.stag === stag && each.streamId === streamId);
}

function decide({ emit }: Context, smmu: SmmuState, how: StallFate, chosen: readonly Stall[]): void {
  if (chosen.length === 0) return;
  const name = smmu.config.name;
  emit(name, { type: 'stall.decided', smmu: name, how, stalled: chosen.map((each) => each.id) });
}

/** The access whose turn it is: one that software decided on, or one that waited for room. */
export function nextStall(smmu: SmmuState): Stall | undefined {
  if (smmu.stalls.length === 0) return undefined;
  const decided = smmu.stalls.find((each) => each.fate !== undefined);
  return decided ?? (hasRoom(smmu) ? smmu.stalls.find((each) => each.held) : undefined);
}

/** Whether a stalled access has a turn to take. */
export function stallReady(smmu: SmmuState): boolean {
  return nextStall(smmu) !== undefined;
}
