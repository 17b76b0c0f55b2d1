/**
 * Mapping and unmapping for a device's driver (linux: iommu_dma_map_page, __iommu_dma_map, __iommu_dma_unmap). Each
 * step of it ends a turn, so that other CPUs come between. Strict: the IOVA is free when the invalidation is
 * complete. Lazy: it goes into the flush queue; the memory goes back to its owner before the flush.
 */

import { changed } from '../changed.ts';
import type { Protection } from '../driver/descriptors.ts';
import { groupIsLocked } from '../driver/group.ts';
import type { PhysicalRun } from '../driver/table-map.ts';
import type { Errno } from '../kernel/errno.ts';
import type { Context } from '../machine.ts';
import { pause } from '../tasks/cpu.ts';
import type { Frame, FrameRow } from '../tasks/task.ts';
import { openDma } from './domain.ts';
import { type DmaDriver, dmaDomainOf, dmaDriverOf } from './drivers.ts';
import { opsOf } from './iommu.ts';
import { free, type Place, takeIova } from './iova.ts';
import { isTaken } from './iova-tree.ts';
import { PAGE_BYTES } from './state.ts';

/** What an endpoint may do with a mapping. */
export type DmaAccess = 'read' | 'write' | 'read-write';

export interface MapFrame extends Frame {
  readonly do: 'dma.map' | 'dma.fill';
  readonly driver: string;
  readonly endpoint: string;
  readonly cpu: number;
  readonly call: number;
  readonly bytes: number;
  readonly access: DmaAccess;
  readonly pa?: number;
  /** Pieces of memory, whole pages, in place of one piece. */
  readonly sg?: readonly PhysicalRun[];
  readonly device?: boolean;
  /** Asked for by address. */
  readonly iova?: number;
  /** Runs next, with what it came to as `told`. */
  readonly then?: Frame;
  /** In `dma.fill`: the first page it got, and whether memory was taken for it. */
  readonly pfn?: number;
  readonly own?: boolean;
}

interface Ended {
  readonly domain?: number;
  readonly iova?: bigint;
  readonly pa?: number;
  readonly fixed?: boolean;
  readonly own?: boolean;
  readonly errno?: Errno;
}

function ended(context: Context, frame: MapFrame, told: Ended): readonly Frame[] {
  const { driver, endpoint, cpu, call, bytes, then } = frame;
  const { actor } = dmaDriverOf(context.state, driver).setup;
  context.emit(actor, { type: 'dma.mapped', driver, endpoint, cpu, call, bytes, ...told });
  return then === undefined ? [] : [changed(then, { told })];
}

/** Bytes as whole pages of the driver's. */
function pageUp(driver: DmaDriver, bytes: number): number {
  const page = opsOf(driver).pageBytes(driver);
  return Math.ceil(bytes / page) * page;
}

/** Memory, then an IOVA. Who maps is bound, so the group's mutex is free. */
export const mapRow: FrameRow<MapFrame> = {
  ready: (state, { driver, endpoint }) => !groupIsLocked(state, driver, endpoint),
  run: (context, frame) => {
    const driver = dmaDriverOf(context.state, frame.driver);
    const dma = openDma(context, driver, frame.endpoint);
    if (typeof dma === 'object' && 'errno' in dma) return ended(context, frame, dma);
    const pa = frame.pa ?? opsOf(driver).take(context, driver, pageUp(driver, frame.bytes));
    if (pa === undefined) return ended(context, frame, { errno: 'ENOMEM' });
    const own = frame.pa === undefined ? { own: true } : {};
    if (dma === 'identity') return ended(context, frame, { iova: BigInt(pa), pa });
    const place: Place = { driver: frame.driver, domain: dma.domain, cpu: frame.cpu };
    const offset = pa % opsOf(driver).pageBytes(driver);
    const pfn = takePlace(context, driver, place, frame, pageUp(driver, offset + frame.bytes));
    if (typeof pfn === 'number')
      return [changed(changed(frame, own), { do: 'dma.fill', pa, pfn, pause: true })];
    giveBack(context, driver, pa, frame.bytes, frame.pa === undefined);
    return ended(context, frame, { errno: pfn });
  },
};

