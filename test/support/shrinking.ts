/**
 * Bad stories of the seeded simulation, shrunk and held against what people wrote by hand for a bug of the
 * same kind.
 */
import { readFileSync } from 'node:fs';
import type { ScenarioLine } from '../../adapters/scenario/scenario.ts';
import { shrinkLines } from '../../adapters/shrink/shrink.ts';
import { type Shown, targetOf, tryLines } from '../../adapters/shrink/trial.ts';
import type { MachineConfig } from '../../core/config.ts';
import type { Entry } from '../../core/event.ts';
import { Simulation } from '../../core/simulation.ts';
import { checkHistory } from '../../projections/check.ts';
import type { Finding } from '../../projections/finding.ts';
import { summaryOf } from '../../projections/summary.ts';
import { storyOfSeed } from '../simulation/simulate.ts';
import { reset } from './build.ts';
import { openDriver } from './drivers.ts';
import { asScenarioSays, exported } from './exported.ts';
import { worldConfig } from './world.ts';

/** The hand-made scenario that is nearest to a bug, by what its SUMMARY says; the first that fits. */
const handMade: readonly (readonly [summary: RegExp, file: string])[] = [
  [/used-stale STE by/, 'bad-ste-changed-without-cfgi'],
  [/used-stale L1STD by/, 'bad-l1std-removed-leaf-1'],
  [/used-stale (CD|L1CD) by/, 'bad-cd-changed-without-cfgi'],
  [/used-stale table by/, 'bad-table-unlinked-leaf-1'],
  [/./, 'bad-unmap-without-tlbi'],
];

/** Lines of the hand-made scenario, without comments. */
export function handMadeLines(summary: string): number {
  const [, file = ''] = handMade.find(([pattern]) => pattern.test(summary)) ?? [];
  const text = readFileSync(`test/scenario/${file}.jsonl`, 'utf8');
  return text.split('\n').filter((line) => line.trim() !== '' && !line.startsWith('//')).length;
}

export interface BadStory {
  readonly machine: MachineConfig;
  readonly entries: readonly Entry[];
  /** The first finding of each bug. */
  readonly findings: readonly Finding[];
}

/** The story of a seed with what is found in it. */
export function badStoryOf(seed: number, actions: number): BadStory {
  const { setup, actions: list } = storyOfSeed(seed, actions);
  const machine = asScenarioSays(worldConfig(setup));
  const simulation = new Simulation(reset(machine));
  const entries: Entry[] = [];
  simulation.entries$.subscribe((step) => entries.push(...step));
  const driver = openDriver(simulation, setup);
  for (const action of list) driver.act(action);
  const first = new Map<string, Finding>();
  for (const finding of checkHistory(entries, machine, 'main'))
    if (!first.has(summaryOf(finding))) first.set(summaryOf(finding), finding);
  return { machine, entries: entries.map(stored), findings: [...first.values()] };
}

/** A store keeps no field without a value. */
export function stored(entry: Entry): Entry {
  return Object.fromEntries(
    Object.entries(entry).filter(([, value]) => value !== undefined),
  ) as unknown as Entry;
}

export interface Shrunk {
  readonly from: number;
  readonly shown: Shown;
  readonly trials: number;
}

/** Shrinks the story to a finding's scenario; throws where it does not show it. */
export function shrunkTo({ machine, entries }: BadStory, finding: Finding): Shrunk {
  const { lines, problem } = exported(machine, entries);
  if (problem !== undefined) throw new Error(`cannot export at ${problem.recorded.seq}`);
  const target = targetOf(finding);
  let last: Shrunk | undefined;
  for (const { best, trials } of shrinkLines(lines, target))
    last = { from: lines.length, shown: best, trials };
  if (last === undefined) throw new Error(`${target.summary} is not in its own story`);
  return last;
}

/** Whether the finding is still shown without one of the lines. */
export function canLose(lines: readonly ScenarioLine[], at: number, finding: Finding): boolean {
  const fewer = lines.filter((_, index) => index !== at);
  return tryLines(fewer, targetOf(finding)) !== undefined;
}
