/**
 * What a scenario line answers, made from the entries of its step: `{value}` of a
 * register read, `{hex}` of a memory read, `{result, pa, event}` of a DMA, `{result, pa, bytes, perms}` of a
 * Translation Request.
 */
import { guestOutcome, isGuestCall } from './dma-api/outcome.ts';
import type { AtsStatus } from './endpoint/events.ts';
import type { Entry } from './event.ts';
import { ioctlOutcome, isSyscall, syscallOutcome } from './kernel/outcome.ts';
import { inSpace, NOWHERE } from './memory/space.ts';
import { hexOf } from './schema.ts';
import type { State } from './state.ts';
import type { Stimulus } from './stimulus.ts';
import { emulatedOutcome } from './virtio-iommu/emulated-dma.ts';
import { isVmStimulus, vmOutcome } from './vm/outcome.ts';

export type Outcome = Readonly<Record<string, unknown>>;

export interface Piece {
  readonly result: 'ok' | 'abort' | 'stall' | 'bus-error' | 'raz-wi';
  readonly iova: bigint;
  readonly size: number;
  readonly pa?: number;
  /** The event record of 7.3 that the access raised. */
  readonly event?: string;
}

/** Whether the answer may come in a later step: under the `eager` schedule when its turns are done. */
export function answersLate({ type }: Stimulus): boolean {
  return type === 'ioctl' || isSyscall(type) || isGuestCall(type) || isVmStimulus(type);
}

/** @param entries of the stimulus' step, the stimulus first; those of its turns too, where it answers late. */
export function outcomeOf(state: State, stimulus: Stimulus, entries: readonly Entry[]): Outcome {
  if (stimulus.type === 'ioctl') return ioctlOutcome(state, entries);
  if (isVmStimulus(stimulus.type)) return vmOutcome(entries);
  if (isGuestCall(stimulus.type)) return guestOutcome(entries);
  if (isSyscall(stimulus.type)) return syscallOutcome(stimulus.type, entries);
  if (stimulus.type === 'mmio.read') {
    const read = entries.find((entry) => entry.type === 'register.read');
    return { value: read?.type === 'register.read' ? read.value : 0n };
  }
  if (stimulus.type === 'mem.read') {
    if (entries.some((entry) => entry.type === 'memory.aborted')) return { result: 'bus-error' };
    return { hex: hexOf(state.memory.readBytes(stimulus.pa, stimulus.size)) };
  }
  if (stimulus.type === 'mem.write' && entries.some((entry) => entry.type === 'memory.aborted'))
    return { result: 'bus-error' };
  if (stimulus.type === 'msi.send') return dmaOutcome(state, 'write', entries);
  if (stimulus.type === 'dma')
    return emulatedOutcome(state, entries) ?? dmaOutcome(state, stimulus.access, entries);
  if (stimulus.type === 'ats.translate') return completionOutcome(stimulus.iova, entries);
  if (stimulus.type === 'pri.request') return isWithheld(entries) ? { result: 'off' } : {};
  if (stimulus.type === 'turn') return { moved: !entries.some((entry) => entry.type === 'turn.passed') };
  return {};
}

/** The pieces of a DMA, in address order. */
export function piecesOf(entries: readonly Entry[]): readonly Piece[] {
  const pieces: Piece[] = [];
  let event: string | undefined;
  for (const entry of entries) {
    if (entry.type === 'record.raised') event = entry.record;
    else if (entry.type === 'access.completed') {
      pieces.push({ result: 'ok', iova: entry.iova, size: entry.size, pa: entry.pa });
    } else if (entry.type === 'access.terminated') {
      const result = entry.result as Piece['result'];
      pieces.push({ result, iova: entry.iova, size: entry.size, ...(event === undefined ? {} : { event }) });
      event = undefined;
    } else if (entry.type === 'access.stalled') {
      const result = 'stall';
      pieces.push({ result, iova: entry.iova, size: entry.size, ...(event === undefined ? {} : { event }) });
      event = undefined;
    }
  }
  return pieces;
}

function dmaOutcome(state: State, access: string, entries: readonly Entry[]): Outcome {
  if (isWithheld(entries)) return { result: 'off' };
  const pieces = piecesOf(entries);
  const worst = pieces.find((piece) => piece.result !== 'ok') ?? pieces[0];
  if (worst === undefined) return { result: 'bus-error' };
  const done = entries.find((entry) => entry.type === 'access.completed');
  const space = done?.type === 'access.completed' ? state.smmus[done.smmu]?.config.space : undefined;
  const hex = (piece: Piece): string => {
    const pa = inSpace(state, space, piece.pa ?? NOWHERE);
    return piece.result === 'ok' && state.memory.isRam(pa, piece.size)
      ? hexOf(state.memory.readBytes(pa, piece.size))
      : '00'.repeat(piece.size);
  };
  const first = pieces[0];
  return {
    result: worst.result === 'raz-wi' ? 'ok' : worst.result,
    ...(first?.pa === undefined ? {} : { pa: first.pa }),
    ...(access === 'read' && worst.result === 'ok' ? { hex: pieces.map(hex).join('') } : {}),
    ...(worst.event === undefined ? {} : { event: worst.event }),
    ...(pieces.length > 1 ? { pieces } : {}),
  };
}

/** The endpoint cannot ask: ATS or PRI is off. */
function isWithheld(entries: readonly Entry[]): boolean {
  return entries.some((entry) => entry.type === 'request.withheld');
}

const results: Readonly<Record<AtsStatus, string>> = { success: 'ok', ur: 'ur', ca: 'ca' };

/** `pa` is the translation of the address asked, `bytes` the span the answer holds for. */
function completionOutcome(asked: bigint, all: readonly Entry[]): Outcome {
  if (isWithheld(all)) return { result: 'off' };
  const answers = all.filter((entry) => entry.type === 'ats.answered');
  const first = answers[0];
  if (first === undefined) return { result: 'off' };
  const raised = all.find((entry) => entry.type === 'record.raised');
  const event = raised?.type === 'record.raised' ? { event: raised.record } : {};
  if (first.answer !== 'success') return { result: results[first.answer], ...event };
  const entries = answers.map(({ iova, pa, sizeLog2, permissions }) => {
    const perms = permissions.replace('p', '');
    return { iova, ...(perms === '' ? {} : { pa }), bytes: 2 ** sizeLog2, perms };
  });
  const [given] = entries;
  return {
    result: results.success,
    ...(given?.pa === undefined ? {} : { pa: given.pa + Number(asked - first.iova) }),
    bytes: given?.bytes,
    perms: given?.perms,
    ...(entries.length > 1 ? { entries } : {}),
  };
}
