/**
 * Applying what was recorded, which decides nothing: all that reading a history takes. Deciding stands in
 * `machine.ts`, with everything that decides behind it; who only reads need not load it.
 */
import { assert } from './assert.ts';
import { type Entry, type EventType, isStimulus } from './event.ts';
import { handlers } from './handlers.ts';
import { sealMaps } from './parts.ts';
import { nextRandom } from './random.ts';
import { cacheNames } from './smmu/state.ts';
import type { State } from './state.ts';
import { publishChanges, workingCopy } from './working.ts';

/** Applies recorded entries, which must follow on `state.seq`. */
export function fold(state: State, entries: Iterable<Entry>): State {
  const working = workingCopy(state);
  foldInto(working, entries);
  return publishState(state, working);
}

/** The same to a working copy. */
export function foldInto(state: State, entries: Iterable<Entry>): void {
  let { seq } = state;
  for (const entry of entries) {
    if (entry.seq !== seq + 1) assert(false, `entry ${entry.seq} follows ${seq}`);
    seq = entry.seq;
    if (isStimulus(entry)) {
      state.tick = entry.tick;
      begin(state, entry);
    } else {
      evolve(state, entry);
    }
  }
  state.seq = seq;
}

/** What a stimulus itself does to the state, live and on replay. */
export function begin(state: State, entry: Entry): void {
  if (entry.type !== 'turn') state.outside = entry.seq;
  else if (state.schedule === 'seeded') state.random = nextRandom(state.random);
}

/** Applies one event: its handler knows all that it changes. */
export function evolve(state: State, entry: Entry): void {
  const handler = handlers[entry.type as EventType] as (state: State, entry: Entry) => void;
  assert(handler !== undefined, `${entry.type} has a handler`);
  handler(state, entry);
}

/** The state of a working copy, immutable: what did not change since `published` is shared with it. */
export function publishState(published: State, working: State): State {
  working.memory.seal();
  for (const smmu of Object.values(working.smmus)) {
    for (const name of cacheNames) smmu.caches[name].seal();
  }
  for (const { atc } of Object.values(working.endpoints)) atc.seal();
  sealMaps(working.drivers);
  sealMaps(working.vms);
  sealMaps(working.kernel);
  return publishChanges(published, working);
}
