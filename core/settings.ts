/**
 * What a scenario may change from a moment on: capacities, the way of invalidation, named choices,
 * and an endpoint's switches. Each is a row: where its path leads and which values it takes.
 */

import type { Capacity } from './config.ts';
import { isQuirk, type QuirkName } from './driver/quirks.ts';
import type { DriverState } from './driver/state.ts';
import { aboutEndpoint, emptyAtc, findEndpoint } from './endpoint/atc.ts';
import { furtherOf } from './endpoint/further.ts';
import type { EndpointState } from './endpoint/state.ts';
import { switchOf } from './kernel/kernel.ts';
import { isSwitchValue, type SwitchName, switches } from './kernel/switches.ts';
import { own } from './lookup.ts';
import type { Context, Decider } from './machine.ts';
import { shrinkCaches } from './smmu/fills.ts';
import type { SmmuState } from './smmu/state.ts';
import type { State } from './state.ts';
import type { VmState } from './vm/state.ts';
import { isVmmQuirk } from './vmm/quirks.ts';

/** Why a value cannot stand at a path, or undefined when it can. Adapters ask before they say `set`. */
export function settingProblem(state: State, path: string, value: unknown): string | undefined {
  const found = locate(state, path);
  if (found === undefined) {
    return 'expected SMMU.caches.ste|cd|tlb|walk, SMMU.invalidation, SMMU.replacement, SMMU.choices.NAME, DRIVER.quirks.NAME, VM.quirks.NAME, ENDPOINT.ats|pri|silent, kernel.failNth, kernel.switches.NAME, or schedule';
  }
  return found.accepts(value) ? undefined : `expected ${found.expected}`;
}

export const changeSetting: Decider<'set'> = (context, { path, value }) => {
  const found = locate(context.state, path);
  if (!found?.accepts(value)) return;
  context.emit('outside', { type: 'value.set', path, value, old: found.get() });
  const [head = ''] = stepsOf(context.state, path);
  const smmu = own(context.state.smmus, head);
  if (smmu !== undefined) shrinkCaches(context, smmu);
  else settleEndpoint(context, head);
};

export const setEndpoint: Decider<'endpoint.set'> = (context: Context, { endpoint: name, set }) => {
  const found = findEndpoint(context.state, name);
  if (found === undefined) return;
  const { reset, ...switches } = set;
  for (const endpoint of [found.endpoint, ...furtherOf(context.state, name)]) {
    if (reset === true) resetFunction(context, found.smmu, endpoint);
    for (const [each, value] of Object.entries(switches))
      putSwitch(context, endpoint.config.name, each, value);
    settleEndpoint(context, endpoint.config.name);
  }
};

function putSwitch(context: Context, endpoint: string, name: string, value: boolean): void {
  const path = `${endpoint}.${name}`;
  const found = locate(context.state, path);
  if (found?.accepts(value)) context.emit(endpoint, { type: 'value.set', path, value, old: found.get() });
}

/** A function level reset: ATS and PRI off, the ATC empty, Page Requests on their way and their groups forgotten. */
function resetFunction(context: Context, smmu: SmmuState, endpoint: EndpointState): void {
  const { name } = endpoint.config;
  putSwitch(context, name, 'ats', false);
  putSwitch(context, name, 'pri', false);
  emptyAtc(context, endpoint, 'function reset');
  for (const { endpoint: from, streamId, substreamId, prgIndex, id: requested } of smmu.pageRequests) {
    if (from !== name) continue;
    const pasid = substreamId === undefined ? {} : { substreamId };
    const about = { smmu: smmu.config.name, endpoint: from, streamId, ...pasid, prgIndex };
    context.emit(name, { type: 'page.dropped', ...about, requested, why: 'function reset' });
  }
  context.emit(name, { type: 'endpoint.reset', ...aboutEndpoint(endpoint) });
}

/** An endpoint without ATS holds no translations (3.9.2). */
function settleEndpoint(context: Context, name: string): void {
  const endpoint = own(context.state.endpoints, name);
  if (endpoint !== undefined && !endpoint.ats) emptyAtc(context, endpoint, 'ATS was turned off');
}

/** Evolves `value.set`. */
export function setPath(state: State, path: string, value: unknown): void {
  locate(state, path)?.put(value);
}

/** Whether a path is one of those; what is wrong then is the value. */
export function isSettable(state: State, path: string): boolean {
  return locate(state, path) !== undefined;
}

/** The paths of the SMMUs and endpoints that can be set: what a mistyped one may have meant. */
export function settablePaths({ smmus, endpoints }: State): readonly string[] {
  return [
    'schedule',
    ...Object.entries(smmus).flatMap(([name, { config }]) => [
      `${name}.invalidation`,
      `${name}.replacement`,
      ...Object.keys(config.caches).map((cache) => `${name}.caches.${cache}`),
      ...Object.keys(config.choices).map((choice) => `${name}.choices.${choice}`),
    ]),
    ...Object.keys(endpoints).flatMap((name) => ['ats', 'pri', 'silent'].map((each) => `${name}.${each}`)),
  ];
}

