/** How the SMMU's facts evolve its state. Nothing is decided here. */

import { assert } from '../assert.ts';
import { changed } from '../changed.ts';
import { closeGroup, openGroup } from '../endpoint/handlers.ts';
import type { EntryOf } from '../event.ts';
import type { Handlers } from '../machine.ts';
import type { State } from '../state.ts';
import type { Cache, CacheEntry } from './cache.ts';
import type { CacheName, smmuEvents } from './events.ts';
import { contextKey, vaKey } from './keys.ts';
import { withPort } from './port-tlb.ts';
import { putReg, resetRegisters } from './regs.ts';
import { type ConfigEntry, initialSmmu, isStopMarker, type SmmuState, type TlbEntry } from './state.ts';

const nothing = (): void => {};

export const smmuHandlers: Pick<Handlers, keyof typeof smmuEvents> = {
  'smmu.made': (state, { smmu, config }) => {
    state.smmus[smmu] = initialSmmu(config, resetRegisters(config));
  },
  'register.written': (state, { smmu, register, value }) => putReg(of(state, smmu), register, value),
  'register.updated': (state, { smmu, register, value }) => putReg(of(state, smmu), register, value),
  'register.read': nothing,
  'write.ignored': nothing,
  'interrupt.raised': nothing,
  'misuse.noted': nothing,

  'msi.sent': nothing,
  'event.sent': nothing,
  'broadcast.received': nothing,

  'command.fetched': (state, { smmu, queue = 'CMDQ', index, command, lo, hi, seq, beside = false }) => {
    of(state, smmu).inFlight.push({ queue, index, command, lo, hi, fetched: seq, consumed: false, beside });
  },
  'command.consumed': (state, { smmu, fetched, command }) => {
    const owner = of(state, smmu);
    const at = owner.inFlight.findIndex((each) => each.fetched === fetched);
    const found = owner.inFlight[at];
    assert(found !== undefined, `command ${fetched} is in flight`);
    const { queue } = found;
    // A CMD_SYNC has no effect of its own to wait for.
    if (command === 'CMD_SYNC') {
      owner.inFlight.splice(at, 1);
      delete owner.runs[queue];
      return;
    }
    const before = owner.runs[queue];
    owner.inFlight[at] = changed(
      found,
      before === undefined ? { consumed: true } : { consumed: true, before },
    );
    if (INVALIDATION.test(command)) owner.runs[queue] = command;
  },
  'command.performed': (state, { smmu, fetched }) => {
    const owner = of(state, smmu);
    owner.inFlight = owner.inFlight.filter((each) => each.fetched !== fetched);
  },
  // It is fetched anew after the acknowledgement (7.1); invalidations that timed out are then lost (4.7.3).
  'command.rejected': (state, { smmu, queue = 'CMDQ', fetched, error }) => {
    const owner = of(state, smmu);
    if (error === 'CERROR_ATC_INV_SYNC') delete owner.atcLost[queue];
    owner.inFlight = owner.inFlight.filter((each) => each.fetched !== fetched);
  },
  'sync.completed': nothing,
  'atc.timedout': (state, { smmu, fetched }) => {
    const owner = of(state, smmu);
    const queue = owner.inFlight.find((each) => each.fetched === fetched)?.queue ?? 'CMDQ';
    owner.atcLost[queue] ??= fetched;
    owner.inFlight = owner.inFlight.filter((each) => each.fetched !== fetched);
  },

  'atc.flushed': (state, { smmu, queue }) => {
    delete of(state, smmu).atcLost[queue];
  },

  'config.filled': (state, entry) => {
    const owner = of(state, entry.smmu);
    const kept: ConfigEntry = fillOf(entry);
    writable(owner, entry.cache as ConfigCacheName).add(kept, kept.streamId, kept.substreamId);
  },
  'tlb.filled': (state, entry) => {
    const owner = of(state, entry.smmu);
    const kept: TlbEntry = fillOf(entry);
    writable(owner, entry.cache as TlbCacheName).add(kept, tlbPrimary(kept), vaKey(kept.va, kept.sizeLog2));
    const { sizeLog2, blockLog2 } = kept;
    if (kept.leaf && !owner.spans.includes(sizeLog2))
      owner.spans = [...owner.spans, sizeLog2].sort((a, b) => a - b);
    if (blockLog2 !== undefined && !owner.fragmented.includes(blockLog2)) owner.fragmented.push(blockLog2);
  },
  'port.filled': (state, { smmu, streamId, substreamId, va, sizeLog2, ste, cd, tlb }) => {
    const owner = of(state, smmu);
    const kept = owner.caches.ste.fills.get(ste);
    assert(kept !== undefined, `STE ${ste} is cached`);
    const cdKept = owner.caches.cd.fills.get(cd);
    owner.ports = withPort(owner.ports ?? [], {
      streamId,
      ...(substreamId === undefined ? {} : { substreamId }),
      va,
      sizeLog2,
      ste: kept,
      ...(cdKept === undefined ? {} : { cd: cdKept }),
      tlb,
    });
  },
  'cache.invalidated': (state, { smmu, cache, removed }) => removeFills(of(state, smmu), cache, removed),
  'cache.evicted': (state, { smmu, cache, removed }) => removeFills(of(state, smmu), cache, removed),

  'structure.fetched': nothing,
  'descriptor.fetched': nothing,
  'fetch.aborted': nothing,
  'access.completed': nothing,
  'access.terminated': nothing,

  'access.stalled': (state, entry) => {
    const {
      smmu,
      seq,
      endpoint,
      streamId,
      substreamId,
      iova,
      access,
      stag,
      held = false,
      request,
      data,
    } = entry;
    of(state, smmu).stalls.push({
      id: seq,
      endpoint,
      streamId,
      ...(substreamId === undefined ? {} : { substreamId }),
      iova,
      access,
      stag,
      held,
      request,
      ...(data === undefined ? {} : { data }),
    });
  },
  'stall.decided': (state, { smmu, how, stalled }) => {
    const owner = of(state, smmu);
    const chosen = new Set(stalled);
    owner.stalls = owner.stalls.map((each) => (chosen.has(each.id) ? { ...each, fate: how } : each));
  },
  'stall.ended': (state, { smmu, stalled }) => {
    const owner = of(state, smmu);
    owner.stalls = owner.stalls.filter((each) => each.id !== stalled);
  },

  'page.requested': (state, { smmu, seq, endpoint, streamId, substreamId, prgIndex, wants, last, words }) => {
    of(state, smmu).pageRequests.push({
      id: seq,
      endpoint,
      streamId,
      ...(substreamId === undefined ? {} : { substreamId }),
      prgIndex,
      wants,
      last,
      words,
    });
    if (!isStopMarker({ wants, last, substreamId })) openGroup(state, endpoint, prgIndex);
  },
  'page.queued': (state, { smmu, requested }) => forgetRequest(of(state, smmu), requested),
  'page.dropped': (state, { smmu, requested }) => forgetRequest(of(state, smmu), requested),
  'page.responded': (state, { endpoint, prgIndex }) => closeGroup(state, endpoint, prgIndex),

  'record.raised': (state, { smmu, record, streamId, words, seq, stag }) => {
    of(state, smmu).records.push({
      record,
      streamId,
      words,
      raised: seq,
      ...(stag === undefined ? {} : { stag }),
    });
  },
  'record.written': (state, { smmu, raised }) => forgetRecord(of(state, smmu), raised),
  'record.dropped': (state, { smmu, raised }) => forgetRecord(of(state, smmu), raised),
  'record.withdrawn': (state, { smmu, raised }) => forgetRecord(of(state, smmu), raised),
  'record.merged': nothing,
};

