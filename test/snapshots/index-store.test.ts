/**
 * Wants to show: the index answers as a look at every entry does, across forks and segments, after
 * opening again, and after its file is gone or of another log.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { touchKeys } from '../../core/history/touch.ts';
import { CacheFile } from '../../snapshots/cache-file.ts';
import { DiskIndex } from '../../snapshots/index-store.ts';
import { type DiskLog, openLogStore } from '../../snapshots/log-store.ts';
import { MemoryIndex } from '../../snapshots/memory-store.ts';
import { machine } from '../support/build.ts';
import { longStory } from '../support/long-story.ts';

const folder = mkdtempSync(join(tmpdir(), 'backwalk-index-'));
const path = join(folder, 'log.bw');
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const KEYS = [
  'page:0x5',
  'page:0x7f',
  'register:smmu0.CMDQ_PROD',
  'sid:0x3',
  'asid:0x1',
  'type:mem.read',
  'page:0xdead',
  'iova:0x1234',
];

beforeAll(async () => {
  const log = openLogStore(path);
  log.createRoot('main', machine(), 'test');
  log.append(1, 0, longStory({ seed: 1 }).more(70_000));
  log.fork('b', 1, 66_000);
  log.append(2, 66_000, longStory({ seed: 2, from: 66_001 }).more(68_500));
  log.fork('c', 2, 67_000);
  await log.close();
});

async function withIndex(action: (log: DiskLog, index: DiskIndex) => void | Promise<void>): Promise<void> {
  const log = openLogStore(path);
  const cache = new CacheFile(log);
  await action(log, new DiskIndex(cache));
  await cache.close();
  await log.close();
}

/** Seqs by key up to `last`, by one look at every entry. */
function scanned(log: DiskLog, branch: number, last: number): Map<string, number[]> {
  const found = new Map<string, number[]>(KEYS.map((key) => [key, []]));
  for (const entry of log.readBack(branch, 1, last)) {
    for (const key of touchKeys(entry)) found.get(key)?.push(entry.seq);
  }
  return found;
}

function expectAll(log: DiskLog, index: DiskIndex): void {
  const places = [
    [1, 1e9],
    [2, 68_000],
    [3, 67_000],
    [2, 300],
  ] as const;
  for (const [branch, before] of places) {
    for (const [key, seqs] of scanned(log, branch, before)) {
      expect([...index.touching(branch, key, before)], `${branch} ${key}`).toEqual(seqs);
    }
  }
}

describe('an index', () => {
  it('answers as a scan does', { timeout: 60_000 }, () => withIndex(expectAll));

  it('goes on after opening again, as the log grows', { timeout: 60_000 }, () =>
    withIndex(async (log, index) => {
      const [first] = index.touching(1, 'page:0x5', 1e9);
      expect(first).toBeGreaterThan(60_000);
      await log.append(1, 70_000, longStory({ seed: 6, from: 70_001 }).more(71_000)).durable;
      const scan = new MemoryIndex(log);
      const [wanted] = scan.touching(1, 'page:0x5', 1e9);
      expect([...index.touching(1, 'page:0x5', 1e9)][0]).toBe(wanted);
      expect(wanted).toBeGreaterThan(70_000);
    }),
  );

  it('is made again when its file is gone', { timeout: 60_000 }, async () => {
    rmSync(`${path}.cache`);
    rmSync(`${path}.cache-lock`, { force: true });
    await withIndex((log, index) => {
      const scan = new MemoryIndex(log);
      expect([...index.touching(2, 'sid:0x3', 1e9)]).toEqual([...scan.touching(2, 'sid:0x3', 1e9)]);
    });
  });

  it('finds what stands under a key of each group, in both orders', { timeout: 60_000 }, () =>
    withIndex((log, index) => {
      const scan = new MemoryIndex(log);
      const groups = [
        ['type:mem.write', 'type:mem.read', 'type:dma'],
        ['actor:cpu0', 'page:0x5', 'iova:0x12'],
      ];
      for (const [branch, from, to] of [
        [1, 0, 1e9],
        [2, 65_000, 68_000],
        [3, 66_990, 67_000],
      ] as const) {
        for (const order of ['oldest', 'newest'] as const) {
          const found = [...index.matching(branch, groups, { from, to }, order)].map(({ seq }) => seq);
          const wanted = [...scan.matching(branch, groups, { from, to }, order)].map(({ seq }) => seq);
          expect(found, `${branch} ${order}`).toEqual(wanted);
          if (from === 0) expect(found.length).toBeGreaterThan(10);
        }
      }
    }),
  );

  it('keeps what follows the last run, and takes it up again when it fits the log', {
    timeout: 60_000,
  }, async () => {
    await withIndex((_log, index) => {
      index.grow(2);
      index.keep();
    });
    await withIndex(async (log, index) => {
      await log.append(2, log.head(2), longStory({ seed: 9, from: log.head(2) + 1 }).more(log.head(2) + 3000))
        .durable;
      index.grow(2);
      index.keep();
    });
    await withIndex((log, index) => expectAll(log, index));
  });

  it('takes only as much as it needs', () =>
    withIndex((_log, index) => {
      const start = performance.now();
      const [one] = index.touching(1, 'type:mem.read', 1e9);
      expect(one).toBeGreaterThan(70_000);
      expect(performance.now() - start).toBeLessThan(2000);
    }));
});
