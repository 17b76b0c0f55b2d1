/**
 * Whose fault it is that hardware keeps what a guest has taken away: a guest that told its own SMMU has done its
 * duty (IHI 0070 3.21 holds between it and the SMMU that it sees). From there on it is the VMM that has to see to
 * hardware, and the command that it consumed is where it did not.
 */

import type { Scope } from '../core/smmu/invalidate.ts';
import { type Positions, positions } from './explain.ts';
import type { Blame, Finding } from './finding.ts';
import { blameImage } from './first-of-streams.ts';
import type { State } from './invalidation-state.ts';
import { type AtcTags, atcMismatch } from './obligations/atc-scope.ts';
import { completedAfter } from './obligations/commands.ts';
import { showCommand } from './obligations/nearest.ts';
import {
  covers,
  discharges,
  type Invalidation,
  isTlb,
  lastChange,
  type Obligation,
} from './obligations/obligation.ts';
import type { Shadow } from './obligations/shadow.ts';
import type { StaleAtc } from './stale-atc.ts';

/** A command of a guest that its SMMU has completed, and hardware has not. */
export interface Swallowed {
  readonly vm: string;
  readonly smmu: string;
  readonly command: Invalidation;
}

/** The device of a guest, by the StreamID that hardware knows. */
export function deviceAt({ endpoints, devices, images }: State, { name }: Shadow, streamId: number) {
  const endpoint = endpoints.get(`${name}:${streamId}`);
  return endpoint === undefined ? undefined : devices.get(images.deviceOf.get(endpoint) ?? endpoint);
}

/**
 * The command with which the guest paid what hardware is still owed; undefined: the guest owes it, or nobody knows.
 * @param where the guest's SMMU, and the StreamID that the guest has for the device; of a translation, none.
 */
export function swallowedBy(
  { shadows }: State,
  obligation: Obligation,
  where: { readonly smmu: string; readonly streamId?: number },
): Swallowed | undefined {
  const guest = shadows.get(where.smmu);
  if (guest?.space === undefined) return undefined;
  const command = completedAfter(guest.commands, lastChange(obligation).seq, paying(obligation, where));
  return command === undefined ? undefined : { vm: guest.space, smmu: guest.name, command };
}

/** Whether commands of a guest, by their scopes, do for its SMMU what hardware is owed. */
function paying(
  { targets }: Obligation,
  { streamId }: { readonly streamId?: number },
): (scopes: readonly Scope[]) => boolean {
  const seen = targets.map((target) =>
    isTlb(target) || streamId === undefined ? target : { ...target, streamId },
  );
  return (scopes) => {
    // The VMID is the host's to say.
    const own = scopes.map((scope) => {
      if (scope.kind !== 'tlb') return scope;
      const { vmid, wildcard, ...rest } = scope;
      return rest;
    });
    return seen.every((target) => covers(own, target));
  };
}

/** N1 for a guest: its SMMU has been asked, and has not answered yet. */
export function isQueuedByGuest(
  state: State,
  shadow: Shadow,
  obligation: Obligation,
  streamId: number,
): boolean {
  const device = deviceAt(state, shadow, streamId);
  const guest = device === undefined ? undefined : state.shadows.get(device.smmu);
  if (device === undefined || guest === undefined) return false;
  const pays = paying(obligation, device);
  for (const list of [guest.commands.pending, guest.commands.inFlight])
    for (const { scopes } of list.values()) if (scopes.length > 0 && pays(scopes)) return true;
  return false;
}

/** The finding with the blame where it belongs; what the guest stored comes after it in the story. */
export function blameVmm(finding: Finding, at: Positions, { vm, smmu, command }: Swallowed): Finding {
  const what = `${showCommand(command)} of ${smmu} consumed, and nothing that does it reached hardware`;
  const blame: Blame = { position: at(command.consumed || command.performed), actor: `${vm}.vmm`, what };
  const nearest = { position: blame.position, why: `done for ${smmu} alone`, command: showCommand(command) };
  return {
    ...finding,
    blame,
    after: [finding.blame, ...finding.after],
    missing: { ...finding.missing, nearest },
    notes: [
      ...finding.notes,
      `the guest has done its duty: ${smmu} completed a CMD_SYNC behind that command`,
    ],
  };
}

