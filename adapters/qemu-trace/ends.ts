/** How an access ended, in the trace and in the machine, in words that can be compared. */
import type { Entry } from '../../core/event.ts';
import { type AccessCase, type OurAccess, ourFault, theirFault } from './explain-access.ts';
import type { Live } from './live.ts';

const AP2 = 1 << 1;

/** What the entries of an access say of it; the first of each kind, for a span of several pages. */
export function readOurs(entries: Iterable<Entry>, live: Live): OurAccess {
  const found: { -readonly [K in keyof OurAccess]?: OurAccess[K] } = {};
  for (const entry of entries) {
    if (entry.type === 'access.completed') found.completed ??= entry;
    else if (entry.type === 'access.terminated') found.terminated ??= entry;
    else if (entry.type === 'record.raised') found.raised ??= entry;
    else if (entry.type === 'record.written') found.written ??= entry;
    else if (entry.type === 'record.dropped') found.dropped ??= entry;
    else if (entry.type === 'interrupt.raised' && entry.source === 'EVENTQ') found.interrupt = true;
  }
  const tlb = found.completed?.tlb ?? found.terminated?.tlb ?? 0;
  return {
    completed: found.completed,
    terminated: found.terminated,
    raised: found.raised,
    written: found.written,
    dropped: found.dropped,
    interrupt: found.interrupt ?? false,
    entry: tlb === 0 ? undefined : live.smmu.caches.tlb.fills.get(tlb),
  };
}

/** The end the trace tells: address and permission, bypass, or abort. */
export function theirEnd({ traced }: AccessCase): string {
  if (traced.end === 'abort') return 'abort';
  const pa = hex(traced.translated ?? traced.iova ?? 0);
  return traced.end === 'success' ? `${pa} ${showPerm(traced.perm ?? 0)}` : `${pa} bypass`;
}

/** The end the machine made, in the same words. */
export function ourEnd({ ours, traced }: AccessCase): string {
  const { completed, terminated, entry, raised } = ours;
  if (completed !== undefined) {
    if (completed.via === 'bypass') return `${hex(completed.pa)} bypass`;
    const perm = entry === undefined ? (traced.perm ?? 0) : (entry.attributes & AP2) !== 0 ? 1 : 3;
    return `${hex(completed.pa)} ${showPerm(perm)}`;
  }
  if (terminated === undefined) return 'nothing';
  return raised === undefined && terminated.reason.startsWith('STE.Config') ? 'abort' : terminated.reason;
}

/** Both refused it, for the same reason where the trace tells one. */
export function sameFault({ traced, ours }: AccessCase): boolean {
  if (ours.terminated === undefined) return false;
  const theirs = theirFault(traced);
  return theirs === '' || theirs === ourFault(ours);
}

function showPerm(perm: number): string {
  return perm === 3 ? 'RW' : perm === 2 ? 'WO' : perm === 1 ? 'RO' : 'none';
}

/** As addresses are printed. */
export function hex(value: number): string {
  return `0x${value.toString(16)}`;
}
