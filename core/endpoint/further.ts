/**
 * Devices with several StreamIDs (IHI 0070 3.2). To the SMMU each StreamID is an endpoint of its own, with an ATC of its
 * own; to the kernel all are one device, by the name of the first. linux: struct iommu_fwspec, ids.
 */
import type { EndpointConfig } from '../config.ts';
import type { State } from '../state.ts';
import type { EndpointState } from './state.ts';

/** The endpoints of the further StreamIDs of a device, in the order of the machine. */
export function furtherOf({ endpoints }: Pick<State, 'endpoints'>, device: string): readonly EndpointState[] {
  return Object.values(endpoints).filter(({ config }) => config.of === device);
}

/** All StreamIDs of the device, the endpoint's own first. */
export function streamsOf(
  state: Pick<State, 'endpoints'>,
  { name, streamId }: Pick<EndpointConfig, 'name' | 'streamId'>,
): readonly number[] {
  return [streamId, ...furtherOf(state, name).map(({ config }) => config.streamId)];
}
