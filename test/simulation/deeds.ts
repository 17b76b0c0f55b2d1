/** What can happen to a machine with VMs, each a row: drawn by `actors.ts`. */
import { driverFor } from '../../core/dma-api/drivers.ts';
import type { WorkloadName } from '../../core/dma-api/workload.ts';
import { draw, nextRandom } from '../../core/random.ts';
import type { State } from '../../core/state.ts';
import type { Stimulus } from '../../core/stimulus.ts';
import { isOn } from '../../core/vm/vm.ts';
import { type VmmProfileName, vmmProfiles } from '../../core/vmm/profiles.ts';

/** Numbers from a seed. */
export interface Chance {
  below(count: number): number;
  pick<T>(from: readonly T[]): T;
}

export function chanceOf(seed: number): Chance {
  let state = seed >>> 0;
  const below = (count: number): number => {
    const drawn = draw(state, count);
    state = nextRandom(state);
    return drawn;
  };
  return { below, pick: (from) => from[below(from.length)] as (typeof from)[number] };
}

export interface Deed {
  readonly name: string;
  /** How often it is drawn. */
  readonly weight: number;
  /** A fault of somebody's: accesses may be refused after it. */
  readonly fault?: true;
  /** What is asked now; nothing, where it cannot happen. */
  make(state: State, chance: Chance): Stimulus | undefined;
}

export const CPUS = 3;
const DOORBELL = 0xffff_f040n;
const VMS = 2;
const DESIGNS = Object.keys(vmmProfiles) as readonly VmmProfileName[];
const KINDS: readonly WorkloadName[] = ['nic-rx', 'nic-tx', 'nvme', 'gpu'];

/** Devices that guests have at work: their drivers know them. */
function atWork(state: State): readonly (readonly [vm: string, endpoint: string])[] {
  return Object.values(state.vms).flatMap(({ name, devices }) =>
    Object.keys(devices)
      .filter((endpoint) => driverFor(state, name, endpoint) !== undefined)
      .map((endpoint) => [name, endpoint] as const),
  );
}

/** The guest has been told to let the device go: its group takes no other domain any more. */
function isLeaving({ tasks }: State, vm: string, endpoint: string): boolean {
  return tasks.some(
    ({ unit, what, frames }) =>
      what === 'unplug' &&
      unit.startsWith(`${vm}.`) &&
      frames.some((frame) => frame['endpoint'] === endpoint),
  );
}

/** Endpoints of the host that no VM has, behind SMMU `index`. */
function freeEndpoints({ vms, endpoints }: State, smmu: string): readonly string[] {
  const taken = new Set(Object.values(vms).flatMap(({ devices }) => Object.keys(devices)));
  return Object.values(endpoints)
    .filter(({ config }) => config.smmu === smmu && !taken.has(config.name))
    .map(({ config }) => config.name);
}

/** Each VM has devices of one SMMU of the host: its parent HWPT belongs to one. */
function smmuFor(vm: string): string {
  return `smmu${Number(vm.slice(2)) % 2}`;
}

const anyVm = ({ vms }: State, chance: Chance): State['vms'][string] | undefined => {
  const all = Object.values(vms);
  return all.length === 0 ? undefined : chance.pick(all);
};

