/** How the facts of endpoints evolve their state. Nothing is decided here. */
import { assert } from '../assert.ts';
import type { Handlers } from '../machine.ts';
import type { Cache } from '../smmu/cache.ts';
import { vaKey } from '../smmu/keys.ts';
import type { State } from '../state.ts';
import type { endpointEvents } from './events.ts';
import type { AtcEntry, EndpointState } from './state.ts';

/** What stands in the index for translations without a PASID. */
export const NO_PASID = 2 ** 20;

const nothing = (): void => {};

export const endpointHandlers: Pick<Handlers, keyof typeof endpointEvents> = {
  'ats.answered': nothing,
  'atc.filled': (state, entry) => {
    const { seq, tick, cause, actor, type, ...kept } = entry;
    const { substreamId = NO_PASID, iova, sizeLog2 } = kept;
    writable(of(state, entry.endpoint)).add({ ...kept, id: seq }, substreamId, vaKey(iova, sizeLog2));
  },
  'atc.invalidated': (state, { endpoint, removed }) => remove(of(state, endpoint), removed),
  'atc.evicted': (state, { endpoint, removed }) => remove(of(state, endpoint), removed),
};

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
  const atc = writable(endpoint);
  for (const id of removed) {
    const entry = atc.fills.get(id);
    if (entry !== undefined) atc.remove(id, entry.substreamId ?? NO_PASID, vaKey(entry.iova, entry.sizeLog2));
  }
}
