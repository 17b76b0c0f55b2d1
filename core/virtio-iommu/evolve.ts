/** How a change evolves a device: no decisions here. A domain is made by its first attach and gone with its last. */
import { present } from '../assert.ts';
import { insertArea, removeAreas } from '../kernel/iommufd/areas.ts';
import { openMap, sealedMap } from '../parts.ts';
import type { Change, Domain, IommuDevice, Mapping } from './state.ts';

type Evolve = {
  readonly [D in Change['do']]: (device: IommuDevice, change: Extract<Change, { do: D }>) => void;
};

const evolvers: Evolve = {
  attach: (device, { endpoint, domain, bypass }) => {
    leave(device, endpoint);
    const held = device.domains[domain] ?? newDomain(bypass);
    device.domains[domain] = { ...held, endpoints: [endpoint, ...held.endpoints] };
    device.endpoints[endpoint] = { ...endpointOf(device, endpoint), domain };
  },
  detach: (device, { endpoint }) => leave(device, endpoint),
  map: (device, { domain, iova, last, gpa, flags }) => {
    const held = domainOf(device, domain);
    insertArea<Mapping>(openMap(held, 'mappings'), { iova, last, gpa, flags });
    held.count += 1;
  },
  unmap: (device, { domain, iova, last }) => {
    const held = domainOf(device, domain);
    held.count -= removeAreas(openMap(held, 'mappings'), { start: iova, last });
  },
  bypass: (device, { value }) => {
    device.bypass = value;
  },
  negotiate: (device, { features }) => {
    device.features = features;
  },
  break: (device, { why }) => {
    device.broken = why;
  },
  reset: (device, { system }) => {
    for (const endpoint of Object.keys(device.endpoints)) leave(device, Number(endpoint));
    device.features = 0;
    delete device.broken;
    if (system) device.bypass = device.bootBypass;
  },
};

/** Applies changes to a device that may be written. */
export function evolveDevice(device: IommuDevice, changes: readonly Change[]): void {
  for (const change of changes)
    (evolvers[change.do] as (of: IommuDevice, by: Change) => void)(device, change);
}

/** Its domain goes when nobody else is in it, with all mappings. */
function leave(device: IommuDevice, endpoint: number): void {
  const { domain, ...alone } = endpointOf(device, endpoint);
  if (domain === undefined) return;
  device.endpoints[endpoint] = alone;
  const held = domainOf(device, domain);
  const endpoints = held.endpoints.filter((each) => each !== endpoint);
  if (endpoints.length === 0) delete device.domains[domain];
  else device.domains[domain] = { ...held, endpoints };
}

function newDomain(bypass: boolean): Domain {
  return { bypass, endpoints: [], mappings: sealedMap(), count: 0 };
}

function endpointOf({ endpoints }: IommuDevice, id: number): IommuDevice['endpoints'][number] {
  return present(endpoints[id], `endpoint ${id}`);
}

function domainOf({ domains }: IommuDevice, id: number): Domain {
  return present(domains[id], `domain ${id}`);
}
