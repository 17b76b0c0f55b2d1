/**
 * Where the accesses of endpoints go, and what it takes in the host to change that. An endpoint is in one of two
 * address spaces: guest-physical memory (bypass), or what its domain maps (virtio 1.3, 5.13.6).
 */
import { featureBits } from './codec.ts';
import { type DeviceChoices, deviceProfiles } from './profiles.ts';
import type { Change, IommuDevice, Mapping } from './state.ts';
import type { FeatureName } from './structs.ts';

/** Where an endpoint's accesses go: `system` is guest-physical memory, `iommu` what its domain maps. */
export type AddressSpace = 'system' | 'iommu';

/** What is to be done in the host, in order, while the device is as it was before the answer. */
export type Effect =
  | ({ readonly do: 'map'; readonly endpoint: number } & Mapping)
  /** Each mapping of the domain that lies in the range is unmapped for the endpoint. */
  | {
      readonly do: 'unmap';
      readonly endpoint: number;
      readonly domain: number;
      readonly iova: bigint;
      readonly last: bigint;
    }
  /** Each mapping of the domain is mapped for the endpoint. */
  | { readonly do: 'replay'; readonly endpoint: number; readonly domain: number }
  | { readonly do: 'switch'; readonly endpoint: number; readonly to: AddressSpace };

/** What a stimulus from the driver changes, and what the host has to do for it before that. */
export interface Consequences {
  readonly changes: readonly Change[];
  readonly effects: readonly Effect[];
}

export const ADDRESS_LAST = 2n ** 64n - 1n;
const NOTHING: Consequences = { changes: [], effects: [] };

/** The choices of a device. */
export function choicesOf({ profile }: Pick<IommuDevice, 'profile'>): DeviceChoices {
  return deviceProfiles[profile];
}

/** Whether a feature was negotiated. */
export function hasFeature({ features }: IommuDevice, name: FeatureName): boolean {
  return (features & featureBits([name])) !== 0;
}

/** What it takes to take a domain's mappings from an endpoint. */
export function unmapAll(device: IommuDevice, endpoint: number, domain: number): readonly Effect[] {
  const count = device.domains[domain]?.count ?? 0;
  return count === 0 ? [] : [{ do: 'unmap', endpoint, domain, iova: 0n, last: ADDRESS_LAST }];
}

/** A switch, where there is one. */
export function switchTo(endpoint: number, from: AddressSpace, to: AddressSpace): readonly Effect[] {
  return from === to ? [] : [{ do: 'switch', endpoint, to }];
}

/** Where the accesses of an endpoint go. */
export function spaceOf(device: IommuDevice, endpoint: number): AddressSpace {
  const id = device.endpoints[endpoint]?.domain;
  if (id === undefined) return spaceWithout(device);
  return device.domains[id]?.bypass === true ? 'system' : 'iommu';
}

/** The same for endpoints without a domain: by the configuration, or by the older feature. */
export function spaceWithout(device: IommuDevice): AddressSpace {
  const bypass = device.offered.includes('BYPASS_CONFIG') ? device.bypass : hasFeature(device, 'BYPASS');
  return bypass ? 'system' : 'iommu';
}

/** The driver writes `bypass` in the configuration space: only with its feature, and only 0 or 1. */
export function writeBypass(device: IommuDevice, value: number): Consequences {
  const wanted = value === 1;
  if (!hasFeature(device, 'BYPASS_CONFIG') || value > 1 || wanted === device.bypass) return NOTHING;
  return { changes: [{ do: 'bypass', value: wanted }], effects: switchUnattached(device, wanted) };
}

function switchUnattached(device: IommuDevice, bypass: boolean): readonly Effect[] {
  const to: AddressSpace = bypass ? 'system' : 'iommu';
  return Object.entries(device.endpoints)
    .filter(([, { domain }]) => domain === undefined)
    .map(([id]) => ({ do: 'switch', endpoint: Number(id), to }) as const);
}

/** A reset takes all endpoints out of their domains. @param system restores `config.bypass` too */
export function resetDevice(device: IommuDevice, system: boolean): Consequences {
  const bypass = system ? device.bootBypass : device.bypass;
  const after: AddressSpace = device.offered.includes('BYPASS_CONFIG') && bypass ? 'system' : 'iommu';
  const effects = Object.entries(device.endpoints).flatMap(([name, { domain }]) => {
    const endpoint = Number(name);
    const leave = domain === undefined ? [] : unmapAll(device, endpoint, domain);
    return [...leave, ...switchTo(endpoint, spaceOf(device, endpoint), after)];
  });
  return { changes: [{ do: 'reset', system }], effects };
}
