/**
 * Logs for the tests of projections: stories of stimuli put to the real machine, and a way to bend a
 * log into one that only broken hardware would write.
 */
import type { MachineConfig } from '../../core/config.ts';
import type { Entry, Event } from '../../core/event.ts';
import { Simulation } from '../../core/simulation.ts';
import type { Stimulus } from '../../core/stimulus.ts';
import { checkHistory } from '../../projections/check.ts';
import type { Finding } from '../../projections/finding.ts';
import { bringUp, machine, reset, tables } from './build.ts';

export interface Recorded {
  readonly machine: MachineConfig;
  readonly entries: readonly Entry[];
}

/** The log of the stimuli on a new machine, each followed by the turns it sets in motion. */
export function record(config: MachineConfig, stimuli: readonly Stimulus[]): Recorded {
  const simulation = new Simulation(reset(config));
  const entries: Entry[] = [];
  simulation.entries$.subscribe((step) => entries.push(...step));
  for (const stimulus of stimuli) simulation.dispatch(stimulus);
  return { machine: config, entries };
}

/** What follows on an enabled SMMU with empty level 3 tables. */
export function given(...stimuli: readonly (Stimulus | readonly Stimulus[])[]): Recorded {
  return givenOn(machine(), ...stimuli);
}

export function givenOn(
  config: MachineConfig,
  ...stimuli: readonly (Stimulus | readonly Stimulus[])[]
): Recorded {
  return record(config, [...tables(), ...bringUp(), ...stimuli.flat()]);
}

export function findingsOf({ entries, machine: config }: Recorded): readonly Finding[] {
  return checkHistory(entries, config, 'main');
}

/**
 * The log as hardware would write it that keeps its entries: what caches dropped is not told, and
 * `events` are added at the end as one step of a DMA.
 */
export function deafHardware(log: Recorded, ...events: readonly Event[]): Recorded {
  const kept = log.entries.map((entry) =>
    entry.type === 'cache.invalidated' ? { ...entry, removed: [] } : entry,
  );
  const last = kept[kept.length - 1];
  const seq = last?.seq ?? 0;
  const added = events.map((event, at) => ({
    ...event,
    seq: seq + 1 + at,
    tick: (last?.tick ?? 0) + 1,
    cause: seq,
    actor: 'smmu' in event ? event.smmu : 'test',
  })) as Entry[];
  return { ...log, entries: [...kept, ...added] };
}

/** The last entry of a type; fails when there is none. */
export function lastOf<T extends Entry['type']>({ entries }: Recorded, type: T): Extract<Entry, { type: T }> {
  const found = entries.findLast((entry) => entry.type === type);
  if (found === undefined) throw new Error(`the log has no ${type}`);
  return found as Extract<Entry, { type: T }>;
}
