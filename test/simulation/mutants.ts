/**
 * Recall and precision of the rules on the bare SMMU: the story of a correct driver, and the same story with one
 * mistake in one of its changes. The twin without caches, which knows nothing of rules, says which accesses were
 * served from what should have been gone.
 */
import * as fc from 'fast-check';
import { assert } from '../../core/assert.ts';
import type { Entry } from '../../core/event.ts';
import { checkHistory, seqOf } from '../../projections/check.ts';
import type { Action } from '../support/drivers.ts';
import { type Mutation, mutationKinds } from '../support/mutations.ts';
import { correctAction, play, type Story, setups } from '../support/stories.ts';
import { compare, stepsOf, stimuliOf, underWay } from '../support/twin.ts';
import { PAGES, worldConfig } from '../support/world.ts';

const FULL = { ste: 'unbounded', cd: 'unbounded', tlb: 'unbounded', walk: 'unbounded' } as const;
/** Actions that queue commands. */
const CHANGES: ReadonlySet<Action['do']> = new Set([
  'remap',
  'unmap',
  'block',
  'context',
  'stream',
  'level1',
]);

export interface Mutant {
  readonly story: Story;
  readonly mutation: Mutation;
  /** The action with the mistake. */
  readonly at: number;
}

/** An access to every page, so that caches hold what the change takes away, and what they kept is met again. */
const probes: readonly Action[] = [0, 1, 2].flatMap((space) =>
  [false, true].flatMap((upper) =>
    PAGES.map(
      (page): Action => ({
        do: 'dma',
        page: { space, upper, page },
        offset: 0,
        size: 8,
        write: false,
        privileged: true,
        exec: false,
      }),
    ),
  ),
);

/** What one mutant showed. Positions are seqs. */
export interface Measured {
  readonly mutant: Mutant;
  /** Findings of the story without the mistake. */
  readonly falseAlarms: readonly string[];
  /** Accesses that the twin answers otherwise, but for those that a CMD_SYNC under way excuses (N1). */
  readonly differ: readonly number[];
  readonly excused: readonly number[];
  /** Of `differ`, those that no `used-stale` names. */
  readonly missed: readonly number[];
  /** Named `used-stale`, and the twin says the same. */
  readonly extra: readonly number[];
  readonly findings: number;
  /** Findings whose blame lies outside of the action with the mistake. */
  readonly astray: readonly string[];
}

/** The mutant of a seed. */
export function mutantOf(seed: number): Mutant {
  const stories = fc.record({
    setup: fc
      .tuple(setups, fc.boolean())
      .map(([setup, full]) => (full ? { ...setup, caches: FULL, invalidation: 'literal' as const } : setup)),
    actions: fc.array(correctAction, { minLength: 20, maxLength: 40, size: 'max' }),
    kind: fc.constantFrom(...mutationKinds),
    which: fc.nat(7),
    at: fc.nat(),
  });
  const [drawn] = fc.sample(stories, { seed, numRuns: 1 });
  assert(drawn !== undefined, 'a seed makes a story');
  const { setup, actions, kind, which } = drawn;
  const changes = actions.flatMap((action, index) => (CHANGES.has(action.do) ? [index] : []));
  const at = changes[drawn.at % Math.max(1, changes.length)] ?? 0;
  const probed = [...actions.slice(0, at), ...probes, ...actions.slice(at, at + 1), ...probes];
  const story = { setup, actions: [...probed, ...actions.slice(at + 1)] };
  return { story, mutation: { kind, which }, at: at + probes.length };
}

/** Plays a mutant with and without its mistake and holds the findings against the twin. */
export function measure(mutant: Mutant): Measured {
  const { story, mutation, at } = mutant;
  const config = worldConfig(story.setup);
  const correct = checkHistory(play(story).entries, config, 'main');
  const actions = story.actions.map((action, index) =>
    index === at ? { ...action, slip: mutation } : action,
  );
  const bad = { ...story, actions };
  const { entries, step } = playedWith(bad, at);
  const stimuli = stimuliOf(entries);
  const cached = stepsOf(bad, stimuli);
  const { differ, unknown } = compare(bad, cached, stimuli);
  const again = cached.flat();
  const findings = checkHistory(again, config, 'main');
  const named = new Set(findings.filter(({ verdict }) => verdict === 'used-stale').map(seqOf));
  const allowed = underWay(again);
  const [from, to] = span(cached, step);
  return {
    mutant,
    falseAlarms: correct.map(({ rule, position, title }) => `${rule} ${position} ${title}`),
    differ: [...differ].filter((seq) => !allowed.has(seq)),
    excused: [...differ].filter((seq) => allowed.has(seq)),
    missed: [...differ].filter((seq) => !named.has(seq) && !allowed.has(seq)),
    extra: [...named].filter((seq) => !differ.has(seq) && !unknown.has(seq)),
    findings: findings.length,
    astray: findings
      .filter(({ blame }) => seqOf(blame) < from || seqOf(blame) > to)
      .map(
        ({ rule, verdict, position, blame }) =>
          `${rule} ${verdict} ${position}: ${blame.position} ${blame.what}`,
      ),
  };
}

/** Entries of a story, and the stimuli of action `at` as indices among all stimuli. */
function playedWith(
  story: Story,
  at: number,
): { entries: readonly Entry[]; step: readonly [number, number] } {
  const ends: number[] = [];
  const { entries } = play(story, (simulation) => ends.push(simulation.glance.seq));
  const stimuliUpTo = (seq: number): number => stimuliOf(entries.filter((entry) => entry.seq <= seq)).length;
  return { entries, step: [at === 0 ? 0 : stimuliUpTo(ends[at - 1] ?? 0), stimuliUpTo(ends[at] ?? 0)] };
}

/** First and last seq of the steps `from` to before `to`. */
function span(
  steps: readonly (readonly Entry[])[],
  [from, to]: readonly [number, number],
): readonly [number, number] {
  const entries = steps.slice(from, to).flat();
  return [entries[0]?.seq ?? 0, entries.at(-1)?.seq ?? 0];
}
