/**
 * SMMUs that a VMM emulates (`vm0.smmu`): a guest owes its invalidations to the SMMU that it sees, and pays them with
 * commands in the queue that it sees. Each has a shadow of its own, over memory as the windows of its VM show it: what
 * it tells of addresses are those of the guest. Where the guest's commands may go past the VMM (queues of hardware or
 * of the kernel, broadcasts), its memory is not followed: what it has paid is known, what it owes is not.
 */
import type { EntryOf } from '../core/event.ts';
import { Memory } from '../core/memory/memory.ts';
import type { Window } from '../core/memory/space.ts';
import { Features } from '../core/smmu/features.ts';
import { policiesOf, type VmmPolicies } from '../core/vmm/profiles.ts';
import type { State } from './invalidation-state.ts';
import type { Change } from './obligations/obligation.ts';
import { isOn, newShadow, type Told } from './obligations/shadow.ts';
import { isWatched, loaded, newWatch, stored, type Watch } from './obligations/watch.ts';

/** The memory of a VM. */
export interface Guest {
  readonly watch: Watch;
  /** Its commands pass the VMM, each of them. */
  judged: boolean;
  /** Its VMM gives hardware the STEs of the guest. */
  readonly installs: boolean;
  /** Its VMM maps all of its memory for its devices. */
  readonly mapsAll: boolean;
  windows: readonly Window[];
  /** What it had, until the VMM is done with taking it away. */
  lost: readonly Window[];
}

type Detail = Omit<Change, 'pa' | 'before' | 'after'>;

/** Strategies that work the guest's Command queue off themselves. */
const CONSUMERS: ReadonlySet<VmmPolicies['strategy']> = new Set(['trap-emulate', 'nested', 'tlbi-on-map']);

/** A VM begins; its memory comes next. */
export function vmMade({ guests, watch }: State, { vm, config }: EntryOf<'vm.made'>): void {
  const { strategy } = policiesOf(config);
  guests.set(vm, {
    watch: newWatch([], watch.clock),
    judged: isConsumer(config),
    installs: strategy === 'nested',
    mapsAll: strategy.startsWith('nested'),
    windows: [],
    lost: [],
  });
}

/** Whether the VMM works the guest's Command queue off itself. */
export function isConsumer(config: EntryOf<'vm.made'>['config']): boolean {
  return CONSUMERS.has(policiesOf(config).strategy);
}

/** Its memory lies elsewhere, or there is more of it, or less. */
export function vmBacked({ guests, watch }: State, { vm, windows }: EntryOf<'vm.backed'>): void {
  const guest = guests.get(vm);
  if (guest === undefined) return;
  if (guest.mapsAll)
    guest.lost = guest.windows.filter(
      ({ base, pa }) => !windows.some((window) => window.base === base && window.pa === pa),
    );
  guest.windows = windows;
  if (guest.judged) guest.watch.memory = guestMemory(watch.memory, windows);
}

/** A copy of what the windows show of the machine's memory. */
export function guestMemory(of: Memory, windows: readonly Window[]): Memory {
  const memory = new Memory(windows.map(({ base, bytes }) => ({ base, size: bytes })));
  for (const { base, bytes, pa } of windows) {
    for (const [line] of of.lines.range(Math.floor(pa / LINE), Math.ceil((pa + bytes) / LINE))) {
      const from = Math.max(pa, line * LINE);
      const until = Math.min(pa + bytes, (line + 1) * LINE);
      for (let at = from; at < until; at += 8) memory.write64(base + at - pa, of.read64(at));
    }
  }
  return memory;
}

const LINE = 512;

/** A VMM makes an SMMU for its guest, or gives it other ID registers before the guest uses it. */
export function smmuMade(
  { guests, shadows, stallers }: State,
  told: Told,
  { smmu, config }: EntryOf<'smmu.made'>,
): void {
  const guest = config.space === undefined ? undefined : guests.get(config.space);
  const before = shadows.get(smmu);
  if (guest === undefined || (before !== undefined && isOn(before))) return;
  if (new Features(config.idr).btm) guest.judged = false;
  shadows.set(smmu, newShadow(config, guest.watch, told, stallers));
}

/** The VM is gone, and with it all that its guest owed. */
export function vmEnded({ guests, shadows, devices }: State, { vm }: EntryOf<'vm.ended'>): void {
  guests.delete(vm);
  for (const [name, { space }] of shadows) if (space === vm) shadows.delete(name);
  for (const [endpoint, device] of devices) if (device.vm === vm) devices.delete(endpoint);
}

/** A store to the machine's memory, as guests see it. Returns whether it may have changed a structure of theirs. */
export function storedInGuests({ guests }: State, change: Change): boolean {
  let watched = false;
  for (const { watch, windows, judged } of guests.values()) {
    if (!judged) continue;
    for (const { base, bytes, pa } of windows) {
      if (change.pa < pa || change.pa >= pa + bytes) continue;
      const at = base + change.pa - pa;
      if (isWatched(watch, at)) {
        stored(watch, at, change.after, { ...change, pa: at });
        watched = true;
      } else watch.memory.write64(at, change.after);
    }
  }
  return watched;
}

/** Many bytes were stored at once. */
export function loadedInGuests(
  { guests }: State,
  { pa: start, bytes: content }: Pick<EntryOf<'memory.loaded'>, 'pa' | 'bytes'>,
  origin: () => Detail,
): void {
  for (const { watch, windows, judged } of guests.values()) {
    if (!judged) continue;
    for (const { base, bytes, pa } of windows) {
      const from = Math.max(start, pa);
      const until = Math.min(start + content.length, pa + bytes);
      if (from < until)
        loaded(watch, base + from - pa, content.subarray(from - start, until - start), origin);
    }
  }
}
