/** How the facts of endpoints evolve their state. Nothing is decided here. */
import { assert } from '../assert.ts';
import type { Handlers } from '../machine.ts';
import type { Cache } from '../smmu/cache.ts';
import type { State } from '../state.ts';
import { atcKeys } from './atc-keys.ts';
import type { endpointEvents } from './events.ts';
import type { AtcEntry, EndpointState } from './state.ts';

const nothing = (): void => {};

export const endpointHandlers: Pick<Handlers, keyof typeof endpointEvents> = {
  'ats.answered': nothing,
  'atc.filled': (state, entry) => {
    const { seq, tick, cause, actor, type, ...kept } = entry;
    const endpoint = of(state, entry.endpoint);
    writable(endpoint).add({ ...kept, id: seq }, ...atcKeys(kept));
    if (!endpoint.spans.includes(kept.sizeLog2))
      endpoint.spans = [...endpoint.spans, kept.sizeLog2].sort((a, b) => a - b);
  },
  'atc.invalidated': (state, { endpoint, removed }) => remove(of(state, endpoint), removed),
  'atc.evicted': (state, { endpoint, removed }) => remove(of(state, endpoint), removed),
  'request.withheld': nothing,
  'endpoint.reset': (state, { endpoint: name }) => {
    const endpoint = of(state, name);
    endpoint.groups = [];
    delete endpoint.msi;
  },
  'msi.programmed': (state, { endpoint: name, address }) => {
    const endpoint = of(state, name);
    if (address === undefined) delete endpoint.msi;
    else endpoint.msi = address;
  },
  'msi.received': nothing,
};

/** A Page Request of the group was sent: its response is waited for. */
export function openGroup(state: State, name: string, prgIndex: number): void {
  const endpoint = of(state, name);
  if (!endpoint.groups.includes(prgIndex)) endpoint.groups.push(prgIndex);
}

/** The group has its response. */
export function closeGroup(state: State, name: string, prgIndex: number): void {
  const endpoint = of(state, name);
  endpoint.groups = endpoint.groups.filter((each) => each !== prgIndex);
}

function of(state: State, name: string): EndpointState {
  const endpoint = state.endpoints[name];
  assert(endpoint !== undefined, `there is an endpoint ${name}`);
  return endpoint;
}

/** The ATC, open for writing. */
function writable(endpoint: EndpointState): Cache<AtcEntry> {
  if (!endpoint.atc.open) endpoint.atc = endpoint.atc.fork();
  return endpoint.atc;
}

function remove(endpoint: EndpointState, removed: readonly number[]): void {
  if (removed.length === 0) return;
  const atc = writable(endpoint);
  for (const id of removed) {
    const entry = atc.fills.get(id);
    if (entry !== undefined) atc.remove(id, ...atcKeys(entry));
  }
}
