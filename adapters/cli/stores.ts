/** The store on disk: the log in its file, indexes and snapshots in the cache beside it. */

import { openLogStore } from '../../snapshots/log-store.ts';
import { MemoryIndex, MemorySnapshots } from '../../snapshots/memory-store.ts';
import type { Stores } from '../session.ts';

/** Opens the store at `file`, or makes it. */
export async function openStores(file: string): Promise<Stores> {
  const log = openLogStore(file);
  return { log, index: new MemoryIndex(log), snapshots: new MemorySnapshots(log) };
}
