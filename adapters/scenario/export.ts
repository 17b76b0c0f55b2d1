/**
 * A recorded history as the lines of a scenario. Each line is run as it is made, on a machine in memory, and
 * what it gives is held against what was recorded: so the lines give the same entries again (but for the
 * numbers of the lines themselves), or the first entry that differs is told.
 */
import type { MachineConfig } from '../../core/config.ts';
import { type Entry, isStimulus } from '../../core/event.ts';
import { stimulusOf } from '../../core/history/rerun.ts';
import { isSame } from '../../core/history/same.ts';
import { InputError } from '../input-error.ts';
import { machineLine } from './machine-line.ts';
import { openPlayer, type Player } from './played.ts';
import type { ScenarioLine } from './scenario.ts';
import { lineOf, rawLineOf } from './stimulus-line.ts';

/** What cannot be told in lines: from here on the machine says something else than the history. */
export interface ExportProblem {
  readonly recorded: Entry;
  /** What comes instead; undefined: nothing. */
  readonly rerun: Entry | undefined;
}

export interface ExportOptions {
  /**
   * Each turn is a line of its own and the schedule is manual: so told, a history may have been cut between turns.
   * Else the schedule gives the turns as it did.
   */
  readonly turns?: boolean;
  /** Names of bookmarks by their seq: each becomes a `label` line where a line ends there. */
  readonly labels?: ReadonlyMap<number, readonly string[]>;
}

/** Yields the lines of the entries, which begin at seq 1; returns what could not be told, if anything. */
export function* exportLines(
  machine: MachineConfig,
  entries: Iterable<Entry>,
  { labels = new Map(), turns = false }: ExportOptions = {},
): Generator<ScenarioLine, ExportProblem | undefined> {
  /** What the lines so far gave and the history has not yet been read to. */
  let ahead: Entry[] = [];
  let at = 0;
  const player = openPlayer((step) => ahead.push(...step));
  const first = machineLine(turns ? { ...machine, schedule: 'manual' } : machine);
  player.play(first, PLACE);
  yield first;
  for (const entry of entries) {
    if (at === ahead.length) {
      ahead = [];
      at = 0;
      if (isStimulus(entry)) yield playStimulus(player, entry);
    }
    const rerun = ahead[at];
    at += 1;
    if (rerun === undefined || !isSameEntry(entry, rerun)) return { recorded: entry, rerun };
    if (at === ahead.length) for (const name of labels.get(entry.seq) ?? []) yield { op: 'label', name };
  }
  return undefined;
}

const PLACE = { file: 'export' };

/**
 * Whether the turns of a history must be told one by one, because its schedule would give others. Only what was
 * cut between turns asks for that: a fork, or a history that no scenario made.
 */
export function needsTurns(machine: MachineConfig, entries: Iterable<Entry>): boolean {
  const made = exportLines(machine, entries);
  for (let next = made.next(); ; next = made.next()) if (next.done === true) return next.value !== undefined;
}

/** Runs the line of a stimulus; where people's way of saying it is refused, the raw one says it. */
function playStimulus(player: Player, entry: Entry): ScenarioLine {
  const stimulus = stimulusOf(entry);
  const { simulation } = player;
  const line = simulation === undefined ? rawLineOf(stimulus) : lineOf(stimulus, simulation.glance);
  try {
    player.play(line, PLACE);
    return line;
  } catch (error) {
    if (!(error instanceof InputError) || line.op === 'stimulus') throw error;
    const raw = rawLineOf(stimulus);
    player.play(raw, PLACE);
    return raw;
  }
}

/** Equal but for the line of the file that a stimulus stood in. */
function isSameEntry(left: Entry, right: Entry): boolean {
  return isSame(withoutLine(left), withoutLine(right));
}

function withoutLine(entry: Entry): object {
  if (!isStimulus(entry) || !('line' in entry)) return entry;
  const { line, ...rest } = entry as Entry & { readonly line?: number };
  return rest;
}
