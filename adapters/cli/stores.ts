/** The store on disk: the log in its file, indexes and snapshots in the cache beside it. */
import { CacheFile } from '../../snapshots/cache-file.ts';
import { DiskIndex } from '../../snapshots/index-store.ts';
import { openLogStore } from '../../snapshots/log-store.ts';
import { DiskSnapshots } from '../../snapshots/snapshot-store.ts';
import type { Stores } from '../session.ts';

/** Opens the store at `file`, or makes it. */
export async function openStores(file: string): Promise<Stores> {
  const log = openLogStore(file);
  const cache = new CacheFile(log);
  const index = new DiskIndex(cache);
  return {
    log,
    index,
    snapshots: new DiskSnapshots(cache),
    grow: (branch) => {
      index.grow(branch);
    },
    close: async () => {
      await cache.close();
      await log.close();
    },
  };
}
