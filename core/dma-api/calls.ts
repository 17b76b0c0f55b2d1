/** Calls of a device's driver that are under way: a map or an unmap takes several turns. */
import type { State } from '../state.ts';

/** Frames of a device's driver that is between the beginning and the end of a call. */
const calls: ReadonlySet<string> = new Set(['dma.fill', 'dma.mapped', 'dma.unmapped']);

/** Whether a CPU maps or unmaps for the endpoint: its driver is bound (linux: iommu_group_store_type). */
export function isMapping({ tasks }: State, driver: string, endpoint: string): boolean {
  return tasks.some(({ frames }) =>
    frames.some(
      (frame) => calls.has(frame.do) && frame['driver'] === driver && frame['endpoint'] === endpoint,
    ),
  );
}
