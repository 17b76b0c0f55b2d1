/**
 * Every fact the SMMU can state. `smmu` is its name; a field that ends in a past fact's name
 * (`fetched`, `filled`, ...) is the sequence number of that entry.
 */
import type { SmmuConfig } from '../config.ts';
import { bytes, flag, id, int, iova, json, optional, pa, seq, seqs, text, u64 } from '../schema.ts';

export type CacheName = 'l1std' | 'ste' | 'l1cd' | 'cd' | 'walk' | 'tlb';
export type Regime = 'EL1' | 'EL2' | 'EL2_E2H';
export type AccessKind = 'read' | 'write';
export type StallFate = 'retry' | 'abort' | 'raz-wi';

/** A DMA that waits, from the piece that stalled on. */
export interface StalledRequest {
  /** Bytes of the DMA, and how many of them are done. */
  readonly total: number;
  readonly done: number;
  readonly exec: boolean;
  readonly privileged: boolean;
}

const smmu = text();

/** One piece of a device's access. */
const access = {
  smmu,
  endpoint: text('endpoint'),
  streamId: id('sid'),
  substreamId: optional(id()),
  iova: iova(),
  size: int(),
  access: text<AccessKind>(),
};
/** What an access rests on: the fills of the STE, the CD and the TLB entry; 0 for none. */
const basis = {
  ste: seq(),
  cd: seq(),
  tlb: seq(),
  /** The stage 2 entry of the final address, where `tlb` is a stage 1 entry. */
  tlb2: optional(seq()),
  /** The ATC entry that gave the address of a Translated transaction. */
  atc: optional(seq()),
};
/** A request of a device that is not an access. */
const asked = { smmu, endpoint: text('endpoint'), streamId: id('sid'), substreamId: optional(id()) };