/** Commands of which a run is made, for hardware that is confused by mixed ones. */
const INVALIDATION = /^CMD_(TLBI|CFGI|ATC_INV)/;

function forgetRequest(smmu: SmmuState, id: number): void {
  smmu.pageRequests = smmu.pageRequests.filter((each) => each.id !== id);
}

/** The oldest record, unless another is named: a stall record may wait behind younger ones. */
function forgetRecord(smmu: SmmuState, raised = smmu.records[0]?.raised): void {
  smmu.records = smmu.records.filter((each) => each.raised !== raised);
}

type TlbCacheName = 'tlb' | 'walk';
type ConfigCacheName = Exclude<CacheName, TlbCacheName>;

/** The context key of a TLB or walk-cache entry. */
export function tlbPrimary({ regime, stage, vmid, asid, global, aset }: TlbEntry): number {
  return contextKey(regime, stage, vmid, asid, global, aset);
}

function of(state: State, name: string): SmmuState {
  const smmu = state.smmus[name];
  assert(smmu !== undefined, `there is an SMMU ${name}`);
  return smmu;
}

/** What the cache holds: the event without its place in the log. */
function fillOf<T extends 'config.filled' | 'tlb.filled'>(
  entry: EntryOf<T>,
): Omit<EntryOf<T>, 'seq' | 'tick' | 'cause' | 'actor' | 'type'> & CacheEntry {
  const { seq, tick, cause, actor, type, ...rest } = entry;
  return Object.assign(rest, { id: seq });
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