function takePlace(
  context: Context,
  driver: DmaDriver,
  place: Place,
  { iova, pa }: MapFrame,
  bytes: number,
): number | Errno {
  if (iova === undefined) return takeIova(context, driver, place, bytes) ?? 'ENOMEM';
  const of = dmaDomainOf(context.state, place);
  const page = opsOf(driver).pageBytes(driver);
  const pfn = (iova - (iova % page)) / PAGE_BYTES;
  const pages = bytes / PAGE_BYTES;
  if ((iova - (pa ?? iova)) % page !== 0 || pfn + pages - 1 > of.limit) return 'EINVAL';
  if (isTaken(of, pfn, pages)) return 'EEXIST';
  const about = {
    type: 'iova.taken',
    ...place,
    iova: BigInt(pfn * PAGE_BYTES),
    pages,
    from: 'fixed',
  } as const;
  context.emit(driver.setup.actor, about);
  return pfn;
}

/** Descriptors; then it is the device's. */
export const fillRow: FrameRow<MapFrame> = {
  run: (context, frame) => {
    const {
      driver: name,
      endpoint,
      cpu,
      bytes,
      pa = 0,
      pfn = 0,
      access,
      device = false,
      own = false,
    } = frame;
    const driver = dmaDriverOf(context.state, name);
    const dma = openDma(context, driver, endpoint);
    if (typeof dma !== 'object' || 'errno' in dma) return ended(context, frame, { errno: 'ENODEV' });
    const place: Place = { driver: name, domain: dma.domain, cpu };
    const offset = pa % opsOf(driver).pageBytes(driver);
    const whole = pageUp(driver, offset + bytes);
    const after: Frame[] = [];
    const runs = frame.sg ?? [{ pa: pa - offset, size: whole }];
    const first = BigInt(pfn * PAGE_BYTES);
    const range = { endpoint, domain: dma.domain, iova: pfn * PAGE_BYTES };
    const errno = opsOf(driver).map(context, driver, range, runs, protectionOf(access, device), after);
    const fixed = frame.iova === undefined ? {} : { fixed: true };
    if (errno === undefined && driver.setup.platform.tlbiOnMap !== undefined)
      after.push({
        do: 'invs.range',
        domain: dma.domain,
        iova: Number(first),
        size: whole,
        granule: PAGE_BYTES,
        leaf: true,
      });
    if (errno === undefined) {
      const mapped = {
        domain: dma.domain,
        iova: first + BigInt(offset),
        pa,
        ...fixed,
        ...(own ? { own } : {}),
      };
      return [...after, changed(endFrame(frame), { told: mapped })];
    }
    free(context, driver, place, pfn, whole, frame.iova !== undefined);
    giveBack(context, driver, pa, bytes, own);
    return [...after, changed(endFrame(frame), { told: { errno } })];
  },
};

interface MappedFrame extends MapFrame {
  readonly told: Ended;
}

function endFrame({ pause: _, ...frame }: MapFrame & { readonly pause?: unknown }): Frame {
  return changed(frame, { do: 'dma.mapped' });
}

export const mappedRow: FrameRow<MappedFrame> = {
  run: (context, frame) => ended(context, frame, frame.told),
};

function protectionOf(access: DmaAccess, device: boolean): Protection {
  // A page that the device may not read does not exist in stage 1.
  const rights = { read: true, write: access !== 'read' };
  return device ? { ...rights, device, noExecute: true } : rights;
}

function giveBack(context: Context, driver: DmaDriver, pa: number, bytes: number, own: boolean): void {
  if (own) opsOf(driver).giveBack(context, driver, pa, pageUp(driver, bytes));
}

export interface UnmapFrame extends Frame {
  readonly do: 'dma.unmap';
  readonly driver: string;
  readonly endpoint: string;
  readonly cpu: number;
  readonly call: number;
  readonly iova: bigint;
  readonly bytes: number;
}

