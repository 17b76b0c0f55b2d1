/** A session on stores in memory that holds given entries as branch main. */
import { Session } from '../../adapters/session.ts';
import type { MachineConfig } from '../../core/config.ts';
import type { Entry } from '../../core/event.ts';
import type { Branch } from '../../core/history/store.ts';
import { MemoryIndex, MemoryLog, MemoryMemos, MemorySnapshots } from '../../snapshots/memory-store.ts';

export interface Held {
  readonly session: Session;
  readonly branch: Branch;
}

/** @param entries a whole history of that machine. */
export function sessionOf(machine: MachineConfig, entries: readonly Entry[]): Held {
  const log = new MemoryLog();
  const snapshots = new MemorySnapshots(log);
  const session = new Session({
    log,
    index: new MemoryIndex(log),
    snapshots,
    memos: new MemoryMemos(log),
    grow: () => {},
    close: async () => {},
  });
  const branch = log.createRoot('main', machine, 'test');
  log.append(branch.id, 0, entries).durable.catch(() => {});
  return { session, branch };
}
