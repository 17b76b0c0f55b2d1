/**
 * What the DMA API asks of the driver that an endpoint's DMA goes through: the driver of an SMMU, or a guest's of
 * a virtio-iommu. IOVAs, flush queues and CPUs are the same for both.
 */

import { planAttach } from '../driver/attach.ts';
import type { Protection } from '../driver/descriptors.ts';
import { findDomain, makePaging } from '../driver/domains.ts';
import { mapPages } from '../driver/ops.ts';
import { portOf } from '../driver/port.ts';
import { mapReserved, reservedPages } from '../driver/reserved.ts';
import type { Attachment, DriverState } from '../driver/state.ts';
import type { PhysicalRun } from '../driver/table-map.ts';
import { granuleOf } from '../driver/table-shape.ts';
import { unmapFrames } from '../driver/table-unmap.ts';
import type { Errno } from '../kernel/errno.ts';
import type { Context } from '../machine.ts';
import type { State } from '../state.ts';
import type { Frame } from '../tasks/task.ts';
import { virtioOps } from '../virtio-iommu/dma-ops.ts';
import { type DmaDriver, isSmmu } from './drivers.ts';
import { type DmaDomain, PAGE_BYTES } from './state.ts';

export type DefaultKind = 'dma' | 'dma-fq' | 'identity' | 'blocked';

/** A range of a domain, and the endpoint that it is mapped for. */
export interface DmaRange {
  readonly endpoint: string;
  readonly domain: number;
  readonly iova: number;
}

export interface IommuOps<D> {
  /** Pages of a domain that the allocator has not. */
  reserved(driver: D): readonly { readonly pfn: number; readonly pages: number }[];
  /** Bytes of the smallest page that it maps: what is mapped is whole ones (linux: the granule of struct iova_domain). */
  pageBytes(driver: D): number;
  /** What an endpoint is attached to. */
  attached(driver: D, endpoint: string): Attachment;
  /** Bits of a domain's input addresses; undefined where it is not a domain of mappings. */
  inputBits(state: State, driver: D, domain: number): number | undefined;
  /** Memory of the owner; undefined where there is none. */
  take(context: Context, driver: D, bytes: number): number | undefined;
  giveBack(context: Context, driver: D, pa: number, bytes: number): void;
  /** Maps memory, one piece behind the other. @param after takes what must be done before it is in force */
  map(
    context: Context,
    driver: D,
    range: DmaRange,
    runs: readonly PhysicalRun[],
    prot: Protection,
    after: Frame[],
  ): Errno | undefined;
  unmap(context: Context, driver: D, range: DmaRange, bytes: number, lazy: boolean): readonly Frame[];
  /** Waits until nothing that was unmapped in the domain is reached any more. */
  flush(driver: D, domain: number): readonly Frame[];
  /** Attaches an endpoint to a new domain, or to none. */
  attach(
    context: Context,
    driver: D,
    endpoint: string,
    to: DefaultKind,
  ): { readonly frames: readonly Frame[]; readonly domain?: number } | { readonly errno: Errno };
  /** A SubstreamID shares the default domain (linux: iommu_attach_device_pasid), or has none. */
  attachSubstream(
    context: Context,
    driver: D,
    of: { readonly endpoint: string; readonly ssid: number },
    to: DefaultKind,
    now: DmaDomain | undefined,
  ): readonly Frame[] | { readonly errno: Errno };
  hasSubstreams(driver: D, endpoint: string): boolean;
  /** The domain goes: nothing is attached to it. */
  free(state: State, driver: D, domain: number): readonly Frame[];
}

const smmuOps: IommuOps<DriverState> = {
  reserved: reservedPages,
  pageBytes: ({ features, setup }) =>
    features === undefined ? PAGE_BYTES : 2 ** granuleOf(features.pageSizes, setup.platform.pageLog2),
  attached: ({ masters }, endpoint) => masters[endpoint]?.attached[0] ?? 'blocked',
  inputBits: (state, { name, domains }, id) => {
    const found = (state.drivers[name]?.domains ?? domains).get(id);
    return found === undefined || found.kind === 'nested' ? undefined : found.table.ias;
  },
  take: (context, driver, bytes) => portOf(driver).take(context, driver, bytes, 'buffer'),
  giveBack: (context, driver, pa, bytes) => portOf(driver).giveBack(context, driver, pa, bytes),
  map: (context, _, { domain, iova }, runs, prot, after) =>
    mapPages(context, domain, BigInt(iova), runs, prot, after),
  unmap: (context, _, { domain, iova }, bytes, lazy) => unmapFrames(context, domain, iova, bytes, lazy),
  flush: (_, domain) => [{ do: 'invs.range', domain, iova: 0, size: 0, granule: 0, leaf: false }],
  attach: (context, driver, endpoint, to) => {
    const blank = to === 'identity' || to === 'blocked';
    const made = blank ? undefined : makePaging(context, driver, {});
    if (made !== undefined && 'errno' in made) return made;
    const target = made === undefined ? (to as 'identity' | 'blocked') : { domain: made.domain };
    const before: Frame[] = [];
    const errno = made === undefined ? undefined : mapReserved(context, driver, made.domain, before);
    if (errno !== undefined) return { errno };
    const plan = planAttach(context, endpoint, target, { owner: driver.setup.owner });
    if ('errno' in plan) return plan;
    const frames = [...before, ...plan];
    return made === undefined ? { frames } : { frames, domain: made.domain };
  },
  attachSubstream: (context, { setup }, { endpoint, ssid: pasid }, to, now) => {
    const options = { pasid, owner: setup.owner };
    if (to === 'blocked') return planAttach(context, endpoint, 'blocked', options);
    if (now === undefined || now.kind !== to) return { errno: 'EINVAL' };
    return planAttach(context, endpoint, { domain: now.domain }, options);
  },
  hasSubstreams: ({ masters }, endpoint) =>
    Object.keys(masters[endpoint]?.attached ?? {}).some((ssid) => ssid !== '0'),
  free: (state, _, domain) => [{ do: 'domain.free', driver: findDomain(state, domain).driver.name, domain }],
};

/** The operations of a driver. */
export function opsOf(driver: DmaDriver): IommuOps<DmaDriver> {
  return (isSmmu(driver) ? smmuOps : virtioOps) as IommuOps<DmaDriver>;
}
