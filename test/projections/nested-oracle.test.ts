/**
 * The rule on streams with stage 2, against the machine without caches: a guest and a host that do all
 * right give no finding; when invalidations are forgotten, `used-stale` names just the accesses whose
 * answers differ.
 */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Entry, isStimulus } from '../../core/event.ts';
import { openSession } from '../../core/machine.ts';
import type { Stimulus } from '../../core/stimulus.ts';
import { checkHistory } from '../../projections/check.ts';
import type { Finding } from '../../projections/finding.ts';
import { reset } from '../support/build.ts';
import { type NestedStory, nestedConfig, playNested } from '../support/nested-driver.ts';
import { nestedStories } from '../support/nested-stories.ts';

const NONE = { ste: 0, cd: 0, tlb: 0, walk: 0 } as const;
const runs = { numRuns: Number(process.env['ORACLE_RUNS'] ?? 60) };
// More runs than the usual ones take longer than a test may.
const TIMEOUT = 120_000;

/** The stimuli of a log; data of a stale write must not make the machines part. */
function stimuliOf(entries: readonly Entry[]): readonly Stimulus[] {
  return entries.filter(isStimulus).map((entry) => {
    const { seq, tick, cause, ...stimulus } = entry;
    return 'data' in stimulus ? { ...stimulus, data: undefined } : stimulus;
  }) as readonly Stimulus[];
}

function steps(story: NestedStory, stimuli: readonly Stimulus[]): readonly (readonly Entry[])[] {
  const session = openSession(reset(nestedConfig(story)));
  return stimuli.map((stimulus) => session.step(stimulus));
}

function answerOf(step: readonly Entry[] | undefined): string | undefined {
  const access = step?.find(({ type }) => type === 'access.completed' || type === 'access.terminated');
  if (access?.type === 'access.completed') return `ok ${access.pa}`;
  return access?.type === 'access.terminated' ? (/^\w*/.exec(access.reason)?.[0] ?? '') : undefined;
}

function compare(story: NestedStory): {
  readonly differ: readonly number[];
  readonly named: readonly number[];
} {
  const stimuli = stimuliOf(playNested(story).entries);
  const cached = steps(story, stimuli);
  const { choices, ...smmu } = story.smmu;
  const bare = steps(
    { ...story, smmu: { ...smmu, caches: NONE, choices: { cacheRefusedLeaf: true } } },
    stimuli,
  );
  const differ = cached.flatMap((step, at) => {
    const access = step.find(({ type }) => type.startsWith('access.'));
    return access === undefined || answerOf(step) === answerOf(bare[at]) ? [] : [access.seq];
  });
  const findings: readonly Finding[] = checkHistory(cached.flat(), nestedConfig(story), 'main');
  const named = findings
    .filter(({ verdict }) => verdict === 'used-stale')
    .map(({ position }) => Number(position.split('@')[1]));
  return { differ, named: [...new Set(named)] };
}

describe('the rule on streams with stage 2', () => {
  it(
    'is silent on a correct guest and host',
    () => {
      fc.assert(
        fc.property(nestedStories, (story) => {
          expect(compare(story).named).toEqual([]);
        }),
        runs,
      );
    },
    TIMEOUT,
  );

  it(
    'names the accesses that forgotten invalidations make differ, and no others',
    () => {
      let found = 0;
      fc.assert(
        fc.property(nestedStories, fc.nat({ max: 3 }), (story, forgets) => {
          const { differ, named } = compare({ ...story, forgets, schedule: 'eager' });
          found += named.length;
          expect(named).toEqual(differ);
        }),
        runs,
      );
      expect(found).toBeGreaterThan(5);
    },
    TIMEOUT,
  );
});
