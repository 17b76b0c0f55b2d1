/**
 * The rule against an oracle that knows nothing of it: the same stimuli put to a machine without
 * caches. A correct driver gives no finding. For a careless one, `used-stale` names just the accesses
 * whose answers differ, but for those that fall between a queued invalidation and its CMD_SYNC (N1).
 */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Entry, isStimulus } from '../../core/event.ts';
import { openSession } from '../../core/machine.ts';
import type { Stimulus } from '../../core/stimulus.ts';
import { checkHistory } from '../../projections/check.ts';
import type { Finding } from '../../projections/finding.ts';
import { invalidations } from '../../projections/invalidations.ts';
import { openPass } from '../../projections/projection.ts';
import { rules } from '../../projections/rules.ts';
import { reset } from '../support/build.ts';
import type { Action } from '../support/drivers.ts';
import {
  carelessStories,
  correctAction,
  correctStories,
  play,
  type Story,
  setups,
} from '../support/stories.ts';
import { worldConfig } from '../support/world.ts';

const NONE = { ste: 0, cd: 0, tlb: 0, walk: 0 } as const;
const FULL = { ste: 'unbounded', cd: 'unbounded', tlb: 'unbounded', walk: 'unbounded' } as const;
const runs = (count: number): { numRuns: number; seed?: number } => ({
  numRuns: Number(process.env['ORACLE_RUNS'] ?? count),
  ...(process.env['ORACLE_SEED'] === undefined ? {} : { seed: Number(process.env['ORACLE_SEED']) }),
});

/** The stimuli of a log. DMA carries no data: what a stale write did must not make the machines part. */
function stimuliOf(entries: readonly Entry[]): readonly Stimulus[] {
  return entries.filter(isStimulus).map((entry) => {
    const { seq, tick, cause, ...stimulus } = entry;
    return 'data' in stimulus ? { ...stimulus, data: undefined } : stimulus;
  }) as readonly Stimulus[];
}

function steps(story: Story, stimuli: readonly Stimulus[]): readonly (readonly Entry[])[] {
  const session = openSession(reset(worldConfig(story.setup)));
  return stimuli.map((stimulus) => session.step(stimulus));
}

type Access = Extract<Entry, { type: 'access.completed' | 'access.terminated' }>;

function accessesOf(step: readonly Entry[]): readonly Access[] {
  return step.filter((entry): entry is Access => entry.type.startsWith('access.'));
}

function answerOf(access: Access | undefined): string {
  if (access === undefined) return 'none';
  return access.type === 'access.completed'
    ? `ok ${access.pa}`
    : `refused ${/^\w*/.exec(access.reason)?.[0]}`;
}

/** seqs of the accesses that the twin answers otherwise, and of those it never came to. */
function compare(
  story: Story,
  cached: readonly (readonly Entry[])[],
  stimuli: readonly Stimulus[],
): { readonly differ: ReadonlySet<number>; readonly unknown: ReadonlySet<number> } {
  const twin = steps({ ...story, setup: { ...story.setup, caches: NONE } }, stimuli);
  const differ = new Set<number>();
  const unknown = new Set<number>();
  for (const [at, step] of cached.entries()) {
    const bare = new Map(accessesOf(twin[at] ?? []).map((access) => [access.iova, access]));
    for (const access of accessesOf(step)) {
      const other = bare.get(access.iova);
      // A DMA ends with the piece that is refused.
      if (other === undefined) unknown.add(access.seq);
      else if (answerOf(access) !== answerOf(other)) differ.add(access.seq);
    }
  }
  return { differ, unknown };
}

/** seqs of the accesses at which a command is queued that no completed CMD_SYNC of the queue follows. */
function underWay(entries: readonly Entry[]): ReadonlySet<number> {
  const found = new Set<number>();
  let span = 1;
  let produced = 0;
  let synced = 0;
  for (const entry of entries) {
    if (entry.type === 'register.written' && entry.register === 'CMDQ_BASE')
      span = 2 ** (Number(entry.value & 0x1fn) + 1);
    if (entry.type === 'register.written' && entry.register === 'CMDQ_PROD')
      produced = Number(entry.value) % span;
    // An older CMD_SYNC that completes says nothing of what was queued behind it.
    if (entry.type === 'sync.completed') synced = (entry.index + 1) % span;
    if (entry.type.startsWith('access.') && produced !== synced) found.add(entry.seq);
  }
  return found;
}

