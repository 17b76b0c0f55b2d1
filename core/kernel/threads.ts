/**
 * Calls of several threads. Each thread makes one at a time, and they take turns at the kernel as a whole, but for
 * one case: a call that maps goes beside IOMMU_IOAS_UNMAP, which holds no lock of the IOAS while it waits for hardware.
 * linux: iommufd/io_pagetable.c, iopt_unmap_iova_range and iova_rwsem.
 */
import type { State } from '../state.ts';
import type { Frame, Task } from '../tasks/task.ts';
import { KERNEL_UNIT } from './begin-ioctl.ts';
import { kernelOf } from './kernel.ts';

const FURTHER = `${KERNEL_UNIT}.thread`;

/** Who does the calls of a thread; without one, of all that name none. */
export function threadUnit(thread: number | undefined): string {
  return thread === undefined ? KERNEL_UNIT : `${FURTHER}${thread}`;
}

/** Tasks of other threads whose calls have begun, and wait. */
function underWay({ tasks }: State, own: string): readonly Task[] {
  const others = new Map<string, Task>();
  for (const task of tasks) {
    const { unit } = task;
    if (unit === own || others.has(unit)) continue;
    if (unit === KERNEL_UNIT || unit.startsWith(FURTHER)) others.set(unit, task);
  }
  return [...others.values()].filter(({ frames }) => frames[0]?.do !== 'ioctl.run');
}

const has = (task: Task, what: string): boolean => task.frames.some((frame) => frame.do === what);

/** Whether an ioctl can begin now, as far as other threads go. */
export function mayBegin(state: State, ioctl: number, unit: string): boolean {
  const others = underWay(state, unit);
  if (others.length === 0) return true;
  const maps = kernelOf(state).calls[ioctl]?.name === 'IOMMU_IOAS_MAP';
  return maps && others.every((task) => has(task, 'ioas.unmap'));
}

/** Whether no other thread has a call under way: `ready` of what begins other calls. */
export function isAlone(state: State, _: Frame, { unit }: Task): boolean {
  return underWay(state, unit).length === 0;
}

/** Whether no other thread is in the middle of a mapping: `ready` of a search for areas. */
export function nobodyMaps(state: State, _: Frame, { unit }: Task): boolean {
  return underWay(state, unit).every((task) => !has(task, 'areas.check'));
}
