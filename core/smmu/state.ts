/**
 * What one SMMU remembers. Registers are 32-bit numbers by name; the upper half of a 64-bit register
 * stands under its name with `_HI`. Queues and tables are in memory, not here. Everything that can
 * grow with traffic is a Cache (persistent); the lists here are bounded by `limits`.
 */
import type { SmmuConfig } from '../config.ts';
import type { Payload } from '../schema.ts';
import { Cache, type CacheEntry } from './cache.ts';
import type { AccessKind, CacheName, StalledRequest, StallFate, smmuEvents } from './events.ts';
import { Features } from './features.ts';

/** An entry of a configuration cache: the fill's payload. */
export type ConfigEntry = CacheEntry & Payload<(typeof smmuEvents)['config.filled']>;
/** An entry of the TLB or the walk cache. */
export type TlbEntry = CacheEntry & Payload<(typeof smmuEvents)['tlb.filled']>;

/** A command between its fetch and its full effect. */
export interface InFlight {
  /** Queue pointer, with the wrap bit. */
  readonly index: number;
  readonly command: string;
  readonly lo: bigint;
  readonly hi: bigint;
  /** seq of `command.fetched`. */
  readonly fetched: number;
  readonly consumed: boolean;
  /** The invalidation that its queue consumed before it, with no CMD_SYNC between. */
  readonly before?: string;
  /** Not from a queue: CONS does not count it. */
  readonly beside: boolean;
  /** The queue it came from: CMDQ, or the name of an enhanced one. */
  readonly queue: string;
}

/** An event record that waits to be written. */
export interface PendingRecord {
  readonly record: string;
  readonly streamId: number;
  readonly words: Uint8Array;
  readonly raised: number;
  /** The stalled access it tells of, if any. */
  readonly stag?: number;
}

/** An access that waits for software (3.12.2). */
export interface Stall {
  /** seq of `access.stalled`. */
  readonly id: number;
  readonly endpoint: string;
  readonly streamId: number;
  readonly substreamId?: number;
  readonly iova: bigint;
  readonly access: AccessKind;
  readonly stag: number;
  /** No record was made of it: it waits for room (STALL_MAX). */
  readonly held: boolean;
  readonly request: StalledRequest;
  readonly data?: Uint8Array;
  /** What becomes of it in its turn; absent while it waits. */
  readonly fate?: StallFate;
}

/** A Page Request that waits to be written to the PRI queue (8.1). */
export interface PageRequest {
  /** seq of `page.requested`. */
  readonly id: number;
  readonly endpoint: string;
  readonly streamId: number;
  readonly substreamId?: number;
  readonly prgIndex: number;
  readonly wants: string;
  readonly last: boolean;
  readonly words: Uint8Array;
}

/** A Stop PASID marker ends the use of a PASID: Last alone, with a PASID. Nobody answers it (8, 8.2). */
export function isStopMarker({
  wants,
  last,
  substreamId,
}: Pick<PageRequest, 'wants' | 'last'> & { readonly substreamId?: number | undefined }): boolean {
  return last && substreamId !== undefined && !/[rw]/.test(wants);
}

/** A translation of a TLB beside a device, and the configuration that it was made under. */
export interface PortEntry {
  readonly streamId: number;
  readonly substreamId?: number;
  readonly va: bigint;
  readonly sizeLog2: number;
  readonly ste: ConfigEntry;
  readonly cd?: ConfigEntry;
  /** seq of the fill of the TLB behind it. */
  readonly tlb: number;
}

/** Most commands fetched and not yet performed; records, stalled accesses and Page Requests waiting; entries of port TLBs. */
export const limits = {
  inFlight: 16,
  pendingRecords: 256,
  stalls: 4096,
  pageRequests: 256,
  ports: 64,
} as const;

export interface SmmuState {
  readonly config: SmmuConfig;
  /** Derived from `config.idr`. */
  readonly features: Features;
  regs: Record<string, number>;
  caches: {
    l1std: Cache<ConfigEntry>;
    ste: Cache<ConfigEntry>;
    l1cd: Cache<ConfigEntry>;
    cd: Cache<ConfigEntry>;
    walk: Cache<TlbEntry>;
    tlb: Cache<TlbEntry>;
  };
  inFlight: InFlight[];
  records: PendingRecord[];
  /** Sizes (log2) of the TLB entries ever cached, smallest first: what a look-up has to try. */
  spans: number[];
  /** Sizes (log2) of stage 1 blocks ever cached in fragments: where an invalidation has to look. */
  fragmented: number[];
  stalls: Stall[];
  pageRequests: PageRequest[];
  /** By command queue, seq of the first CMD_ATC_INV that timed out since its last CMD_SYNC. */
  atcLost: Record<string, number>;
  /** The last invalidation consumed since the last CMD_SYNC, by queue. */
  runs: Record<string, string>;
  /** What the TLBs beside devices hold, the oldest first; absent where there are none. */
  ports?: PortEntry[];
}

export const cacheNames: readonly CacheName[] = ['l1std', 'ste', 'l1cd', 'cd', 'walk', 'tlb'];

/** A reset SMMU; registers come from `resetRegisters`. */
export function initialSmmu(config: SmmuConfig, regs: Record<string, number>): SmmuState {
  return {
    config,
    features: new Features(config.idr),
    regs,
    caches: {
      l1std: new Cache<ConfigEntry>(),
      ste: new Cache<ConfigEntry>(),
      l1cd: new Cache<ConfigEntry>(),
      cd: new Cache<ConfigEntry>(),
      walk: new Cache<TlbEntry>(),
      tlb: new Cache<TlbEntry>(),
    },
    inFlight: [],
    records: [],
    spans: [],
    fragmented: [],
    stalls: [],
    pageRequests: [],
    atcLost: {},
    runs: {},
  };
}
