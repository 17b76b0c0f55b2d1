/** Invalidations of the Command queue that no completed CMD_SYNC stands behind, from the write of PROD on. */
import type { EntryOf } from '../../core/event.ts';
import { commandName } from '../../core/smmu/command.ts';
import { entryAddress, pointer, used } from '../../core/smmu/queue.ts';
import { invalidates } from './scopes.ts';
import { ringOf, type Unit, type World } from './world.ts';

export interface Queued {
  readonly words: readonly number[];
  readonly command: string;
  /** seq of the write of PROD, and whose turn it was. */
  readonly published: number;
  readonly by: string;
  /** It is the n-th invalidation that was ever published here. */
  readonly order: number;
}

export interface Unsynced {
  readonly unit: Unit;
  /** By pointer, oldest first. */
  readonly commands: Map<number, Queued>;
  /** Pointers of CMD_SYNCs, and how many invalidations had been published before them. */
  readonly syncs: Map<number, number>;
  /** Invalidations ever published. */
  count: number;
}

/** Whose turn it is; what a stimulus does at once is the kernel's own. */
export function unitAtWork({ stimulus }: World): string {
  return stimulus?.type === 'turn' ? stimulus.unit : 'kernel';
}

/** A queue with nothing in it. */
export function newUnsynced(unit: Unit): Unsynced {
  return { unit, commands: new Map(), syncs: new Map(), count: 0 };
}

/** PROD was written. */
export function published(
  world: World,
  queue: Unsynced,
  { old, value, seq }: EntryOf<'register.written'>,
): void {
  const { unit, commands, syncs } = queue;
  const ring = ringOf(unit, 'CMDQ');
  const count = used(ring, Number(value), Number(old));
  if (count > 2 ** ring.sizeLog2) return;
  for (let step = 0; step < count; step += 1) {
    const at = pointer(ring, Number(old) + step);
    const words = Array.from(world.watch.memory.readWords(entryAddress(ring, at), 4));
    const command = commandName(words);
    if (command === 'CMD_SYNC') syncs.set(at, queue.count);
    else if (invalidates(words, unit)) {
      commands.set(at, { words, command, published: seq, by: unitAtWork(world), order: queue.count });
      queue.count += 1;
    }
  }
}

/** A CMD_SYNC completed: all that was published before it is done. */
export function synced(queue: Unsynced, index: number): void {
  const before = queue.syncs.get(index);
  if (before === undefined) return;
  queue.syncs.delete(index);
  for (const [at, { order }] of queue.commands) {
    if (order >= before) return;
    queue.commands.delete(at);
  }
}
