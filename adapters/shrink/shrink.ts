/**
 * Shrinks a scenario that shows a finding to a small one that shows the same, by its SUMMARY: first whole lines
 * go, then values get simpler, then both again until nothing changes. Deterministic: the same lines give the
 * same answer.
 */
import type { ScenarioLine } from '../scenario/scenario.ts';
import { apart, type Item, itemsOf, linesOf, together } from './commands.ts';
import { lowerPages } from './pages.ts';
import { reduceList } from './reduce.ts';
import { type Shown, type Target, tryLines } from './trial.ts';
import { simplerForms } from './values.ts';

/** How far it is; given after each trial. */
export interface Shrinking {
  readonly best: Shown;
  readonly trials: number;
}

/** Rounds after which what still changes is left as it is. */
const ROUNDS_MAX = 6;

/** Yields after each trial; yields nothing when the lines do not show the finding. */
export function* shrinkLines(lines: readonly ScenarioLine[], target: Target): Generator<Shrinking> {
  const shrinker = new Shrinker(target);
  if (!shrinker.accepts(lines)) return;
  yield shrinker.state;
  for (let round = 0; round < ROUNDS_MAX; round += 1) {
    const before = weightOf(shrinker.best.lines);
    for (const phase of [plainer, scheduled, fewer, lower, simpler]) {
      for (const _ of phase(shrinker)) yield shrinker.state;
    }
    if (weightOf(shrinker.best.lines) === before) return;
  }
}

const weightOf = (lines: readonly ScenarioLine[]): number => JSON.stringify(lines).length;

/** The best so far, and the only way to better it. */
class Shrinker {
  readonly #target: Target;
  #best: Shown | undefined;
  #trials = 0;

  constructor(target: Target) {
    this.#target = target;
  }

  get best(): Shown {
    if (this.#best === undefined) throw new Error('shrinking begins with lines that show the finding');
    return this.#best;
  }

  get state(): Shrinking {
    return { best: this.best, trials: this.#trials };
  }

  /** Tries the lines; if they show the finding they are the best. */
  accepts(lines: readonly ScenarioLine[]): boolean {
    this.#trials += 1;
    const shown = tryLines(lines, this.#target);
    if (shown !== undefined) this.#best = shown;
    return shown !== undefined;
  }
}

type Phase = (shrinker: Shrinker) => Generator<void>;

/** What a line expects, and what it saves for nobody, is no part of the story. */
const plainer: Phase = function* (shrinker) {
  const { lines } = shrinker.best;
  const text = JSON.stringify(lines);
  const stripped = lines
    .filter(({ op }) => op !== 'check' && op !== 'label')
    .map(({ expect, save, ...line }) => {
      const used = Object.entries(save ?? {}).filter(([name]) => text.includes(`"$${name}"`));
      return used.length === 0 ? line : { ...line, save: Object.fromEntries(used) };
    });
  shrinker.accepts(stripped as readonly ScenarioLine[]);
  yield;
};

const isTurn = ({ op, path }: ScenarioLine): boolean =>
  op === 'turn' || op === 'run' || (op === 'set' && path === 'schedule');

/** Turns that were drawn or given one by one: given anew by the eager schedule, or all at once where they stood. */
const scheduled: Phase = function* (shrinker) {
  const [machine, ...lines] = shrinker.best.lines;
  if (machine === undefined) return;
  const { schedule, seed, ...rest } = machine;
  if (schedule === undefined && seed === undefined && !lines.some(isTurn)) return;
  if (shrinker.accepts([rest, ...lines.filter((line) => !isTurn(line))])) return yield;
  yield;
  const given = lines.filter((line, at) => line.op !== 'turn' || lines[at + 1]?.op !== 'turn');
  if (given.length === lines.length) return;
  const runs = given.map((line): ScenarioLine => (line.op === 'turn' ? { op: 'run' } : line));
  shrinker.accepts([{ ...rest, schedule: 'manual' }, ...runs]);
  yield;
};

/** Fewer lines, and fewer commands in the queues. */
const fewer: Phase = function* (shrinker) {
  const asItems = shrinker.accepts(linesOf(itemsOf(shrinker.best.lines)));
  yield;
  const read = asItems
    ? itemsOf
    : (lines: readonly ScenarioLine[]): readonly Item[] => lines.map((line) => ({ line }));
  // The machine stays: without it there is nothing.
  const test = (candidate: readonly Item[]): readonly Item[] | undefined => {
    const [machine] = shrinker.best.lines;
    return machine !== undefined && shrinker.accepts([machine, ...linesOf(candidate)])
      ? read(shrinker.best.lines.slice(1))
      : undefined;
  };
  const items = read(shrinker.best.lines.slice(1));
  for (const _ of reduceList(items, test, groupsOf(items))) yield;
  if (!asItems) return;
  for (const _ of reduceList(apart(read(shrinker.best.lines.slice(1))), test)) yield;
  shrinker.accepts(linesOf(together(read(shrinker.best.lines))));
  yield;
};

/** Items of one kind: reads, notes, commands, accesses of one device, writes of one register. */
function groupsOf(items: readonly Item[]): readonly ((item: Item) => boolean)[] {
  const sizes = new Map<string, number>();
  for (const item of items) sizes.set(kindOf(item), (sizes.get(kindOf(item)) ?? 0) + 1);
  return [...sizes]
    .sort(([a, more], [b, less]) => less - more || (a < b ? -1 : 1))
    .map(
      ([kind]) =>
        (item: Item) =>
          kindOf(item) === kind,
    );
}

function kindOf(item: Item): string {
  if ('commands' in item) return 'commands';
  const { op, type, reg, endpoint } = item.line as Record<string, unknown>;
  return [op, type, reg, endpoint].join(' ');
}

/** Structures in low pages, so that little memory is enough. */
const lower: Phase = function* (shrinker) {
  for (let again = true; again; ) {
    again = false;
    for (const lines of lowerPages(shrinker.best.lines)) {
      again = shrinker.accepts(lines);
      yield;
      if (again) break;
    }
  }
};

/** Simpler values, line by line; the machine is a line too. */
const simpler: Phase = function* (shrinker) {
  for (let at = 0; at < shrinker.best.lines.length; at += 1) {
    for (let again = true; again; ) {
      again = false;
      const { lines } = shrinker.best;
      const line = lines[at];
      if (line === undefined) return;
      for (const form of simplerForms(line)) {
        again = shrinker.accepts(lines.map((each, index) => (index === at ? form : each)));
        yield;
        if (again) break;
      }
    }
  }
};
