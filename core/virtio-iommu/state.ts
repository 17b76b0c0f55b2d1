/**
 * What a virtio-iommu device remembers: its configuration, the endpoints behind it, and the domains that
 * endpoints are attached to. A domain exists as long as it has an endpoint, so there are never more of them
 * than endpoints; mappings grow, and are a persistent map.
 */
import type { Addressed, Areas } from '../kernel/iommufd/areas.ts';
import type { Reserved } from './codec.ts';
import type { DeviceProfile } from './profiles.ts';
import type { FeatureName } from './structs.ts';

/** One MAP. */
export interface Mapping extends Addressed {
  readonly gpa: bigint;
  /** Bits of the MAP request. */
  readonly flags: number;
}

export interface Domain {
  readonly bypass: boolean;
  /** Newest first: the order in which they are told of changes. */
  readonly endpoints: readonly number[];
  mappings: Areas<Mapping>;
  /** Mappings that there are. */
  count: number;
}

export interface DeviceEndpoint {
  /** What PROBE says of it. */
  readonly reserved: readonly Reserved[];
  readonly domain?: number;
}

/** What the driver reads in the configuration space, `bypass` apart, and the addresses behind it. */
export interface DeviceConfig {
  readonly pageSizeMask: bigint;
  /** Inclusive ends. */
  readonly inputRange: { readonly start: bigint; readonly last: bigint };
  readonly domainRange: { readonly start: number; readonly last: number };
  readonly probeSize: number;
  /** Last guest-physical address. */
  readonly guestLast: bigint;
  /** Mappings of a domain at most, beyond which a MAP is NOMEM; 0 for any number. */
  readonly mappingsMax: number;
}

export interface IommuDevice {
  readonly profile: DeviceProfile;
  readonly offered: readonly FeatureName[];
  readonly config: DeviceConfig;
  /** `config.bypass` at a system reset. */
  readonly bootBypass: boolean;
  bypass: boolean;
  /** Negotiated bits. */
  features: number;
  /** It answers nothing until it is reset, and why. */
  broken?: string;
  /** By endpoint id. */
  endpoints: Record<number, DeviceEndpoint>;
  domains: Record<number, Domain>;
}

/** A fact of a device: what an answer changed in it. */
export type Change =
  | { readonly do: 'attach'; readonly endpoint: number; readonly domain: number; readonly bypass: boolean }
  | { readonly do: 'detach'; readonly endpoint: number }
  | ({ readonly do: 'map'; readonly domain: number } & Mapping)
  /** All mappings that lie in the range whole. */
  | { readonly do: 'unmap'; readonly domain: number; readonly iova: bigint; readonly last: bigint }
  | { readonly do: 'bypass'; readonly value: boolean }
  | { readonly do: 'negotiate'; readonly features: number }
  | { readonly do: 'break'; readonly why: string }
  /** Of the device; `system` restores `config.bypass` too. */
  | { readonly do: 'reset'; readonly system: boolean };