interface UnmappedFrame extends Frame {
  readonly do: 'dma.unmapped';
  readonly driver: string;
  readonly endpoint: string;
  readonly cpu: number;
  readonly call: number;
  readonly iova: bigint;
  readonly bytes: number;
  readonly told: { readonly domain?: number; readonly lazy?: boolean; readonly errno?: Errno };
  /** Memory that goes with it. */
  readonly pa?: number;
}

/** Clears descriptors; what follows is the invalidation, or a place in the flush queue. */
export const unmapRow: FrameRow<UnmapFrame> = {
  ready: (state, { driver, endpoint }) => !groupIsLocked(state, driver, endpoint),
  run: (context, frame) => {
    const { driver: name, endpoint, cpu, iova, bytes } = frame;
    const driver = dmaDriverOf(context.state, name);
    const dma = openDma(context, driver, endpoint);
    const end = (told: UnmappedFrame['told'], pa?: number): Frame =>
      changed(frame as Frame, { do: 'dma.unmapped', told, ...(pa === undefined ? {} : { pa }) });
    if (dma === 'identity') return [end({})];
    if ('errno' in dma) return [end(dma)];
    const { domain } = dma;
    const place: Place = { driver: name, domain, cpu };
    const page = opsOf(driver).pageBytes(driver);
    const offset = Number(iova % BigInt(page));
    const pfn = (Number(iova) - offset) / PAGE_BYTES;
    const mapping = dmaDomainOf(context.state, place).maps.get(pfn);
    const more = driver.quirks['unmap-as-told'] === true && bytes > (mapping?.bytes ?? bytes);
    if (mapping === undefined || (mapping.bytes !== bytes && !more) || mapping.pa % page !== offset)
      return [end({ domain, errno: 'EINVAL' })];
    const { actor } = driver.setup;
    // What was mapped goes: IOVAs and memory, whatever the tables lose.
    const held = mapping.bytes;
    const about = { endpoint, iova: BigInt(pfn * PAGE_BYTES), bytes: held };
    context.emit(actor, { type: 'dma.unmapping', ...place, ...about });
    const lazy = dmaDomainOf(context.state, place).kind === 'dma-fq';
    const cleared = opsOf(driver).unmap(
      context,
      driver,
      { endpoint, domain, iova: pfn * PAGE_BYTES },
      pageUp(driver, offset + bytes),
      lazy,
    );
    const range = changed(place, { pfn, bytes: pageUp(driver, offset + held) });
    const told = { domain, ...(lazy ? { lazy } : {}) };
    const last = changed(end(told, mapping.own ? mapping.pa : undefined), { bytes: held });
    if (lazy) return [...paused(cleared), { do: 'fq.queue', ...range, fixed: mapping.fixed }, last];
    const free = { do: 'dma.free', ...range, fixed: mapping.fixed };
    return driver.quirks['iova-early-free'] === true
      ? [free, ...paused(cleared), last]
      : [...paused(cleared), free, last];
  },
};

/** Descriptors are cleared: others may come before what is to be done about it. */
function paused(frames: readonly Frame[]): readonly Frame[] {
  return [pause, ...frames];
}

interface FreeFrame extends Frame, Place {
  readonly do: 'dma.free';
  readonly pfn: number;
  readonly bytes: number;
  readonly fixed: boolean;
}

export const freeRow: FrameRow<FreeFrame> = {
  run: (context, { driver: name, domain, cpu, pfn, bytes, fixed }) => {
    const driver = dmaDriverOf(context.state, name);
    const place: Place = { driver: name, domain, cpu };
    free(context, driver, place, pfn, bytes, fixed);
    return [];
  },
};

export const unmappedRow: FrameRow<UnmappedFrame> = {
  run: (context, { driver: name, endpoint, cpu, call, iova, bytes, told, pa }) => {
    const driver = dmaDriverOf(context.state, name);
    if (pa !== undefined) giveBack(context, driver, pa, bytes, true);
    context.emit(driver.setup.actor, {
      type: 'dma.unmapped',
      driver: name,
      endpoint,
      cpu,
      call,
      iova,
      bytes,
      ...told,
    });
    return [];
  },
};
