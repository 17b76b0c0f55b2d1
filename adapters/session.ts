/**
 * A store opened for work: log, indexes and snapshots together; moments are sought, and what a
 * simulation says is appended in groups. Entries are acknowledged when `settled` says so, not before.
 */
import type { Entry } from '../core/event.ts';
import type { Branch, IndexStore, LogStore, SnapshotStore } from '../core/history/store.ts';
import { fold } from '../core/machine.ts';
import type { Simulation } from '../core/simulation.ts';
import { resetRegisters } from '../core/smmu/regs.ts';
import { initialState, type State } from '../core/state.ts';

/** The three faces of one store. */
export interface Stores {
  readonly log: LogStore;
  readonly index: IndexStore;
  readonly snapshots: SnapshotStore;
}

/** Entries between two snapshots: what folding them again costs is a few milliseconds. */
const SNAPSHOT_EVERY = 16_384;
/** Folding on from a state at hand is cheaper than a seek up to about here. */
const NEAR = 4_096;
/** Groups on their way to the disk before a writer waits. */
const GROUPS_IN_FLIGHT = 2;

export class Session {
  readonly log: LogStore;
  readonly index: IndexStore;
  readonly #snapshots: SnapshotStore;
  /** The last moment that was sought. */
  #near: { readonly branch: number; readonly state: State } | undefined;

  constructor({ log, index, snapshots }: Stores) {
    this.log = log;
    this.index = index;
    this.#snapshots = snapshots;
  }

  /** The state after entry `seq` of the branch. */
  seek(branch: Branch, seq: number): State {
    const state = this.#from(branch, seq);
    const sought = state.seq === seq ? state : fold(state, this.log.read(branch.id, state.seq + 1, seq));
    this.#near = { branch: branch.id, state: sought };
    return sought;
  }

  /** Stores what `simulation` says from now on; its state must be that of the branch's head. */
  appendFrom(simulation: Simulation, branch: Branch): Recorder {
    return new Recorder(this.log, this.#snapshots, simulation, branch);
  }

  async close(): Promise<void> {
    await this.log.flush();
    await this.#snapshots.flush();
    await this.#snapshots.close();
    await this.log.close();
  }

  #from(branch: Branch, seq: number): State {
    const near = this.#near;
    if (
      near !== undefined &&
      near.branch === branch.id &&
      near.state.seq <= seq &&
      seq - near.state.seq <= NEAR
    ) {
      return near.state;
    }
    return this.#snapshots.nearest(branch.id, seq)?.state ?? initialState(branch.machine, resetRegisters);
  }
}

/** Appends the entries of a simulation to a branch, a group at a time. */
export class Recorder {
  readonly #log: LogStore;
  readonly #snapshots: SnapshotStore;
  readonly #simulation: Simulation;
  readonly #branch: Branch;
  readonly #unsubscribe: () => void;
  readonly #inFlight: Promise<void>[] = [];
  #pending: Entry[] = [];
  #head: number;
  #snapshot: number;
  #failure: { readonly error: unknown } | undefined;

  constructor(log: LogStore, snapshots: SnapshotStore, simulation: Simulation, branch: Branch) {
    this.#log = log;
    this.#snapshots = snapshots;
    this.#simulation = simulation;
    this.#branch = branch;
    this.#head = log.head(branch.id);
    this.#snapshot = this.#head;
    const subscription = simulation.entries$.subscribe((entries) => this.#pending.push(...entries));
    this.#unsubscribe = () => subscription.unsubscribe();
  }

  /** seq of the last entry, appended or waiting. */
  get head(): number {
    return this.#head + this.#pending.length;
  }

  /** Entries that `commit` would append. */
  get waiting(): number {
    return this.#pending.length;
  }

  /** Appends what waits as one group. The promise settles when all of it is durable. */
  commit(): Promise<void> {
    if (this.#pending.length > 0) {
      const { durable } = this.#log.append(this.#branch.id, this.#head, this.#pending);
      this.#head += this.#pending.length;
      this.#pending = [];
      const settled = durable.then(
        () => {
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

  #keepState(): void {
    if (this.#head - this.#snapshot < SNAPSHOT_EVERY) return;
    this.#snapshot = this.#head;
    this.#snapshots.put(this.#branch.id, this.#head, this.#simulation.state);
  }
}
