/**
 * Every fact the SMMU can state. `smmu` is its name; a field that ends in a past fact's name
 * (`fetched`, `filled`, ...) is the sequence number of that entry.
 */
import { bytes, flag, id, int, iova, optional, pa, seq, seqs, text, u64 } from '../schema.ts';

export type CacheName = 'l1std' | 'ste' | 'l1cd' | 'cd' | 'walk' | 'tlb';
export type Regime = 'EL1' | 'EL2' | 'EL2_E2H';
export type AccessKind = 'read' | 'write';

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
const basis = { ste: seq(), cd: seq(), tlb: seq() };

export const smmuEvents = {
  // Registers (IHI 0070 6)
  /** Software's write was taken; `value` is what the register now holds. */
  'register.written': { smmu, register: text('register'), value: u64(), old: u64() },
  /** Hardware changed a register. */
  'register.updated': { smmu, register: text('register'), value: u64(), old: u64() },
  'register.read': { smmu, register: text('register'), offset: id(), size: int(), value: u64() },
  /** A write had no effect: read-only, guarded, reserved, or a bad access. */
  'write.ignored': { smmu, register: text('register'), offset: id(), value: u64(), why: text() },
  'interrupt.raised': { smmu, source: text() },
  /** A driver error that real hardware hides; `rule` names it. */
  'misuse.noted': { smmu, rule: text(), detail: text() },

  // Command queue (3.5, 4, 7.1). `index` is the queue pointer with its wrap bit; a command with `beside`
  // did not come from the queue and has index 0.
  'command.fetched': {
    smmu,
    index: int(),
    command: text('command'),
    lo: u64(),
    hi: u64(),
    beside: optional(flag()),
  },
  'command.consumed': { smmu, index: int(), command: text('command'), fetched: seq() },
  'command.performed': { smmu, index: int(), command: text('command'), fetched: seq() },
  'command.rejected': {
    smmu,
    index: int(),
    command: text('command'),
    fetched: seq(),
    error: text(),
    why: text(),
  },
  'sync.completed': { smmu, index: int(), fetched: seq() },

  // Caches. An entry of a cache is named by the seq of the event that filled it.
  'config.filled': {
    smmu,
    cache: text<CacheName>(),
    /** First of the StreamIDs (`l1std`) or SubstreamIDs (`l1cd`) it stands for, and how many. */
    streamId: id('sid'),
    substreamId: id(),
    span: int(),
    pa: pa(),
    words: bytes(),
  },
  'tlb.filled': {
    smmu,
    cache: text<CacheName>(),
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
  },
  'cache.invalidated': { smmu, cache: text<CacheName>(), fetched: seq(), removed: seqs() },
  'cache.evicted': { smmu, cache: text<CacheName>(), why: text(), removed: seqs() },

  // Fetches
  'structure.fetched': {
    smmu,
    structure: text(),
    streamId: id('sid'),
    substreamId: id(),
    pa: pa(),
    words: bytes(),
  },
  'descriptor.fetched': { smmu, stage: int(), level: int(), pa: pa(), value: u64() },
  'fetch.aborted': { smmu, structure: text(), pa: pa() },

  // Accesses of devices
  'access.completed': {
    ...access,
    pa: pa(),
    /** How it was served: `hit`, `walk`, `bypass`. */
    via: text(),
    ...basis,
  },
  'access.terminated': {
    ...access,
    /** `abort`, `raz-wi`, `stall` or `bus-error`. */
    result: text(),
    /** The event record of 7.3, or the reason where there is none. */
    reason: text(),
    ...basis,
  },

  // Event records (7.3): waiting to be written, written, lost
  'record.raised': { smmu, record: text(), streamId: id('sid'), words: bytes() },
  'record.written': { smmu, record: text(), index: int(), pa: pa() },
  'record.dropped': { smmu, record: text(), why: text() },
} as const;
