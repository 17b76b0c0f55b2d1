/**
 * The rules of protocol for the drivers of guests: each VM is a world of its own, with the SMMUs that its VMM emulates
 * and memory as its windows show it, and what follows from the architecture holds there too (IHI 0070 3.5, 3.21.3, 4,
 * 6.3). A VM is judged where its commands pass the VMM; what hardware makes of them is judged in the machine's world.
 */
import type { Entry, EntryOf, EntryType } from '../../core/event.ts';
import type { Window } from '../../core/memory/space.ts';
import type { Finding } from '../finding.ts';
import { guestMemory, isConsumer } from '../guests.ts';
import { newWatch } from '../obligations/watch.ts';
import { type LogRule, newWorld, type RuleRun, type World, worldHandlers } from './world.ts';

type Take = (entry: Entry) => void;

/** A guest whose SMMUs are in use. */
interface Opened {
  readonly world: World;
  readonly runs: readonly RuleRun[];
  readonly takes: ReadonlyMap<EntryType, Take>;
}

interface Guest {
  readonly vm: string;
  readonly smmus: Map<string, EntryOf<'smmu.made'>['config']>;
  readonly endpoints: Map<string, string>;
  windows: readonly Window[];
  opened: Opened | undefined;
}

/** What an SMMU of a guest states. */
const OF_SMMU = [
  'register.written',
  'register.updated',
  'register.read',
  'write.ignored',
  'misuse.noted',
  'command.fetched',
  'command.performed',
  'command.consumed',
  'command.rejected',
  'sync.completed',
  'record.written',
  'record.dropped',
  'page.queued',
  'interrupt.raised',
  'config.filled',
  'structure.fetched',
  'access.terminated',
  'access.completed',
  'atc.invalidated',
  'atc.timedout',
] as const satisfies readonly EntryType[];

/** Takes of all handlers: the world first, so that a rule sees what the entry has made of it. */
export function takesOf(world: World, runs: readonly RuleRun[]): ReadonlyMap<EntryType, Take> {
  const lists = new Map<EntryType, Take[]>();
  const add = (type: string, take: Take): void => {
    const list = lists.get(type as EntryType);
    if (list === undefined) lists.set(type as EntryType, [take]);
    else list.push(take);
  };
  for (const [type, change] of Object.entries(worldHandlers))
    add(type, (entry) => (change as (of: World, entry: Entry) => void)(world, entry));
  for (const { handlers } of runs)
    for (const [type, handler] of Object.entries(handlers)) add(type, handler as Take);
  return new Map([...lists].map(([type, list]) => [type, takeAll(list)] as const));
}

function takeAll(list: readonly Take[]): Take {
  const [only] = list;
  if (list.length === 1 && only !== undefined) return only;
  return (entry) => {
    for (const take of list) take(entry);
  };
}

interface Guests {
  readonly main: World;
  readonly branch: string;
  readonly rules: readonly LogRule[];
  /** By VM. */
  readonly all: Map<string, Guest>;
  /** Whose each SMMU is. */
  readonly owners: Map<string, Guest>;
  /** Of worlds that are no more. */
  readonly ended: Finding[];
}

/** A run of the rules over all VMs of a machine. */
export function guestWorlds(
  main: World,
  branch: string,
  rules: readonly LogRule[],
): { readonly takes: ReadonlyMap<EntryType, Take>; told(): readonly Finding[] } {
  const guests: Guests = { main, branch, rules, all: new Map(), owners: new Map(), ended: [] };
  const { all, owners, ended } = guests;
  const takes = new Map<EntryType, Take>(
    Object.entries(handlersOf(guests)) as unknown as readonly [EntryType, Take][],
  );
  for (const type of OF_SMMU) {
    takes.set(type, (entry) => {
      if (owners.size === 0) return;
      if (entry.type === 'access.completed' || entry.type === 'access.terminated') served(guests, entry);
      const guest = 'smmu' in entry ? owners.get(entry.smmu) : undefined;
      if (guest !== undefined) deliver(guests, guest.opened ?? open(guests, guest), entry);
    });
  }
  const toldOf = ({ opened }: Guest): readonly Finding[] => opened?.runs.flatMap((run) => run.told()) ?? [];
  return { takes, told: () => [...ended, ...[...all.values()].flatMap(toldOf)] };
}

