/**
 * IOMMU groups: endpoints that one attach moves together, and the bound devices among them. The
 * attachment of a group at a PASID is what its attached devices say. linux: iommufd/device.c, iommufd_group.
 */
import { present } from '../../assert.ts';
import type { State } from '../../state.ts';
import { kernelOf } from '../kernel.ts';
import { objectOf } from './object.ts';
import type { Device } from './state.ts';

/** Of a device: which context it is in, and its object. */
export interface DevicePlace {
  readonly context: number;
  readonly device: number;
}

/** The device object at a place. */
export function deviceAt(state: State, { context, device }: DevicePlace): Device {
  return objectOf(state, context, device, 'device');
}

/** The group of an endpoint; alone in it, it is a group by its own name. */
export function groupOf({ endpoints }: State, endpoint: string): string {
  return present(endpoints[endpoint], `endpoint ${endpoint}`).config.group ?? endpoint;
}

/** Every endpoint of the group, bound or not. */
export function endpointsOf(state: State, endpoint: string): readonly string[] {
  const group = groupOf(state, endpoint);
  return Object.keys(state.endpoints).filter((each) => groupOf(state, each) === group);
}

/** Devices of the group that are bound, in any context. */
export function boundIn(state: State, endpoint: string): readonly DevicePlace[] {
  const group = groupOf(state, endpoint);
  const places: DevicePlace[] = [];
  for (const file of Object.values(kernelOf(state).files)) {
    if (file.kind !== 'vfio' || file.device === 0 || groupOf(state, file.endpoint) !== group) continue;
    places.push({ context: file.context, device: file.device });
  }
  return places;
}

/** Devices of the place's group that are attached at the PASID. */
export function attachedIn(state: State, place: DevicePlace, pasid: number): readonly Device[] {
  const { endpoint } = deviceAt(state, place);
  return boundIn(state, endpoint)
    .map((each) => deviceAt(state, each))
    .filter(({ attached }) => attached[pasid] !== undefined);
}

/** Whether a device of the group is attached at any PASID but 0. */
export function hasPasids(state: State, place: DevicePlace): boolean {
  const devices = boundIn(state, deviceAt(state, place).endpoint).map((each) => deviceAt(state, each));
  return devices.some(({ attached }) => Object.keys(attached).some((pasid) => pasid !== '0'));
}
