/**
 * Given past stimuli, when a stimulus, then events. `then` takes the events that matter, in order, each
 * with the fields that matter; others may stand between them.
 */
import { expect } from 'vitest';
import type { MachineConfig } from '../../core/config.ts';
import type { Entry, EntryOf, EntryType } from '../../core/event.ts';
import type { Outcome } from '../../core/outcome.ts';
import { Simulation } from '../../core/simulation.ts';
import type { State } from '../../core/state.ts';
import type { Stimulus } from '../../core/stimulus.ts';
import { machine, reset } from './build.ts';

export type Asked = Stimulus | readonly Asked[];
export type Expected = { [T in EntryType]: { readonly type: T } & Partial<EntryOf<T>> }[EntryType];

export interface When {
  /** All entries since the first `when`, those of turns too. */
  readonly entries: readonly Entry[];
  /** What the last stimulus answered. */
  readonly outcome: Outcome;
  readonly state: State;
  of<T extends EntryType>(type: T): readonly EntryOf<T>[];
  when(...asked: readonly Asked[]): When;
  then(...expected: readonly Expected[]): When;
  /** None of the entries is of these types. */
  thenNo(...types: readonly EntryType[]): When;
  thenOutcome(expected: Outcome): When;
}

export interface Given {
  given(...asked: readonly Asked[]): Given;
  when(...asked: readonly Asked[]): When;
}

/** A machine made from `config`, with nothing done yet. */
export function on(config: MachineConfig): Given {
  return from(new Simulation(reset(config)));
}

/** The default machine of `build.ts` after these stimuli. */
export function given(...asked: readonly Asked[]): Given {
  return on(machine()).given(...asked);
}

/** One turn of a unit of `smmu0`. */
export function turn(unit: string): Stimulus {
  return { type: 'turn', unit: `smmu0.${unit}` };
}

/** The fields of a register event by name: `updated('CMDQ_CONS', 3)`. */
export function updated(register: string, value: number | bigint): Expected {
  return { type: 'register.updated', register, value: BigInt(value) };
}

/** The same for a write of software. */
export function written(register: string, value: number | bigint): Expected {
  return { type: 'register.written', register, value: BigInt(value) };
}

function from(simulation: Simulation): Given {
  return {
    given(...asked) {
      for (const stimulus of flat(asked)) simulation.dispatch(stimulus);
      return from(simulation);
    },
    when: (...asked) => continued(simulation, [], asked),
  };
}

function continued(simulation: Simulation, before: readonly Entry[], asked: readonly Asked[]): When {
  const entries = [...before];
  const seen = simulation.entries$.subscribe((more) => entries.push(...more));
  let outcome: Outcome = {};
  for (const stimulus of flat(asked)) outcome = simulation.dispatch(stimulus).outcome;
  seen.unsubscribe();
  const self: When = {
    entries,
    outcome,
    state: simulation.state,
    of: <T extends EntryType>(type: T) =>
      entries.filter((entry) => entry.type === type) as unknown as EntryOf<T>[],
    when: (...more) => continued(simulation, entries, more),
    // biome-ignore lint/suspicious/noThenProperty: given, when, then; nobody awaits it
    then(...expected) {
      let from = 0;
      for (const [at, each] of expected.entries()) {
        const found = entries.findIndex((entry, index) => index >= from && matches(entry, each));
        if (found < 0) {
          const same = entries.slice(from).filter((entry) => entry.type === each.type);
          expect(same.length > 0 ? same : entries.map((entry) => entry.type), `event ${at}`).toContainEqual(
            each,
          );
          throw new Error(`event ${at} is out of order`);
        }
        from = found + 1;
      }
      return self;
    },
    thenNo(...types) {
      expect(entries.filter((entry) => types.includes(entry.type))).toEqual([]);
      return self;
    },
    thenOutcome(expected) {
      expect(outcome).toMatchObject(expected);
      return self;
    },
  };
  return self;
}

function matches(entry: Entry, expected: Expected): boolean {
  const held = entry as unknown as Readonly<Record<string, unknown>>;
  return Object.entries(expected).every(([name, value]) => same(held[name], value));
}

function same(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  const names = new Set([...Object.keys(a), ...Object.keys(b)]);
  return [...names].every((name) =>
    same((a as Record<string, unknown>)[name], (b as Record<string, unknown>)[name]),
  );
}

function flat(asked: readonly Asked[]): readonly Stimulus[] {
  return asked.flatMap((each) => ('type' in each ? [each] : flat(each)));
}
