/** How the facts of the DMA API evolve the state. */

import type { Handlers } from '../machine.ts';
import { openMap, sealedMap } from '../parts.ts';
import { dmaDomainOf, dmaDriverOf } from './drivers.ts';

import type { dmaApiEvents } from './events.ts';

import { emptyCaches, keep, takeKept } from './iova-cache.ts';
import { insert, remove } from './iova-tree.ts';
import { ANCHOR, type DmaDomain, PAGE_BYTES, PFN_4G, type Ring } from './state.ts';

const nothing = (): void => {};
const pfnOf = (iova: bigint): number => Number(iova / BigInt(PAGE_BYTES));
/** Slots of a ring. */
export const RING_SLOTS = 256;

export const dmaApiHandlers: Pick<Handlers, keyof typeof dmaApiEvents> = {
  'dma.opened': (state, { driver, domain, endpoint, kind, limit, magazine, depotMax }) => {
    const owner = dmaDriverOf(state, driver);
    owner.dma = { ...owner.dma, [domain]: newDomain({ domain, endpoint, kind, limit, magazine, depotMax }) };
  },
  'dma.closed': (state, { driver, domain }) => {
    const owner = dmaDriverOf(state, driver);
    if (owner.dma === undefined) return;
    // Not in place: `timers.ts` lists the domains of a record once.
    const { [domain]: _, ...left } = owner.dma;
    owner.dma = left;
  },
  'dma.kind': (state, entry) => {
    dmaDomainOf(state, entry).kind = entry.kind;
  },

  'iova.taken': (state, entry) => {
    const of = dmaDomainOf(state, entry);
    const pfn = pfnOf(entry.iova);
    if (entry.from === 'cache') takeKept(of, entry.cpu, pfn, entry.pages);
    else insert(of, pfn, entry.pages, entry.from === 'fixed');
  },
  'iova.freed': (state, entry) => {
    const of = dmaDomainOf(state, entry);
    const pfn = pfnOf(entry.iova);
    if (entry.to === 'cache') keep(of, entry.cpu, pfn, entry.pages);
    else remove(of, pfn);
  },
  'iova.exhausted': (state, entry) => {
    const of = dmaDomainOf(state, entry);
    of.max32 = Math.min(of.max32, entry.pages);
    if (entry.below4G) of.lowFirst = false;
  },
  'iova.emptied': (state, entry) => emptyCaches(dmaDomainOf(state, entry)),

  'dma.mapped': (state, { driver, domain, iova, pa, bytes, fixed = false, own = false }) => {
    if (domain === undefined || iova === undefined || pa === undefined) return;
    const of = dmaDomainOf(state, { driver, domain });
    openMap(of, 'maps').set(pfnOf(iova), { bytes, pa, fixed, own });
  },
  'dma.unmapping': (state, entry) => {
    openMap(dmaDomainOf(state, entry), 'maps').delete(pfnOf(entry.iova));
  },
  'dma.unmapped': nothing,
  'guest.answered': nothing,

  'fq.queued': (state, entry) => {
    const { pages, counter, released, fixed } = entry;
    const ring = ringOf(dmaDomainOf(state, entry), entry.cpu);
    const asked = fixed === undefined ? {} : { fixed };
    openMap(ring, 'entries').set(ring.tail, { pfn: pfnOf(entry.iova), pages, counter, released, ...asked });
    ring.tail = (ring.tail + 1) % RING_SLOTS;
  },
  'fq.flushing': (state, entry) => {
    dmaDomainOf(state, entry).flushesBegun += 1;
  },
  'fq.flushed': (state, entry) => {
    dmaDomainOf(state, entry).flushesEnded += 1;
  },
  'fq.released': (state, entry) => {
    const ring = ringOf(dmaDomainOf(state, entry), entry.cpu);
    const entries = openMap(ring, 'entries');
    for (let done = 0; done < entry.count; done += 1) {
      entries.delete(ring.head);
      ring.head = (ring.head + 1) % RING_SLOTS;
    }
  },
  'fq.timer': (state, entry) => {
    const of = dmaDomainOf(state, entry);
    if (entry.on) of.timer = entry.cpu;
    else delete of.timer;
  },
};

type Given = Pick<DmaDomain, 'domain' | 'endpoint' | 'kind' | 'limit' | 'magazine' | 'depotMax'>;

function newDomain(given: Given): DmaDomain {
  return {
    ...given,
    lowFirst: true,
    taken: sealedMap(),
    cached: ANCHOR,
    cached32: ANCHOR,
    max32: PFN_4G,
    caches: {},
    depots: {},
    maps: sealedMap(),
    rings: {},
    flushesBegun: 0,
    flushesEnded: 0,
  };
}

function ringOf(of: DmaDomain, cpu: number): Ring {
  const ring = of.rings[cpu] ?? { head: 0, tail: 0, entries: sealedMap() };
  of.rings[cpu] = ring;
  return ring;
}
