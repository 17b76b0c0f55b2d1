/** What the rules of invalidation know together, folded once: memory, SMMUs, and what was found. */
import { changed } from '../core/changed.ts';
import type { Entry, EntryOf } from '../core/event.ts';
import { wide, wordAt } from '../core/layout/words.ts';
import type { Window as MemoryWindow } from '../core/memory/space.ts';
import type { StalledRequest } from '../core/smmu/events.ts';
import type { Teller } from './explain.ts';
import type { Finding } from './finding.ts';
import type { Images } from './first-of-streams.ts';
import type { Guest } from './guests.ts';
import type { HandedOver } from './handed-over.ts';
import type { Change, Task } from './obligations/obligation.ts';
import { noteStore, type Shadow, type Told } from './obligations/shadow.ts';
import type { Watch } from './obligations/watch.ts';
import { type Windows, windowOf } from './obligations/windows.ts';
import type { PutOff } from './put-off.ts';
import type { Releases } from './release.ts';

/** A device of a guest: under its SMMU and StreamID there. */
export interface Assigned {
  readonly vm: string;
  readonly smmu: string;
  readonly streamId: number;
  /** seq of its being plugged. */
  readonly plugged: number;
  /** When its VMM last had its stream abort, where it is so still. */
  readonly aborts?: number | undefined;
}

export interface State {
  /** Endpoints by SMMU and StreamID. */
  readonly endpoints: Map<string, string>;
  readonly watch: Watch;
  readonly shadows: Map<string, Shadow>;
  /** Memory of VMs, and the devices that they have, by endpoint. */
  readonly guests: Map<string, Guest>;
  readonly devices: Map<string, Assigned>;
  /** Devices with several StreamIDs, and the virtual ones that stand for them. */
  readonly images: Images;
  /** Endpoints whose accesses can wait. */
  readonly stallers: Set<string>;
  /** What is told when a task ends with an invalidation still owed. */
  readonly putOff: PutOff[];
  /** Tasks that have not ended, by the unit that works on them, the oldest first. */
  readonly tasks: Map<string, Task[]>;
  readonly told: Told;
  readonly teller: Teller;
  readonly findings: Finding[];
  readonly releases: Releases;
  /** Calls that hand commands of guests to the kernel, by the seq of their begin. */
  readonly handedOver: Map<number, HandedOver>;
  /** What lazy domains have unmapped and not flushed. */
  readonly windows: Windows;
  /** Where the memory of VMs lies in the machine's. */
  readonly spaces: Map<string, readonly MemoryWindow[]>;
  /** ASIDs and VMIDs of domains that drivers hold, by the seq of their making. */
  readonly tagOf: Map<number, { readonly driver: string; readonly stage: 1 | 2; readonly tag: number }>;
  /** Accesses that wait, by the seq of their stall; and the one that is tried again. */
  readonly stalled: Map<number, StalledRequest>;
  retried: { readonly cause: number; readonly request: StalledRequest; ends: boolean } | undefined;
  /** The stimulus that the present entries follow from. */
  stimulus: Entry | undefined;
}

/** Does the work for the SMMU of that name, if it is one of the machine's. */
export function withShadow({ shadows }: State, name: string, work: (shadow: Shadow) => void): void {
  const shadow = shadows.get(name);
  if (shadow !== undefined) work(shadow);
}

/** Who made the change: the entry, and what its stimulus tells of the place. */
export function originOf(
  { stimulus, windows, tasks }: Pick<State, 'stimulus' | 'windows' | 'tasks'>,
  entry: Entry,
): Pick<Change, 'seq' | 'actor' | 'line' | 'cpu' | 'pc' | 'window' | 'task'> {
  const window = windowOf(windows, entry.cause);
  const { seq, actor } = entry;
  if (stimulus?.type === 'turn' && stimulus.seq === entry.cause) {
    const task = tasks.get(stimulus.unit)?.[0];
    return {
      seq,
      actor,
      ...(window === undefined ? {} : { window }),
      ...(task === undefined ? {} : { task }),
    };
  }
  if (stimulus === undefined || stimulus.seq !== entry.cause || !('pc' in stimulus || 'line' in stimulus))
    return window === undefined ? { seq, actor } : { seq, actor, window };
  const { line, cpu, pc } = stimulus;
  return {
    seq,
    actor,
    ...(window === undefined ? {} : { window }),
    ...(line === undefined ? {} : { line }),
    ...(cpu === undefined ? {} : { cpu }),
    ...(pc === undefined ? {} : { pc }),
  };
}

/** Doublewords of a load that something cached may rest on. */
export function noteLoad(state: State, entry: EntryOf<'memory.loaded'>): void {
  const { pa, bytes } = entry;
  const watching = [...state.shadows.values()].filter(
    ({ space, walkedPages }) => space === undefined && walkedPages.size > 0,
  );
  if (watching.length === 0) return;
  const { memory } = state.watch;
  for (let at = (8 - (pa % 8)) % 8; at + 8 <= bytes.length; at += 8) {
    const low = wordAt(bytes, at);
    const high = wordAt(bytes, at + 4);
    if (memory.read32(pa + at) === low && memory.read32(pa + at + 4) === high) continue;
    const before = memory.read64(pa + at);
    const value = wide(high, low);
    for (const shadow of watching)
      noteStore(shadow, pa + at, () =>
        changed(originOf(state, entry), { pa: pa + at, before, after: value }),
      );
  }
}