export const deeds: readonly Deed[] = [
  {
    name: 'create',
    weight: 2,
    make: ({ vms, tick }, chance) => {
      if (Object.keys(vms).length >= VMS) return undefined;
      const vm = `vm${tick}`;
      const ram = [{ base: 0x4000_0000, size: 0x80_0000 }];
      const profile = chance.pick(DESIGNS);
      const policies = tick % 2 === 0 ? ({ doorbell: 'walked' } as const) : {};
      const config = { profile, policies, cpus: CPUS, ram, smmus: [`${vm}.smmu`] };
      return { type: 'vm.create', vm, config };
    },
  },
  {
    name: 'plug',
    weight: 4,
    make: (state, chance) => {
      const vm = anyVm(state, chance);
      if (vm === undefined) return undefined;
      const free = freeEndpoints(state, smmuFor(vm.name));
      if (free.length === 0) return undefined;
      const endpoint = chance.pick(free);
      const streamId = 16 + 8 * Object.keys(vm.devices).length;
      const used = Object.values(vm.devices).some((device) => device.streamId === streamId);
      return used ? undefined : { type: 'vm.plug', vm: vm.name, endpoint, device: { streamId } };
    },
  },
  {
    name: 'boot',
    weight: 3,
    make: (state, chance) => {
      const vm = anyVm(state, chance);
      return vm === undefined || isOn(state, vm) ? undefined : { type: 'guest.boot', vm: vm.name };
    },
  },
  {
    name: 'work',
    weight: 14,
    make: (state, chance) => {
      const all = atWork(state);
      if (all.length === 0) return undefined;
      const [vm, endpoint] = chance.pick(all);
      const kind = chance.pick(KINDS);
      const cpu = chance.below(CPUS);
      const [seed, count] = [chance.below(2 ** 31), 1 + chance.below(6)];
      return { type: 'guest.work', vm, endpoint, kind, seed, count, cpu };
    },
  },
  {
    name: 'interrupts on',
    weight: 1,
    make: (state, chance) => {
      const all = atWork(state);
      if (all.length === 0) return undefined;
      const [vm, endpoint] = chance.pick(all);
      // Its doorbell may lie where a buffer does, or nowhere: a VMM that translates it finds either.
      return { type: 'guest.irq', vm, endpoint, on: chance.below(4) > 0, iova: DOORBELL };
    },
  },
  {
    name: 'message',
    weight: 2,
    make: ({ endpoints }, chance) => ({
      type: 'msi.send',
      endpoint: chance.pick(Object.keys(endpoints)),
      data: chance.below(8),
    }),
  },
  {
    name: 'stray DMA',
    weight: 4,
    make: (state, chance) => {
      const all = Object.keys(state.endpoints);
      const iova = BigInt(0x4000_0000 + chance.below(0x1000) * 0x1000);
      return {
        type: 'dma',
        endpoint: chance.pick(all),
        iova,
        size: 8,
        access: chance.pick(['read', 'write']),
      };
    },
  },
  {
    // The other way needs the device's driver to be gone (linux: iommu_group_store_type).
    name: 'strict to lazy',
    weight: 1,
    make: (state, chance) => {
      const all = atWork(state).filter(([vm, endpoint]) => !isLeaving(state, vm, endpoint));
      if (all.length === 0) return undefined;
      const [vm, endpoint] = chance.pick(all);
      return {
        type: 'guest.attach',
        vm,
        endpoint,
        to: 'dma-fq',
        cpu: chance.below(CPUS),
      };
    },
  },
  {
    name: 'unplug',
    weight: 1,
    fault: true,
    make: (state, chance) => {
      const vm = anyVm(state, chance);
      const held = Object.keys(vm?.devices ?? {});
      if (vm === undefined || held.length === 0) return undefined;
      return { type: 'vm.unplug', vm: vm.name, endpoint: chance.pick(held) };
    },
  },
  {
    name: 'kill',
    weight: 1,
    fault: true,
    make: (state, chance) => {
      const vm = anyVm(state, chance);
      return vm && { type: 'vm.end', vm: vm.name };
    },
  },
  {
    name: 'reset of a function',
    weight: 1,
    fault: true,
    make: (state, chance) => ({
      type: 'endpoint.set',
      endpoint: chance.pick(Object.keys(state.endpoints)),
      set: { reset: true },
    }),
  },
  {
    name: 'no memory in the kernel',
    weight: 2,
    fault: true,
    make: (_, chance) => ({ type: 'set', path: 'kernel.failNth', value: 1 + chance.below(12) }),
  },
];
