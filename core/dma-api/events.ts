/** What the DMA API states: IOVAs taken and given back, mappings, flush queues. Stores and commands are the driver's. */
import type { Errno } from '../kernel/errno.ts';
import { flag, int, iova, json, optional, pa, seq, text } from '../schema.ts';
import type { DmaKind } from './state.ts';

const driver = text();
/** Seq of the domain's `domain.made`. */
const domain = int();
const endpoint = text('endpoint');
const cpu = int();
/** Seq of the stimulus that asked. */
const call = seq();
const errno = optional(text<Errno>());

export const dmaApiEvents = {
  /** The default domain of an endpoint is used for the first time: `limit` is the last page it can give. */
  'dma.opened': {
    driver,
    domain,
    endpoint,
    kind: text<DmaKind>(),
    limit: int(),
    magazine: int(),
    depotMax: int(),
  },
  /** It is freed, or it changes from strict to lazy where it stands. */
  'dma.closed': { driver, domain },
  'dma.kind': { driver, domain, kind: text<DmaKind>() },

  /** A range has an owner: `cache` from what the CPU keeps, `tree` new, `fixed` at an address asked for. */
  'iova.taken': { driver, domain, cpu, iova: iova(), pages: int(), from: text<'tree' | 'cache' | 'fixed'>() },
  /** It is free: the CPU keeps it, or anybody may have it. */
  'iova.freed': { driver, domain, cpu, iova: iova(), pages: int(), to: text<'tree' | 'cache'>() },
  /** No range of so many pages could be had below a limit. */
  'iova.exhausted': { driver, domain, pages: int(), below4G: flag() },
  /** What all CPUs kept is free for anybody. */
  'iova.emptied': { driver, domain },

  /** The end of `guest.map`. */
  'dma.mapped': {
    driver,
    domain: optional(int()),
    endpoint,
    cpu,
    call,
    iova: optional(iova()),
    pa: optional(pa()),
    bytes: int(),
    fixed: optional(flag()),
    own: optional(flag()),
    errno,
  },
  /** An unmap begins: the mapping is nobody's from here on. */
  'dma.unmapping': { driver, domain, endpoint, cpu, iova: iova(), bytes: int() },
  /** The end of `guest.unmap`; `lazy` where the flush is still to come. */
  'dma.unmapped': {
    driver,
    domain: optional(int()),
    endpoint,
    cpu,
    call,
    iova: iova(),
    bytes: int(),
    lazy: optional(flag()),
    errno,
  },
  /** The end of `guest.attach`, `guest.detach`, `guest.probe` and `guest.shutdown`. */
  'guest.answered': {
    driver,
    call,
    what: text(),
    errno,
    value: optional(json<Readonly<Record<string, number>>>()),
  },

  /** A range is unmapped and waits for a flush; `released`: its IOVA is free already. */
  'fq.queued': {
    driver,
    domain,
    cpu,
    iova: iova(),
    pages: int(),
    counter: int(),
    released: flag(),
    fixed: optional(flag()),
  },
  'fq.flushing': { driver, domain, flush: int() },
  'fq.flushed': { driver, domain, flush: int() },
  /** The oldest so many of a CPU's ring are done with. */
  'fq.released': { driver, domain, cpu, count: int() },
  'fq.timer': { driver, domain, cpu, on: flag() },
} as const;
