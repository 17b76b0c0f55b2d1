/**
 * A machine with a kernel and the driver of its SMMU, and ways to let the driver do things: frames are given to
 * the unit `kernel` as a task, and calls of the driver's operations state their events through `observe`.
 */
import type { EndpointConfig, MachineConfig, SmmuConfig } from '../../core/config.ts';
import { type BootOptions, bootFrames } from '../../core/driver/probe.ts';
import type { DriverState } from '../../core/driver/state.ts';
import type { Entry, EntryOf, EntryType, Event } from '../../core/event.ts';
import { decode } from '../../core/layout/layout.ts';
import type { Context } from '../../core/machine.ts';
import { Simulation } from '../../core/simulation.ts';
import { commandLayouts } from '../../core/smmu/command-layout.ts';
import { type ProfileName, profiles } from '../../core/smmu/profiles.ts';
import type { State } from '../../core/state.ts';
import type { Stimulus } from '../../core/stimulus.ts';
import type { Frame } from '../../core/tasks/task.ts';
import { machine, reset } from './build.ts';

export interface Host {
  readonly state: State;
  readonly driver: DriverState;
  /** What a decider would have. */
  readonly context: Context;
  /** Gives frames to the kernel. Returns all that followed. */
  run(frames: readonly Frame[]): readonly Entry[];
  put(...stimuli: readonly Stimulus[]): readonly Entry[];
  /** All entries so far. */
  readonly entries: readonly Entry[];
}

export interface HostOptions {
  readonly profile?: ProfileName;
  readonly smmu?: Partial<SmmuConfig>;
  readonly machine?: Partial<MachineConfig>;
  readonly endpoints?: readonly Partial<EndpointConfig>[];
  readonly boot?: BootOptions;
}

const RAM = { base: 0, size: 2 ** 30 };

export function endpoint(fields: Partial<EndpointConfig> = {}): EndpointConfig {
  const plain = {
    name: 'dev0',
    smmu: 'smmu0',
    streamId: 0x108,
    ats: false,
    pri: false,
    ssidBits: 0,
  } as const;
  return { ...plain, atc: 'unbounded', ...fields };
}

export function hostConfig(options: HostOptions = {}): MachineConfig {
  const { profile = 'everything', smmu = {}, endpoints = [{}] } = options;
  const { idr, choices } = profiles[profile];
  return machine(
    {
      ram: [RAM],
      kernel: { profile: 'linux-7.3' },
      endpoints: endpoints.map(endpoint),
      ...options.machine,
    },
    { idr, choices, ...smmu },
  );
}

/** Platform of most tests: small queues, CMD_SYNC polled, nothing attached that tests have to look past. */
export const plainPlatform = {
  contiguousLog2: 13,
  msiPolling: false,
  defaultDomain: 'blocked',
  vhe: false,
} as const;

/** A machine whose driver is up. */
export function bootedHost(options: HostOptions = {}): Host {
  const host = coldHost(options);
  const platform = { ...plainPlatform, ...options.boot?.platform };
  host.run(bootFrames('smmu0', { ...options.boot, platform }));
  return host;
}

/** The same before the driver's probe. */
export function coldHost(options: HostOptions = {}): Host {
  const simulation = new Simulation(reset(hostConfig(options)));
  const entries: Entry[] = [];
  simulation.entries$.subscribe((more) => entries.push(...more));
  const since = (work: () => void): readonly Entry[] => {
    const from = entries.length;
    work();
    return entries.slice(from);
  };
  const context: Context = {
    get state() {
      return simulation.glance;
    },
    emit: (actor: string, event: Event): number => {
      const stated = simulation.dispatch({ type: 'observe', events: [{ actor, ...event }] });
      return stated.entries[1]?.seq ?? 0;
    },
  };
  return {
    context,
    entries,
    get state() {
      return simulation.glance;
    },
    get driver() {
      return simulation.glance.drivers['smmu0']!;
    },
    run: (frames) =>
      since(() => {
        context.emit('kernel', { type: 'task.begun', unit: 'kernel', what: 'test', frames });
      }),
    put: (...stimuli) =>
      since(() => {
        for (const stimulus of stimuli) simulation.dispatch(stimulus);
      }),
  };
}

/** Entries of a type. */
export function of<T extends EntryType>(entries: readonly Entry[], type: T): readonly EntryOf<T>[] {
  return entries.filter((entry) => entry.type === type) as unknown as EntryOf<T>[];
}

/** Names of the commands that the SMMU took, without CMD_. */
export function commandsOf(entries: readonly Entry[]): string[] {
  return of(entries, 'command.consumed').map(({ command }) => command.replace('CMD_', ''));
}

/** A field of each command of a name that the SMMU fetched. */
export function fieldOf(
  entries: readonly Entry[],
  name: keyof typeof commandLayouts,
  field: string,
): unknown[] {
  return of(entries, 'command.fetched')
    .filter(({ command }) => command === name)
    .map(({ lo, hi }) => {
      const words = [lo & 0xffff_ffffn, lo >> 32n, hi & 0xffff_ffffn, hi >> 32n].map(Number);
      return (decode(commandLayouts[name].layout, words) as Readonly<Record<string, unknown>>)[field];
    });
}
