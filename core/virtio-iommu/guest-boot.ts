/**
 * The guest's driver finds its virtio-iommu and sets it up (linux: virtio_dev_probe, vp_modern_*, viommu_probe):
 * reset, features, two queues, buffers for fault reports, then its endpoints, each probed and attached to a
 * domain of its own. Every access to a register of the device is an exit. Firmware says who is behind it: ACPI
 * VIOT, or `iommu-map` with the node of the device.
 */
import { defaultPlatform, type Platform } from '../driver/features.ts';
import { inGroup } from '../driver/group.ts';
import type { Context } from '../machine.ts';
import type { Frame, FrameRow } from '../tasks/task.ts';
import { type ExitReason, exitTo } from '../vm/exits.ts';
import { takeGuestPages } from '../vm/memory.ts';
import { featureBits } from './codec.ts';
import { notifyDevice } from './doorbell.ts';
import { memoryFor } from './guest-memory.ts';
import type { Buffers } from './guest-state.ts';
import { addChain, type DriverQueue, kick, openQueue } from './queue-driver.ts';
import { actorOf, slotBytes } from './requests.ts';
import { hasFeature, resetDevice } from './space.ts';
import type { IommuDevice } from './state.ts';
import { FAULT, type FeatureName, QUEUE_SIZE, type QueueName, queueNumbers } from './structs.ts';
import { findVirtio, virtioIn } from './virtio.ts';
import { batched, queueBytes } from './virtqueue.ts';

type OfVm = Frame & { readonly vm: string };

/** What the driver takes of what a device offers. */
const WANTED: readonly FeatureName[] = [
  'EVENT_IDX',
  'INDIRECT_DESC',
  'INPUT_RANGE',
  'DOMAIN_RANGE',
  'MAP_UNMAP',
  'MMIO',
  'PROBE',
  'BYPASS_CONFIG',
];

type Access = readonly [ExitReason, string];

/** Accesses of the common configuration, in order, with what the driver reads of the device's own. */
// biome-ignore format: a table
const beforeQueues: readonly Access[] = [
  ['mmio.write', 'device_status=0'], ['mmio.read', 'device_status'],
  ['mmio.write', 'device_status=ACKNOWLEDGE'], ['mmio.write', 'device_status=DRIVER'],
  ['mmio.write', 'device_feature_select=0'], ['mmio.read', 'device_feature'],
  ['mmio.write', 'device_feature_select=1'], ['mmio.read', 'device_feature'],
  ['mmio.write', 'driver_feature_select=0'], ['mmio.write', 'driver_feature'],
  ['mmio.write', 'driver_feature_select=1'], ['mmio.write', 'driver_feature'],
  ['mmio.write', 'device_status=FEATURES_OK'], ['mmio.read', 'device_status'],
];
// biome-ignore format: a table
const perQueue: readonly Access[] = [
  ['mmio.write', 'queue_select'], ['mmio.read', 'queue_size'], ['mmio.read', 'queue_enable'], ['mmio.write', 'queue_size'],
  ['mmio.write', 'queue_desc_lo'], ['mmio.write', 'queue_desc_hi'], ['mmio.write', 'queue_driver_lo'], ['mmio.write', 'queue_driver_hi'],
  ['mmio.write', 'queue_device_lo'], ['mmio.write', 'queue_device_hi'], ['mmio.read', 'queue_notify_off'],
];
// biome-ignore format: a table
const afterQueues: readonly Access[] = [
  ['mmio.write', 'queue_enable=1'], ['mmio.write', 'queue_enable=1'],
  ['mmio.read', 'page_size_mask'], ['mmio.read', 'input_range.start'], ['mmio.read', 'input_range.end'],
  ['mmio.read', 'domain_range.start'], ['mmio.read', 'domain_range.end'], ['mmio.read', 'probe_size'],
  ['mmio.write', 'device_status=DRIVER_OK'],
];

