/**
 * Wants to show: both stores keep the contract; the store on disk refuses what it cannot use with a
 * message that says why, survives a full disk, and two writers never overwrite each other.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { ConflictError } from '../../core/history/store.ts';
import { storeKey } from '../../snapshots/lmdb.ts';
import { openLogStore } from '../../snapshots/log-store.ts';
import { MemoryLog } from '../../snapshots/memory-store.ts';
import { sealRecord, TAG } from '../../snapshots/records.ts';
import { StoreError } from '../../snapshots/store-error.ts';
import { machine, someEntries } from '../support/some-entries.ts';
import { storeContract } from '../support/store-contract.ts';

const folder = mkdtempSync(join(tmpdir(), 'backwalk-log-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
let files = 0;
function fresh(): string {
  files += 1;
  return join(folder, `${files}.bw`);
}

storeContract('in memory', { open: () => new MemoryLog(), reopen: async (store) => store });
storeContract('on disk', {
  open: () => openLogStore(fresh()),
  async reopen(store) {
    const { path } = store as ReturnType<typeof openLogStore>;
    await store.close();
    return openLogStore(path);
  },
});

/** Runs a module of ours in another process. */
function runElsewhere(script: string, limitBlocks?: number): { out: string; error: string } {
  files += 1;
  const file = join(folder, `script${files}.ts`);
  writeFileSync(file, script.replaceAll('@/', `${process.cwd()}/`));
  const limit = limitBlocks === undefined ? '' : `ulimit -f ${limitBlocks}; `;
  const run = spawnSync('bash', ['-c', `${limit}exec "${process.execPath}" --import tsx "${file}"`], {
    encoding: 'utf8',
    timeout: 30000,
  });
  return { out: run.stdout, error: run.stderr };
}

