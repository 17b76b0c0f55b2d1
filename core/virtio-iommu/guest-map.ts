/**
 * Mapping and unmapping by the guest's driver (linux: iommu_map, viommu_map_pages, viommu_iotlb_sync_map;
 * iommu_unmap, viommu_unmap_pages, viommu_iotlb_sync). A range goes in runs of the largest page size that both
 * addresses are aligned to, a request for each. What was mapped by one request is unmapped whole. The interval
 * tree of Linux takes ranges that overlap; here a second mapping of an address is EEXIST.
 */
import { nextPiece } from '../driver/table-shape.ts';
import type { Errno } from '../kernel/errno.ts';
import { areasIn, firstAreaIn } from '../kernel/iommufd/areas.ts';
import type { Context } from '../machine.ts';
import type { Frame, FrameRow } from '../tasks/task.ts';
import { encodeRequest } from './codec.ts';
import type { GuestDomain, VirtioDriver } from './guest-state.ts';
import { actorOf, addRequest, isUnlocked, syncFrame } from './requests.ts';
import { names } from './structs.ts';
import { driverIn, guestDomain, guestEndpoint } from './virtio.ts';

export interface MapFrame extends Frame {
  readonly do: 'vdriver.map';
  readonly vm: string;
  readonly endpoint: string;
  readonly iova: number;
  readonly pa: number;
  readonly bytes: number;
  readonly access: 'read' | 'write' | 'both';
  /** Device registers, not memory. */
  readonly mmio?: boolean;
  /** More follows, and one sync for all. */
  readonly more?: boolean;
  /** Bytes that are mapped already. */
  readonly done: number;
  /** Runs at the end, with an `errno` where there is one. */
  readonly then?: Frame;
}

export interface UnmapFrame extends Frame {
  readonly do: 'vdriver.unmap';
  readonly vm: string;
  readonly endpoint: string;
  readonly iova: number;
  readonly bytes: number;
  /** The requests are waited for at the next flush, not here. */
  readonly lazy: boolean;
  readonly done: number;
  readonly then?: Frame;
}

/** The domain that an endpoint's DMA goes through; undefined where it has none that maps. */
function domainOf(context: Context, vm: string, endpoint: string): GuestDomain | undefined {
  const id = guestEndpoint(context.state, vm, endpoint)?.domain;
  const domain = id === undefined ? undefined : guestDomain(context.state, vm, id);
  return domain?.bypass === true ? undefined : domain;
}

function ended(then: Frame | undefined, errno?: Errno): readonly Frame[] {
  if (then === undefined) return [];
  return [errno === undefined ? then : { ...then, errno }];
}

function failed(
  context: Context,
  { vm, endpoint, then }: MapFrame | UnmapFrame,
  errno: Errno,
): readonly Frame[] {
  const what = `${endpoint}: DMA mapping`;
  context.emit(actorOf(context, vm), { type: 'vdriver.failed', vm, what, why: errno });
  return ended(then, errno);
}

const isFull = ({ queues, indirect }: VirtioDriver): boolean => queues.request.freeCount < (indirect ? 1 : 2);

export const mapRow: FrameRow<MapFrame> = {
  ready: (state, { vm }) => isUnlocked(state, vm),
  run: (context, frame) => {
    const { vm, bytes, then } = frame;
    let { done } = frame;
    const domain = domainOf(context, vm, frame.endpoint);
    if (domain === undefined) return failed(context, frame, 'ENODEV');
    const start = BigInt(frame.iova + done);
    const span = { start, last: BigInt(frame.iova + bytes) - 1n };
    if (firstAreaIn(domain.mappings, span) !== undefined) return failed(context, frame, 'EEXIST');
    while (done < bytes) {
      // The device is told of what there is, and the rest follows.
      if (isFull(driverIn(context.state, vm))) return [syncFrame(vm), { ...frame, done }];
      done += mapPiece(context, frame, domain, done);
    }
    const synced = domain.endpoints > 0 && frame.more !== true;
    return [...(synced ? [syncFrame(vm)] : []), ...ended(then)];
  },
};

/** One run. Returns its bytes. */
function mapPiece(context: Context, frame: MapFrame, { id, endpoints }: GuestDomain, done: number): number {
  const { vm, access, mmio = false, bytes } = frame;
  const { READ, WRITE, MMIO } = names.map.members;
  const flags =
    (access === 'write' ? 0 : READ[0]) | (access === 'read' ? 0 : WRITE[0]) | (mmio ? MMIO[0] : 0);
  const [iova, pa] = [frame.iova + done, frame.pa + done];
  const { bytes: page, count } = nextPiece(driverIn(context.state, vm).pageSizes, iova, pa, bytes - done);
  const last = BigInt(iova + page * count) - 1n;
  const mapping = { domain: id, iova: BigInt(iova), last, pa, flags };
  context.emit(actorOf(context, vm), { type: 'vdriver.mapped', vm, ...mapping });
  // Without endpoints the device has no such domain; it learns of the mapping at the next attach.
  if (endpoints > 0) {
    const where = { domain: id, virt_start: BigInt(iova), virt_end: last };
    addRequest(context, vm, 'MAP', encodeRequest('MAP', { ...where, phys_start: BigInt(pa), flags }));
  }
  return page * count;
}

export const unmapRow: FrameRow<UnmapFrame> = {
  ready: (state, { vm }) => isUnlocked(state, vm),
  run: (context, frame) => {
    const { vm, bytes, lazy, then } = frame;
    let { done } = frame;
    const domain = domainOf(context, vm, frame.endpoint);
    if (domain === undefined) return failed(context, frame, 'ENODEV');
    while (done < bytes) {
      if (isFull(driverIn(context.state, vm))) return [syncFrame(vm), { ...frame, done }];
      const unmapped = unmapPiece(context, frame, domain, done);
      if (unmapped === 0) break;
      done += unmapped;
    }
    return [...(lazy ? [] : [syncFrame(vm)]), ...ended(then)];
  },
};

/** One piece, and with it all of the mappings that begin in it. Returns the bytes, 0 where it maps nothing whole. */
function unmapPiece(context: Context, frame: UnmapFrame, domain: GuestDomain, done: number): number {
  const { vm } = frame;
  const iova = frame.iova + done;
  const { bytes, count } = nextPiece(driverIn(context.state, vm).pageSizes, iova, iova, frame.bytes - done);
  const size = bytes * count;
  const start = BigInt(iova);
  const found = [...areasIn(domain.mappings, { start, last: BigInt(iova + size) - 1n })];
  if (found.length === 0 || (found[0]?.iova ?? start) < start) return 0;
  const unmapped = found.reduce((sum, { iova: first, last }) => sum + Number(last - first + 1n), 0);
  const range = { domain: domain.id, iova: start, last: found.at(-1)?.last ?? start };
  context.emit(actorOf(context, vm), { type: 'vdriver.unmapped', vm, ...range });
  // With holes in it the driver forgets the mappings and the device is not told: as in Linux.
  if (unmapped < size) return 0;
  if (domain.endpoints > 0) {
    const where = { domain: domain.id, virt_start: start, virt_end: start + BigInt(unmapped) - 1n };
    addRequest(context, vm, 'UNMAP', encodeRequest('UNMAP', where));
  }
  return unmapped;
}
