/**
 * Whose work an entry is: the stimulus from outside that it follows from. A turn names the last of those as its
 * cause, which is right where each is worked off before the next; where several are on their way at once, tasks are
 * followed by their unit and commands by the write of PROD that published them.
 */
import type { Entry, EntryOf } from '../../core/event.ts';

/** A stimulus and all that follows from it. `seq` is its own. */
export interface Operation {
  readonly seq: number;
  readonly what: string;
  /** The VM, the endpoint or the SMMU it is about; empty where it names none. */
  readonly about: string;
  /** Tasks and commands that have not ended. */
  open: number;
}

interface Published {
  /** PROD after the write. */
  readonly upTo: number;
  readonly by: Operation;
}

export interface Attribution {
  /** What the entries that come now belong to. */
  current: Operation;
  last: Operation;
  /** Tasks by unit, oldest first; the first one has the turn. */
  readonly units: Map<string, { readonly id: number; readonly by: Operation }[]>;
  /** Commands that are published and not fetched, by SMMU. */
  readonly published: Map<string, Published[]>;
  /** LOG2SIZE of Command queues, by SMMU. */
  readonly sizes: Map<string, number>;
  /** Commands that are fetched and not done, by the seq of their fetch. */
  readonly fetched: Map<number, { readonly by: Operation; readonly smmu: string }>;
}

/** LOG2SIZE of the largest Command queue (IHI 0070 6.3.2, IDR1.CMDQS). */
const SIZE_MAX = 19;

const nobody: Operation = { seq: 0, what: 'before', about: '', open: 0 };

/** Before the first entry. */
export function openAttribution(): Attribution {
  return {
    current: nobody,
    last: nobody,
    units: new Map(),
    published: new Map(),
    sizes: new Map(),
    fetched: new Map(),
  };
}

/** A stimulus begins: a new operation, or a turn of an old one. Returns the new one. */
export function beginStimulus(at: Attribution, entry: Entry): Operation | undefined {
  if (entry.type === 'turn') {
    at.current = turnOf(at, entry.unit);
    return undefined;
  }
  const named = entry as { readonly vm?: string; readonly endpoint?: string; readonly smmu?: string };
  const about = named.vm ?? named.endpoint ?? named.smmu ?? '';
  at.last = { seq: entry.seq, what: entry.type, about, open: 0 };
  at.current = at.last;
  return at.last;
}

function turnOf(at: Attribution, unit: string): Operation {
  const [task] = at.units.get(unit) ?? [];
  if (task !== undefined) return task.by;
  const split = unit.lastIndexOf('.');
  const [smmu, part] = [unit.slice(0, split), unit.slice(split + 1)];
  if (part === 'cmdq') return at.published.get(smmu)?.[0]?.by ?? at.last;
  for (const each of at.fetched.values()) if (each.smmu === smmu) return each.by;
  return at.last;
}

/** A task began, as part of what runs now. */
export function taskBegun(at: Attribution, { seq, unit }: EntryOf<'task.begun'>): void {
  const list = at.units.get(unit) ?? [];
  list.push({ id: seq, by: at.current });
  at.current.open += 1;
  at.units.set(unit, list);
}

/** A task ended: its unit goes on with the next. */
export function taskEnded(at: Attribution, { unit, task }: EntryOf<'task.ended'>): void {
  const list = at.units.get(unit) ?? [];
  const index = list.findIndex(({ id }) => id === task);
  const [ended] = index < 0 ? [] : list.splice(index, 1);
  if (ended !== undefined) ended.by.open -= 1;
  if (list.length === 0) at.units.delete(unit);
}

/** A register of a Command queue was written: what a new PROD publishes belongs to the writer. */
export function queueWritten(at: Attribution, entry: EntryOf<'register.written'>): void {
  const { smmu, register, value, old } = entry;
  if (register === 'CMDQ_BASE') at.sizes.set(smmu, Number(value & 31n));
  if (register === 'CMDQ_CONS') forget(at, smmu);
  if (register !== 'CMDQ_PROD' || value === old) return;
  const list = at.published.get(smmu) ?? [];
  list.push({ upTo: Number(value), by: at.current });
  at.published.set(smmu, list);
  at.current.open += 1;
}

/** The queue is set up anew. */
function forget(at: Attribution, smmu: string): void {
  for (const { by } of at.published.get(smmu) ?? []) by.open -= 1;
  at.published.delete(smmu);
}

/** The operation of a command that is fetched now. */
export function commandFetched(at: Attribution, entry: EntryOf<'command.fetched'>): Operation {
  const { seq, smmu, index, queue } = entry;
  const list = queue === undefined ? at.published.get(smmu) : undefined;
  const [first] = list ?? [];
  const by = first?.by ?? at.current;
  const next = (index + 1) % 2 ** ((at.sizes.get(smmu) ?? SIZE_MAX) + 1);
  if (list !== undefined && first !== undefined && next === first.upTo) {
    list.shift();
    first.by.open -= 1;
    if (list.length === 0) at.published.delete(smmu);
  }
  at.fetched.set(seq, { by, smmu });
  by.open += 1;
  return by;
}

/** A command is done with. Returns whose it was. */
export function commandDone(at: Attribution, fetched: number): Operation {
  const found = at.fetched.get(fetched);
  if (found === undefined) return at.current;
  at.fetched.delete(fetched);
  found.by.open -= 1;
  return found.by;
}

/** Whose an invalidation is: that of its command. */
export function ownerOf(at: Attribution, fetched: number): Operation {
  return at.fetched.get(fetched)?.by ?? at.current;
}

/** A VM is gone, with the tasks and queues it had. */
export function ended(at: Attribution, vm: string): void {
  const isOfVm = (name: string): boolean => name.startsWith(`${vm}.`);
  for (const [unit, tasks] of at.units) {
    if (!isOfVm(unit)) continue;
    for (const { by } of tasks) by.open -= 1;
    at.units.delete(unit);
  }
  for (const smmu of at.published.keys()) if (isOfVm(smmu)) forget(at, smmu);
  for (const [seq, { smmu }] of at.fetched) if (isOfVm(smmu)) commandDone(at, seq);
}
