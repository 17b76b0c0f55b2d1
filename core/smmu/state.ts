/**
 * What one SMMU remembers. Registers are 32-bit numbers by name; the upper half of a 64-bit register
 * stands under its name with `_HI`. Queues and tables are in memory, not here. Everything that can
 * grow with traffic is a Cache (persistent); the lists here are bounded by `limits`.
 */
import type { SmmuConfig } from '../config.ts';
import type { Payload } from '../schema.ts';
import { Cache, type CacheEntry } from './cache.ts';
import type { CacheName, smmuEvents } from './events.ts';
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
  /** Not from the Command queue: CONS does not count it. */
  readonly beside: boolean;
}

/** An event record that waits to be written. */
export interface PendingRecord {
  readonly record: string;
  readonly words: Uint8Array;
  readonly raised: number;
}

/** Most commands fetched and not yet performed, and records waiting. */
export const limits = { inFlight: 16, pendingRecords: 256 } as const;

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
  /** Granules (log2) of the entries ever cached: what a lookup has to try. */
  granules: number[];
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
    granules: [],
  };
}
