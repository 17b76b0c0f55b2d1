/** What an endpoint remembers: its switches, its address translation cache, its Page Request groups. */
import type { EndpointConfig } from '../config.ts';
import type { Payload } from '../schema.ts';
import { Cache, type CacheEntry } from '../smmu/cache.ts';
import type { endpointEvents } from './events.ts';

/** An entry of an ATC: the fill's payload. */
export type AtcEntry = CacheEntry & Payload<(typeof endpointEvents)['atc.filled']>;

export interface EndpointState {
  readonly config: EndpointConfig;
  ats: boolean;
  pri: boolean;
  /** It answers no CMD_ATC_INV: each of them times out (3.9.1.4). */
  silent: boolean;
  /** Where its MSIs go; absent: they are off. */
  msi?: bigint;
  /** By PASID, privilege and size, then by address: see `atcKeys`. */
  atc: Cache<AtcEntry>;
  /** Sizes (log2) of the entries ever cached, smallest first: what a look-up has to try. */
  spans: number[];
  /** Page Request groups that wait for their response, by index. */
  groups: number[];
}

/** A reset endpoint. */
export function initialEndpoint(config: EndpointConfig): EndpointState {
  const atc = new Cache<AtcEntry>();
  return { config, ats: config.ats, pri: config.pri, silent: false, atc, spans: [], groups: [] };
}
