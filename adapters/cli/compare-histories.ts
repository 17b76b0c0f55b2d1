/**
 * Two histories beside each other: how each access and each ioctl ended, and how much work was done. The k-th
 * access of an endpoint to an address is the same on both sides, and the k-th ioctl of a name.
 */
import type { Entry } from '../../core/event.ts';

/** Outcomes by what was asked, in order. */
export type Outcomes = Map<string, Outcome[]>;

export interface Outcome {
  readonly seq: number;
  readonly how: string;
}

export interface Told {
  readonly outcomes: Outcomes;
  readonly counts: Map<string, number>;
}

/** What is counted: a name, and whether an entry is one of it. */
// biome-ignore format: a table
const counters: readonly { readonly name: string; readonly types: readonly string[] }[] = [
  { name: 'accesses ok',      types: ['access.completed'] },
  { name: 'accesses refused', types: ['access.terminated'] },
  { name: 'accesses stalled', types: ['access.stalled'] },
  { name: 'walk reads',       types: ['descriptor.fetched'] },
  { name: 'structure reads',  types: ['structure.fetched'] },
  { name: 'cache fills',      types: ['tlb.filled', 'config.filled', 'atc.filled'] },
  { name: 'commands',         types: ['command.consumed'] },
  { name: 'commands refused', types: ['command.rejected'] },
  { name: 'syncs',            types: ['sync.completed'] },
  { name: 'ioctls',           types: ['ioctl.completed'] },
  { name: 'event records',    types: ['record.raised'] },
  { name: 'records lost',     types: ['record.dropped'] },
  { name: 'interrupts',       types: ['interrupt.raised'] },
  { name: 'misuses',          types: ['misuse.noted'] },
  { name: 'turns',            types: ['turn'] },
];

const counterOf: ReadonlyMap<string, string> = new Map(
  counters.flatMap(({ name, types }) => types.map((type) => [type, name] as const)),
);

/** What a history did, from entries in order. */
export function tell(entries: Iterable<Entry>): Told {
  const outcomes: Outcomes = new Map();
  const counts = new Map<string, number>();
  const count = (name: string): void => {
    counts.set(name, (counts.get(name) ?? 0) + 1);
  };
  for (const entry of entries) {
    count('entries');
    const name = counterOf.get(entry.type);
    if (name !== undefined) count(name);
    if (entry.type === 'command.consumed') count(entry.command);
    const asked = askedBy(entry);
    if (asked === undefined) continue;
    const before = outcomes.get(asked.what);
    const outcome = { seq: entry.seq, how: asked.how };
    if (before === undefined) outcomes.set(asked.what, [outcome]);
    else before.push(outcome);
  }
  return { outcomes, counts };
}

function askedBy(entry: Entry): { readonly what: string; readonly how: string } | undefined {
  if (entry.type === 'ioctl.completed')
    return { what: `${entry.process} ${entry.name}`, how: entry.errno ?? `ret=${entry.ret ?? 0}` };
  if (entry.type !== 'access.completed' && entry.type !== 'access.terminated') return undefined;
  const { endpoint, access, size, iova, substreamId } = entry;
  const ssid = substreamId === undefined ? '' : ` ssid=0x${substreamId.toString(16)}`;
  const what = `${endpoint} ${access} ${size}B iova=0x${iova.toString(16)}${ssid}`;
  const how =
    entry.type === 'access.completed' ? `ok 0x${entry.pa.toString(16)}` : `${entry.result} ${entry.reason}`;
  return { what, how };
}

export interface OutcomeRow {
  readonly what: string;
  readonly a: Outcome | undefined;
  readonly b: Outcome | undefined;
}

/** The outcomes that differ, in the order of the first side, then what only the other has. */
export function differingOutcomes(a: Outcomes, b: Outcomes): readonly OutcomeRow[] {
  const rows: OutcomeRow[] = [];
  for (const what of new Set([...a.keys(), ...b.keys()])) {
    const [left, right] = [a.get(what) ?? [], b.get(what) ?? []];
    for (let at = 0; at < Math.max(left.length, right.length); at += 1) {
      if (left[at]?.how !== right[at]?.how) rows.push({ what, a: left[at], b: right[at] });
    }
  }
  const place = ({ a: one, b: other }: OutcomeRow): number => one?.seq ?? other?.seq ?? 0;
  return rows.sort((one, other) => place(one) - place(other) || (one.what < other.what ? -1 : 1));
}

export interface CountRow {
  readonly name: string;
  readonly a: number;
  readonly b: number;
}

/** All counts of either side, the general ones first, then each command. */
export function countRows(a: Told, b: Told): readonly CountRow[] {
  const general = ['entries', ...counters.map(({ name }) => name)];
  const all = [...new Set([...a.counts.keys(), ...b.counts.keys()])];
  const commands = all.filter((name) => !general.includes(name)).sort();
  return [...general, ...commands]
    .map((name) => ({ name, a: a.counts.get(name) ?? 0, b: b.counts.get(name) ?? 0 }))
    .filter((row) => row.a !== 0 || row.b !== 0);
}
