/**
 * A store opened for work: log, indexes and snapshots together; moments are sought, and what a
 * simulation says is appended in groups. Entries are acknowledged when `settled` says so, not before.
 */
import type { Entry } from '../core/event.ts';
import { fold } from '../core/fold.ts';
import type { Branch, IndexStore, LogStore, MemoStore, SnapshotStore } from '../core/history/store.ts';
import { createTravel, type Travel } from '../core/history/travel.ts';
import type { Simulation } from '../core/simulation.ts';
import { resetRegisters } from '../core/smmu/regs.ts';
import { initialState, type State } from '../core/state.ts';
import { SPACING } from '../snapshots/policy.ts';

/** The faces of one store. */
export interface Stores {
  readonly log: LogStore;
  readonly index: IndexStore;
  readonly snapshots: SnapshotStore;
  readonly memos: MemoStore;
  /** Brings the index up to the head of a branch; questions do it too. */
  grow(branch: number): void;
  close(): Promise<void>;
}

/** Groups on their way to the disk before a writer waits. */
const GROUPS_IN_FLIGHT = 2;

export class Session {
  readonly log: LogStore;
  readonly index: IndexStore;
  readonly memos: MemoStore;
  readonly #stores: Stores;
  readonly #travel: Travel;

  constructor(stores: Stores) {
    const { log, index, snapshots, memos } = stores;
    this.log = log;
    this.index = index;
    this.memos = memos;
    this.#stores = stores;
    const initial = (branch: Branch): State => initialState(branch.machine, resetRegisters);
    this.#travel = createTravel({ log, snapshots, fold, initial });
  }

  /** The state after entry `seq` of the branch. */
  seek(branch: Branch, seq: number): State {
    return this.#travel.seek(branch.id, seq);
  }

  /** Stores what `simulation` says from now on; its state must be that of the branch's head. */
  appendFrom(simulation: Simulation, branch: Branch): Recorder {
    return new Recorder(this.#stores, simulation, branch);
  }

  async close(): Promise<void> {
    await this.log.flush();
    await this.#stores.snapshots.flush();
    await this.#stores.close();
  }
}

/** Appends the entries of a simulation to a branch, a group at a time. */
export class Recorder {
  readonly #stores: Stores;
  readonly #simulation: Simulation;
  readonly #branch: Branch;
  readonly #unsubscribe: () => void;
  readonly #inFlight: Promise<void>[] = [];
  #pending: Entry[] = [];
  #head: number;
  #snapshot: number;
  #acknowledged: number;
  #failure: { readonly error: unknown } | undefined;

  constructor(stores: Stores, simulation: Simulation, branch: Branch) {
    this.#stores = stores;
    this.#simulation = simulation;
    this.#branch = branch;
    this.#head = stores.log.head(branch.id);
    this.#snapshot = this.#head;
    this.#acknowledged = this.#head;
    const subscription = simulation.entries$.subscribe((entries) => this.#pending.push(...entries));
    this.#unsubscribe = () => subscription.unsubscribe();
  }

  /** seq of the last entry, appended or waiting. */
  get head(): number {
    return this.#head + this.#pending.length;
  }

  /** seq of the last entry that is known to be durable: nothing up to it is ever lost. */
  get acknowledged(): number {
    return this.#acknowledged;
  }

  /** Entries that `commit` would append. */
  get waiting(): number {
    return this.#pending.length;
  }

  /** Appends what waits as one group. The promise settles when all of it is durable. */
  commit(): Promise<void> {
    if (this.#pending.length > 0) {
      const { durable } = this.#stores.log.append(this.#branch.id, this.#head, this.#pending);
      this.#head += this.#pending.length;
      this.#pending = [];
      const end = this.#head;
      const settled = durable.then(
        () => {
          this.#acknowledged = Math.max(this.#acknowledged, end);
          this.#inFlight.splice(this.#inFlight.indexOf(settled), 1);
        },
        (error: unknown) => {
          this.#failure = { error };
        },
      );
      this.#inFlight.push(settled);
      this.#keepState();
    }
    return this.settled();
  }

  /** Waits while too much is on its way to the disk. */
  async room(): Promise<void> {
    while (this.#inFlight.length >= GROUPS_IN_FLIGHT && this.#failure === undefined) await this.#inFlight[0];
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  /** Everything appended so far is durable when this settles. */
  async settled(): Promise<void> {
    await Promise.all(this.#inFlight);
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  /** Appends the rest, keeps the state of the end, and follows the simulation no more. */
  async finish(): Promise<void> {
    this.#unsubscribe();
    await this.commit();
  }

  /** So that neither a seek nor a question has far to go. */
  #keepState(): void {
    if (this.#head - this.#snapshot < SPACING) return;
    this.#snapshot = this.#head;
    this.#stores.snapshots.put(this.#branch.id, this.#head, this.#simulation.state);
    this.#stores.grow(this.#branch.id);
  }
}
