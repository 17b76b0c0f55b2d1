/**
 * Bugs beyond the catalogue against a machine that knows nothing of rules: the same lines with caches of no size. What
 * it answers otherwise is named, and nothing else is. Whom the findings blame, `stories.test.ts` holds.
 */
import { describe, expect, it } from 'vitest';
import type { Entry } from '../../core/event.ts';
import { checkHistory, seqOf } from '../../projections/check.ts';
import { runScenario } from '../support/run-scenario.ts';
import { furtherStories } from './further-stories.ts';

const NONE = { ste: 0, cd: 0, tlb: 0, walk: 0 };

type Line = Readonly<Record<string, unknown>>;

function withoutCaches({ expect: _, ...line }: Line): Line {
  if (line['op'] !== 'machine') return line;
  return { ...line, smmus: (line['smmus'] as Line[]).map((smmu) => ({ ...smmu, caches: NONE })) };
}

type Access = Extract<Entry, { type: 'access.completed' | 'access.terminated' }>;
const accessesOf = (entries: readonly Entry[]): readonly Access[] =>
  entries.filter((entry): entry is Access => /^access\.(completed|terminated)$/.test(entry.type));
const answerOf = (access: Access | undefined): unknown =>
  access?.type === 'access.completed' ? access.pa : /^\w*/.exec(access?.reason ?? '')?.[0];

describe.each(Object.entries(furtherStories))('%s', (file, { twin = true, elsewhere = false }) => {
  const { machine, entries } = runScenario(file);
  const bare = accessesOf(runScenario(file, withoutCaches).entries);
  const differ = accessesOf(entries).filter((access, at) => answerOf(access) !== answerOf(bare[at]));
  const named = checkHistory(entries, machine, 'main').filter(({ verdict }) => verdict === 'used-stale');

  it('names what a machine without caches answers otherwise, and nothing else', () => {
    expect(named.length).toBeGreaterThan(0);
    const seqs = differ.map(({ seq }) => seq);
    if (twin === 'N1') expect(named.map(seqOf)).toEqual(seqs.slice(1));
    else if (twin) expect(named.map(seqOf)).toEqual(seqs);
    else expect(differ).toEqual([]);
  });

  it('finds nothing stale where nothing is cached', () => {
    const { machine: off, entries: without } = runScenario(file, withoutCaches);
    const found = checkHistory(without, off, 'main').filter(({ verdict }) => verdict === 'used-stale');
    expect(found.length).toBe(elsewhere ? named.length : 0);
  });
});
