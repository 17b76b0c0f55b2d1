/**
 * Reserved memory regions of firmware (IORT RMR) for the messages of devices: their streams bypass until they have a
 * domain, and every default domain maps the region to itself (linux: arm_smmu_rmr_install_bypass_ste,
 * iommu_create_device_direct_mappings). Firmware counts only where it preserves the boot configuration of PCI.
 */

import { present } from '../assert.ts';
import { streamsOf } from '../endpoint/further.ts';
import type { Errno } from '../kernel/errno.ts';
import { constants } from '../kernel/uapi/enums.ts';
import type { Context } from '../machine.ts';
import type { Frame } from '../tasks/task.ts';
import { mapPages } from './ops.ts';
import { driverOf, portOf, storeDoublewords } from './port.ts';
import type { DriverState } from './state.ts';
import { bypassSte } from './ste.ts';
import { extendStreamTable, hasStream, stePa } from './stream-table.ts';

/** Where the host of a guest puts the doorbell of MSIs, and its guests expect it. */
const WINDOW = {
  first: constants.ARM_SW_MSI_IOVA_BASE,
  bytes: constants.ARM_SW_MSI_IOVA_LENGTH,
} as const;

/** Whether firmware has a region that counts. */
export function hasReserved({ setup }: Pick<DriverState, 'setup'>): boolean {
  return setup.platform.rmr === true;
}

/** Writes STEs that bypass for the devices of the region: the table is not live, so no command tells of it. */
export function bypassReserved(context: Context, { name }: DriverState): void {
  const driver = driverOf(context.state, name);
  if (!hasReserved(driver)) return;
  const devices = portOf(driver).endpoints(context.state, driver);
  for (const streamId of devices.flatMap((device) => streamsOf(context.state, device))) {
    if (!hasStream(driver, streamId) || !extendStreamTable(context, driver, streamId)) continue;
    const now = driverOf(context.state, name);
    const entry = bypassSte(present(now.features, 'features'));
    storeDoublewords(context, now, stePa(now, streamId), entry);
  }
}

/** Maps the region to itself in a fresh domain. @param after takes what must be done before it is in force */
export function mapReserved(
  context: Context,
  driver: DriverState,
  domain: number,
  after: Frame[],
): Errno | undefined {
  if (!hasReserved(driver)) return undefined;
  const run = [{ pa: WINDOW.first, size: WINDOW.bytes }];
  const protection = { read: true, write: true, device: true, noExecute: true };
  return mapPages(context, domain, BigInt(WINDOW.first), run, protection, after);
}

/** Pages of 4 KiB of a domain that are not the allocator's. */
export function reservedPages(driver: Pick<DriverState, 'setup'>): readonly { pfn: number; pages: number }[] {
  return hasReserved(driver) ? [{ pfn: WINDOW.first / 0x1000, pages: WINDOW.bytes / 0x1000 }] : [];
}