export const bootRow: FrameRow<OfVm & { readonly platform: Partial<Platform> }> = {
  run: (context, { vm, platform }) => {
    const virtio = findVirtio(context.state, vm);
    if (virtio === undefined) return;
    const { device } = virtio;
    const actor = actorOf(context, vm);
    const fail = (why: string): void => {
      context.emit(actor, { type: 'vdriver.failed', vm, what: 'probe', why });
    };
    if (!device.offered.includes('MAP_UNMAP')) return fail('ENODEV');
    exits(context, vm, beforeQueues);
    const features = featureBits(WANTED.filter((name) => device.offered.includes(name)));
    const reset = resetDevice(device, false).changes;
    context.emit(actor, { type: 'virtio.changed', vm, changes: [...reset, { do: 'negotiate', features }] });
    const queues = placeQueues(context, vm, device);
    const probeSize = hasFeature(device, 'PROBE') ? device.config.probeSize : 0;
    const buffers = takeBuffers(context, vm, slotBytes(probeSize), 'requests');
    const eventBuffers = takeBuffers(context, vm, FAULT.bytes, 'fault reports');
    if (queues === undefined || buffers === undefined || eventBuffers === undefined) return fail('ENOMEM');
    exits(context, vm, afterQueues);
    const indirect = hasFeature(device, 'INDIRECT_DESC');
    const filled = fillEvents(context, vm, queues.event, eventBuffers);
    const driver = {
      name: `${vm}.virtio-iommu`,
      setup: {
        owner: vm,
        actor: vm,
        port: { kind: 'guest', smmu: '' } as const,
        platform: { ...defaultPlatform, ...platform },
      },
      buffers,
      eventBuffers,
      probeSize,
      indirect,
      pageSizes: device.config.pageSizeMask,
      queues: { ...queues, event: filled.queue },
    };
    context.emit(actor, { type: 'vdriver.made', vm, driver });
    if (filled.needed) notifyDevice(context, vm, 'event');
    return Object.entries(virtio.hosts).map(([id, { endpoint }]) => ({
      do: 'vdriver.found',
      vm,
      endpoint,
      id: Number(id),
    }));
  },
};

function exits(context: Context, vm: string, accesses: readonly Access[]): void {
  for (const [why, what] of accesses) exitTo(context, vm, { why, what: `virtio-iommu ${what}` });
}

/** Both queues, in pages of the guest, and the device is told where they stand. */
function placeQueues(
  context: Context,
  vm: string,
  device: IommuDevice,
): Readonly<Record<QueueName, DriverQueue>> | undefined {
  const actor = actorOf(context, vm);
  const made: Partial<Record<QueueName, DriverQueue>> = {};
  for (const name of Object.keys(queueNumbers) as QueueName[]) {
    const bytes = queueBytes(QUEUE_SIZE);
    const total = Math.ceil((bytes.desc + bytes.avail + bytes.used) / 0x1000) * 0x1000;
    const desc = takeGuestPages(context, vm, total, 0x1000, `virtio-iommu ${name} queue`);
    if (desc === undefined) return undefined;
    const avail = desc + bytes.desc;
    const used = Math.ceil((avail + bytes.avail) / 4) * 4;
    const place = { size: QUEUE_SIZE, desc, avail, used, eventIdx: hasFeature(device, 'EVENT_IDX') };
    // Requests are polled for; reports interrupt.
    made[name] = openQueue(memoryFor(context, vm, actor), place, name === 'request');
    exits(context, vm, perQueue);
    const at = { ...place, availIdx: 0, usedIdx: 0 };
    context.emit(actor, { type: 'virtqueue.placed', vm, queue: name, place: at });
  }
  return made as Record<QueueName, DriverQueue>;
}

function takeBuffers(context: Context, vm: string, size: number, what: string): Buffers | undefined {
  const bytes = Math.ceil((size * QUEUE_SIZE) / 0x1000) * 0x1000;
  const gpa = takeGuestPages(context, vm, bytes, 0x1000, `virtio-iommu ${what}`);
  return gpa === undefined ? undefined : { gpa, slotBytes: size };
}

/** A buffer in every descriptor of the event queue. */
function fillEvents(
  context: Context,
  vm: string,
  queue: DriverQueue,
  { gpa, slotBytes: bytes }: Buffers,
): { readonly queue: DriverQueue; readonly needed: boolean } {
  const memory = memoryFor(context, vm, actorOf(context, vm));
  const once = batched(memory, queue.desc, queue.used - queue.desc);
  let filled = queue;
  for (let slot = 0; slot < queue.size; slot += 1) {
    const writable = [{ gpa: gpa + slot * bytes, bytes }];
    filled = addChain(once.memory, filled, { readable: [], writable })?.queue ?? filled;
  }
  once.flush();
  return kick(memory, filled);
}

/** A device behind the virtio-iommu: probed, and attached to a domain of its own. */
export const foundRow: FrameRow<OfVm & { readonly endpoint: string; readonly id: number }> = {
  run: ({ state }, { vm, endpoint, id }) => {
    const { driver } = virtioIn(state, vm);
    if (driver === undefined) return;
    const { defaultDomain } = driver.setup.platform;
    const to = defaultDomain === 'identity' ? 'identity' : 'dma';
    const attach = { do: 'vdriver.attach', vm, endpoint, to };
    const probe = { do: 'vdriver.probe', vm, endpoint, id };
    return [inGroup(driver.name, endpoint, [probe, ...(defaultDomain === 'blocked' ? [] : [attach])])];
  },
};
