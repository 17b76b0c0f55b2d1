/**
 * Going to a moment gives the state that folding from zero gives: on the stores on disk and in memory,
 * in any order, on forks of forks, with snapshots, and with the cache deleted in between.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import type { Entry } from '../../core/event.ts';
import { fold } from '../../core/fold.ts';
import type { LogStore, SnapshotStore } from '../../core/history/store.ts';
import { createTravel } from '../../core/history/travel.ts';
import { resetRegisters } from '../../core/smmu/regs.ts';
import { initialState, type State } from '../../core/state.ts';
import { CacheFile } from '../../snapshots/cache-file.ts';
import { openLogStore } from '../../snapshots/log-store.ts';
import { MemoryLog, MemorySnapshots } from '../../snapshots/memory-store.ts';
import { DiskSnapshots } from '../../snapshots/snapshot-store.ts';
import { reset } from '../support/build.ts';
import { digestOf } from '../support/digest.ts';
import { carelessStories, play, type Story } from '../support/stories.ts';
import { worldConfig } from '../support/world.ts';

const folder = mkdtempSync(join(tmpdir(), 'backwalk-seek-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Seqs to go to, as shares of the head, and where the forks leave. */
const journeys = fc.record({
  story: carelessStories,
  stops: fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 1, maxLength: 8 }),
  forkAt: fc.double({ min: 0, max: 1, noNaN: true }),
  spacing: fc.integer({ min: 1, max: 60 }),
});

interface Opened {
  readonly log: LogStore;
  readonly snapshots: SnapshotStore;
  close(): Promise<void>;
}

function onDisk(path: string, spacing: number): Opened {
  const log = openLogStore(path);
  const cache = new CacheFile(log);
  const close = async (): Promise<void> => {
    await cache.close();
    await log.close();
  };
  return { log, snapshots: new DiskSnapshots(cache, (seq, last) => seq - last >= spacing), close };
}

function inMemory(): Opened {
  const log = new MemoryLog();
  return { log, snapshots: new MemorySnapshots(log), close: async () => {} };
}

/** Keeps the story as a root and a fork of a fork; gives the branches to travel on. */
function keepStory(
  { log }: Opened,
  story: Story,
  entries: readonly Entry[],
  forkAt: number,
): readonly number[] {
  const root = log.createRoot('main', worldConfig(story.setup), 'property');
  log.append(root.id, 0, entries).durable.catch(() => {});
  const at = Math.floor(entries.length * forkAt);
  const fork = log.fork('fork', root.id, at);
  log.append(fork.id, at, entries.slice(at)).durable.catch(() => {});
  return [root.id, fork.id, log.fork('again', fork.id, entries.length).id];
}

function travelIn({ log, snapshots }: Opened): { seek(branch: number, seq: number): State } {
  return createTravel({
    log,
    snapshots,
    fold,
    initial: ({ machine }) => initialState(machine, resetRegisters),
  });
}

describe('a moment that is gone to', () => {
  it('is the moment that folding from zero gives', async () => {
    let count = 0;
    await fc.assert(
      fc.asyncProperty(journeys, async ({ story, stops, forkAt, spacing }) => {
        const { entries } = play(story);
        const initial = reset(worldConfig(story.setup));
        const seqs = stops.map((share) => Math.floor(entries.length * share));
        const wanted = seqs.map((seq) => digestOf(fold(initial, entries.slice(0, seq))));
        count += 1;
        const path = join(folder, `${count}.bw`);
        for (const open of [() => onDisk(path, spacing), inMemory]) {
          const opened = open();
          const branches = keepStory(opened, story, entries, forkAt);
          const travel = travelIn(opened);
          for (const branch of branches) {
            // What is kept on the way is found by those that come later.
            for (const seq of seqs) opened.snapshots.put(branch, seq, travel.seek(branch, seq));
            const fresh = travelIn(opened);
            expect(seqs.map((seq) => digestOf(fresh.seek(branch, seq)))).toEqual(wanted);
          }
          await opened.close();
        }
        rmSync(`${path}.cache`, { force: true });
        const again = onDisk(path, spacing);
        const branch = again.log.branches().at(-1)?.id ?? 0;
        expect(seqs.map((seq) => digestOf(travelIn(again).seek(branch, seq)))).toEqual(wanted);
        await again.close();
      }),
      { numRuns: 25 },
    );
  });
});
