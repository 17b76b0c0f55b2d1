/** Device objects: the endpoint behind one, its SMMU, and what the driver made of both. */
import { present } from '../../assert.ts';
import type { DriverFeatures } from '../../driver/features.ts';
import type { Master } from '../../driver/state.ts';
import type { State } from '../../state.ts';
import { type Call, contextOf } from '../ioctl.ts';
import { kernelOf, releaseOf } from '../kernel.ts';
import { hasName, type ProfileName } from '../profiles.ts';
import { atLeast } from '../uapi/versions.ts';
import { find } from './object.ts';
import type { Device } from './state.ts';

/** What a device object stands for. */
export interface Hardware {
  readonly smmu: string;
  readonly features: DriverFeatures;
  readonly master: Master;
}

/** The SMMU of an endpoint, and how its driver knows both; undefined where no driver serves it. */
export function hardwareOf(state: State, endpoint: string): Hardware | undefined {
  const smmu = present(state.endpoints[endpoint], `endpoint ${endpoint}`).config.smmu;
  const { features, masters, running } = state.drivers[smmu] ?? {};
  const master = masters?.[endpoint];
  return running !== true || features === undefined || master === undefined
    ? undefined
    : { smmu, features, master };
}

/** The same of a device object, which was bound because a driver serves it. */
export function hardwareAt(state: State, { endpoint }: Device): Hardware {
  return present(hardwareOf(state, endpoint), `driver of ${endpoint}`);
}

/** The device object of that id. */
export function deviceOf(call: Call, id: number): Device | undefined {
  return find(contextOf(call), id, 'device');
}

/** Whether the SMMUv3 driver of this kernel has nested translation at all: from 6.13 on, or by a proposal. */
export function smmuNests(state: State): boolean {
  return hasName(profileOf(state), 'IOMMU_HWPT_DATA_ARM_SMMUV3');
}

/** Whether the SMMUv3 driver of this kernel takes flags for a paging domain: dirty tracking came in 6.11. */
export function smmuTakesFlags(state: State): boolean {
  return smmuNests(state) || atLeast(releaseOf(kernelOf(state)), '6.11');
}

/** Whether an endpoint's IOMMU can track what is dirty: hardware does, and its walks are coherent. */
export function tracksDirty(state: State, { features }: Hardware): boolean {
  return smmuTakesFlags(state) && features.hd && features.coherent;
}

/** Name of the kernel's profile. */
export function profileOf(state: State): ProfileName {
  return kernelOf(state).profile;
}
