/**
 * Wants to show: a state comes back from its snapshot as it was, in another process' life too; a
 * snapshot costs what changed; another past, another log, damage and deletion lead to folding, never
 * to a wrong state; seek is fold from zero, with and without snapshots.
 */
import {
  copyFileSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { fold } from '../../core/fold.ts';
import { createTravel } from '../../core/history/travel.ts';
import type { State } from '../../core/state.ts';
import { CacheFile } from '../../snapshots/cache-file.ts';
import { type DiskLog, openLogStore } from '../../snapshots/log-store.ts';
import { MemorySnapshots } from '../../snapshots/memory-store.ts';
import { isDue, keepers, SPACING } from '../../snapshots/policy.ts';
import { DiskSnapshots } from '../../snapshots/snapshot-store.ts';
import { StoreError } from '../../snapshots/store-error.ts';
import { machine, reset } from '../support/build.ts';
import { digestOf } from '../support/digest.ts';
import { longStory } from '../support/long-story.ts';

const folder = mkdtempSync(join(tmpdir(), 'backwalk-snapshots-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
let files = 0;
function fresh(): string {
  files += 1;
  return join(folder, `${files}.bw`);
}
const always = (): boolean => true;

interface Opened {
  readonly log: DiskLog;
  readonly cache: CacheFile;
  readonly snapshots: DiskSnapshots;
  close(): Promise<void>;
}

function openAll(path: string, spacing: typeof isDue = always): Opened {
  const log = openLogStore(path);
  const cache = new CacheFile(log);
  const snapshots = new DiskSnapshots(cache, spacing);
  return {
    log,
    cache,
    snapshots,
    async close() {
      await cache.close();
      await log.close();
    },
  };
}

/** A log of `last` entries with a snapshot after every `every`; digests by seq. */
async function made(path: string, last: number, every: number): Promise<Map<number, string>> {
  const opened = openAll(path);
  opened.log.createRoot('main', machine(), 'test');
  const story = longStory({ seed: last });
  const digests = new Map<number, string>();
  let state = reset(machine());
  for (let seq = every; seq <= last; seq += every) {
    const entries = story.more(seq);
    opened.log.append(1, seq - every, entries);
    state = fold(state, entries);
    opened.snapshots.put(1, seq, state);
    digests.set(seq, digestOf(state));
  }
  await opened.close();
  return digests;
}

/** The state by folding everything. */
function folded(log: DiskLog, branch: number, seq: number): State {
  return fold(reset(machine()), log.read(branch, 1, seq));
}

describe('snapshots', () => {
  it('give back each state after opening again', async () => {
    const path = fresh();
    const digests = await made(path, 3000, 250);
    const { snapshots, close } = openAll(path);
    for (const [seq, digest] of digests) {
      const found = snapshots.nearest(1, seq + 100);
      expect(found).toMatchObject({ branch: 1, seq });
      expect(digestOf(found!.state)).toBe(digest);
    }
    expect(snapshots.nearest(1, 249)).toBeUndefined();
    await close();
  });

  it('give states that can be folded on and kept again', async () => {
    const path = fresh();
    const digests = await made(path, 2000, 500);
    const opened = openAll(path);
    const found = opened.snapshots.nearest(1, 999)!;
    const on = fold(found.state, opened.log.read(1, 501, 1500));
    expect(digestOf(on)).toBe(digests.get(1500));
    opened.log.fork('what-if', 1, 1500);
    opened.snapshots.put(2, 1500, on);
    const story = longStory({ seed: 9, from: 1501 }).more(1700);
    opened.log.append(2, 1500, story);
    const forked = fold(on, story);
    opened.snapshots.put(2, 1700, forked);
    await opened.close();
    const again = openAll(path);
    expect(digestOf(again.snapshots.nearest(2, 1800)!.state)).toBe(digestOf(forked));
    expect(again.snapshots.nearest(2, 1650)).toMatchObject({ branch: 1, seq: 1500 });
    expect(digestOf(again.snapshots.nearest(1, 2000)!.state)).toBe(digests.get(2000));
    await again.close();
  });

  it('cost what changed', async () => {
    const path = fresh();
    const opened = openAll(path);
    opened.log.createRoot('main', machine(), 'test');
    const story = longStory({ seed: 4, pages: 2000 });
    const entries = story.more(40000);
    opened.log.append(1, 0, entries);
    let state = fold(reset(machine()), entries);
    const bytes = (): number => statSync(`${path}.cache`).size;
    opened.snapshots.put(1, 40000, state);
    const whole = bytes();
    const more = story.more(40100);
    opened.log.append(1, 40000, more);
    state = fold(state, more);
    opened.snapshots.put(1, 40100, state);
    const small = bytes() - whole;
    expect(small).toBeLessThan(whole / 15);
    await opened.close();
    // What was loaded and not touched is not written again either.
    const again = openAll(path);
    const last = story.more(40200);
    again.log.append(1, 40100, last);
    const before = bytes();
    again.snapshots.put(1, 40200, fold(again.snapshots.nearest(1, 40100)!.state, last));
    expect(bytes() - before).toBeLessThan(whole / 15);
    await again.close();
  });

  it('are made by replay cost', async () => {
    const opened = openAll(fresh(), isDue);
    opened.log.createRoot('main', machine(), 'test');
    const entries = longStory().more(SPACING + 10);
    opened.log.append(1, 0, entries);
    const state = fold(reset(machine()), entries);
    opened.snapshots.put(1, SPACING - 1, state);
    expect(opened.snapshots.nearest(1, SPACING + 10)).toBeUndefined();
    opened.snapshots.put(1, SPACING + 10, state);
    expect(opened.snapshots.nearest(1, SPACING + 10)).toMatchObject({ seq: SPACING + 10 });
    await opened.close();
  });

  it('are passed over for another past', async () => {
    const path = fresh();
    await made(path, 1000, 500);
    const other = fresh();
    // The same log, restored from a copy of seq 500, with other entries behind.
    const opened = openAll(path);
    const entries = [...opened.log.read(1, 1, 1000)];
    await opened.close();
    copyFileSync(path, other);
    copyFileSync(`${path}.cache`, `${other}.cache`);
    const log = openLogStore(other);
    const fork = log.fork('other', 1, 700);
    expect(fork.id).toBe(2);
    log.append(2, 700, longStory({ seed: 77, from: 701 }).more(1000));
    const cache = new CacheFile(log);
    const snapshots = new DiskSnapshots(cache, always);
    expect(snapshots.nearest(2, 1000)).toMatchObject({ branch: 1, seq: 500 });
    expect(entries.length).toBe(1000);
    await cache.close();
    await log.close();
  });

  it('of another log are deleted', async () => {
    const [one, two] = [fresh(), fresh()];
    await made(one, 500, 500);
    await made(two, 500, 250);
    rmSync(`${two}.cache`);
    rmSync(`${two}.cache-lock`, { force: true });
    copyFileSync(`${one}.cache`, `${two}.cache`);
    const { snapshots, cache, close } = openAll(two);
    expect(snapshots.nearest(1, 500)).toBeUndefined();
    expect(cache.writable).toBe(true);
    await close();
  });

  it('beyond what is durable are dropped', async () => {
    const path = fresh();
    await made(path, 1000, 500);
    const opened = openAll(path);
    opened.log.removeBranch(1);
    await opened.close();
    const again = openAll(path);
    const keys = [...again.cache.environment!.keys(Uint8Array.of(3), Uint8Array.of(4))];
    expect(keys).toEqual([]);
    await again.close();
  });

  it('are kept all near the head, and ever fewer behind', () => {
    const seqs = Array.from({ length: 16000 }, (_, at) => (at + 1) * SPACING);
    const kept = keepers(seqs, 16000 * SPACING);
    for (let at = 14000; at < 16000; at += 1) expect(kept.has(seqs[at]!)).toBe(true);
    expect(kept.size).toBeLessThan(5200);
    // Thinning what is thinned already changes nothing.
    const again = keepers(
      [...kept].sort((one, other) => one - other),
      16000 * SPACING,
    );
    expect(again.size).toBe(kept.size);
  });
});

describe('a damaged cache', () => {
  it('never gives a wrong state', { timeout: 60_000 }, async () => {
    const path = fresh();
    const digests = await made(path, 2000, 250);
    const [log, cache] = [readFileSync(path), readFileSync(`${path}.cache`)];
    let random = 11;
    const next = (below: number): number => {
      random = (Math.imul(random, 1664525) + 1013904223) >>> 0;
      return Math.floor((random / 2 ** 32) * below);
    };
    for (let run = 0; run < 30; run += 1) {
      const copy = fresh();
      writeFileSync(copy, log);
      const damaged = Uint8Array.from(cache);
      damaged[run % 3 === 0 ? next(cache.length / 4096) * 4096 + next(100) : next(cache.length)]! ^=
        1 << next(8);
      writeFileSync(`${copy}.cache`, damaged);
      await expectRight(copy, digests);
      // A second opening meets what the first left.
      await expectRight(copy, digests);
      for (const file of [copy, `${copy}-lock`, `${copy}.cache`, `${copy}.cache-lock`])
        rmSync(file, { force: true });
    }
    for (const length of [0, 100, 8192, cache.length >> 1]) {
      const copy = fresh();
      writeFileSync(copy, log);
      writeFileSync(`${copy}.cache`, cache.subarray(0, length));
      await expectRight(copy, digests);
    }
  });
});

/** Every state asked for is right, or the cache is told to be damaged and the next answer is right. */
async function expectRight(path: string, digests: ReadonlyMap<number, string>): Promise<void> {
  const { log, snapshots, close } = openAll(path);
  const travel = createTravel({ log, snapshots, fold, initial: () => reset(machine()) });
  for (const seq of [2000, 1250]) {
    let digest: string;
    try {
      digest = digestOf(travel.seek(1, seq));
    } catch (error) {
      expect(error).toBeInstanceOf(StoreError);
      digest = digestOf(createTravel({ log, snapshots, fold, initial: () => reset(machine()) }).seek(1, seq));
    }
    expect(digest).toBe(digests.get(seq));
  }
  expect(existsSync(path)).toBe(true);
  await close();
}

describe('seek', () => {
  it('is fold from zero, from any snapshot and without', async () => {
    const path = fresh();
    await made(path, 9000, 1500);
    const { log, snapshots, close } = openAll(path);
    log.fork('b', 1, 5200);
    log.append(2, 5200, longStory({ seed: 3, from: 5201 }).more(6000));
    log.fork('c', 2, 5100);
    const options = { log, fold, initial: () => reset(machine()) };
    const travels = [
      createTravel({ ...options, snapshots }),
      createTravel(options),
      createTravel({ ...options, snapshots: new MemorySnapshots(log) }),
    ];
    const places = [
      [1, 0],
      [1, 1],
      [1, 9000],
      [2, 6000],
      [2, 5200],
      [2, 5100],
      [3, 5100],
      [1, 5201],
      [1, 4500],
      [2, 5999],
    ] as const;
    for (const [branch, seq] of places) {
      const wanted = digestOf(folded(log, branch, seq));
      for (const travel of travels)
        expect(digestOf(travel.seek(branch, seq)), `${branch}@${seq}`).toBe(wanted);
    }
    expect(() => travels[0]!.seek(1, 9001)).toThrow(/1@9001 is a position/);
    await close();
  });
});