interface Setting {
  readonly expected: string;
  accepts(value: unknown): boolean;
  get(): unknown;
  put(value: unknown): void;
}

const isCapacity = (value: unknown): value is Capacity =>
  value === 'unbounded' || (Number.isSafeInteger(value) && (value as number) >= 0);

/** The steps of a path; what belongs to a VM has the VM's name as a part of its own. */
function stepsOf({ vms }: State, path: string): readonly string[] {
  const [vm = '', part = '', ...rest] = path.split('.');
  const owned = own(vms, vm) !== undefined && part !== 'quirks';
  return owned ? [`${vm}.${part}`, ...rest] : [vm, part, ...rest].filter((each) => each !== '');
}

function locate(state: State, path: string): Setting | undefined {
  const [head = '', group = '', name = '', ...rest] = stepsOf(state, path);
  if (rest.length > 0) return undefined;
  if (path === 'schedule') {
    return field(
      state as unknown as Record<string, unknown>,
      'schedule',
      'eager, manual or seeded',
      isOneOf('eager', 'manual', 'seeded'),
    );
  }
  if (head === 'kernel') return locateInKernel(state, group, name);
  const endpoint = own(state.endpoints, head);
  if (endpoint !== undefined && ['ats', 'pri', 'silent'].includes(group) && name === '') {
    return field(
      endpoint as unknown as Record<string, unknown>,
      group,
      'true or false',
      (value) => typeof value === 'boolean',
    );
  }
  const vm = own(state.vms, head);
  if (vm !== undefined && group === 'quirks' && isVmmQuirk(name)) return vmmQuirk(vm, name);
  const driver = own(state.drivers, head);
  if (driver !== undefined && group === 'quirks' && isQuirk(name)) return quirk(driver, name);
  const smmu = own(state.smmus, head);
  if (smmu === undefined) return undefined;
  const config = smmu.config as unknown as Record<string, unknown>;
  if (group === 'invalidation' && name === '')
    return field(config, group, 'literal or generous', isOneOf('literal', 'generous'));
  if (group === 'replacement' && name === '')
    return field(config, group, 'oldest or flush-all', isOneOf('oldest', 'flush-all'));
  if (group === 'caches' && Object.hasOwn(smmu.config.caches, name)) {
    return field(config['caches'] as Record<string, unknown>, name, 'a count or "unbounded"', isCapacity);
  }
  if (group === 'choices' && Object.hasOwn(smmu.config.choices, name)) {
    const now = smmu.config.choices[name];
    return field(
      config['choices'] as Record<string, unknown>,
      name,
      `a ${typeof now}`,
      (value) => typeof value === typeof now,
    );
  }
  return undefined;
}

/** `kernel.failNth` and `kernel.switches.NAME`. */
function locateInKernel({ kernel }: State, group: string, name: string): Setting | undefined {
  if (kernel === undefined) return undefined;
  const values = kernel as unknown as Record<string, unknown>;
  if (group === 'failNth' && name === '')
    return field(values, group, 'a count', (value) => isCapacity(value) && value !== 'unbounded');
  if (group !== 'switches' || !Object.hasOwn(switches, name)) return undefined;
  const row = switches[name as SwitchName];
  const expected = row.values.map((value) => JSON.stringify(value)).join(' or ');
  const found = field(values['switches'] as Record<string, unknown>, name, expected, (value) =>
    isSwitchValue(name as SwitchName, value),
  );
  return { ...found, get: () => switchOf(kernel, name as SwitchName) };
}

function field(
  owner: Record<string, unknown>,
  key: string,
  expected: string,
  accepts: (value: unknown) => boolean,
): Setting {
  return {
    expected,
    accepts,
    get: () => owner[key],
    put: (value) => {
      owner[key] = value;
    },
  };
}

/** A deliberate fault of a driver. */
function quirk(driver: DriverState, name: QuirkName): Setting {
  return {
    expected: 'true or false',
    accepts: (value) => typeof value === 'boolean',
    get: () => driver.quirks[name] === true,
    put: (value) => {
      driver.quirks = { ...driver.quirks, [name]: value === true };
    },
  };
}

/** A deliberate fault of a VMM. */
function vmmQuirk(vm: VmState, name: string): Setting {
  return {
    expected: 'true or false',
    accepts: (value) => typeof value === 'boolean',
    get: () => vm.quirks[name] === true,
    put: (value) => {
      vm.quirks = { ...vm.quirks, [name]: value === true };
    },
  };
}

function isOneOf(...names: readonly string[]): (value: unknown) => boolean {
  return (value) => names.includes(value as string);
}