function open({ main, branch, rules }: Guests, guest: Guest): Opened {
  const own = { ...main.machine, kernel: null, smmus: [...guest.smmus.values()] };
  const watch = newWatch([], main.watch.clock);
  watch.memory = guestMemory(main.watch.memory, guest.windows);
  const world: World = { ...newWorld(own, branch, watch), pace: main.pace, software: guest.vm };
  const runs = rules.flatMap((rule) => rule.guests?.(world) ?? []);
  guest.opened = { world, runs, takes: takesOf(world, runs) };
  return guest.opened;
}

function close({ ended }: Guests, guest: Guest): void {
  if (guest.opened !== undefined) ended.push(...guest.opened.runs.flatMap((run) => run.told()));
  guest.opened = undefined;
}

function deliver({ main }: Guests, { world, takes }: Opened, entry: Entry): void {
  world.stimulus = main.stimulus;
  takes.get(entry.type)?.(entry);
}

/** An access through the host's SMMU: the device's guest sees it as one of its own. */
function served({ all }: Guests, entry: EntryOf<'access.completed'> | EntryOf<'access.terminated'>): void {
  for (const { opened, endpoints } of all.values()) {
    const smmu = endpoints.get(entry.endpoint);
    if (opened === undefined || smmu === undefined || smmu === entry.smmu) continue;
    for (const { used } of opened.runs) used?.(smmu);
  }
}

/** One doubleword was stored or loaded. */
function touched(guests: Guests, entry: EntryOf<'memory.written'> | EntryOf<'memory.read'>): void {
  for (const { opened, windows } of guests.all.values()) {
    if (opened === undefined) continue;
    for (const { base, bytes, pa } of windows)
      if (entry.pa >= pa && entry.pa < pa + bytes)
        deliver(guests, opened, { ...entry, pa: base + entry.pa - pa });
  }
}

function handlersOf(guests: Guests): RuleRun['handlers'] {
  const { main, all, owners } = guests;
  return {
    'vm.made': ({ vm, config }) => {
      if (isConsumer(config))
        all.set(vm, { vm, smmus: new Map(), endpoints: new Map(), windows: [], opened: undefined });
    },
    'vm.backed': ({ vm, windows }) => {
      const guest = all.get(vm);
      if (guest === undefined) return;
      guest.windows = windows;
      if (guest.opened !== undefined)
        guest.opened.world.watch.memory = guestMemory(main.watch.memory, windows);
    },
    'smmu.made': ({ smmu, config }) => {
      const guest = config.space === undefined ? undefined : all.get(config.space);
      if (guest === undefined) return;
      // Before its guest uses it, a VMM may give it other ID registers.
      close(guests, guest);
      guest.smmus.set(smmu, config);
      owners.set(smmu, guest);
    },
    'vm.ended': ({ vm }) => {
      const guest = all.get(vm);
      if (guest === undefined) return;
      close(guests, guest);
      all.delete(vm);
      for (const [smmu, owner] of owners) if (owner === guest) owners.delete(smmu);
    },
    'device.plugged': ({ vm, endpoint, device: { smmu } }) => void all.get(vm)?.endpoints.set(endpoint, smmu),
    'device.unplugged': ({ vm, endpoint }) => void all.get(vm)?.endpoints.delete(endpoint),
    'memory.written': (entry) => touched(guests, entry),
    'memory.read': (entry) => touched(guests, entry),
    'memory.loaded': (entry) => {
      for (const { opened, windows } of all.values()) {
        if (opened === undefined) continue;
        for (const piece of piecesOf(entry, windows)) deliver(guests, opened, piece);
      }
    },
    turn: (entry) => {
      for (const { opened } of all.values()) if (opened !== undefined) deliver(guests, opened, entry);
    },
  };
}

/** The pieces of what was loaded that each window shows. */
function piecesOf(
  entry: EntryOf<'memory.loaded'>,
  windows: readonly Window[],
): readonly EntryOf<'memory.loaded'>[] {
  const { pa: start, bytes: content } = entry;
  return windows.flatMap(({ base, bytes, pa }) => {
    const from = Math.max(start, pa);
    const until = Math.min(start + content.length, pa + bytes);
    if (from >= until) return [];
    return [{ ...entry, pa: base + from - pa, bytes: content.subarray(from - start, until - start) }];
  });
}
