/** How the facts about virtio-iommus evolve the state. */
import { present } from '../assert.ts';
import { insertArea, removeAreas } from '../kernel/iommufd/areas.ts';
import type { Handlers } from '../machine.ts';
import { openMap, sealedMap } from '../parts.ts';
import type { State } from '../state.ts';
import type { virtioEvents } from './events.ts';
import { evolveDevice } from './evolve.ts';
import type { GuestEndpoint, GuestMapping, VirtioDriver, VirtioIommu } from './guest-state.ts';
import { newDevice } from './initial.ts';

const nothing = (): void => {};

export const virtioHandlers: Pick<Handlers, keyof typeof virtioEvents> = {
  'virtio.made': (state, { vm, setup }) => {
    const virtio = { device: newDevice(setup), queues: {}, hosts: {}, refused: false };
    present(state.vms[vm], `VM ${vm}`).virtio = virtio;
  },
  'virtio.plugged': (state, { vm, id, endpoint, host }) => {
    const { device, hosts } = of(state, vm);
    device.endpoints[id] = endpoint;
    hosts[id] = host;
  },
  'virtio.unplugged': (state, { vm, id }) => {
    const { device, hosts } = of(state, vm);
    if (device.endpoints[id]?.domain !== undefined) evolveDevice(device, [{ do: 'detach', endpoint: id }]);
    delete device.endpoints[id];
    delete hosts[id];
  },
  'virtio.hosted': (state, { vm, id, host }) => {
    of(state, vm).hosts[id] = host;
  },
  'virtio.changed': (state, { vm, changes }) => {
    const virtio = of(state, vm);
    evolveDevice(virtio.device, changes);
    if (changes.some((change) => change.do === 'reset')) virtio.queues = {};
  },
  'virtio.request': (state, { vm }) => {
    of(state, vm).refused = false;
  },
  'virtio.refused': (state, { vm }) => {
    of(state, vm).refused = true;
  },
  'virtio.answered': (state, { vm, changes }) => evolveDevice(of(state, vm).device, changes),
  'virtio.accessed': nothing,
  'virtio.faulted': nothing,

  'virtqueue.placed': (state, { vm, queue, place }) => {
    of(state, vm).queues[queue] = place;
  },
  'virtqueue.moved': (state, { vm, queue, availIdx, usedIdx }) => {
    const { queues } = of(state, vm);
    queues[queue] = { ...present(queues[queue], `${queue} queue`), availIdx, usedIdx };
  },

  'vdriver.made': (state, { vm, driver }) => {
    const fresh = { lock: '', endpoints: {}, domains: {}, quirks: {} };
    of(state, vm).driver = { ...driver, queues: { ...driver.queues }, ...fresh };
  },
  'vdriver.moved': (state, { vm, queue, to }) => {
    driverOf(state, vm).queues[queue] = to;
  },
  'vdriver.locked': (state, { vm, by }) => {
    driverOf(state, vm).lock = by;
  },
  'vdriver.polled': nothing,
  'vdriver.probed': (state, { vm, endpoint, id, reserved }) => {
    driverOf(state, vm).endpoints[endpoint] = { id, reserved };
  },
  'vdriver.removed': (state, { vm, endpoint }) => {
    delete driverOf(state, vm).endpoints[endpoint];
  },
  'vdriver.domained': (state, { vm, domain: id, bypass }) => {
    driverOf(state, vm).domains[id] = { id, bypass, endpoints: 0, mappings: sealedMap() };
  },
  'vdriver.closed': (state, { vm, domain }) => {
    delete driverOf(state, vm).domains[domain];
  },
  'vdriver.attached': (state, { vm, endpoint, domain }) => {
    const driver = driverOf(state, vm);
    const { domain: old, ...alone } = present<GuestEndpoint>(driver.endpoints[endpoint], endpoint);
    if (old !== undefined) domainOf(driver, old).endpoints -= 1;
    if (domain !== undefined) domainOf(driver, domain).endpoints += 1;
    driver.endpoints[endpoint] = domain === undefined ? alone : { ...alone, domain };
  },
  'vdriver.mapped': (state, { vm, domain, iova, last, pa, flags }) => {
    const held = domainOf(driverOf(state, vm), domain);
    insertArea<GuestMapping>(openMap(held, 'mappings'), { iova, last, pa, flags });
  },
  'vdriver.unmapped': (state, { vm, domain, iova, last }) => {
    const held = domainOf(driverOf(state, vm), domain);
    removeAreas(openMap(held, 'mappings'), { start: iova, last });
  },
  'vdriver.failed': nothing,
  'vdriver.reported': nothing,
};

function of({ vms }: State, vm: string): VirtioIommu {
  return present(vms[vm]?.virtio, `virtio-iommu of ${vm}`);
}

function driverOf(state: State, vm: string): VirtioDriver {
  return present(of(state, vm).driver, `virtio-iommu driver of ${vm}`);
}

function domainOf({ domains }: VirtioDriver, id: number): VirtioDriver['domains'][number] {
  return present(domains[id], `domain ${id}`);
}
