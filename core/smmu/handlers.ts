/** How the SMMU's facts evolve its state. Nothing is decided here. */
import { assert } from '../assert.ts';
import type { EntryOf } from '../event.ts';
import type { Handlers } from '../machine.ts';
import type { State } from '../state.ts';
import type { Cache, CacheEntry } from './cache.ts';
import type { CacheName, smmuEvents } from './events.ts';
import { contextKey, vaKey } from './keys.ts';
import { putReg } from './regs.ts';
import type { ConfigEntry, SmmuState, TlbEntry } from './state.ts';

const nothing = (): void => {};

export const smmuHandlers: Pick<Handlers, keyof typeof smmuEvents> = {
  'register.written': (state, { smmu, register, value }) => putReg(of(state, smmu), register, value),
  'register.updated': (state, { smmu, register, value }) => putReg(of(state, smmu), register, value),
  'register.read': nothing,
  'write.ignored': nothing,
  'interrupt.raised': nothing,
  'misuse.noted': nothing,

  'command.fetched': (state, { smmu, index, command, lo, hi, seq, beside = false }) => {
    of(state, smmu).inFlight.push({ index, command, lo, hi, fetched: seq, consumed: false, beside });
  },
  'command.consumed': (state, { smmu, fetched, command }) => {
    const owner = of(state, smmu);
    const at = owner.inFlight.findIndex((each) => each.fetched === fetched);
    const found = owner.inFlight[at];
    assert(found !== undefined, `command ${fetched} is in flight`);
    // A CMD_SYNC has no effect of its own to wait for.
    if (command === 'CMD_SYNC') owner.inFlight.splice(at, 1);
    else owner.inFlight[at] = { ...found, consumed: true };
  },
  'command.performed': (state, { smmu, fetched }) => {
    const owner = of(state, smmu);
    owner.inFlight = owner.inFlight.filter((each) => each.fetched !== fetched);
  },
  // It is fetched anew after the acknowledgement (7.1).
  'command.rejected': (state, { smmu, fetched }) => {
    const owner = of(state, smmu);
    owner.inFlight = owner.inFlight.filter((each) => each.fetched !== fetched);
  },
  'sync.completed': nothing,

  'config.filled': (state, entry) => {
    const owner = of(state, entry.smmu);
    const kept: ConfigEntry = { ...payload(entry), id: entry.seq };
    writable(owner, entry.cache as ConfigCacheName).add(kept, kept.streamId, kept.substreamId);
  },
  'tlb.filled': (state, entry) => {
    const owner = of(state, entry.smmu);
    const kept: TlbEntry = { ...payload(entry), id: entry.seq };
    writable(owner, entry.cache as TlbCacheName).add(kept, tlbPrimary(kept), vaKey(kept.va, kept.sizeLog2));
    if (!owner.granules.includes(kept.granuleLog2)) owner.granules.push(kept.granuleLog2);
  },
  'cache.invalidated': (state, { smmu, cache, removed }) => removeFills(of(state, smmu), cache, removed),
  'cache.evicted': (state, { smmu, cache, removed }) => removeFills(of(state, smmu), cache, removed),

  'structure.fetched': nothing,
  'descriptor.fetched': nothing,
  'fetch.aborted': nothing,
  'access.completed': nothing,
  'access.terminated': nothing,

  'record.raised': (state, { smmu, record, words, seq }) => {
    of(state, smmu).records.push({ record, words, raised: seq });
  },
  'record.written': (state, { smmu }) => {
    of(state, smmu).records.shift();
  },
  'record.dropped': (state, { smmu }) => {
    of(state, smmu).records.shift();
  },
};

type TlbCacheName = 'tlb' | 'walk';
type ConfigCacheName = Exclude<CacheName, TlbCacheName>;

/** The context key of a TLB or walk-cache entry. */
export function tlbPrimary({ regime, stage, vmid, asid, global }: TlbEntry): number {
  return contextKey(regime, stage, vmid, asid, global);
}

function of(state: State, name: string): SmmuState {
  const smmu = state.smmus[name];
  assert(smmu !== undefined, `there is an SMMU ${name}`);
  return smmu;
}

/** The event without its place in the log: what the cache holds. */
function payload<T extends 'config.filled' | 'tlb.filled'>(
  entry: EntryOf<T>,
): Omit<EntryOf<T>, 'seq' | 'tick' | 'cause' | 'actor' | 'type'> {
  const { seq, tick, cause, actor, type, ...rest } = entry;
  return rest;
}

function removeFills(smmu: SmmuState, cache: CacheName, removed: readonly number[]): void {
  if (cache === 'tlb' || cache === 'walk') {
    const open = writable(smmu, cache);
    for (const id of removed) {
      const entry = open.fills.get(id);
      if (entry !== undefined) open.remove(id, tlbPrimary(entry), vaKey(entry.va, entry.sizeLog2));
    }
    return;
  }
  const open = writable(smmu, cache);
  for (const id of removed) {
    const entry = open.fills.get(id);
    if (entry !== undefined) open.remove(id, entry.streamId, entry.substreamId);
  }
}

/** The cache, open for writing. */
function writable<N extends CacheName>(smmu: SmmuState, name: N): SmmuState['caches'][N] {
  const held = smmu.caches[name] as Cache<CacheEntry>;
  if (held.open) return held as SmmuState['caches'][N];
  const open = held.fork();
  (smmu.caches as Record<string, Cache<CacheEntry>>)[name] = open;
  return open as SmmuState['caches'][N];
}
