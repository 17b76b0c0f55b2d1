/**
 * One story on several VMMs: each `vm.create` line gets the profile, and every line's cost is kept beside it. A line that
 * a design refuses (a device it cannot serve, and what was to be done with that device) is its named refusal.
 */
import type { Entry } from '../core/event.ts';
import { Simulation } from '../core/simulation.ts';
import { resetRegisters } from '../core/smmu/regs.ts';
import { initialState } from '../core/state.ts';
import type { VmmProfileName } from '../core/vmm/profiles.ts';
import { type Cost, cost } from '../projections/cost/cost.ts';
import type { Counts } from '../projections/cost/counts-of.ts';
import type { Ns, Prices } from '../projections/cost/prices.ts';
import { openPass } from '../projections/projection.ts';
import { type Expected, expectedOf } from './expected-cost.ts';
import { InputError, type Place } from './input-error.ts';
import { ScenarioRunner } from './scenario/runner.ts';

export interface StoryLine {
  readonly raw: unknown;
  readonly place: Place;
}

/** A line that ran, or the reason why the design does not do it. */
export interface LineCost {
  readonly line: number;
  readonly op: string;
  readonly about: string;
  readonly counts: Counts;
  readonly ns: Ns;
  readonly refused?: string;
  /** What the line's formula is of, where there is one. */
  readonly formula?: Expected;
}

export interface StoryRun {
  readonly vmm: VmmProfileName;
  readonly lines: readonly LineCost[];
  readonly total: Cost;
  /** Checks and expectations that were not met. */
  readonly failed: number;
}

type Raw = Readonly<Record<string, unknown>>;

/** Runs the story on one VMM. Throws InputError for a line that is bad whatever the VMM. */
export function runStory(story: Iterable<StoryLine>, vmm: VmmProfileName, prices: Prices): StoryRun {
  const pass = openPass([cost({ prices })]);
  const take = (entries: readonly Entry[]): void => {
    for (const entry of entries) pass.take(entry);
  };
  const runner = new ScenarioRunner({
    begin: (machine) => {
      const simulation = new Simulation(initialState(machine, resetRegisters));
      simulation.entries$.subscribe(take);
      return simulation;
    },
    label: () => ({ position: '-' }),
  });
  const lines: LineCost[] = [];
  let failed = 0;
  for (const { raw, place } of story) {
    const ran = runLine(runner, raw, { place, vmm, refusedBefore: lines.some((each) => each.refused) });
    runner.boot();
    failed += ran.failed;
    lines.push({ ...ran.line, ...lastOf(pass.answers()[0], ran.seq, runner.simulation?.glance.outside) });
  }
  return { vmm, lines, total: pass.answers()[0], failed };
}

/** What the stimulus of a line cost, if it gave one. */
function lastOf({ open }: Cost, before: number, outside = 0): Pick<LineCost, 'counts' | 'ns'> {
  const found = outside > before ? open.find(({ seq }) => seq === outside) : undefined;
  return { counts: found?.counts ?? {}, ns: found?.ns ?? { low: 0, typical: 0, high: 0 } };
}

interface Ran {
  readonly line: Omit<LineCost, 'counts' | 'ns'>;
  readonly failed: number;
  /** The head before it ran. */
  readonly seq: number;
}

function runLine(
  runner: ScenarioRunner,
  raw: unknown,
  {
    place,
    vmm,
    refusedBefore,
  }: { readonly place: Place; readonly vmm: VmmProfileName; readonly refusedBefore: boolean },
): Ran {
  const given = withProfile(raw, vmm);
  const state = runner.simulation?.state;
  const about = aboutOf(given as Raw);
  const seq = state?.seq ?? 0;
  const line = { line: place.line ?? 0, op: String((given as Raw)?.['op']), about };
  try {
    const { outcome, failed } = runner.run(given, place);
    const { refused, errno } = outcome as { readonly refused?: string; readonly errno?: string };
    if (refused !== undefined) return { line: { ...line, refused }, failed: 0, seq };
    const formula = state === undefined || errno !== undefined ? undefined : expectedOf(state, given as Raw);
    return { line: { ...line, ...(formula && { formula }) }, failed: failed.length, seq };
  } catch (error) {
    if (!(error instanceof InputError) || !refusedBefore) throw error;
    const refused = error.message.replace(/^[^ ]*: /, '');
    return { line: { ...line, refused }, failed: 0, seq };
  }
}

function withProfile(raw: unknown, profile: string): unknown {
  const isCreate = typeof raw === 'object' && raw !== null && (raw as Raw)['op'] === 'vm.create';
  return isCreate ? { ...raw, profile } : raw;
}

function aboutOf(raw: Raw | null): string {
  return String(raw?.['endpoint'] ?? raw?.['vm'] ?? '');
}
