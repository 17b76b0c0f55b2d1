/**
 * Accesses of emulated endpoints through a virtio-iommu (virtio 1.3, 5.13.6.7; qemu: virtio_iommu_translate):
 * the guest-physical address, or the fault that is reported on the event queue.
 */
import { firstAreaIn } from '../kernel/iommufd/areas.ts';
import { encodeStruct, showStruct } from '../kernel/uapi/struct.ts';
import { choicesOf, spaceOf, spaceWithout } from './space.ts';
import type { DeviceEndpoint, IommuDevice } from './state.ts';
import { FAULT, type FaultReason, names } from './structs.ts';

export interface EndpointAccess {
  readonly endpoint: number;
  readonly iova: bigint;
  readonly access: 'read' | 'write';
}

export type Translated =
  | { readonly kind: 'gpa'; readonly gpa: bigint }
  /** An MSI: the address is that of the doorbell. */
  | { readonly kind: 'msi' }
  | { readonly kind: 'fault'; readonly report: Uint8Array };

/** Where an access goes. */
export function translateAccess(device: IommuDevice, access: EndpointAccess): Translated {
  const { endpoint: id, iova } = access;
  const endpoint = device.endpoints[id];
  if (endpoint === undefined) {
    return spaceWithout(device) === 'system'
      ? { kind: 'gpa', gpa: iova }
      : fault(device, access, 'UNKNOWN', 0);
  }
  const tried = names.fault.members[access.access === 'read' ? 'READ' : 'WRITE'][0];
  if (spaceOf(device, id) === 'system') return { kind: 'gpa', gpa: iova };
  const reserved = reservedAt(endpoint, iova);
  if (reserved === 'MSI') return { kind: 'msi' };
  if (reserved !== undefined) return fault(device, access, 'MAPPING', tried);
  if (endpoint.domain === undefined) return fault(device, access, 'DOMAIN', tried);
  const mappings = device.domains[endpoint.domain]?.mappings;
  const mapping = firstAreaIn(mappings, { start: iova, last: iova });
  if (mapping === undefined) return fault(device, access, 'MAPPING', tried);
  const needed = names.map.members[access.access === 'read' ? 'READ' : 'WRITE'][0];
  if ((mapping.flags & needed) === 0) return fault(device, access, 'MAPPING', tried, true);
  return { kind: 'gpa', gpa: mapping.gpa + (iova - mapping.iova) };
}

function reservedAt(
  { reserved }: DeviceEndpoint,
  iova: bigint,
): DeviceEndpoint['reserved'][number]['subtype'] | undefined {
  return reserved.find(({ start, last }) => start <= iova && iova <= last)?.subtype;
}

function fault(
  device: IommuDevice,
  { endpoint, iova }: EndpointAccess,
  reason: FaultReason,
  tried: number,
  permission = false,
): Translated {
  const shown = permission || choicesOf(device).faultFlags === 'access' ? tried : 0;
  const report = encodeStruct(FAULT, {
    reason: names.reason.members[reason][0],
    flags: names.fault.members.ADDRESS[0] | shown,
    endpoint,
    address: iova,
  });
  return { kind: 'fault', report };
}

/** `virtio_iommu_fault { reason=MAPPING flags=READ|ADDRESS endpoint=8 address=0x1000 }`. */
export function showFault(report: Uint8Array): string {
  return showStruct(FAULT, report);
}