/** Whether the projection under test tells it. */
function isOwn(id: string, verdict: string): boolean {
  const row = rules.find((rule) => rule.id === id);
  return row?.projection === invalidations && !(row.also !== undefined && verdict === 'protocol');
}

const seqOf = ({ position }: Finding): number => Number(position.split('@')[1]);

const slipped: fc.Arbitrary<Action> = fc
  .tuple(correctAction, fc.constantFrom('no-tlbi', 'no-sync', 'nothing', 'wrong-asid', undefined))
  .map(([action, slip]) => (slip === undefined ? action : { ...action, slip }));

const slippery: fc.Arbitrary<Story> = fc.record({
  setup: fc
    .tuple(setups, fc.boolean())
    .map(([setup, full]) => (full ? { ...setup, caches: FULL, invalidation: 'literal' as const } : setup)),
  actions: fc.array(slipped, { minLength: 20, maxLength: 80, size: 'max' }),
});

describe('the rule on random stories', () => {
  it('is silent on a correct driver', () => {
    fc.assert(
      fc.property(correctStories, (story) => {
        const { entries } = play(story);
        expect(checkHistory(entries, worldConfig(story.setup), 'main')).toEqual([]);
      }),
      runs(80),
    );
  });

  it('names the accesses that differ from the twin without caches, and no others', () => {
    let found = 0;
    fc.assert(
      fc.property(slippery, (story) => {
        const stimuli = stimuliOf(play(story).entries);
        const cached = steps(story, stimuli);
        const entries = cached.flat();
        const { differ, unknown } = compare(story, cached, stimuli);
        const findings = checkHistory(entries, worldConfig(story.setup), 'main');
        const named = new Set(findings.filter(({ verdict }) => verdict === 'used-stale').map(seqOf));
        const allowed = underWay(entries);
        found += named.size;
        const extra = [...named].filter((seq) => !differ.has(seq) && !unknown.has(seq));
        const missed = [...differ].filter((seq) => !named.has(seq) && !allowed.has(seq));
        expect({ extra, missed }).toEqual({ extra: [], missed: [] });
      }),
      runs(80),
    );
    expect(found).toBeGreaterThan(50);
  });

  it('takes whatever a careless driver and stray stores do, and blames nothing that did not differ', () => {
    fc.assert(
      fc.property(carelessStories, (story) => {
        const stimuli = stimuliOf(play(story).entries).filter(({ type }) => type !== 'set');
        const cached = steps(story, stimuli);
        const { differ, unknown } = compare(story, cached, stimuli);
        const findings = checkHistory(cached.flat(), worldConfig(story.setup), 'main');
        const named = findings.filter(({ verdict }) => verdict === 'used-stale').map(seqOf);
        expect(named.filter((seq) => !differ.has(seq) && !unknown.has(seq))).toEqual([]);
      }),
      runs(80),
    );
  });

  it('answers the same when the log is folded in two parts', () => {
    fc.assert(
      fc.property(slippery, fc.nat(), (story, cut) => {
        const { entries } = play(story);
        const config = worldConfig(story.setup);
        const middle = cut % (entries.length + 1);
        const pass = openPass([invalidations(config, 'main')]);
        for (const entry of entries.slice(0, middle)) pass.take(entry);
        pass.answers();
        for (const entry of entries.slice(middle)) pass.take(entry);
        // The rules of protocol stand for themselves.
        const own = checkHistory(entries, config, 'main').filter(({ rule, verdict }) => isOwn(rule, verdict));
        expect(pass.answers()[0]).toEqual(own);
      }),
      runs(20),
    );
  });
});
