/** What each entry counts for, and for whom. */
import type { EntryOf } from '../../core/event.ts';
import type { ProjectionHandlers } from '../projection.ts';
import {
  type Attribution,
  commandDone,
  commandFetched,
  ended,
  type Operation,
  ownerOf,
  queueWritten,
  taskBegun,
  taskEnded,
} from './attribution.ts';
import type { CountedKind } from './prices.ts';

/** Something that is counted: `who` did it or had it done. */
export interface What {
  readonly kind: CountedKind;
  readonly who: string;
  readonly detail: string;
  readonly amount?: number;
  /** Whose work it is; what runs now, when left out. */
  readonly by?: Operation;
}

export interface Counting {
  readonly at: Attribution;
  /** SMMUs that a VMM emulates. */
  readonly emulated: Set<string>;
  /** Descriptors were read and no access has ended with them yet. */
  walking: { readonly seq: number; readonly smmu: string } | undefined;
  count(seq: number, what: What): void;
}

const COMMAND_BYTES = 16;
const RECORD_BYTES = 32;

const exits = { 'mmio.read': 'exit.read', 'mmio.write': 'exit.write', notify: 'exit.notify' } as const;

function isExit(why: string): why is keyof typeof exits {
  return Object.hasOwn(exits, why);
}

/** A Command queue beside the main one has its own name. */
function queueOf({ smmu, queue }: { readonly smmu: string; readonly queue?: string }): string {
  return queue === undefined ? smmu : `${smmu}.${queue}`;
}

function fetched(state: Counting, entry: EntryOf<'command.fetched'>): void {
  const by = commandFetched(state.at, entry);
  const { seq, smmu, command, beside } = entry;
  const emulated = state.emulated.has(smmu);
  const who = queueOf(entry);
  if (emulated && beside !== true)
    state.count(seq, { kind: 'copy.queue', who, detail: 'commands', amount: COMMAND_BYTES, by });
  if (command === 'CMD_SYNC') return;
  state.count(seq, { kind: emulated ? 'command.guest' : 'command.host', who, detail: command, by });
}

function synced(state: Counting, entry: EntryOf<'sync.completed'>): void {
  const by = commandDone(state.at, entry.fetched);
  const kind = state.emulated.has(entry.smmu) ? 'sync.guest' : 'sync.host';
  state.count(entry.seq, { kind, who: queueOf(entry), detail: 'CMD_SYNC', by });
}

function called(state: Counting, { seq, process, name, size, buffers }: EntryOf<'ioctl.begun'>): void {
  state.count(seq, { kind: 'ioctl', who: process, detail: name });
  const amount = buffers.reduce((sum, { bytes }) => sum + bytes, size);
  state.count(seq, { kind: 'copy.ioctl', who: process, detail: name, amount });
}

function invalidated(state: Counting, entry: EntryOf<'cache.invalidated'>): void {
  const { seq, smmu, cache, fetched: command, removed } = entry;
  if (removed.length === 0) return;
  const kind = cache === 'tlb' || cache === 'walk' ? 'drop.tlb' : 'drop.config';
  state.count(seq, {
    kind,
    who: smmu,
    detail: cache,
    amount: removed.length,
    by: ownerOf(state.at, command),
  });
}

/** What read descriptors has ended: together they were a walk. */
export function walked(state: Counting): void {
  if (state.walking === undefined) return;
  const { seq, smmu } = state.walking;
  state.walking = undefined;
  const kind = state.emulated.has(smmu) ? 'walk.guest' : 'walk.host';
  state.count(seq, { kind, who: smmu, detail: 'walk' });
}

/** A handler for every event that counts. */
export const countHandlers: ProjectionHandlers<Counting> = {
  'task.begun': ({ at }, entry) => taskBegun(at, entry),
  'task.ended': ({ at }, entry) => taskEnded(at, entry),
  'smmu.made': ({ emulated }, { smmu, config }) => {
    if (config.space !== undefined) emulated.add(smmu);
  },
  'vm.ended': ({ at }, { vm }) => ended(at, vm),
  'exit.taken': (state, { seq, vm, why, what }) => {
    if (isExit(why)) state.count(seq, { kind: exits[why], who: vm, detail: what });
  },
  'ioctl.begun': called,
  'vevents.read': (state, { seq }) => {
    // The stimulus `read` has been counted itself.
    if (state.at.current.what !== 'read') state.count(seq, { kind: 'syscall', who: 'vmm', detail: 'read' });
  },
  'register.written': ({ at }, entry) => queueWritten(at, entry),
  'command.fetched': fetched,
  'command.performed': ({ at }, { fetched: command }) => {
    commandDone(at, command);
  },
  'command.rejected': ({ at }, { fetched: command }) => {
    commandDone(at, command);
  },
  'sync.completed': synced,
  'cache.invalidated': invalidated,
  'descriptor.fetched': (state, { seq, smmu, stage, level }) => {
    state.walking ??= { seq, smmu };
    state.count(seq, { kind: 'fetch.descriptor', who: smmu, detail: `stage ${stage} level ${level}` });
  },
  'structure.fetched': (state, { seq, smmu, structure }) =>
    state.count(seq, { kind: 'fetch.structure', who: smmu, detail: structure }),
  'access.completed': walked,
  'access.terminated': walked,
  'access.stalled': walked,
  'record.written': (state, { seq, smmu, record }) => {
    state.count(seq, { kind: 'record', who: smmu, detail: record });
    if (state.emulated.has(smmu))
      state.count(seq, { kind: 'copy.queue', who: smmu, detail: 'records', amount: RECORD_BYTES });
  },
  'vevent.queued': (state, { seq, lost }) =>
    state.count(seq, { kind: 'vevent', who: 'kernel', detail: lost ? 'lost' : 'record' }),
  'interrupt.raised': (state, { seq, smmu, source }) => {
    if (source !== 'CMD_SYNC') state.count(seq, { kind: 'interrupt', who: smmu, detail: source });
  },
  'area.pinned': (state, { seq, pins }) => {
    const amount = pins.reduce((sum, { bytes }) => sum + bytes, 0);
    state.count(seq, { kind: 'pin', who: 'kernel', detail: 'bytes', amount });
  },
};
