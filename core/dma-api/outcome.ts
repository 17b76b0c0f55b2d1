/** What `guest.*`, `mm.*` and `sva.*` lines answer, when their task has ended; until then `{pending: true}`. */
import type { Entry } from '../event.ts';

type Outcome = Readonly<Record<string, unknown>>;

const asked: ReadonlySet<string> = new Set([
  'guest.map',
  'guest.unmap',
  'guest.attach',
  'guest.detach',
  'guest.probe',
  'guest.shutdown',
  'guest.work',
  'mm.map',
  'mm.unmap',
  'mm.protect',
  'mm.exit',
  'sva.bind',
  'sva.unbind',
]);

/** Whether a stimulus is such a line. */
export function isGuestCall(type: string): boolean {
  return asked.has(type);
}

/** Whether an entry says how one ended. */
export function isGuestAnswer({ type }: Entry): boolean {
  return type === 'dma.mapped' || type === 'dma.unmapped' || type === 'guest.answered';
}

/** @param entries the stimulus first. */
export function guestOutcome(entries: readonly Entry[]): Outcome {
  const call = entries[0]?.seq;
  for (const entry of entries) {
    if (entry.type === 'dma.mapped' && entry.call === call) {
      const { errno, iova, pa } = entry;
      return errno === undefined ? { iova, pa } : { errno };
    }
    const ends = entry.type === 'dma.unmapped' || entry.type === 'guest.answered';
    if (!ends || entry.call !== call) continue;
    if (entry.errno !== undefined) return { errno: entry.errno };
    return entry.type === 'guest.answered' ? { ...entry.value } : {};
  }
  return { pending: true };
}
