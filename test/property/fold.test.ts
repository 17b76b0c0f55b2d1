/**
 * The log is the truth: folding its entries gives the states that the live machine had, however
 * often those were published, and nothing that happens later changes a state that was handed out.
 * Random careless stories, so that every kind of entry takes part.
 */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Entry } from '../../core/event.ts';
import { fold } from '../../core/fold.ts';
import { openSession } from '../../core/machine.ts';
import type { State } from '../../core/state.ts';
import { reset } from '../support/build.ts';
import { contentOf, stateText } from '../support/content.ts';
import { carelessStories, play } from '../support/stories.ts';
import { worldConfig } from '../support/world.ts';

function expectSame(actual: State, wanted: State): void {
  if (stateText(actual) !== stateText(wanted)) expect(contentOf(actual)).toEqual(contentOf(wanted));
}

describe('a history', () => {
  it('folds to the state that the live machine has', () => {
    fc.assert(
      fc.property(carelessStories, (story) => {
        const { simulation, entries } = play(story);
        expectSame(fold(reset(worldConfig(story.setup)), entries), simulation.state);
      }),
    );
  });

  it('folds to the state of any earlier moment, from zero and from any moment before', () => {
    fc.assert(
      fc.property(carelessStories, fc.nat(), (story, pick) => {
        const states: State[] = [];
        const { entries } = play(story, (simulation) => states.push(simulation.state));
        const initial = reset(worldConfig(story.setup));
        for (const state of states) expectSame(fold(initial, entries.slice(0, state.seq)), state);
        const from = states[pick % Math.max(1, states.length)] ?? initial;
        const last = states.at(-1) ?? initial;
        expectSame(fold(from, entries.slice(from.seq, last.seq)), last);
      }),
      { numRuns: 40 },
    );
  });

  it('has the same states whether they are published after each entry, seldom, or once', () => {
    fc.assert(
      fc.property(carelessStories, fc.integer({ min: 1, max: 50 }), (story, seldom) => {
        const { simulation, entries } = play(story);
        const initial = reset(worldConfig(story.setup));
        for (const every of [1, seldom])
          expectSame(foldPublishing(initial, entries, every), simulation.state);
        const watched = play(story, (live) => void live.state);
        expectSame(watched.simulation.state, simulation.state);
      }),
      { numRuns: 40 },
    );
  });

  it('never changes a state that was handed out, nor the entries', () => {
    fc.assert(
      fc.property(carelessStories, (story) => {
        const kept: { state: State; text: string }[] = [];
        const { simulation, entries } = play(story, ({ state }) =>
          kept.push({ state, text: stateText(state) }),
        );
        const log = entries.map((entry) => structuredClone(entry));
        // Branches off old states go their own ways and change neither the past nor each other.
        for (const { state } of kept) {
          const branch = openSession(state);
          branch.step({ type: 'mem.write', pa: 0x20_0000, bytes: Uint8Array.of(1, 2, 3) });
          branch.step({ type: 'dma', endpoint: 'dev0', iova: 0x4000_0000n, size: 8, access: 'write' });
          branch.publish();
        }
        fold(reset(worldConfig(story.setup)), entries);
        expect(simulation.state.seq).toBe(entries.length);
        for (const { state, text } of kept)
          expect(stateText(state) === text, `state at ${state.seq}`).toBe(true);
        expect(entries).toEqual(log);
      }),
      { numRuns: 40 },
    );
  });

  it('numbers its entries without gaps, and every event follows from a stimulus before it', () => {
    fc.assert(
      fc.property(carelessStories, (story) => {
        const { entries } = play(story);
        entries.forEach((entry, index) => {
          expect(entry.seq).toBe(index + 1);
          expect(entry.cause).toBeLessThan(entry.seq);
        });
      }),
      { numRuns: 20 },
    );
  });
});

function foldPublishing(initial: State, entries: readonly Entry[], every: number): State {
  const session = openSession(initial);
  for (let from = 0; from < entries.length; from += every) {
    session.fold(entries.slice(from, from + every));
    session.publish();
  }
  return session.publish();
}
