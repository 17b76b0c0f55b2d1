/** What an endpoint remembers: its switches, and its address translation cache. */
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
  /** By PASID (`NO_PASID` without one), then by address and size. */
  atc: Cache<AtcEntry>;
}

/** A reset endpoint. */
export function initialEndpoint(config: EndpointConfig): EndpointState {
  return { config, ats: config.ats, pri: config.pri, silent: false, atc: new Cache<AtcEntry>() };
}
