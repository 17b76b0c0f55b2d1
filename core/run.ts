/**
 * Turns: what the machine does by itself. Which units could take a turn is a function of the state;
 * which one does is the schedule's choice; and the turn is a stimulus in the log, so that a rerun
 * needs no schedule.
 */

import { runningTimers } from './dma-api/timers.ts';
import type { Entry } from './event.ts';
import type { Session } from './machine.ts';
import { draw } from './random.ts';
import { unitsOf } from './smmu/units.ts';
import type { State } from './state.ts';
import { readyTasks } from './tasks/run.ts';

/** No run goes on for longer; a run that does is reported as not quiet. */
export const TURNS_MAX = 10_000_000;

/** Events after which a unit that was quiet may have work: registers moved, a record or a command waits, a setting changed. */
const wakes: ReadonlySet<string> = new Set([
  'register.written',
  'register.updated',
  'record.raised',
  'command.fetched',
  'access.stalled',
  'stall.decided',
  'page.requested',
  'value.set',
  'task.begun',
  'interrupt.raised',
]);

/** Whether a step that left its log so can have made a unit ready. Where all was quiet and this is false, all is quiet. */
export function mayWake(entries: readonly Entry[]): boolean {
  for (const entry of entries) if (wakes.has(entry.type)) return true;
  return false;
}

/**
 * The units that could take a turn now, in the fixed order of the `eager` schedule; then timers, which run out
 * under `seeded` alone, or when a turn names them.
 */
export function readyUnits(state: State): readonly string[] {
  const ready: string[] = [];
  const { smmus } = state;
  for (const name in smmus) {
    const smmu = smmus[name];
    if (smmu === undefined) continue;
    for (const unit of unitsOf(smmu)) if (unit.ready(smmu)) ready.push(`${name}.${unit.name}`);
  }
  for (const unit of readyTasks(state)) ready.push(unit);
  for (const unit of runningTimers(state)) if (!hasTask(state, unit)) ready.push(unit);
  return ready;
}

function hasTask({ tasks }: State, unit: string): boolean {
  return tasks.some((task) => task.unit === unit);
}

/** The unit whose turn it is, or undefined when all is quiet. */
export function nextUnit(state: State): string | undefined {
  if (state.schedule !== 'seeded') return firstReady(state);
  const ready = readyUnits(state);
  return ready.length < 2 ? ready[0] : ready[draw(state.random, ready.length)];
}

/** The first of `readyUnits`, without asking the others. */
function firstReady(state: State): string | undefined {
  const { smmus } = state;
  for (const name in smmus) {
    const smmu = smmus[name];
    if (smmu === undefined) continue;
    for (const unit of unitsOf(smmu)) if (unit.ready(smmu)) return `${name}.${unit.name}`;
  }
  return readyTasks(state)[0];
}

/** Gives turns until all is quiet or `turnsMax` were given. */
export function runTurns(
  session: Session,
  onStep: (entries: readonly Entry[]) => void,
  turnsMax = TURNS_MAX,
): { readonly turns: number; readonly quiet: boolean } {
  for (let turns = 0; turns < turnsMax; turns += 1) {
    const unit = nextUnit(session.state);
    if (unit === undefined) return { turns, quiet: true };
    onStep(session.step({ type: 'turn', unit }));
  }
  return { turns: turnsMax, quiet: nextUnit(session.state) === undefined };
}
