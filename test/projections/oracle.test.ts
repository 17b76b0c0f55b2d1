/**
 * The rule against an oracle that knows nothing of it: the same stimuli put to a machine without
 * caches. A correct driver gives no finding. For a careless one, `used-stale` names just the accesses
 * whose answers differ, but for those that fall between a queued invalidation and its CMD_SYNC (N1).
 */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkHistory, seqOf } from '../../projections/check.ts';
import { invalidations } from '../../projections/invalidations.ts';
import { openPass } from '../../projections/projection.ts';
import { rules } from '../../projections/rules.ts';
import type { Action } from '../support/drivers.ts';
import {
  carelessStories,
  correctAction,
  correctStories,
  play,
  type Story,
  setups,
} from '../support/stories.ts';
import { compare, stepsOf, stimuliOf, underWay } from '../support/twin.ts';
import { worldConfig } from '../support/world.ts';

const FULL = { ste: 'unbounded', cd: 'unbounded', tlb: 'unbounded', walk: 'unbounded' } as const;
const runs = (count: number): { numRuns: number; seed?: number } => ({
  numRuns: Number(process.env['ORACLE_RUNS'] ?? count),
  ...(process.env['ORACLE_SEED'] === undefined ? {} : { seed: Number(process.env['ORACLE_SEED']) }),
});

/** Whether the projection under test tells it. */
function isOwn(id: string, verdict: string): boolean {
  const row = rules.find((rule) => rule.id === id);
  return row?.projection === invalidations && !(row.also !== undefined && verdict === 'protocol');
}

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
        const cached = stepsOf(story, stimuli);
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
        const cached = stepsOf(story, stimuli);
        const { differ, unknown } = compare(story, cached, stimuli);
        const findings = checkHistory(cached.flat(), worldConfig(story.setup), 'main');
        // A memory type of before is no other answer: old-attributes.test.ts has those.
        const named = findings
          .filter(
            ({ verdict, access }) => verdict === 'used-stale' && !access?.now.endsWith('stand there now'),
          )
          .map(seqOf);
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
