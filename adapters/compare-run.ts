/**
 * One story on several VMMs: each `vm.create` line gets the profile, and every line's cost is kept beside it. A line that
 * a design refuses (a device it cannot serve, and what was to be done with that device) is its named refusal.
 */
import type { Entry } from '../core/event.ts';
import { Simulation } from '../core/simulation.ts';
import { resetRegisters } from '../core/smmu/regs.ts';
import { initialState, type State } from '../core/state.ts';
import { devicesBehind, findVm } from '../core/vm/vm.ts';
import { policiesOf, type VmmProfileName } from '../core/vmm/profiles.ts';
import { type Cost, cost } from '../projections/cost/cost.ts';
import type { Counts } from '../projections/cost/counts-of.ts';
import {
  commandsFor,
  type Design,
  type FormulaOp,
  hasFormula,
  type Sizes,
} from '../projections/cost/formulas.ts';
import type { Ns, Prices } from '../projections/cost/prices.ts';
import { openPass } from '../projections/projection.ts';
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
  readonly formula?: { readonly op: FormulaOp; readonly design: Design; readonly sizes: Sizes };
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
    const formula = state === undefined || errno !== undefined ? undefined : formulaOf(state, given as Raw);
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

/** The formula that a line's counts should follow; undefined where none is meant for it. */
function formulaOf(state: State, raw: Raw): LineCost['formula'] {
  const { op, vm, endpoint, bytes } = raw;
  if (typeof op !== 'string' || !hasFormula(op) || typeof vm !== 'string') return undefined;
  const owner = findVm(state, vm);
  const device = owner?.devices[String(endpoint)];
  if (owner === undefined || device === undefined) return undefined;
  const guest = state.drivers[device.smmu];
  const master = guest?.masters[device.endpoint];
  const domain = guest?.dma?.[Number(master?.attached[0])];
  // Lazy unmaps share one flush: nothing is told of a single one.
  if (guest?.features === undefined || master === undefined || domain?.kind === 'dma-fq') return undefined;
  const design = designOf(policiesOf(owner.config), guest.setup.platform.tlbiOnMap);
  if (design === undefined) return undefined;
  const { rangeInv: ril, cmdqLog2 } = guest.features;
  const n = Math.ceil(Number(bytes) / 0x1000);
  // A queue that fills up is polled for room as well.
  if (commandsFor(n, ril) + 1 > 2 ** cmdqLog2) return undefined;
  const assigned = devicesBehind(owner, device.smmu).filter(({ kind }) => kind === 'assigned');
  return {
    op,
    design,
    sizes: {
      n,
      a: master.atsEnabled ? 1 : 0,
      k: 1,
      d: assigned.length,
      e: 1,
      ril,
    },
  };
}

function designOf(
  { strategy, batch }: ReturnType<typeof policiesOf>,
  onMap: 'page' | 'mask' | undefined,
): Design | undefined {
  if (strategy === 'trap-emulate') return 'emulated';
  if (strategy === 'nested') return batch === 'run' ? 'nested-run' : 'nested-each';
  if (strategy === 'tlbi-on-map') return onMap === 'mask' ? 'shadow-mask' : 'shadow';
  return undefined;
}
