/**
 * The default domain of an endpoint as the DMA API sees it. It is opened when it is first used, so that a machine
 * on which nobody maps anything remembers nothing of it.
 */

import { behavioursOf } from '../driver/releases.ts';
import type { Errno } from '../kernel/errno.ts';
import { boundIn } from '../kernel/iommufd/group.ts';
import type { Context } from '../machine.ts';
import type { DmaDriver } from './drivers.ts';
import { opsOf } from './iommu.ts';
import { type DmaKind, PAGE_BYTES } from './state.ts';

/** What an endpoint's own driver has for its DMA: a domain, physical addresses, or nothing. */
export type Dma = { readonly domain: number } | 'identity' | { readonly errno: Errno };

/** Finds it, and opens it where it is a domain. */
export function openDma(context: Context, driver: DmaDriver, endpoint: string): Dma {
  const { state } = context;
  const attached = opsOf(driver).attached(driver, endpoint);
  // Who has bound it to an iommufd maps through that.
  if (driver.setup.owner === 'host' && state.kernel !== undefined && boundIn(state, endpoint).length > 0)
    return { errno: 'EBUSY' };
  if (attached === 'identity') return 'identity';
  if (attached === 'blocked') return { errno: 'ENODEV' };
  if (driver.dma?.[attached] !== undefined) return { domain: attached };
  if (opsOf(driver).inputBits(state, driver, attached) === undefined) return { errno: 'EBUSY' };
  const kind = driver.setup.platform.defaultDomain === 'dma-fq' ? 'dma-fq' : 'dma';
  emitOpened(context, driver, endpoint, attached, kind);
  return { domain: attached };
}

/** Opens a domain that was made for an endpoint. */
export function emitOpened(
  { emit, state }: Context,
  driver: DmaDriver,
  endpoint: string,
  domain: number,
  kind: DmaKind,
): void {
  const { name, setup } = driver;
  const reach = state.endpoints[endpoint]?.config.dmaBits ?? 64;
  const bits = Math.min(opsOf(driver).inputBits(state, driver, domain) ?? 0, reach);
  const { magazine, depotMax } = behavioursOf({ setup });
  const limit = 2 ** bits / PAGE_BYTES - 1;
  emit(setup.actor, { type: 'dma.opened', driver: name, domain, endpoint, kind, limit, magazine, depotMax });
  for (const { pfn, pages } of opsOf(driver).reserved(driver)) {
    const iova = BigInt(pfn * PAGE_BYTES);
    emit(setup.actor, { type: 'iova.taken', driver: name, domain, cpu: 0, iova, pages, from: 'fixed' });
  }
}