describe('a store on disk', () => {
  it('says why it cannot be opened', () => {
    const write = (bytes: string | Uint8Array): string => {
      const path = fresh();
      writeFileSync(path, bytes);
      return path;
    };
    expect(() => openLogStore(write(''))).toThrow(/is empty, not a Backwalk store/);
    expect(() => openLogStore(write('smmu smmu0\n'.repeat(2000)))).toThrow(/is not a Backwalk store/);
    expect(() => openLogStore(write(new Uint8Array(100000).map((_, at) => (at * 77) >> 3)))).toThrow(
      StoreError,
    );
    expect(() => openLogStore(join(folder, 'nowhere', 'x.bw'))).toThrow(/there is no directory .*nowhere/);
    expect(existsSync(join(folder, 'nowhere'))).toBe(false);
    expect(() => openLogStore(folder)).toThrow(/is not a file/);
    expect(() => openLogStore(fresh(), { readOnly: true })).toThrow(/does not exist/);
  });

  it('refuses a log of a newer format', async () => {
    const path = fresh();
    const store = openLogStore(path);
    const key = storeKey(TAG.header, 0, 0);
    store.environment.write(100, (put) => put(key, sealRecord(key, { ...store.header, format: 9 })));
    await store.close();
    expect(() => openLogStore(path)).toThrow(
      /was written by a newer Backwalk \(format 9, this one reads up to 1\)/,
    );
  });

  it('is read by another process while one writes', async () => {
    const path = fresh();
    const store = openLogStore(path);
    store.createRoot('main', machine, 'test');
    await store.append(1, 0, someEntries(1, 2000)).durable;
    const { out } = runElsewhere(`
      import { openLogStore } from '@/snapshots/log-store.ts';
      const store = openLogStore(${JSON.stringify(path)}, { readOnly: true });
      let count = 0;
      for (const _ of store.read(1, 1, 99999)) count += 1;
      try { store.append(1, 2000, []); } catch (error) { console.log(error.name, error.message); }
      console.log(count, store.head(1));
      await store.close();
    `);
    expect(out).toMatch(/StoreError .* is open for reading only\n2000 2000\n/);
    await store.append(1, 2000, someEntries(2001, 2002)).durable;
    await store.close();
  });

  it('lets one of two writers through and tells the other', async () => {
    const path = fresh();
    const store = openLogStore(path);
    store.createRoot('main', machine, 'test');
    await store.append(1, 0, someEntries(1, 10)).durable;
    // The group is open while another process appends: the transaction must see it.
    const stale = store.append(1, 10, someEntries(11, 12, 5));
    const { out, error } = runElsewhere(`
      import { openLogStore } from '@/snapshots/log-store.ts';
      import { someEntries } from '@/test/support/some-entries.ts';
      const store = openLogStore(${JSON.stringify(path)});
      await store.append(1, 10, someEntries(11, 15)).durable;
      await store.close();
      console.log('written');
    `);
    expect(`${out}${error}`).toContain('written');
    await expect(stale.durable).rejects.toThrow(ConflictError);
    await expect(store.flush()).rejects.toThrow(ConflictError);
    expect([...store.read(1, 1, 99)]).toStrictEqual(someEntries(1, 15));
    expect(() => store.append(1, 12, someEntries(13, 13))).toThrow(ConflictError);
    await store.append(1, 15, someEntries(16, 16)).durable;
    expect(store.head(1)).toBe(16);
    await store.close();
  });

  it('keeps what was acknowledged when the disk is full', async () => {
    const path = fresh();
    const { out, error } = runElsewhere(
      `
      import { openLogStore } from '@/snapshots/log-store.ts';
      import { machine, someEntries } from '@/test/support/some-entries.ts';
      const store = openLogStore(${JSON.stringify(path)});
      store.createRoot('main', machine, 'test');
      let seq = 0;
      try {
        for (;;) {
          const entries = someEntries(seq + 1, seq + 500).map((entry) =>
            'bytes' in entry ? { ...entry, bytes: Uint8Array.from({ length: 100 }, (_, at) => (at * seq * 31) >> 2) } : entry);
          await store.append(1, seq, entries).durable;
          seq += 500;
        }
      } catch (error) { console.log(error.name + ': ' + error.message); }
      console.log('acknowledged', seq);
      try { await store.append(1, seq, someEntries(seq + 1, seq + 1)).durable; } catch (error) { console.log('again', error.name); }
      await store.close().catch(() => {});
      `,
      600,
    );
    expect(out, error).toMatch(
      /StoreError: .* cannot be written: the file may not grow any further; what was acknowledged is kept/,
    );
    expect(out).toContain('again StoreError');
    const acknowledged = Number(/acknowledged (\d+)/.exec(out)?.[1]);
    const store = openLogStore(path);
    expect(store.head(1)).toBe(acknowledged);
    expect(Array.from(store.read(1, 1, 1e9)).length).toBe(acknowledged);
    await store.append(1, acknowledged, someEntries(acknowledged + 1, acknowledged + 3)).durable;
    await store.close();
  });

  it('has every acknowledged entry after kill -9', () => {
    const path = fresh();
    const { out } = runElsewhere(`
      import { writeSync } from 'node:fs';
      import { openLogStore } from '@/snapshots/log-store.ts';
      import { machine, someEntries } from '@/test/support/some-entries.ts';
      const store = openLogStore(${JSON.stringify(path)});
      store.createRoot('main', machine, 'test');
      for (let seq = 0; seq < 3000; seq += 100) {
        await store.append(1, seq, someEntries(seq + 1, seq + 100)).durable;
        writeSync(1, seq + 100 + '\\n');
      }
      store.append(1, 3000, someEntries(3001, 3100));
      process.kill(process.pid, 'SIGKILL');
    `);
    expect(out.trim().split('\n').at(-1)).toBe('3000');
    const store = openLogStore(path);
    expect(store.head(1)).toBe(3000);
    expect([...store.read(1, 1, 3000)]).toStrictEqual(someEntries(1, 3000));
    return store.close();
  });

  it('stays small: a tail written entry by entry ends as dense as an import', async () => {
    const one = openLogStore(fresh());
    one.createRoot('main', machine, 'test');
    for (let seq = 1; seq <= 1024; seq += 4) {
      one.append(1, seq - 1, someEntries(seq, seq + 3));
      await one.flush();
    }
    const all = openLogStore(fresh());
    all.createRoot('main', machine, 'test');
    await all.append(1, 0, someEntries(1, 1024)).durable;
    const bytes = (store: typeof one): Uint8Array => store.environment.get(storeKey(TAG.segment, 1, 1))!;
    expect(bytes(one).subarray(32)).toEqual(bytes(all).subarray(32));
    await Promise.all([one.close(), all.close()]);
    expect(readFileSync(one.path).length).toBeLessThan(200_000);
  });
});
