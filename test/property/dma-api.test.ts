/**
 * For all stories of several CPUs: no IOVA has two owners, no device meets what was unmapped, a machine with caches
 * and its twin without agree, all that is begun ends, and a rerun of the log gives the log. The quirks are the
 * counter-proof: with them the same stories must go wrong now and then, or the comparison would be blind.
 */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Entry, isStimulus } from '../../core/event.ts';
import { fold } from '../../core/fold.ts';
import { openSession } from '../../core/machine.ts';
import type { Stimulus } from '../../core/stimulus.ts';
import { contentOf } from '../support/content.ts';
import {
  type Action,
  action,
  actionOf,
  bootedWorld,
  CPUS,
  type Kind,
  playDma,
} from '../support/dma-world.ts';

const RUNS = Number(process.env['DMA_RUNS'] ?? 250);
const stories = fc.array(action, { minLength: 20, maxLength: 80 });
const kinds = ['dma', 'dma-fq'] as const;

/** Ranges that were taken while others had a part of them. */
function overlaps(entries: readonly Entry[]): string[] {
  const taken = new Map<bigint, bigint>();
  const found: string[] = [];
  for (const entry of entries) {
    if (entry.type === 'iova.freed') taken.delete(entry.iova);
    if (entry.type !== 'iova.taken') continue;
    const end = entry.iova + BigInt(entry.pages * 0x1000);
    for (const [start, last] of taken)
      if (entry.iova < last && start < end) found.push(`${entry.seq}: ${entry.iova}`);
    taken.set(entry.iova, end);
  }
  return found;
}

describe.each(kinds)('CPUs of a host with default domains of kind %s', (kind: Kind) => {
  it('give no IOVA to two, and no device meets anything but what is mapped for it', () => {
    fc.assert(
      fc.property(stories, (story) => {
        const { entries, met, meant } = playDma(bootedWorld(kind, true), story);
        expect(overlaps(entries)).toEqual([]);
        expect(met).toEqual(meant);
      }),
      { numRuns: RUNS, seed: 1 },
    );
  });

  it('see on every machine what they see on the twin without caches', () => {
    fc.assert(
      fc.property(stories, (story) => {
        const all = (caches: boolean): readonly string[] => playDma(bootedWorld(kind, caches), story).met;
        expect(all(true)).toEqual(all(false));
      }),
      { numRuns: RUNS, seed: 2 },
    );
  });

  it('end all that they begin, and PROD passes all slots that were reserved', () => {
    fc.assert(
      fc.property(stories, (story) => {
        const { entries, simulation } = playDma(bootedWorld(kind, true), story);
        const driver = simulation.state.drivers['smmu0']!;
        expect(simulation.state.tasks).toEqual([]);
        expect(driver.runs ?? []).toEqual([]);
        const asked = entries.filter(({ type }) => type === 'guest.map' || type === 'guest.unmap').length;
        const ended = entries.filter(({ type }) => type === 'dma.mapped' || type === 'dma.unmapped').length;
        expect(ended).toBe(asked);
        expect(entries.filter(({ type }) => type === 'misuse.noted' || type === 'sync.timedout')).toEqual([]);
      }),
      { numRuns: RUNS / 2, seed: 3 },
    );
  });

  it('leave a log that its stimuli give again', () => {
    fc.assert(
      fc.property(stories, (story) => {
        const from = bootedWorld(kind, true);
        const { entries } = playDma(from, story);
        const session = openSession(from.state);
        const again = entries.filter(isStimulus).flatMap((entry) => {
          const { seq: _, tick: __, cause: ___, ...stimulus } = entry;
          return session.step(stimulus as Stimulus);
        });
        expect(again).toEqual(entries);
      }),
      { numRuns: 15, seed: 7 },
    );
  });

  it('leave a log whose fold is the machine', () => {
    fc.assert(
      fc.property(stories, (story) => {
        const from = bootedWorld(kind, true);
        const { entries, simulation } = playDma(from, story);
        expect(contentOf(fold(from.state, entries))).toEqual(contentOf(simulation.state));
      }),
      { numRuns: 20, seed: 4 },
    );
  });
});

describe('the counter-proof', () => {
  // Few CPUs and one size: what is freed is taken again soon. Ranges of 33 pages are kept by no CPU.
  const few = actionOf(1, { min: 1, max: 1 });
  const large = actionOf(2, { min: 33, max: 33 });
  const wrong = (kind: Kind, quirk: string, of: fc.Arbitrary<Action>): number => {
    const dense = fc.array(of, { minLength: 120, maxLength: 200 });
    const all: readonly (readonly Action[])[] = fc.sample(dense, { numRuns: 60, seed: 5 });
    return all.filter((story) => {
      const { met, meant } = playDma(bootedWorld(kind, true, quirk), story);
      return met.join() !== meant.join();
    }).length;
  };

  it.each([
    ['dma-fq', 'iova-early-free', few],
    ['dma-fq', 'fq-no-flush', few],
    ['dma', 'iova-early-free', large],
    ['dma', 'skip-tlbi', few],
  ] as const)('%s with %s goes wrong', (kind, quirk, of) => {
    expect(wrong(kind, quirk, of)).toBeGreaterThan(0);
  });

  it('meets CPUs that share a write of PROD', () => {
    const shared = fc.sample(stories, { numRuns: 60, seed: 6 }).filter((story) => {
      const { entries } = playDma(bootedWorld('dma', true), story);
      return entries.some((entry) => entry.type === 'cmdq.reserved' && !entry.owner);
    });
    expect(shared.length).toBeGreaterThan(5);
    expect(CPUS).toBe(4);
  });
});
