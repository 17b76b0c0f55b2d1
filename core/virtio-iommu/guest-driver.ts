/**
 * What a guest's DMA layer asks of the virtio-iommu driver, as frames for its own task. The last frame of a
 * caller's choice runs when it is done, with an `errno` where it failed; the status of MAP and UNMAP requests
 * is not among the failures: nobody in Linux looks at it.
 */
import type { Frame } from '../tasks/task.ts';
import type { AttachTarget } from './guest-attach.ts';
import { syncFrame } from './requests.ts';

/** A device of a VM. */
export interface GuestDevice {
  readonly vm: string;
  readonly endpoint: string;
}

export interface GuestRange extends GuestDevice {
  readonly iova: bigint;
  /** A multiple of the page, like both addresses. */
  readonly bytes: number;
}

export interface GuestMap extends GuestRange {
  readonly pa: number;
  readonly access: 'read' | 'write' | 'both';
  readonly mmio?: boolean;
}

/** Attaches a device to a domain, and sends the domain's mappings where it is the first. */
export function attachFrames({ vm, endpoint }: GuestDevice, to: AttachTarget): readonly Frame[] {
  return [{ do: 'vdriver.attach', vm, endpoint, to }];
}

/** Detaches it: what it then reaches goes by `bypass` of the device. */
export function detachFrames({ vm, endpoint }: GuestDevice): readonly Frame[] {
  return [{ do: 'vdriver.detach', vm, endpoint }];
}

/** Maps a range in the domain of a device: in force when `then` runs. */
export function mapFrames(map: GuestMap, then?: Frame): readonly Frame[] {
  return [{ do: 'vdriver.map', ...map, iova: Number(map.iova), done: 0, ...(then && { then }) }];
}

/** Unmaps a range. @param lazy its requests are sent and not waited for: that is done by `flushFrames` */
export function unmapFrames(range: GuestRange, lazy: boolean, then?: Frame): readonly Frame[] {
  return [{ do: 'vdriver.unmap', ...range, iova: Number(range.iova), lazy, done: 0, ...(then && { then }) }];
}

/** Waits for all that was sent (linux: viommu_flush_iotlb_all). */
export function flushFrames(vm: string): readonly Frame[] {
  return [syncFrame(vm)];
}
