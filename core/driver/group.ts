/**
 * The group of a device (linux: struct iommu_group): each device has one of its own. Its mutex is held while the
 * device gets its default domain, while that is changed, and while it goes (iommu_probe_device,
 * iommu_group_store_type, iommu_deinit_device); a device's driver is bound, and maps, when it is free
 * (iommu_device_use_default_domain).
 */
import type { State } from '../state.ts';
import { isLocked, locked } from '../tasks/lock.ts';
import type { Frame } from '../tasks/task.ts';

const lockOf = (driver: string, endpoint: string): string => `group of ${endpoint} (${driver})`;

/** What is done with the group's mutex held. */
export function inGroup(driver: string, endpoint: string, frames: readonly Frame[]): Frame {
  return locked(lockOf(driver, endpoint), frames);
}

/** Whether the group's mutex is held. */
export function groupIsLocked(state: State, driver: string, endpoint: string): boolean {
  return isLocked(state, lockOf(driver, endpoint));
}
