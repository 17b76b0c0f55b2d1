/**
 * What the virtio-iommu device decides on each type of request (virtio 1.3, 5.13.6.1 to 5.13.6.5; qemu:
 * hw/virtio/virtio-iommu.c), checks in QEMU's order and then those that it leaves out. Nothing changes here. A
 * MAP whose end lies below its start is INVAL; QEMU stores it, which is not followed.
 */
import { firstAreaIn } from '../kernel/iommufd/areas.ts';
import { encodeProperties, type Request, type Reserved } from './codec.ts';
import type { DeviceChoices } from './profiles.ts';
import {
  type Consequences,
  choicesOf,
  hasFeature,
  spaceOf,
  spaceWithout,
  switchTo,
  unmapAll,
} from './space.ts';
import type { Domain, IommuDevice, Mapping } from './state.ts';
import { names, type RequestName, type StatusName } from './structs.ts';

/** What a request came to, before it is put into bytes. */
export interface Verdict extends Partial<Consequences> {
  readonly status: StatusName;
  readonly properties?: Uint8Array;
}

export type Fields<N extends RequestName> = Extract<Request, { name: N }>['fields'];
export type Serve<N extends RequestName> = (device: IommuDevice, fields: Fields<N>) => Verdict;

const only = (status: StatusName): Verdict => ({ status });

/** By the type of the request. */
export const serve: { readonly [N in RequestName]: Serve<N> } = {
  ATTACH: attach,
  DETACH: detach,
  MAP: map,
  UNMAP: unmap,
  PROBE: probe,
};

const isZero = (bytes: readonly number[]): boolean => bytes.every((each) => each === 0);

function attach(device: IommuDevice, { domain, endpoint, flags, reserved }: Fields<'ATTACH'>): Verdict {
  const choices = choicesOf(device);
  const flag = names.attach.members.BYPASS[0];
  const known = !choices.flagsNeedFeatures || hasFeature(device, 'BYPASS_CONFIG') ? flag : 0;
  if ((flags & ~known) !== 0) return only('INVAL');
  if (choices.reservedFields === 'INVAL' && !isZero(reserved)) return only('INVAL');
  const held = device.endpoints[endpoint];
  if (held === undefined) return only('NOENT');
  const { start, last } = device.config.domainRange;
  if (choices.ranges === 'RANGE' && (domain < start || domain > last)) return only('RANGE');
  const bypass = (flags & flag) !== 0;
  // The old domain goes first, and with it the new one, where they are the same and it has nobody else.
  const others = device.domains[domain]?.endpoints.filter((each) => each !== endpoint) ?? [];
  const stays = others.length > 0 ? device.domains[domain] : undefined;
  const before = spaceOf(device, endpoint);
  const detached = spaceWithout(device);
  const leave = held.domain === undefined ? [] : unmapAll(device, endpoint, held.domain);
  if (stays !== undefined && stays.bypass !== bypass) {
    if (choices.refusedAttach === 'as it was' || held.domain === undefined) return only('INVAL');
    return {
      status: 'INVAL',
      changes: [{ do: 'detach', endpoint }],
      effects: [...leave, ...switchTo(endpoint, before, detached)],
    };
  }
  const between = held.domain === undefined ? before : detached;
  return {
    status: 'OK',
    changes: [{ do: 'attach', endpoint, domain, bypass }],
    effects: [
      ...leave,
      ...switchTo(endpoint, before, between),
      ...switchTo(endpoint, between, bypass ? 'system' : 'iommu'),
      ...(stays !== undefined && stays.count > 0 ? [{ do: 'replay', endpoint, domain } as const] : []),
    ],
  };
}

function detach(device: IommuDevice, { domain, endpoint }: Fields<'DETACH'>): Verdict {
  const held = device.endpoints[endpoint];
  if (held === undefined) return only('NOENT');
  if (held.domain !== domain) return only('INVAL');
  return {
    status: 'OK',
    changes: [{ do: 'detach', endpoint }],
    effects: [
      ...unmapAll(device, endpoint, domain),
      ...switchTo(endpoint, spaceOf(device, endpoint), spaceWithout(device)),
    ],
  };
}

