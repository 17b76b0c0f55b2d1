/**
 * Wants to show: a sound log has no findings; one flipped byte anywhere in a copied file is found, or
 * changes nothing that can be read and nothing that is written after; nothing crashes the process.
 * How: many copies, one byte flipped in each, at places drawn from a fixed seed.
 */
import { createHash } from 'node:crypto';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { serialize } from 'node:v8';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { storeKey } from '../../snapshots/lmdb.ts';
import { segmentKey } from '../../snapshots/log-reader.ts';
import { type DiskLog, openLogStore } from '../../snapshots/log-store.ts';
import { TAG } from '../../snapshots/records.ts';
import { verify, verifyFile } from '../../snapshots/verify.ts';
import { machine, someEntries } from '../support/some-entries.ts';

const folder = mkdtempSync(join(tmpdir(), 'backwalk-verify-'));
const original = join(folder, 'original.bw');
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function everything(log: DiskLog): unknown {
  return {
    branches: log.branches(),
    bookmarks: log.bookmarks(),
    current: log.current(),
    // As one number: comparing so many entries one by one takes seconds.
    entries: log.branches().map(({ id }) => {
      const hash = createHash('sha256');
      for (const entry of log.read(id, 1, 1e9)) hash.update(serialize(entry));
      return hash.digest('hex');
    }),
  };
}

let told: unknown;

beforeAll(async () => {
  const log = openLogStore(original);
  log.createRoot('main', machine, 'test');
  // In many commits, so that the file has free pages and an old tail.
  for (let seq = 0; seq < 6000; seq += 300) await log.append(1, seq, someEntries(seq + 1, seq + 300)).durable;
  for (let fork = 0; fork < 10; fork += 1)
    log.fork(`fork ${fork}`, fork < 6 ? 1 : 2, fork < 6 ? 100 * fork : 0);
  for (let branch = 2; branch < 5; branch += 1) {
    const at = log.head(branch);
    await log.append(branch, at, someEntries(at + 1, at + 700, branch)).durable;
  }
  log.setBookmark({ name: 'here', branch: 1, seq: 77 });
  log.setCurrent(3);
  await log.close();
  const again = openLogStore(original);
  told = everything(again);
  await again.close();
});

/** A generator of its own, so that a failing place can be named. */
function* numbers(seed: number): Generator<number> {
  for (let state = seed; ; ) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    yield state / 2 ** 32;
  }
}

describe('verify', () => {
  it('finds nothing in a sound log', async () => {
    const { damages, ...counts } = await verifyFile(original);
    expect(damages).toEqual([]);
    expect(counts.entries).toBe(6000 + 3 * 700);
    expect(counts.branches).toBe(11);
  });

  it('finds a flipped byte, or the byte is harmless', { timeout: 120_000 }, async () => {
    const bytes = readFileSync(original);
    const draw = numbers(42);
    const next = (below: number): number => Math.floor(draw.next().value * below);
    let found = 0;
    for (let run = 0; run < 80; run += 1) {
      // One in three in the heads of pages, where LMDB itself lives.
      const place = run % 3 === 0 ? next(bytes.length / 4096) * 4096 + next(200) : next(bytes.length);
      const flip = 1 << next(8);
      const path = join(folder, `flip${run}.bw`);
      const copy = Uint8Array.from(bytes);
      copy[place]! ^= flip;
      writeFileSync(path, copy);
      const { damages } = await verifyFile(path);
      if (damages.length > 0) found += 1;
      else await expectSame(path, `byte ${place} ^ ${flip}`);
      rmSync(path);
      rmSync(`${path}-lock`, { force: true });
    }
    expect(found).toBeGreaterThan(20);
  });

  it('finds a file that is cut short', async () => {
    const bytes = readFileSync(original).length;
    for (const length of [100, 4096, 8192, 20000, bytes >> 1, bytes - 4096]) {
      const path = join(folder, `cut${length}.bw`);
      copyFileSync(original, path);
      truncateSync(path, length);
      const { damages } = await verifyFile(path);
      if (damages.length === 0) await expectSame(path, `cut at ${length}`);
    }
  });

  it('says which entries are missing, changed or misplaced', async () => {
    const path = join(folder, 'edited.bw');
    copyFileSync(original, path);
    const log = openLogStore(path);
    const edit = (key: Uint8Array, change: (value: Uint8Array) => Uint8Array | undefined): void => {
      const value = change(log.environment.get(key)!);
      log.environment.write(100, (put, remove) => (value === undefined ? remove(key) : put(key, value)));
    };
    edit(segmentKey(1, 1025), () => undefined);
    edit(segmentKey(1, 4097), (value) => value.with(500, value[500]! ^ 1));
    edit(segmentKey(2, 1), () => log.environment.get(segmentKey(1, 2049))!);
    edit(storeKey(TAG.head, 3, 0), () => log.environment.get(storeKey(TAG.head, 4, 0))!);
    const { damages } = verify(log);
    const text = damages.map(({ position, what }) => `${position}: ${what}`);
    expect(text).toEqual([
      '1@1025: entries 1025 to 2048 are missing',
      '1@2049: the segment does not follow from the one before',
      '1@4097: the segment does not match its hash',
      '2@1: the segment says it begins at 2049',
      '2@1: the segment does not follow from the one before',
      '2@1024: the head of branch 2 is 700, its entries end at 1024',
      '3@800: the head record (branch 3, number 0) is damaged',
    ]);
    expect(damages.every(({ byte }) => byte! > 8192)).toBe(true);
    await log.close();
  });
});

/** The file tells the same as the original, and can be written. */
async function expectSame(path: string, what: string): Promise<void> {
  const log = openLogStore(path);
  try {
    expect(everything(log), what).toStrictEqual(told);
    const head = log.head(1);
    await log.append(1, head, someEntries(head + 1, head + 700)).durable;
    expect(verify(log).damages, what).toEqual([]);
  } finally {
    await log.close();
  }
}
