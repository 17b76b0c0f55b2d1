/**
 * What a history costs: exits, calls, commands, waits, walks, fetches and copies, counted and priced; in all, and by
 * the operations that caused them. One pass, and what is kept is bounded by the kinds of things there are.
 */
import type { Entry, EntryType } from '../../core/event.ts';
import { stimuli } from '../../core/stimulus.ts';
import { type Projection, type ProjectionHandlers, projection } from '../projection.ts';
import { beginStimulus, type Operation, openAttribution } from './attribution.ts';
import { type Counting, countHandlers, type What, walked } from './counts.ts';
import type { Counts } from './counts-of.ts';
import { type CountedKind, defaultPrices, type Ns, nothing, type Prices, plus, priced } from './prices.ts';

/** How often one thing was counted. */
export interface CountRow {
  readonly kind: CountedKind;
  readonly who: string;
  readonly detail: string;
  count: number;
  /** Where the first of them stands. */
  readonly first: number;
}

/** One operation that is over, or the sum of all of one sort. */
export interface OperationCost {
  readonly what: string;
  readonly about: string;
  /** The stimulus; of a sum, its first. */
  readonly seq: number;
  readonly counts: Counts;
  readonly ns: Ns;
}

export interface OperationSum extends OperationCost {
  readonly times: number;
  /** The dearest of them. */
  readonly worst: { readonly seq: number; readonly ns: Ns };
}

export interface Cost {
  readonly rows: readonly CountRow[];
  /** Sorts of operations, in the order of their first. */
  readonly operations: readonly OperationSum[];
  /** Operations from which something may still follow, the last one in any case. */
  readonly open: readonly OperationCost[];
  readonly total: Ns;
}

export interface CostOptions {
  readonly prices?: Prices;
  /** What stands at this position and before it is followed, and not counted. */
  readonly after?: number;
  /** Told of each operation when nothing more can follow from it. */
  readonly each?: (cost: OperationCost) => void;
}

interface Open {
  readonly operation: Operation;
  readonly counts: Partial<Record<CountedKind, number>>;
  ns: Ns;
}

interface CostState extends Counting {
  readonly rows: Map<string, CountRow>;
  readonly open: Map<number, Open>;
  readonly sums: Map<string, { sum: OperationSum }>;
}

/** Stimuli that are system calls; `ioctl` is counted by its event. */
const CALLS: ReadonlySet<EntryType> = new Set(['open', 'close', 'read', 'write', 'mmap', 'munmap']);

/** The cost of a history. Reads all of it, also what is not counted: objects and tasks may be older. */
export function cost(options: CostOptions = {}): Projection<Cost> {
  return projection<CostState, Cost>({
    name: 'cost',
    initial: () => initial(options),
    handlers: { ...countHandlers, ...stimulusHandlers(options) } as ProjectionHandlers<CostState>,
    answer: (state) => answer(state, options),
  });
}

function initial(options: CostOptions): CostState {
  const state: CostState = {
    at: openAttribution(),
    emulated: new Set(),
    walking: undefined,
    rows: new Map(),
    open: new Map(),
    sums: new Map(),
    count: (seq, what) => add(state, seq, what, options),
  };
  return state;
}

function add(
  state: CostState,
  seq: number,
  what: What,
  { prices = defaultPrices, after = 0 }: CostOptions,
): void {
  if (seq <= after) return;
  const { kind, who, detail, amount = 1, by = state.at.current } = what;
  const key = `${kind}\n${who}\n${detail}`;
  const row = state.rows.get(key);
  if (row === undefined) state.rows.set(key, { kind, who, detail, count: amount, first: seq });
  else row.count += amount;
  const open = state.open.get(by.seq) ?? { operation: by, counts: {}, ns: nothing };
  open.counts[kind] = (open.counts[kind] ?? 0) + amount;
  open.ns = plus(open.ns, priced(prices, kind, detail, amount));
  state.open.set(by.seq, open);
}

function stimulusHandlers(options: CostOptions): ProjectionHandlers<CostState> {
  const { after = 0, each } = options;
  const begin = (state: CostState, entry: Entry): void => {
    walked(state);
    const begun = beginStimulus(state.at, entry);
    if (begun === undefined) return;
    for (const [seq, open] of state.open) if (open.operation.open <= 0) close(state, seq, open, each);
    if (entry.seq > after) state.open.set(begun.seq, { operation: begun, counts: {}, ns: nothing });
    if (CALLS.has(entry.type))
      state.count(entry.seq, { kind: 'syscall', who: callerOf(entry), detail: entry.type });
  };
  return Object.fromEntries(Object.keys(stimuli).map((type) => [type, begin]));
}

function callerOf(entry: Entry): string {
  return (entry as { readonly process?: string }).process ?? 'proc0';
}

/** Nothing more follows from it: it goes to the sum of its sort. */
function close(state: CostState, seq: number, open: Open, each: CostOptions['each']): void {
  state.open.delete(seq);
  const done = costOf(open);
  each?.(done);
  addTo(state.sums, done);
}

function costOf({ operation: { what, about, seq }, counts, ns }: Open): OperationCost {
  return { what, about, seq, counts, ns };
}

function addTo(sums: CostState['sums'], done: OperationCost): void {
  const key = `${done.what}\n${done.about}`;
  const { seq, ns } = done;
  const held = sums.get(key);
  if (held === undefined) {
    sums.set(key, { sum: { ...done, times: 1, worst: { seq, ns } } });
    return;
  }
  const { sum } = held;
  const counts: Partial<Record<CountedKind, number>> = { ...sum.counts };
  for (const [kind, count] of Object.entries(done.counts) as [CountedKind, number][])
    counts[kind] = (counts[kind] ?? 0) + count;
  const worst = ns.typical > sum.worst.ns.typical ? { seq, ns } : sum.worst;
  held.sum = { ...sum, times: sum.times + 1, counts, ns: plus(sum.ns, ns), worst };
}

function answer(state: CostState, options: CostOptions): Cost {
  const rows = new Map([...state.rows].map(([key, row]) => [key, { ...row }]));
  const open = new Map([...state.open].map(([seq, each]) => [seq, { ...each, counts: { ...each.counts } }]));
  const sums = new Map([...state.sums].map(([key, { sum }]) => [key, { sum }]));
  const asked: CostState = { ...state, rows, open, sums };
  // A walk whose end has not been seen is a walk.
  asked.count = (seq, what) => add(asked, seq, what, options);
  walked(asked);
  const unfinished = [...asked.open.values()].map(costOf);
  for (const each of unfinished) addTo(sums, each);
  const operations = [...sums.values()].map(({ sum }) => sum).sort((a, b) => a.seq - b.seq);
  const total = operations.reduce((sum, { ns }) => plus(sum, ns), nothing);
  return { rows: [...rows.values()], operations, open: unfinished, total };
}