export const smmuEvents = {
  /** A VMM emulates one from now on. */
  'smmu.made': { smmu, config: json<SmmuConfig>() },
  // Registers (IHI 0070 6)
  /** Software's write was taken; `value` is what the register now holds. */
  'register.written': { smmu, register: text('register'), value: u64(), old: u64() },
  /** Hardware changed a register. */
  'register.updated': { smmu, register: text('register'), value: u64(), old: u64() },
  'register.read': { smmu, register: text('register'), offset: id(), size: int(), value: u64() },
  /** A write had no effect: read-only, guarded, reserved, or a bad access. */
  'write.ignored': { smmu, register: text('register'), offset: id(), value: u64(), why: text() },
  'interrupt.raised': { smmu, source: text() },
  /** A message-signalled interrupt: the store of its data follows (3.18). */
  'msi.sent': { smmu, source: text(), pa: pa(), data: id() },
  /** A wake-up event for the PEs (4.7.3, 4.1.2). */
  'event.sent': { smmu, source: text() },
  /** A driver error that real hardware hides; `rule` names it. */
  'misuse.noted': { smmu, rule: text('rule'), detail: text() },

  // Command queues (3.5, 4, 7.1). `index` is the queue pointer with its wrap bit; a command with `beside`
  // did not come from a queue and has index 0. `queue` names an enhanced one; absent, it is the Command queue.
  'command.fetched': {
    smmu,
    queue: optional(text()),
    index: int(),
    command: text('command'),
    lo: u64(),
    hi: u64(),
    beside: optional(flag()),
  },
  'command.consumed': {
    smmu,
    queue: optional(text()),
    index: int(),
    command: text('command'),
    fetched: seq(),
  },
  'command.performed': {
    smmu,
    queue: optional(text()),
    index: int(),
    command: text('command'),
    fetched: seq(),
  },
  'command.rejected': {
    smmu,
    queue: optional(text()),
    index: int(),
    command: text('command'),
    fetched: seq(),
    error: text(),
    why: text(),
  },
  'sync.completed': { smmu, queue: optional(text()), index: int(), fetched: seq() },
  /** A broadcast TLB maintenance operation of the PEs acted, or was not for this SMMU (`why`) (3.17). */
  'broadcast.received': {
    smmu,
    operation: text(),
    vmid: optional(id('vmid')),
    asid: optional(id('asid')),
    va: optional(iova()),
    ipa: optional(pa()),
    why: optional(text()),
  },

  // Caches. An entry of a cache is named by the seq of the event that filled it.
  'config.filled': {
    smmu,
    cache: text<CacheName>('cache'),
    /** First of the StreamIDs (`l1std`) or SubstreamIDs (`l1cd`) it stands for, and how many. */
    streamId: id('sid'),
    substreamId: id(),
    span: int(),
    pa: pa(),
    words: bytes(),
    /** Where the address was an IPA: it, and the stage 2 entry that translated it. */
    ipa: optional(pa()),
    tlb2: optional(seq()),
  },
  'tlb.filled': {
    smmu,
    cache: text<CacheName>('cache'),
    regime: text<Regime>(),
    /** 1, 2, or 12 for a combined entry. */
    stage: int(),
    vmid: id('vmid'),
    asid: id('asid'),
    global: flag(),
    /** First input address of the span, all 64 bits. */
    va: iova(),
    sizeLog2: int(),
    granuleLog2: int(),
    level: int(),
    /** Last-level information; false for a walk-cache entry, whose `pa` is the next table. */
    leaf: flag(),
    pa: pa(),
    /** Permissions and attributes: see `core/smmu/attributes.ts`. */
    attributes: id(),
    /** Where the descriptor stands, and what it was. */
    descriptorPa: pa(),
    descriptor: u64(),
    /** The walk-cache entry the walk began from. */
    parent: seq(),
    /** CD.ASET: broadcast operations by ASID may leave it alone (3.17). */
    aset: optional(flag()),
    /** Size of the stage 1 block, where the entry is a fragment of it (Arm ARM D8.17). */
    blockLog2: optional(int()),
    // Nested translation: what stage 2 adds.
    /** The stage 2 entries that the walk and the output rest on. */
    rests: optional(seqs()),
    ipa: optional(pa()),
    attributes2: optional(id()),
    size2Log2: optional(int()),
    descriptor2Pa: optional(pa()),
    descriptor2: optional(u64()),
  },
  /** A TLB beside the device took what served an access: it is asked before the STE. */
  'port.filled': {
    smmu,
    endpoint: text('endpoint'),
    streamId: id('sid'),
    substreamId: optional(id()),
    va: iova(),
    sizeLog2: int(),
    ste: seq(),
    cd: seq(),
    tlb: seq(),
  },
  'cache.invalidated': { smmu, cache: text<CacheName>('cache'), fetched: seq(), removed: seqs() },
  'cache.evicted': { smmu, cache: text<CacheName>('cache'), why: text(), removed: seqs() },

  // Fetches
  'structure.fetched': {
    smmu,
    structure: text(),
    streamId: id('sid'),
    substreamId: id(),
    pa: pa(),
    words: bytes(),
    ipa: optional(pa()),
  },
  'descriptor.fetched': { smmu, stage: int(), level: int(), pa: pa(), value: u64() },
  'fetch.aborted': { smmu, structure: text(), pa: pa() },

  // Accesses of devices
  'access.completed': {
    ...access,
    pa: pa(),
    /** How it was served: `hit`, `walk`, `bypass`; Translated, with an address of the ATC or none: `atc`, `translated`. */
    via: text(),
    ...basis,
  },
  'access.terminated': {
    ...access,
    /** `abort`, `raz-wi` or `bus-error`; `stall` in histories of the first model. */
    result: text(),
    /** The event record of 7.3, or the reason where there is none. */
    reason: text(),
    ...basis,
  },
  /** The access waits (3.12.2). STAG 0 with `held`: no record was made, it waits for room (STALL_MAX). */
  'access.stalled': {
    ...access,
    stag: int(),
    held: optional(flag()),
    reason: text(),
    /** The access as it was asked, its data and what is done of it, to go on from. */
    request: json<StalledRequest>(),
    data: optional(bytes()),
    ...basis,
  },
  /** CMD_RESUME, CMD_STALL_TERM or SMMUEN=0 decided on stalled accesses (4.7): they end in a later turn. */
  'stall.decided': { smmu, how: text<StallFate>(), stalled: seqs() },
  /** The access goes on: it is tried again, or terminated. */
  'stall.ended': { smmu, stalled: seq(), how: text<StallFate>() },

  // ATS and PRI (3.9, 8)
  /** The endpoint did not answer a CMD_ATC_INV in time (3.9.1.4). */
  'atc.timedout': { ...asked, fetched: seq() },
  /** The time-outs of a queue that is being taken away are met by a CMD_SYNC of the main queue, and told to nobody. */
  'atc.flushed': { smmu, queue: text() },
  /** A Page Request waits to be written to the PRI queue. */
  'page.requested': {
    ...asked,
    iova: iova(),
    prgIndex: int(),
    /** Letters of `rwxp`. */
    wants: text(),
    last: flag(),
    words: bytes(),
  },
  'page.queued': { ...asked, prgIndex: int(), requested: seq(), index: int(), pa: pa() },
  'page.dropped': { ...asked, prgIndex: int(), requested: seq(), why: text() },
  /** A PRG Response to the endpoint: from CMD_PRI_RESP (`fetched`), or automatic (0). */
  'page.responded': { ...asked, prgIndex: int(), response: text(), fetched: seq() },

  // Event records (7.3): waiting to be written, written, lost
  'record.raised': {
    smmu,
    record: text('record'),
    streamId: id('sid'),
    words: bytes(),
    stag: optional(int()),
  },
  'record.written': { smmu, record: text('record'), index: int(), pa: pa(), raised: optional(seq()) },
  'record.dropped': { smmu, record: text('record'), why: text(), raised: optional(seq()) },
  /** Said already by a record that still waits: STE.MEV (7.3.1). */
  'record.merged': { smmu, record: text('record'), streamId: id('sid'), into: seq() },
  /** A stall record is not written: its access is tried again first (3.12.2). */
  'record.withdrawn': { smmu, record: text('record'), raised: seq() },
} as const;
