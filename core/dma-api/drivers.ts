/**
 * Finding the drivers that DMA goes through, of both kinds, and their domains as the DMA API sees them. What they
 * can do stands in `iommu.ts`; the handlers of the events need only this.
 */
import { present } from '../assert.ts';
import type { DriverState } from '../driver/state.ts';
import { own } from '../lookup.ts';
import type { State } from '../state.ts';
import type { VirtioDriver } from '../virtio-iommu/guest-state.ts';
import type { DmaDomain } from './state.ts';

/** What both kinds of driver have. */
export type DmaDriver = Pick<DriverState, 'name' | 'setup' | 'quirks' | 'dma'>;

/** Whether it is the driver of an SMMU. */
export function isSmmu(driver: DmaDriver): driver is DriverState {
  return 'masters' in driver;
}

/** All drivers that endpoints can have. */
export function dmaDrivers(state: State): readonly DmaDriver[] {
  return [...Object.values(state.drivers), ...virtioDrivers(state)];
}

function virtioDrivers({ vms }: State): readonly VirtioDriver[] {
  return Object.values(vms).flatMap(({ virtio }) => virtio?.driver ?? []);
}

/** The driver of a name; undefined where there is none, or no more. */
export function findDmaDriver(state: State, name: string): DmaDriver | undefined {
  return own(state.drivers, name) ?? virtioDrivers(state).find((each) => each.name === name);
}

/** The driver of a name that stands for one. */
export function dmaDriverOf(state: State, name: string): DmaDriver {
  return present(findDmaDriver(state, name), `driver ${name}`);
}

/** The driver that serves an endpoint for an owner: `host`, or a VM. */
export function driverFor(state: State, owner: string, endpoint: string): DmaDriver | undefined {
  return dmaDrivers(state).find(
    (driver) => driver.setup.owner === owner && own(endpointsOf(driver), endpoint) !== undefined,
  );
}

/** The endpoints that a driver serves, by their names. */
export function endpointsOf(driver: DmaDriver): Readonly<Record<string, unknown>> {
  return isSmmu(driver) ? driver.masters : (driver as VirtioDriver).endpoints;
}

/** The DMA API's view of a domain that is open. */
export function dmaDomainOf(
  state: State,
  { driver, domain }: { readonly driver: string; readonly domain: number },
): DmaDomain {
  return present(findDmaDriver(state, driver)?.dma?.[domain], `default domain ${domain}`);
}
