/**
 * The machine that is driven: puts stimuli, gives what followed, and puts registers and caches back in
 * step with the trace where the emulator is known to go its own way. That too is a stimulus (`observe`),
 * so a rerun needs no trace.
 */
import { present } from '../../core/assert.ts';
import type { Entry } from '../../core/event.ts';
import type { Memory } from '../../core/memory/memory.ts';
import type { Simulation } from '../../core/simulation.ts';
import type { CacheName } from '../../core/smmu/events.ts';
import type { RegisterName } from '../../core/smmu/registers.ts';
import { reg } from '../../core/smmu/regs.ts';
import type { SmmuState } from '../../core/smmu/state.ts';
import type { Stimulus } from '../../core/stimulus.ts';
import { SMMU } from './machine.ts';

export class Live {
  readonly #simulation: Simulation;
  readonly #unsubscribe: () => void;
  #steps: (readonly Entry[])[] = [];
  /** Nothing is put: lines that are applied already are gone through once more. */
  dry = false;

  constructor(simulation: Simulation) {
    this.#simulation = simulation;
    const subscription = simulation.entries$.subscribe((entries) => this.#steps.push(entries));
    this.#unsubscribe = () => subscription.unsubscribe();
  }

  get memory(): Memory {
    return this.#simulation.state.memory;
  }

  get smmu(): SmmuState {
    return present(this.#simulation.state.smmus[SMMU], SMMU);
  }

  /** seq of the last entry. */
  get seq(): number {
    return this.#simulation.state.seq;
  }

  /** The steps that follow: the stimulus' own and those of the turns it set off. */
  put(stimulus: Stimulus): readonly (readonly Entry[])[] {
    this.#steps = [];
    if (!this.dry) this.#simulation.dispatch(stimulus);
    return this.#steps;
  }

  note(kind: string, text: string, line: number): void {
    this.put({ type: 'note', kind, text, line });
  }

  register(name: RegisterName): number {
    return reg(this.smmu, name);
  }

  /** Gives registers the values the trace shows; those that have them are left alone. */
  force(
    line: number,
    values: readonly (readonly [name: RegisterName, value: number])[],
  ): readonly (readonly Entry[])[] {
    const events = values
      .filter(([name, value]) => this.register(name) !== value)
      .map(([name, value]) => ({
        type: 'register.updated',
        actor: SMMU,
        smmu: SMMU,
        register: name,
        value: BigInt(value),
        old: BigInt(this.register(name)),
      }));
    return events.length === 0 ? [] : this.put({ type: 'observe', events, line });
  }

  /** Takes entries out of a cache that the emulator does not hold. */
  evict(line: number, cache: CacheName, removed: readonly number[], why: string): void {
    if (removed.length === 0) return;
    const event = { type: 'cache.evicted', actor: SMMU, smmu: SMMU, cache, why, removed };
    this.put({ type: 'observe', events: [event], line });
  }

  close(): void {
    this.#unsubscribe();
  }
}

/** All entries of the steps. */
export function* entriesOf(steps: readonly (readonly Entry[])[]): Generator<Entry> {
  for (const step of steps) yield* step;
}
