/** Looking at the virtio-iommu of a VM: the device that its VMM emulates, and the guest's driver. */
import { present } from '../assert.ts';
import type { State } from '../state.ts';
import { findVm } from '../vm/vm.ts';
import type { GuestDomain, GuestEndpoint, VirtioDriver, VirtioIommu } from './guest-state.ts';

/** The virtio-iommu of a VM; undefined where it has none, or has ended. */
export function findVirtio(state: State, vm: string): VirtioIommu | undefined {
  return findVm(state, vm)?.virtio;
}

/** The same, where it is known to be. */
export function virtioIn(state: State, vm: string): VirtioIommu {
  return present(findVirtio(state, vm), `virtio-iommu of ${vm}`);
}

/** The guest's driver, which has probed the device. */
export function driverIn(state: State, vm: string): VirtioDriver {
  return present(virtioIn(state, vm).driver, `virtio-iommu driver of ${vm}`);
}

/** An endpoint as the guest's driver knows it. */
export function guestEndpoint(state: State, vm: string, endpoint: string): GuestEndpoint | undefined {
  const { endpoints } = driverIn(state, vm);
  return Object.hasOwn(endpoints, endpoint) ? endpoints[endpoint] : undefined;
}

/** A domain of the guest's driver. */
export function guestDomain(state: State, vm: string, domain: number): GuestDomain {
  return present(driverIn(state, vm).domains[domain], `domain ${domain}`);
}

/** The id that requests have for a device of the VM; undefined where it is not behind the virtio-iommu. */
export function endpointIdOf({ hosts }: VirtioIommu, endpoint: string): number | undefined {
  const found = Object.entries(hosts).find(([, host]) => host.endpoint === endpoint);
  return found === undefined ? undefined : Number(found[0]);
}
