/**
 * Going to a position: from the nearest state that is kept before it, the entries in between are
 * folded. The last few states arrived at are kept in memory, so that small steps back cost little.
 */
import { assert } from '../assert.ts';
import type { Entry } from '../event.ts';
import type { State } from '../state.ts';
import { lineage, ownerOf, type Place } from './branch.ts';
import type { Branch, LogStore, SnapshotStore } from './store.ts';

/** States kept in memory. */
const RECENT = 32;
/** When so many entries or more are folded at once, states on the way are kept, too. */
const STRIDE = 4096;

export interface TravelOptions {
  readonly log: LogStore;
  readonly snapshots?: SnapshotStore;
  /** Applies recorded entries; `core/machine.ts` has it. */
  readonly fold: (state: State, entries: Iterable<Entry>) => State;
  /** The machine of a branch at seq 0. */
  readonly initial: (branch: Branch) => State;
}

interface Kept extends Place {
  readonly state: State;
}

export interface Travel {
  /** The state after `seq` of the history of `branch`; 0 is the machine before its first entry. */
  seek(branch: number, seq: number): State;
  /** Keeps a state that is known anyway: where a run has arrived. */
  keep(branch: number, seq: number, state: State): void;
}

export function createTravel({ log, snapshots, fold, initial }: TravelOptions): Travel {
  /** By owner and seq, oldest use first. */
  const recent = new Map<string, Kept>();

  let listed: readonly Branch[] = [];
  let byId = new Map<number, Branch>();

  function find(id: number): Branch | undefined {
    const now = log.branches();
    if (now !== listed) {
      listed = now;
      byId = new Map(now.map((branch) => [branch.id, branch]));
    }
    return byId.get(id);
  }

  function keep(branch: number, seq: number, state: State): void {
    const owner = ownerOf(find, branch, seq);
    const name = `${owner}@${seq}`;
    recent.delete(name);
    recent.set(name, { branch: owner, seq, state });
    if (recent.size <= RECENT) return;
    for (const oldest of recent.keys()) {
      recent.delete(oldest);
      return;
    }
  }

  /** The nearest state in memory at or before a position. */
  function nearestRecent(branch: number, seq: number): Kept | undefined {
    let best: Kept | undefined;
    const spans = lineage(find, branch, seq);
    for (const kept of recent.values()) {
      const isPast = spans.some(
        (span) => span.branch === kept.branch && kept.seq >= span.from && kept.seq <= span.last,
      );
      if (isPast && (best === undefined || kept.seq > best.seq)) best = kept;
    }
    return best;
  }

  function start(branch: number, seq: number): { readonly seq: number; readonly state: State } {
    const near = nearestRecent(branch, seq);
    if (near !== undefined && seq - near.seq < STRIDE) return near;
    const kept = snapshots?.nearest(branch, seq);
    if (kept !== undefined && kept.seq > (near?.seq ?? 0)) return kept;
    const found = find(branch);
    assert(found !== undefined, `branch ${branch} exists`);
    return near ?? { seq: 0, state: initial(found) };
  }

  function seek(branch: number, seq: number): State {
    assert(
      Number.isSafeInteger(seq) && seq >= 0 && seq <= log.head(branch),
      `${branch}@${seq} is a position`,
    );
    let { seq: at, state } = start(branch, seq);
    while (at < seq) {
      const next = Math.min(at + STRIDE, seq);
      state = fold(state, log.read(branch, at + 1, next));
      at = next;
      keep(branch, at, state);
      // A long way is gone once: what was arrived at is kept in the store, as its policy says.
      if (at < seq) snapshots?.put(branch, at, state);
    }
    return state;
  }

  return { seek, keep };
}
