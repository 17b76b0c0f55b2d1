/**
 * The state of the machine: plain control data that immer drafts, and the large parts (memory,
 * caches), which are persistent maps that immer leaves alone. `dismantle` and `assemble` part the
 * two for snapshots and digests, so that nobody else knows what is large.
 */
import { assert } from './assert.ts';
import type { MachineConfig, Schedule } from './config.ts';
import type { DriverState } from './driver/state.ts';
import { type AtcEntry, type EndpointState, initialEndpoint } from './endpoint/state.ts';
import { initialKernel } from './kernel/initial.ts';
import type { KernelState } from './kernel/state.ts';
import { type Line, Memory, type RamRange } from './memory/memory.ts';
import type { Radix } from './memory/radix.ts';
import type { Window } from './memory/space.ts';
import type { Mm } from './mm/state.ts';
import { putMaps, takeMaps } from './parts.ts';
import { Cache, type CacheEntry } from './smmu/cache.ts';
import { Features } from './smmu/features.ts';
import { cacheNames, initialSmmu, type SmmuState } from './smmu/state.ts';
import type { Task } from './tasks/task.ts';
import type { VmState } from './vm/state.ts';

export interface State {
  /** seq of the last entry. */
  seq: number;
  tick: number;
  /** seq of the last stimulus from outside: what turns follow from. */
  outside: number;
  schedule: Schedule;
  /** State of the seeded generator. */
  random: number;
  memory: Memory;
  /** Address spaces besides the physical one, by their names. */
  spaces: Record<string, readonly Window[]>;
  smmus: Record<string, SmmuState>;
  endpoints: Record<string, EndpointState>;
  /** Physical address of the doorbell of MSIs, where the machine has one. */
  readonly doorbell?: number;
  /** Work that waits for something, oldest first. */
  tasks: Task[];
  /** Drivers of SMMUs, by name. */
  drivers: Record<string, DriverState>;
  /** Virtual machines, by name. */
  vms: Record<string, VmState>;
  /** Address spaces of processes, by their keys; absent until there is one. */
  mms?: Record<string, Mm>;
  /** The host's kernel, where the machine has one. */
  kernel?: KernelState;
}

/** The machine at seq 0. `resetRegisters` gives the register values of a reset SMMU. */
export function initialState(
  config: MachineConfig,
  resetRegisters: (smmu: MachineConfig['smmus'][number]) => Record<string, number>,
): State {
  const memory = new Memory(config.ram);
  memory.seal();
  return {
    seq: 0,
    tick: 0,
    outside: 0,
    schedule: config.schedule,
    random: config.seed >>> 0,
    memory,
    spaces: {},
    smmus: Object.fromEntries(
      config.smmus.map((smmu) => [smmu.name, initialSmmu(smmu, resetRegisters(smmu))]),
    ),
    endpoints: Object.fromEntries(
      config.endpoints.map((endpoint) => [endpoint.name, initialEndpoint(endpoint)]),
    ),
    ...(config.doorbell === undefined ? {} : { doorbell: config.doorbell }),
    tasks: [],
    drivers: {},
    vms: {},
    ...(config.kernel ? { kernel: initialKernel(config.kernel, config.ram) } : {}),
  };
}

/** A state as plain data and its large parts by name. */
export interface Dismantled {
  /** Numbers, strings, booleans, bigints, Uint8Arrays, arrays and plain objects only. */
  readonly control: unknown;
  /** Values are memory lines (`memory`), plain objects (fills), or further maps of numbers (indexes). */
  readonly parts: Readonly<Record<string, Radix<unknown>>>;
}

export function dismantle(state: State): Dismantled {
  const parts: Record<string, Radix<unknown>> = { memory: state.memory.lines as Radix<unknown> };
  const smmus: Record<string, unknown> = {};
  for (const [name, smmu] of Object.entries(state.smmus)) {
    for (const cache of cacheNames) {
      parts[`${name}.${cache}.fills`] = smmu.caches[cache].fills as Radix<unknown>;
      parts[`${name}.${cache}.index`] = smmu.caches[cache].index as Radix<unknown>;
    }
    smmus[name] = { ...smmu, caches: null, features: null };
  }
  const endpoints: Record<string, unknown> = {};
  for (const [name, endpoint] of Object.entries(state.endpoints)) {
    parts[`${name}.atc.fills`] = endpoint.atc.fills as Radix<unknown>;
    parts[`${name}.atc.index`] = endpoint.atc.index as Radix<unknown>;
    endpoints[name] = { ...endpoint, atc: null };
  }
  const drivers = takeMaps(state.drivers, '/drivers', parts);
  const kernel = state.kernel === undefined ? {} : { kernel: takeMaps(state.kernel, '/kernel', parts) };
  const vms = takeMaps(state.vms, '/vms', parts);
  const control = { ...state, memory: { ram: state.memory.ram }, smmus, endpoints, drivers, vms, ...kernel };
  return { control, parts };
}

export function assemble({ control, parts }: Dismantled): State {
  const plain = control as State;
  const part = (name: string): Radix<unknown> => {
    const found = parts[name];
    assert(found !== undefined, `the state has a part ${name}`);
    found.seal();
    return found;
  };
  const smmus: Record<string, SmmuState> = {};
  for (const [name, smmu] of Object.entries(plain.smmus)) {
    const caches = Object.fromEntries(
      cacheNames.map((cache) => [
        cache,
        new Cache(
          part(`${name}.${cache}.fills`) as Radix<CacheEntry>,
          part(`${name}.${cache}.index`) as Radix<Radix<number>>,
        ),
      ]),
    );
    smmus[name] = {
      ...smmu,
      features: new Features(smmu.config.idr),
      caches: caches as unknown as SmmuState['caches'],
    };
  }
  const endpoints: Record<string, EndpointState> = {};
  for (const [name, endpoint] of Object.entries(plain.endpoints)) {
    const fills = part(`${name}.atc.fills`) as Radix<AtcEntry>;
    endpoints[name] = {
      ...endpoint,
      atc: new Cache(fills, part(`${name}.atc.index`) as Radix<Radix<number>>),
    };
  }
  const ram = (plain.memory as unknown as { ram: readonly RamRange[] }).ram;
  const memory = new Memory(ram, part('memory') as Radix<Line>);
  const drivers = putMaps(plain.drivers, '/drivers', parts) as State['drivers'];
  const vms = putMaps(plain.vms, '/vms', parts) as State['vms'];
  const kernel =
    plain.kernel === undefined ? {} : { kernel: putMaps(plain.kernel, '/kernel', parts) as KernelState };
  return { ...plain, memory, smmus, endpoints, drivers, vms, ...kernel };
}
