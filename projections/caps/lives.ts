/**
 * What happens to a guest's SMMU after it was first made: devices that come and go while the guest runs, a VM that is
 * made anew on the same host (a reset) or before another SMMU (a migration). Later columns of the same history.
 */
import type { EntryOf } from '../../core/event.ts';
import { type Chains, type GuestSmmu, hostOf } from './chain.ts';

export type LaterKind = 'hot-plug' | 'unplug' | 'reset' | 'migration';

/** One such time. */
export interface Later {
  readonly what: LaterKind;
  /** The device, or the SMMUs of the host. */
  readonly about: string;
  readonly seq: number;
  /** How often the VM had been made anew; its ID registers then. */
  readonly life: number;
  idr: Readonly<Record<string, number>>;
}

/** Times that are remembered, the latest. */
const LATER_MAX = 32;

function push(guest: GuestSmmu, what: LaterKind, about: string, seq: number): void {
  guest.later.push({ what, about, seq, life: guest.life, idr: guest.idr });
  if (guest.later.length > LATER_MAX) guest.later.shift();
}

/** A VM of a name that there was before: its software starts again, and nothing stands behind it yet. */
export function madeAnew(state: Chains, { vm, seq }: EntryOf<'vm.made'>): void {
  for (const guest of state.guests.values()) {
    if (guest.vm !== vm) continue;
    guest.life += 1;
    guest.reads.clear();
    guest.features = undefined;
    guest.platform = undefined;
    guest.refused = undefined;
    push(guest, 'reset', guest.host, seq);
  }
  for (const [endpoint, way] of state.ways) if (way.vm === vm) state.ways.delete(endpoint);
}

/** The registers of this life are these: of what happened in it, too. */
export function idrChanged(guest: GuestSmmu): void {
  for (const each of guest.later) if (each.life === guest.life) each.idr = guest.idr;
}

/** A device comes: while the guest runs, or to a VM that stood before another SMMU. */
export function plugged(state: Chains, { vm, endpoint, device, seq }: EntryOf<'device.plugged'>): void {
  const guest = state.guests.get(device.smmu);
  if (guest === undefined) return;
  const host = hostOf(state, endpoint);
  const booted = (state.vms.get(vm)?.booted ?? 0) > 0;
  if (booted) push(guest, 'hot-plug', endpoint, seq);
  const at = guest.later.findIndex(({ what, life }) => what === 'reset' && life === guest.life);
  const reset = guest.later[at];
  if (reset !== undefined && guest.host !== '' && guest.host !== host)
    guest.later[at] = { ...reset, what: 'migration', about: `${guest.host} to ${host}` };
  guest.host = host;
}

/** A device goes while the guest runs. */
export function unplugged(state: Chains, { vm, endpoint, seq }: EntryOf<'device.unplugged'>): void {
  const guest = state.guests.get(state.ways.get(endpoint)?.smmu ?? '');
  if (guest !== undefined && (state.vms.get(vm)?.booted ?? 0) > 0) push(guest, 'unplug', endpoint, seq);
}
