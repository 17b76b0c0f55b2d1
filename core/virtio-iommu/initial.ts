/** A virtio-iommu device as QEMU makes it: 4 KiB pages and all larger ones, all of both ranges, boot bypass. */

import type { Reserved } from './codec.ts';
import type { DeviceProfile } from './profiles.ts';
import { ADDRESS_LAST } from './space.ts';
import type { DeviceConfig, IommuDevice } from './state.ts';
import type { FeatureName } from './structs.ts';

export interface DeviceSetup {
  readonly profile: DeviceProfile;
  readonly endpoints: Readonly<Record<number, readonly Reserved[]>>;
  readonly offered?: readonly FeatureName[];
  readonly config?: Partial<DeviceConfig>;
  /** `config.bypass` at a system reset; true when absent. */
  readonly bootBypass?: boolean;
}

const OFFERED: readonly FeatureName[] = [
  'EVENT_IDX',
  'INDIRECT_DESC',
  'INPUT_RANGE',
  'DOMAIN_RANGE',
  'MAP_UNMAP',
  'MMIO',
  'PROBE',
  'BYPASS_CONFIG',
];

const CONFIG: DeviceConfig = {
  pageSizeMask: BigInt.asUintN(64, -0x1000n),
  inputRange: { start: 0n, last: ADDRESS_LAST },
  domainRange: { start: 0, last: 0xffff_ffff },
  probeSize: 512,
  guestLast: ADDRESS_LAST,
  mappingsMax: 0,
};

/** A device that nobody has driven yet. */
export function newDevice({
  profile,
  endpoints,
  offered = OFFERED,
  config = {},
  bootBypass = true,
}: DeviceSetup): IommuDevice {
  const made = Object.entries(endpoints).map(([id, reserved]) => [id, { reserved }] as const);
  return {
    profile,
    offered,
    config: { ...CONFIG, ...config },
    bootBypass,
    bypass: bootBypass,
    features: 0,
    endpoints: Object.fromEntries(made),
    domains: {},
  };
}
