/**
 * Commands of guests in the hands of the host's kernel: HWPT_INVALIDATE promises that what it counts as handled was
 * issued, with the tags of the host in place of the guest's (linux: arm_vsmmu_cache_invalidate). What it counts and no
 * queue has seen is the kernel's fault, neither that of the VMM, which has asked, nor of the guest.
 */
import type { Cmd } from '../core/driver/commands.ts';
import { type GuestView, inView } from '../core/driver/guest-commands.ts';
import type { InvalidateFrame } from '../core/driver/viommu.ts';
import type { EntryOf } from '../core/event.ts';
import { wide } from '../core/layout/words.ts';

/** A call that waits for its commands. */
export interface HandedOver {
  readonly smmu: string;
  /** As the real queue should have them. */
  readonly wanted: readonly Cmd[];
  /** Those that the SMMU has read since. */
  readonly issued: Set<string>;
}

/** What a call has counted as handled, and not issued. */
export interface NotIssued {
  readonly smmu: string;
  readonly commands: readonly Cmd[];
}

const keyOf = (lo: bigint, hi: bigint): string => `${lo}:${hi}`;

/** The kernel waits with such commands in hand: it has put into the queue what it makes of them. */
export function noteHanded(calls: Map<number, HandedOver>, { frames }: EntryOf<'task.paused'>): void {
  for (const frame of frames) {
    if (frame.do !== 'viommu.invalidate') continue;
    const { driver: smmu, view, commands, about } = frame as InvalidateFrame;
    const { ioctl } = about;
    if (typeof ioctl !== 'number' || calls.has(ioctl)) continue;
    calls.set(ioctl, { smmu, wanted: forHost(commands, view), issued: new Set() });
  }
}

function forHost(commands: readonly Cmd[], view: GuestView): readonly Cmd[] {
  return commands.flatMap((command) => {
    const converted = inView(command, view);
    return converted === undefined ? [] : [converted];
  });
}

/** An SMMU has read a command. */
export function noteIssued(
  calls: ReadonlyMap<number, HandedOver>,
  { smmu, lo, hi }: EntryOf<'command.fetched'>,
): void {
  for (const call of calls.values()) if (call.smmu === smmu) call.issued.add(keyOf(lo, hi));
}

/**
 * The call has ended. Returns what it answered for and did not do; where it failed, it counts for itself
 * (`commands.unissued`).
 * @param queued commands of that SMMU that wait in its queue
 */
export function handedBack(
  calls: Map<number, HandedOver>,
  { ioctl, errno }: EntryOf<'ioctl.completed'>,
  queued: (smmu: string) => ReadonlyMap<number, { readonly words: readonly number[] }> | undefined,
): NotIssued | undefined {
  const call = calls.get(ioctl);
  if (call === undefined) return undefined;
  calls.delete(ioctl);
  if (errno !== undefined) return undefined;
  const { smmu, wanted, issued } = call;
  const left = wanted.filter(([lo, hi]) => !issued.has(keyOf(lo, hi)));
  if (left.length === 0) return undefined;
  for (const { words } of queued(smmu)?.values() ?? [])
    issued.add(keyOf(wide(words[1] ?? 0, words[0] ?? 0), wide(words[3] ?? 0, words[2] ?? 0)));
  const commands = left.filter(([lo, hi]) => !issued.has(keyOf(lo, hi)));
  return commands.length === 0 ? undefined : { smmu, commands };
}