function map(device: IommuDevice, fields: Fields<'MAP'>): Verdict {
  const { domain: id, virt_start: iova, virt_end: last, phys_start: gpa, flags } = fields;
  const choices = choicesOf(device);
  const { READ, WRITE, MMIO } = names.map.members;
  const mmio = !choices.flagsNeedFeatures || hasFeature(device, 'MMIO') ? MMIO[0] : 0;
  if ((flags & ~(READ[0] | WRITE[0] | mmio)) !== 0) return only('INVAL');
  const domain = device.domains[id];
  if (domain === undefined) return only('NOENT');
  if (domain.bypass || last < iova) return only('INVAL');
  const wrong = misplaced(device, choices, domain, { iova, last, gpa });
  if (wrong !== undefined) return only(wrong);
  if (firstAreaIn(domain.mappings, { start: iova, last }) !== undefined) return only('INVAL');
  const { mappingsMax } = device.config;
  if (mappingsMax > 0 && domain.count >= mappingsMax) return only('NOMEM');
  const mapping = { iova, last, gpa, flags };
  const mapped = domain.endpoints.map((endpoint) => ({ do: 'map', endpoint, ...mapping }) as const);
  return {
    status: 'OK',
    changes: [{ do: 'map', domain: id, ...mapping }],
    effects: reachesHost(choices, flags) ? mapped : [],
  };
}

/** Whether the host maps it: what allows nothing is not mapped. */
export function reachesHost({ mmioOnHost }: DeviceChoices, flags: number): boolean {
  const { READ, WRITE, MMIO } = names.map.members;
  return (flags & (READ[0] | WRITE[0])) !== 0 && (mmioOnHost || (flags & MMIO[0]) === 0);
}

function misplaced(
  { config, endpoints }: IommuDevice,
  choices: DeviceChoices,
  domain: Domain,
  { iova, last, gpa }: Omit<Mapping, 'flags'>,
): StatusName | undefined {
  const granule = config.pageSizeMask & -config.pageSizeMask;
  const unaligned = ((iova | gpa | (last + 1n)) & (granule - 1n)) !== 0n;
  if (choices.alignment === 'RANGE' && unaligned) return 'RANGE';
  const { start, last: end } = config.inputRange;
  if (choices.ranges === 'RANGE' && (iova < start || last > end)) return 'RANGE';
  if (choices.badAddress === 'FAULT' && gpa + (last - iova) > config.guestLast) return 'FAULT';
  if (choices.reservedRegions === 'ignored') return undefined;
  const taken = (each: Reserved): boolean => each.start <= last && iova <= each.last;
  return domain.endpoints.some((id) => endpoints[id]?.reserved.some(taken)) ? 'INVAL' : undefined;
}

function unmap(device: IommuDevice, fields: Fields<'UNMAP'>): Verdict {
  const { domain: id, virt_start: start, virt_end: last, reserved } = fields;
  const choices = choicesOf(device);
  if (choices.reservedFields === 'INVAL' && !isZero(reserved)) return only('INVAL');
  const domain = device.domains[id];
  if (domain === undefined) return only('NOENT');
  if (domain.bypass) return only('INVAL');
  if (last < start) return only('OK');
  const cut = firstCut(domain, start, last);
  if (cut === undefined) return removed(domain, id, 'OK', start, last);
  if (choices.splitUnmap === 'nothing' || cut.iova <= start) return only('RANGE');
  return removed(domain, id, 'RANGE', start, cut.iova - 1n);
}

/** The first mapping that lies in the range in part. Only the first and the last can. */
function firstCut({ mappings }: Domain, start: bigint, last: bigint): Mapping | undefined {
  const first = firstAreaIn(mappings, { start, last });
  if (first !== undefined && (first.iova < start || first.last > last)) return first;
  const end = firstAreaIn(mappings, { start: last, last });
  return end !== undefined && end.last > last ? end : undefined;
}

function removed(domain: Domain, id: number, status: StatusName, iova: bigint, last: bigint): Verdict {
  if (firstAreaIn(domain.mappings, { start: iova, last }) === undefined) return only(status);
  const range = { domain: id, iova, last };
  return {
    status,
    changes: [{ do: 'unmap', ...range }],
    effects: domain.endpoints.map((endpoint) => ({ do: 'unmap', endpoint, ...range }) as const),
  };
}

function probe(device: IommuDevice, { endpoint }: Fields<'PROBE'>): Verdict {
  const held = device.endpoints[endpoint];
  if (held === undefined) return only('NOENT');
  const properties = encodeProperties(held.reserved, device.config.probeSize);
  return properties === undefined ? only('INVAL') : { status: 'OK', properties };
}
