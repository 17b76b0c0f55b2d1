/**
 * What a scenario may change from a moment on: capacities, the way of invalidation, named choices,
 * and an endpoint's switches. Each is a row: where its path leads and which values it takes.
 */

import type { Capacity } from './config.ts';
import { own } from './lookup.ts';
import type { Context, Decider } from './machine.ts';
import { shrinkCaches } from './smmu/fills.ts';
import type { State } from './state.ts';

/** Why a value cannot stand at a path, or undefined when it can. Adapters ask before they say `set`. */
export function settingProblem(state: State, path: string, value: unknown): string | undefined {
  const found = locate(state, path);
  if (found === undefined) {
    return 'expected SMMU.caches.ste|cd|tlb|walk, SMMU.invalidation, SMMU.replacement, SMMU.choices.NAME, ENDPOINT.ats|pri, or schedule';
  }
  return found.accepts(value) ? undefined : `expected ${found.expected}`;
}

export const changeSetting: Decider<'set'> = (context, { path, value }) => {
  const found = locate(context.state, path);
  if (!found?.accepts(value)) return;
  context.emit('outside', { type: 'value.set', path, value, old: found.get() });
  const smmu = own(context.state.smmus, path.split('.')[0] ?? '');
  if (smmu !== undefined) shrinkCaches(context, smmu);
};

export const setEndpoint: Decider<'endpoint.set'> = (context: Context, { endpoint, set }) => {
  for (const [name, value] of Object.entries(set)) {
    const found = locate(context.state, `${endpoint}.${name}`);
    if (found?.accepts(value)) {
      context.emit(endpoint, { type: 'value.set', path: `${endpoint}.${name}`, value, old: found.get() });
    }
  }
};

/** Evolves `value.set`. */
export function setPath(state: State, path: string, value: unknown): void {
  locate(state, path)?.put(value);
}

interface Setting {
  readonly expected: string;
  accepts(value: unknown): boolean;
  get(): unknown;
  put(value: unknown): void;
}

const isCapacity = (value: unknown): value is Capacity =>
  value === 'unbounded' || (Number.isSafeInteger(value) && (value as number) >= 0);

function locate(state: State, path: string): Setting | undefined {
  const [head = '', group = '', name = ''] = path.split('.');
  if (path === 'schedule') {
    return field(
      state as unknown as Record<string, unknown>,
      'schedule',
      'eager, manual or seeded',
      isOneOf('eager', 'manual', 'seeded'),
    );
  }
  const endpoint = own(state.endpoints, head);
  if (endpoint !== undefined && (group === 'ats' || group === 'pri') && name === '') {
    return field(
      endpoint as unknown as Record<string, unknown>,
      group,
      'true or false',
      (value) => typeof value === 'boolean',
    );
  }
  const smmu = own(state.smmus, head);
  if (smmu === undefined) return undefined;
  const config = smmu.config as unknown as Record<string, unknown>;
  if (group === 'invalidation')
    return field(config, group, 'literal or generous', isOneOf('literal', 'generous'));
  if (group === 'replacement')
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

function isOneOf(...names: readonly string[]): (value: unknown) => boolean {
  return (value) => names.includes(value as string);
}
