/** A virtio-iommu in paths: `vm0.virtio-iommu.domains[0].mappings`, `vm0.virtio-iommu.config.bypass`. */
import { present } from '../assert.ts';
import { showNames } from '../kernel/uapi/names.ts';
import { configOf } from '../virtio-iommu/config-space.ts';
import type { VirtioIommu } from '../virtio-iommu/guest-state.ts';
import type { DeviceQueue } from '../virtio-iommu/queue-device.ts';
import { spaceOf } from '../virtio-iommu/space.ts';
import type { Domain, IommuDevice } from '../virtio-iommu/state.ts';
import { names, type QueueName, queueNumbers } from '../virtio-iommu/structs.ts';
import { absent, group, hex, leaf, type PathNode, type Watched } from './node.ts';

const types = (...all: readonly string[]): Watched => ({
  keys: all.map((name) => `type:${name}`),
  spans: [],
});
const DEVICE = types(
  'virtio.changed',
  'virtio.answered',
  'virtio.made',
  'virtio.plugged',
  'virtio.unplugged',
);
const QUEUES = types('virtqueue.placed', 'virtqueue.moved');
const DRIVER = types(
  'vdriver.made',
  'vdriver.locked',
  'vdriver.moved',
  'vdriver.attached',
  'vdriver.domained',
);
/** Mappings of a domain that are shown at most. */
const SHOWN = 1000;

/** The device, its queues, and what the guest's driver remembers. */
export function virtioNode({ device, queues, driver }: VirtioIommu): PathNode {
  const config = Object.entries(configOf(device)).map(([name, value]) => {
    const plain = typeof value === 'bigint' ? hex(value) : value;
    return [name, () => leaf(plain, DEVICE)] as const;
  });
  return group({
    profile: () => leaf(device.profile, types('virtio.made')),
    config: () => group(Object.fromEntries(config)),
    features: () => leaf(showNames(names.features, device.features), DEVICE),
    broken: () => leaf(device.broken ?? false, DEVICE),
    endpoints: () => endpointsNode(device),
    domains: () => domainsNode(device.domains),
    queues: () => {
      const all = Object.keys(queueNumbers) as QueueName[];
      return group(Object.fromEntries(all.map((name) => [name, () => queueNode(queues[name])])));
    },
    driver: () =>
      driver === undefined
        ? absent('the guest has not set it up', DRIVER)
        : group({
            lock: () => leaf(driver.lock, DRIVER, driver.lock === '' ? 'free' : driver.lock),
            inFlight: () => leaf(driver.queues.request.size - driver.queues.request.freeCount, DRIVER),
            domains: () => leaf(Object.keys(driver.domains).map(Number), DRIVER),
          }),
  });
}

function queueNode(queue: DeviceQueue | undefined): PathNode {
  if (queue === undefined) return absent('the driver has not set it up', QUEUES);
  const { desc, avail, used, availIdx, usedIdx, size } = queue;
  const places = { desc: hex(desc), avail: hex(avail), used: hex(used) };
  const rows = Object.entries({ ...places, size, availIdx, usedIdx });
  return group(Object.fromEntries(rows.map(([name, value]) => [name, () => leaf(value, QUEUES)])));
}

function endpointsNode(device: IommuDevice): PathNode {
  return byNumber(Object.keys(device.endpoints), 'the id of an endpoint', 'not behind it', (id) => {
    const { domain, reserved } = device.endpoints[id] ?? { reserved: [] };
    const state = { domain: domain ?? null, space: spaceOf(device, id), reserved: reserved.length };
    return leaf(state, DEVICE, `domain=${domain ?? 'none'} space=${state.space}`);
  });
}

function domainsNode(domains: Readonly<Record<number, Domain>>): PathNode {
  return byNumber(Object.keys(domains), 'the id of a domain', 'no endpoint is attached to it', (id) =>
    domainNode(present(domains[id], `domain ${id}`)),
  );
}

/** Things by their number; as a value the numbers that there are. */
function byNumber(
  keys: readonly string[],
  index: string,
  why: string,
  make: (id: number) => PathNode,
): PathNode {
  const ids = keys.map(Number);
  return {
    ...leaf(ids, DEVICE, ids.length === 0 ? 'none' : ids.join(', ')),
    names: ['size'],
    child: (name) => (name === 'size' ? leaf(ids.length, DEVICE) : undefined),
    index,
    item: (id) => (ids.includes(id) ? make(id) : absent(why, DEVICE)),
  };
}

function domainNode({ bypass, endpoints, count, mappings }: Domain): PathNode {
  return group({
    bypass: () => leaf(bypass, DEVICE),
    endpoints: () => leaf(endpoints.map(hex), DEVICE, endpoints.map(hex).join(', ')),
    count: () => leaf(count, DEVICE),
    mappings: () => {
      const shown: { iova: string; last: string; gpa: string; flags: string }[] = [];
      for (const [, list] of mappings.range()) {
        if (shown.length >= SHOWN) break;
        for (const { iova, last, gpa, flags } of list)
          shown.push({ iova: hex(iova), last: hex(last), gpa: hex(gpa), flags: showNames(names.map, flags) });
      }
      const text = shown.map(({ iova, last, gpa, flags }) => `${iova}-${last} -> ${gpa} ${flags}`);
      return leaf(shown, DEVICE, text.length === 0 ? 'none' : text.join(', '));
    },
  });
}
