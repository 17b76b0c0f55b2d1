/** A machine with VMs, as tests drive it: stimuli in, entries of all turns out. */
import type { MachineConfig } from '../../core/config.ts';
import type { Entry, EntryOf, EntryType } from '../../core/event.ts';
import type { Outcome } from '../../core/outcome.ts';
import { Simulation } from '../../core/simulation.ts';
import { smmuConfig } from '../../core/smmu/profiles.ts';
import type { State } from '../../core/state.ts';
import type { Stimulus } from '../../core/stimulus.ts';
import type { VmConfig } from '../../core/vm/state.ts';
import { reset } from './build.ts';

export interface Host {
  /** The entries so far, of the last `ask` alone where one came after. */
  readonly entries: readonly Entry[];
  readonly state: State;
  ask(stimulus: Stimulus): Outcome;
  /** The entries of a type since the last `ask`. */
  all<T extends EntryType>(type: T): readonly EntryOf<T>[];
  /** Names of the ioctls since the last `ask`, in order. */
  ioctls(): readonly string[];
}

/** A booted host with an SMMU of the profile `everything` and the endpoints named. */
export function bootHost(
  endpoints: Readonly<Record<string, number>>,
  more: Partial<MachineConfig> = {},
): Host {
  const config: MachineConfig = {
    ram: [{ base: 0x4000_0000, size: 0x4000_0000 }],
    smmus: [smmuConfig('everything', { name: 'smmu0', base: 0x0905_0000 })],
    endpoints: Object.entries(endpoints).map(([name, streamId]) => ({
      name,
      smmu: 'smmu0',
      streamId,
      ats: false,
      pri: false,
      ssidBits: 0,
      atc: 0,
    })),
    kernel: { profile: 'linux-7.3' },
    schedule: 'eager',
    seed: 1,
    ...more,
  };
  const simulation = new Simulation(reset(config));
  let entries: Entry[] = [];
  simulation.entries$.subscribe((more) => entries.push(...more));
  simulation.dispatch({ type: 'kernel.boot' });
  simulation.run();
  const all: Host['all'] = (type) => entries.filter((entry) => entry.type === type) as never;
  return {
    get entries() {
      return entries;
    },
    get state() {
      return simulation.state;
    },
    ask: (stimulus) => {
      entries = [];
      return simulation.dispatch(stimulus).outcome;
    },
    all,
    ioctls: () => all('ioctl.begun').map(({ name }) => name),
  };
}

/** A VM with 64 MiB and one emulated SMMU, `vm0.smmu`. */
export function vmConfig(profile: VmConfig['profile'], more: Partial<VmConfig> = {}): VmConfig {
  const ram = [{ base: 0x4000_0000, size: 0x400_0000 }];
  return { profile, policies: {}, cpus: 1, ram, smmus: ['vm0.smmu'], ...more };
}
