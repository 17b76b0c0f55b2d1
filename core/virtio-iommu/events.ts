/** Facts about a virtio-iommu: of the device (`virtio`, `virtqueue`), and of the guest's driver (`vdriver`). */
import { bytes, flag, id, int, iova, json, optional, pa, text } from '../schema.ts';
import type { Reserved } from './codec.ts';
import type { HostSide, VirtioDriver } from './guest-state.ts';
import type { DeviceSetup } from './initial.ts';
import type { DeviceQueue } from './queue-device.ts';
import type { DriverQueue } from './queue-driver.ts';
import type { Change, DeviceEndpoint } from './state.ts';
import type { QueueName, StatusName } from './structs.ts';

const vm = text();
const queue = text<QueueName>();
/** Id of an endpoint, as requests name it. */
const endpointId = id();
const domain = int();

/** What of a driver there is before it has endpoints and domains. */
export type NewDriver = Omit<VirtioDriver, 'lock' | 'endpoints' | 'domains' | 'dma' | 'quirks'>;

export const virtioEvents = {
  'virtio.made': { vm, setup: json<DeviceSetup>() },
  /** A device comes behind it, with what PROBE says of it; or goes. */
  'virtio.plugged': { vm, id: endpointId, endpoint: json<DeviceEndpoint>(), host: json<HostSide>() },
  'virtio.unplugged': { vm, id: endpointId },
  'virtio.hosted': { vm, id: endpointId, host: json<HostSide>() },
  /** The driver negotiated, wrote `bypass`, or reset the device; or the device broke. */
  'virtio.changed': { vm, changes: json<readonly Change[]>() },
  /** The device took a request: what it read, and room for its answer. */
  'virtio.request': { vm, head: int(), bytes: bytes(), writable: int(), decoded: text() },
  /** The host refused a part of the request, or has no memory for it. */
  'virtio.refused': { vm, why: text() },
  /** It gave the request back: no bytes are used length 0. */
  'virtio.answered': { vm, head: int(), bytes: bytes(), decoded: text(), changes: json<readonly Change[]>() },
  /** A page of an emulated device's DMA. */
  'virtio.accessed': {
    vm,
    endpoint: text('endpoint'),
    iova: iova(),
    size: int(),
    access: text<'read' | 'write'>(),
    result: text<'ok' | 'msi' | 'bus-error'>(),
    gpa: id(),
  },
  /** An access of one that faults: not reported where the event queue has no buffer. */
  'virtio.faulted': {
    vm,
    endpoint: endpointId,
    iova: iova(),
    bytes: bytes(),
    decoded: text(),
    reported: flag(),
  },

  /** One side's indices of a queue, from when it has the queue. */
  'virtqueue.placed': { vm, queue, place: json<DeviceQueue>() },
  'virtqueue.moved': { vm, queue, availIdx: int(), usedIdx: int() },

  'vdriver.made': { vm, driver: json<NewDriver>() },
  'vdriver.moved': { vm, queue, to: json<DriverQueue>() },
  /** The request lock is taken, or given back where `by` is empty. */
  'vdriver.locked': { vm, by: text() },
  /** A request came back; `lost`: nobody looks at its status. */
  'vdriver.polled': { vm, head: int(), length: int(), status: text<StatusName>(), lost: flag() },
  'vdriver.probed': { vm, endpoint: text('endpoint'), id: endpointId, reserved: json<readonly Reserved[]>() },
  'vdriver.removed': { vm, endpoint: text('endpoint') },
  'vdriver.domained': { vm, domain, bypass: flag() },
  /** A domain without endpoints goes. */
  'vdriver.closed': { vm, domain },
  /** Absent: attached to no domain. */
  'vdriver.attached': { vm, endpoint: text('endpoint'), domain: optional(int()) },
  'vdriver.mapped': { vm, domain, iova: iova(), last: iova(), pa: pa(), flags: int() },
  /** All mappings in the range. */
  'vdriver.unmapped': { vm, domain, iova: iova(), last: iova() },
  /** A request that was waited for failed, or a call could not be served. */
  'vdriver.failed': { vm, what: text(), why: text() },
  /** The guest read a report of its event queue. */
  'vdriver.reported': { vm, bytes: bytes(), decoded: text() },
} as const;
