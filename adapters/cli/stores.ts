/** The store on disk: the log in its file, indexes and snapshots in the cache beside it. */
import { accessSync, constants, existsSync } from 'node:fs';
import { CacheFile } from '../../snapshots/cache-file.ts';
import { DiskIndex } from '../../snapshots/index-store.ts';
import { openLogStore } from '../../snapshots/log-store.ts';
import { DiskMemos } from '../../snapshots/memo-store.ts';
import { DiskSnapshots } from '../../snapshots/snapshot-store.ts';
import type { Stores } from '../session.ts';

/** Opens the store at `file`, or makes it. One that may not be written is opened for reading. */
export async function openStores(file: string): Promise<Stores> {
  const log = openLogStore(file, { readOnly: existsSync(file) && !isWritable(file) });
  const cache = new CacheFile(log);
  const index = new DiskIndex(cache);
  return {
    log,
    index,
    snapshots: new DiskSnapshots(cache),
    memos: new DiskMemos(cache),
    grow: (branch) => {
      index.grow(branch);
    },
    close: async () => {
      index.keep();
      await cache.close();
      await log.close();
    },
  };
}

function isWritable(file: string): boolean {
  try {
    accessSync(file, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}
