/** What drivers state about themselves; their stores, register writes and commands are events of those. */
import type { Errno } from '../kernel/errno.ts';
import { flag, id, int, iova, json, optional, pa, seq, text, u64 } from '../schema.ts';
import type { DriverFeatures } from './features.ts';
import type { SecondQueue } from './second-queue.ts';
import type {
  Attachment,
  CdTable,
  Domain,
  DriverInterrupt,
  DriverQueueName,
  DriverSetup,
  Inv,
  Master,
  Vmaster,
} from './state.ts';

const driver = text();
/** Seq of the domain's `domain.made`. */
const domain = seq();

/** A domain before its making gives it a number. */
export type NewDomain = Domain extends infer D ? (D extends Domain ? Omit<D, 'id'> : never) : never;

export const driverEvents = {
  'driver.made': { driver, setup: json<DriverSetup>() },
  'driver.probed': { driver, features: json<DriverFeatures>() },
  'driver.failed': { driver, errno: text<Errno>(), why: text() },
  'driver.started': { driver },
  /** A line of the kernel's log. */
  'driver.told': { driver, what: text(), detail: text() },

  'queue.placed': { driver, queue: text<DriverQueueName>(), pa: pa(), sizeLog2: int() },
  /** The driver's copies of the pointers moved. */
  'queue.moved': { driver, queue: text<DriverQueueName>(), prod: id(), cons: id() },
  /** A queue beside the main one is on; the driver's copies of its pointers moved. */
  'second.placed': { driver, queue: json<Omit<SecondQueue, 'prod' | 'cons'>>() },
  'second.moved': { driver, queue: int(), prod: id(), cons: id() },
  /** A CPU has slots of the Command queue for itself; the owner of a run of them is to tell PROD. */
  'cmdq.reserved': { driver, task: int(), index: id(), count: int(), end: id(), owner: flag() },
  /** Its commands stand there. */
  'cmdq.filled': { driver, task: int(), index: id() },
  /** Nobody joins the oldest run any more; PROD has passed it. */
  'cmdq.gathered': { driver, task: int(), index: id(), end: id() },
  'cmdq.published': { driver, task: int(), index: id(), end: id() },
  /** A CMD_SYNC was given up, by a task: the SMMU makes no progress. */
  'sync.timedout': { driver, index: int(), task: int() },

  /** The read of the Command queue aborted, and is tried again: so often at this CONS. */
  'fetch.retried': { driver, cons: int(), count: int() },

  'strtab.placed': { driver, pa: pa(), sizeLog2: int(), twoLevel: flag() },
  'strtab.extended': { driver, window: int(), pa: pa() },
  'master.added': { driver, endpoint: text('endpoint'), master: json<Master>() },
  'cdtab.placed': { driver, endpoint: text('endpoint'), table: json<CdTable>() },
  'cdtab.extended': { driver, endpoint: text('endpoint'), window: int(), pa: pa() },
  /** Its STEs name its CD table from now on, or do not. */
  'cdtab.used': { driver, endpoint: text('endpoint'), used: flag() },

  'domain.made': { driver, domain: json<NewDomain>() },
  'domain.freed': { driver, domain },
  /** Its first attach: it has a CD table of its own from now on. */
  'domain.finalised': { driver, domain, table: json<CdTable>() },
  /** What must be invalidated when the domain changes. */
  'invalidations.changed': { driver, domain, invs: json<readonly Inv[]>() },
  /** The STE and CD are written; `ats` is what the endpoint is left with. */
  'master.attached': {
    driver,
    endpoint: text('endpoint'),
    ssid: id(),
    to: json<Attachment>(),
    ats: flag(),
    vmaster: optional(json<Vmaster>()),
  },
  /** An unmapping met an address where nothing is mapped: bytes that its helper was asked to remove from there on, and what it answered. */
  'unmap.stopped': { driver, domain, iova: iova(), asked: int(), answered: u64() },
  /** A SubstreamID is free again. */
  'pasid.removed': { driver, endpoint: text('endpoint'), ssid: id() },

  /** The handler of an interrupt begins. */
  'interrupt.taken': { driver, source: text<DriverInterrupt>() },
} as const;
