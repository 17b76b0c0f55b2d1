/**
 * What every LogStore promises, held against the store on disk and its in-memory twin. `open` gives
 * an empty store; `reopen` closes it and opens it again, where the store can.
 */
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Entry } from '../../core/event.ts';
import { ConflictError, type LogStore } from '../../core/history/store.ts';
import { arbitraryEntries } from './arbitrary-entries.ts';
import { machine, someEntries } from './some-entries.ts';

export interface StoreUnderTest {
  open(): LogStore;
  reopen(store: LogStore): Promise<LogStore>;
}

const seqs = (entries: Iterable<Entry>): number[] => Array.from(entries, (entry) => entry.seq);

export function storeContract(name: string, { open, reopen }: StoreUnderTest): void {
  describe(`${name}: a log`, () => {
    let store: LogStore;
    beforeEach(() => {
      store = open();
    });
    afterEach(() => store.close());

    it('begins empty, with branch 1', async () => {
      expect(store.branches()).toEqual([]);
      const root = store.createRoot('main', machine, 'test');
      expect(root).toMatchObject({ id: 1, name: 'main', machine, source: 'test' });
      expect(store.head(1)).toBe(0);
      expect([...store.read(1, 1, 100)]).toEqual([]);
      expect(store.current()).toBeUndefined();
    });

    it('gives back what was appended, in both directions and in part', async () => {
      store.createRoot('main', machine, 'test');
      const entries = someEntries(1, 3000);
      const { first, last, durable } = store.append(1, 0, entries);
      expect([first, last]).toEqual([1, 3000]);
      await durable;
      store = await reopen(store);
      expect(store.head(1)).toBe(3000);
      expect([...store.read(1, 1, 3000)]).toStrictEqual(entries);
      expect([...store.readBack(1, 1, 3000)]).toStrictEqual(entries.toReversed());
      expect([...store.read(1, 1020, 1030)]).toStrictEqual(entries.slice(1019, 1030));
      expect(seqs(store.readBack(1, 2040, 2050))).toEqual([
        2050, 2049, 2048, 2047, 2046, 2045, 2044, 2043, 2042, 2041, 2040,
      ]);
      expect(seqs(store.read(1, 2999, 9999))).toEqual([2999, 3000]);
      expect(seqs(store.read(1, 10, 9))).toEqual([]);
    });

    it('gives back any entries, appended in any pieces', async () => {
      store.createRoot('main', machine, 'test');
      const written: Entry[] = [];
      const batches = fc.sample(arbitraryEntries(fc.constant(1), { minLength: 1, maxLength: 40 }), {
        numRuns: 40,
        seed: 3,
      });
      for (const batch of batches) {
        const moved = batch.map((entry, index) => ({
          ...entry,
          seq: written.length + index + 1,
          cause: 0,
        })) as Entry[];
        const { durable } = store.append(1, written.length, moved);
        written.push(...moved);
        if (written.length % 3 === 0) await durable;
        if (written.length % 7 === 0) store = await reopen(store);
      }
      expect([...store.read(1, 1, written.length)]).toStrictEqual(written);
    });

    it('shows an append at once', () => {
      store.createRoot('main', machine, 'test');
      store.append(1, 0, someEntries(1, 5));
      expect(store.head(1)).toBe(5);
      store.append(1, 5, someEntries(6, 9));
      expect(seqs(store.read(1, 1, 9))).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
    });

    it('refuses a stale position and writes nothing', async () => {
      store.createRoot('main', machine, 'test');
      await store.append(1, 0, someEntries(1, 5)).durable;
      expect(() => store.append(1, 4, someEntries(5, 6, 9))).toThrow(ConflictError);
      expect(() => store.append(1, 6, someEntries(7, 8, 9))).toThrow(ConflictError);
      store = await reopen(store);
      expect([...store.read(1, 1, 99)]).toStrictEqual(someEntries(1, 5));
    });

    it('refuses entries with other numbers', () => {
      store.createRoot('main', machine, 'test');
      expect(() => store.append(1, 0, someEntries(2, 3))).toThrow(/entry 2 stands where 1 is due/);
      expect(store.head(1)).toBe(0);
    });

    it('takes an append of nothing', async () => {
      store.createRoot('main', machine, 'test');
      await store.append(1, 0, []).durable;
      expect(store.head(1)).toBe(0);
    });

    branchContract(
      () => store,
      async () => {
        store = await reopen(store);
        return store;
      },
    );
  });
}