/** An ioctl counted what would have done it as handled, and it never reached a queue: its answer is to blame (B30). */
export function unissuedFor({ commands }: Shadow, obligation: Obligation): Invalidation | undefined {
  const { seq } = lastChange(obligation);
  return commands.recent.find(
    ({ unissued, produced, scopes }) =>
      unissued !== undefined && produced > seq && discharges(scopes, obligation),
  );
}

/** The finding with the blame on the call that answered for the command. */
export function blameAnswer(finding: Finding, at: Positions, command: Invalidation): Finding {
  const what = `${showCommand(command)} counted as handled by ${command.unissued}, never issued`;
  const blame: Blame = { position: at(command.produced), actor: command.actor, what };
  return { ...finding, blame, after: [finding.blame, ...finding.after] };
}

/** The same of a CMD_ATC_INV. */
function unissuedAtc({ commands }: Shadow, seq: number, entry: AtcTags): Invalidation | undefined {
  return commands.recent.find(
    ({ atc, unissued, produced }) =>
      unissued !== undefined && atc !== undefined && produced > seq && atcMismatch(atc, entry) === undefined,
  );
}

/** The finding of a device's access, with the blame where it belongs. */
export function blamed(
  state: State,
  finding: Finding,
  shadow: Shadow,
  obligation: Obligation,
  streamId: number,
): Finding {
  const at = positions(state.teller);
  const unissued = unissuedFor(shadow, obligation);
  if (unissued !== undefined) return blameAnswer(finding, at, unissued);
  const image = blameImage(state, finding, endpointAt(state, shadow, streamId), streamId, (other) =>
    obligation.stage2 === undefined && !obligation.targets.every(isTlb)
      ? completedAfter(shadow.commands, lastChange(obligation).seq, forStream(obligation, other))
      : undefined,
  );
  if (image !== undefined) return image;
  const device = deviceAt(state, shadow, streamId);
  // What the host's kernel has stored itself, neither guest nor VMM can pay for.
  if (device === undefined || lastChange(obligation).actor === 'kernel') return finding;
  const swallowed = swallowedBy(state, obligation, device);
  return swallowed === undefined ? finding : blameVmm(finding, at, swallowed);
}

/** The same of an ATC: what is below it comes first, then the CMD_ATC_INV of the guest (4.5.1). */
export function blamedAtc(state: State, shadow: Shadow, { finding, held, cause }: StaleAtc): Finding {
  const { entry } = held;
  const { change, obligation, cleaned } = cause;
  const image = blameImage(state, finding, entry.endpoint, entry.streamId, (other) =>
    obligation?.stage2 === undefined
      ? atcInvalidatedAfter(shadow, change.seq, { ...entry, streamId: other })
      : undefined,
  );
  if (image !== undefined) return image;
  const at = positions(state.teller);
  const owed = cleaned === undefined ? obligation : undefined;
  const unissued =
    (owed && unissuedFor(shadow, owed)) ?? (owed ? undefined : unissuedAtc(shadow, change.seq, entry));
  if (unissued !== undefined) return blameAnswer(finding, at, unissued);
  const device = deviceAt(state, shadow, entry.streamId);
  if (device === undefined || change.actor === 'kernel') return finding;
  const below = owed === undefined ? undefined : swallowedBy(state, owed, device);
  if (below !== undefined) return blameVmm(finding, at, below);
  const guest = state.shadows.get(device.smmu);
  const command =
    guest === undefined
      ? undefined
      : atcInvalidatedAfter(guest, change.seq, { ...entry, streamId: device.streamId });
  if (command === undefined) return finding;
  return blameVmm(finding, at, { vm: device.vm, smmu: device.smmu, command });
}

/** The CMD_ATC_INV for such an entry that was complete after the change. */
function atcInvalidatedAfter({ commands }: Shadow, seq: number, entry: AtcTags): Invalidation | undefined {
  return commands.recent.find(
    ({ atc, performed, synced }) =>
      atc !== undefined && synced !== 0 && performed > seq && atcMismatch(atc, entry) === undefined,
  );
}

function endpointAt({ endpoints }: State, { name }: Shadow, streamId: number): string {
  return endpoints.get(`${name}:${streamId}`) ?? '';
}

/** Whether scopes would pay what is owed if it were of another stream. */
function forStream({ targets }: Obligation, streamId: number): (scopes: readonly Scope[]) => boolean {
  const moved = targets.map((target) => (isTlb(target) ? target : { ...target, streamId }));
  return (scopes) => moved.every((target) => covers(scopes, target));
}
