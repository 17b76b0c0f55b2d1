/** What an import counts: outcomes compared, differences, deviations; and the result it hands back. */
import { type DeviationName, deviations } from './deviations.ts';
import type { LineCounts, Problem } from './lines.ts';

/** The kinds of outcomes that are compared. */
export const comparedKeys = ['translation', 'fault', 'command', 'register', 'eventRecord'] as const;
export type ComparedKey = (typeof comparedKeys)[number];
export type Counts = Record<ComparedKey, number>;

export interface Difference {
  readonly key: ComparedKey;
  readonly line: number;
  readonly what: string;
  readonly expected: string;
  readonly actual: string;
}

export interface ImportResult {
  readonly lines: number;
  readonly understood: number;
  /** Blank, or saying what another line says. */
  readonly ignored: number;
  /** Of a name the importer does not know, or garbled. */
  readonly unknown: number;
  /** Those of `unknown` that are garbled. */
  readonly broken: number;
  readonly entries: number;
  readonly compared: Readonly<Counts>;
  readonly differences: Readonly<Counts>;
  readonly deviations: Readonly<Record<string, number>>;
  /** seq of the last entry. */
  readonly head: number;
  /** The first lines that were not understood. */
  readonly problems: readonly Problem[];
  /** The first differences. */
  readonly examples: readonly Difference[];
  /** Why the file could not be read to its end. */
  readonly damage?: string;
  /** Stopped before the end: what stands after `lines` was not imported. */
  readonly stopped?: true;
}

const EXAMPLES_MAX = 10;

/** The part of a tally that an interrupted import hands to the one that goes on. */
export interface TallyState {
  readonly ignored: number;
  readonly compared: Counts;
  readonly differences: Counts;
  readonly deviations: Record<string, number>;
}

export class Tally {
  compared: Counts = zeros();
  differences: Counts = zeros();
  deviations: Record<string, number> = {};
  examples: Difference[] = [];
  ignored = 0;

  deviation(name: DeviationName): void {
    this.deviations[name] = (this.deviations[name] ?? 0) + 1;
  }

  difference(difference: Difference): void {
    this.differences[difference.key] += 1;
    if (this.examples.length < EXAMPLES_MAX) this.examples.push(difference);
  }

  /** Counts on from where an interrupted import was. */
  restore(state: TallyState): void {
    this.compared = { ...state.compared };
    this.differences = { ...state.differences };
    this.deviations = { ...state.deviations };
    this.ignored = state.ignored;
    this.examples = [];
  }

  state(): TallyState {
    const { ignored, compared, differences, deviations } = this;
    return {
      ignored,
      compared: { ...compared },
      differences: { ...differences },
      deviations: { ...deviations },
    };
  }

  result(counts: LineCounts, entries: number, head: number): ImportResult {
    const ignored = this.ignored + counts.blank;
    return {
      lines: counts.lines,
      understood: counts.read - this.ignored,
      ignored,
      unknown: counts.unknown + counts.broken,
      broken: counts.broken,
      entries,
      compared: this.compared,
      differences: this.differences,
      deviations: sorted(this.deviations),
      head,
      problems: counts.problems,
      examples: this.examples,
    };
  }
}

function zeros(): Counts {
  return { translation: 0, fault: 0, command: 0, register: 0, eventRecord: 0 };
}

/** In the order of the table, so that two imports print alike. */
function sorted(counts: Readonly<Record<string, number>>): Record<string, number> {
  const rows = Object.keys(deviations).filter((name) => counts[name] !== undefined);
  return Object.fromEntries(rows.map((name) => [name, counts[name] ?? 0]));
}

/** One difference in a sentence, with its line. */
export function showDifference({ line, what, expected, actual }: Omit<Difference, 'key'>): string {
  return `line ${line}: ${what}: the trace says ${expected}, the machine ${actual}`;
}