function branchContract(current: () => LogStore, again: () => Promise<LogStore>): void {
  it('shares the past of a fork, and nothing after', async () => {
    const store = current();
    store.createRoot('main', machine, 'test');
    store.append(1, 0, someEntries(1, 1500));
    const fork = store.fork('what-if', 1, 1200);
    expect(fork).toMatchObject({ id: 2, name: 'what-if', parent: { branch: 1, at: 1200 }, machine });
    expect(store.head(2)).toBe(1200);
    store.append(2, 1200, someEntries(1201, 1300, 1));
    store.append(1, 1500, someEntries(1501, 1600));
    const later = await again();
    expect([...later.read(2, 1199, 1202)]).toStrictEqual([
      ...someEntries(1199, 1200),
      ...someEntries(1201, 1202, 1),
    ]);
    expect([...later.readBack(2, 1, 9999)]).toStrictEqual(
      [...someEntries(1, 1200), ...someEntries(1201, 1300, 1)].toReversed(),
    );
    expect([...later.read(1, 1199, 1202)]).toStrictEqual(someEntries(1199, 1202));
    expect(later.head(1)).toBe(1600);
  });

  it('reads through forks of forks, below any of their positions', async () => {
    const store = current();
    store.createRoot('main', machine, 'test');
    store.append(1, 0, someEntries(1, 20));
    store.fork('b', 1, 10);
    store.append(2, 10, someEntries(11, 20, 1));
    store.fork('c', 2, 15);
    store.fork('d', 2, 5);
    store.fork('e', 3, 0);
    const later = await again();
    const marks = (branch: number): bigint[] =>
      Array.from(later.read(branch, 1, 99), (entry) =>
        'value' in entry ? (entry.value as bigint) - BigInt(entry.seq) : 0n,
      );
    expect(marks(3)).toEqual([...new Array(10).fill(0n), 0n, 1n, 0n, 1n, 0n]);
    expect(seqs(later.read(4, 1, 99))).toEqual([1, 2, 3, 4, 5]);
    expect(later.head(5)).toBe(0);
    later.append(5, 0, someEntries(1, 3, 4));
    expect(seqs(later.read(5, 2, 3))).toEqual([2, 3]);
  });

  it('refuses names twice, forks beyond the head, unknown branches', () => {
    const store = current();
    store.createRoot('main', machine, 'test');
    store.append(1, 0, someEntries(1, 3));
    expect(() => store.createRoot('main', machine, 'test')).toThrow(/there is a branch main already/);
    expect(() => store.fork('main', 1, 1)).toThrow(/already/);
    expect(() => store.fork('x', 1, 4)).toThrow(/branch 1 has no position 4: its last is 3/);
    expect(() => store.fork('x', 9, 0)).toThrow(/no branch 9/);
    expect(() => store.head(9)).toThrow(/no branch 9/);
    expect(store.branches().map((branch) => branch.name)).toEqual(['main']);
  });

  it('removes a branch without children, and never gives its id again', async () => {
    const store = current();
    store.createRoot('main', machine, 'test');
    store.append(1, 0, someEntries(1, 3));
    store.fork('child', 1, 2);
    expect(() => store.removeBranch(1)).toThrow(/parent of child/);
    store.append(2, 2, someEntries(3, 9));
    store.setBookmark({ name: 'here', branch: 2, seq: 4 });
    store.setCurrent(2);
    store.removeBranch(2);
    expect(store.branches().map(({ id }) => id)).toEqual([1]);
    expect(store.bookmarks()).toEqual([]);
    expect(store.current()).toBeUndefined();
    const later = await again();
    expect(later.fork('child', 1, 3).id).toBe(3);
    expect(() => later.head(2)).toThrow(/no branch 2/);
    expect(seqs(later.read(3, 1, 9))).toEqual([1, 2, 3]);
  });

  it('keeps bookmarks and the current branch', async () => {
    const store = current();
    store.createRoot('main', machine, 'test');
    store.append(1, 0, someEntries(1, 3));
    store.setBookmark({ name: 'a', branch: 1, seq: 1 });
    store.setBookmark({ name: 'b', branch: 1, seq: 2 });
    store.setBookmark({ name: 'a', branch: 1, seq: 3 });
    expect(() => store.setBookmark({ name: 'c', branch: 1, seq: 4 })).toThrow(/no position 4/);
    store.setCurrent(1);
    expect(() => store.setCurrent(7)).toThrow(/no branch 7/);
    const later = await again();
    expect(later.bookmarks()).toEqual([
      { name: 'b', branch: 1, seq: 2 },
      { name: 'a', branch: 1, seq: 3 },
    ]);
    expect(later.current()).toBe(1);
  });
}
