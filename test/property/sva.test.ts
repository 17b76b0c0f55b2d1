/**
 * For all stories of processes and the devices that walk their tables: a correct operating system breaks no rule, no
 * device meets anything but what its process has mapped, all that is begun ends and nothing is lost, and the fold of
 * the log is the machine. The quirks are the counter-proof: with them the same stories must be found to be wrong.
 */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Entry, isStimulus } from '../../core/event.ts';
import { fold } from '../../core/fold.ts';
import { openSession } from '../../core/machine.ts';
import type { Stimulus } from '../../core/stimulus.ts';
import { checkHistory } from '../../projections/check.ts';
import { contentOf } from '../support/content.ts';
import { type Action, action, type Kind, playSva, svaWorld } from '../support/sva-world.ts';

const RUNS = Number(process.env['SVA_RUNS'] ?? 12);
const stories = fc.array(action, { minLength: 30, maxLength: 90, size: 'max' });
const kinds: readonly Kind[] = ['host', 'host without ranges', 'guest'];

function findingsOf(kind: Kind, story: readonly Action[], quirk?: string): readonly string[] {
  const world = svaWorld(kind, true, quirk);
  const { entries } = playSva(world, story);
  const all = checkHistory([...world.entries, ...entries], world.config, 'main');
  return all.map(({ rule, verdict, position, title }) => `${rule} ${verdict} ${position} ${title}`);
}

describe.each(kinds)('processes and devices: %s', (kind) => {
  it('break no rule, whoever comes between', () => {
    fc.assert(
      fc.property(stories, (story) => {
        expect(findingsOf(kind, story)).toEqual([]);
      }),
      { numRuns: RUNS, seed: 1 },
    );
  });

  it('meet what is mapped for them, with caches and without', () => {
    fc.assert(
      fc.property(stories, (story) => {
        for (const caches of [true, false]) {
          const { met, meant } = playSva(svaWorld(kind, caches), story);
          expect(met).toEqual(meant);
        }
      }),
      { numRuns: RUNS, seed: 2 },
    );
  });

  it('end all that they begin, and give all memory back when the last has gone', () => {
    fc.assert(
      fc.property(stories, (story) => {
        const world = svaWorld(kind, true);
        const { simulation } = playSva(world, story);
        expect(simulation.state.tasks).toEqual([]);
        const owner = kind === 'guest' ? { vm: 'vm0' } : {};
        const mms = Object.values(simulation.state.mms ?? {});
        for (const { name, exited, bonds } of mms) {
          if (!exited) simulation.dispatch({ type: 'mm.exit', ...owner, mm: name });
          for (const { endpoint, users } of bonds)
            for (let at = 0; at < users; at += 1)
              simulation.dispatch({ type: 'sva.unbind', ...owner, mm: name, endpoint });
          simulation.run();
        }
        expect(simulation.state.mms ?? {}).toEqual({});
        const driver = kind === 'guest' ? 'vm0.smmu' : 'smmu0';
        const domains = (of: typeof world.state): number => of.drivers[driver]?.domains.size ?? 0;
        expect(domains(simulation.state)).toBe(domains(world.state));
        // CD tables stay: those of endpoints that were bound for the first time in their lives.
        expect(taken(simulation.state, kind)).toBe(taken(world.state, kind));
      }),
      { numRuns: RUNS, seed: 3 },
    );
  });

  it('leave a log whose fold is the machine, and that its stimuli give again', () => {
    fc.assert(
      fc.property(stories, (story) => {
        const world = svaWorld(kind, true);
        const { entries, simulation } = playSva(world, story);
        expect(contentOf(fold(world.state, entries))).toEqual(contentOf(simulation.state));
        const session = openSession(world.state);
        const again = entries.filter(isStimulus).flatMap((entry) => session.step(stimulusOf(entry)));
        expect(again).toEqual(entries);
      }),
      { numRuns: 3, seed: 4 },
    );
  });
});

function stimulusOf(entry: Entry): Stimulus {
  const { seq: _, tick: __, cause: ___, ...stimulus } = entry;
  return stimulus as Stimulus;
}

/** Pages that are not free. */
function taken(state: ReturnType<typeof svaWorld>['state'], kind: Kind): number {
  const pool = kind === 'guest' ? state.vms['vm0']?.pool : state.kernel?.pool;
  let free = 0;
  for (const [, count] of pool?.free.range() ?? []) free += count;
  return -free;
}

describe.each(kinds)('the counter-proof: %s', (kind) => {
  const all = fc.sample(stories, { numRuns: 8, seed: 5 });
  it.each([
    ['notifier-silent', /^I[23] /],
    ['notifier-skip-atc', /^I[29] /],
    ['notifier-late', /^I2 /],
    ['release-silent', /^I[23] /],
    ['wrong-asid', /^I[234] /],
  ] as const)('with %s stories are found to be wrong', (quirk, rule) => {
    const found = all.flatMap((story) => findingsOf(kind, story, quirk));
    expect(found.some((each) => rule.test(each))).toBe(true);
  });
});
