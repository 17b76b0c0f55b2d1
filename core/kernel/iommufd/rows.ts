/** Joins what the kinds of object bring: ioctls, how an object ends, what its file can do. */

import type { FrameRow } from '../../tasks/task.ts';
import type { FileKindRow } from '../files.ts';
import type { Rows } from '../ioctl.ts';
import type { FileKind } from '../state.ts';
import { leftRow, releasedRow, vfioFile } from './bind.ts';
import { cmdqvIrqRow, queueClosedRow } from './cmdqv-hardware.ts';
import { contextRows } from './context.ts';
import { deviceKind, vdeviceKind } from './device-end.ts';
import { dirtyRows } from './dirty.ts';
import { faultFile, faultKind, faultRows, pageFaultRow } from './fault.ts';
import { hwInfoRows } from './hw-info.ts';
import { hwQueueKind, hwQueueRows } from './hw-queue.ts';
import { hwptRows } from './hwpt.ts';
import { hwptPagingKind } from './hwpt-paging.ts';
import { doneRow, invalidateRows } from './invalidate.ts';
import { ioasKind, ioasRows } from './ioas.ts';
import { copyRows } from './ioas-copy.ts';
import { mapRows } from './ioas-map.ts';
import { unmapRows } from './ioas-unmap.ts';
import type { KindRow } from './kinds.ts';
import { hwptNestedKind } from './nested.ts';
import { optionRows } from './option.ts';
import { devDataRows } from './proposals/dev-data.ts';
import { eventFdRows } from './proposals/driver-code.ts';
import { viommu2024Rows } from './proposals/viommu-2024.ts';
import { workRow } from './software-queue.ts';
import type { ObjectKind } from './state.ts';
import { veventqFile, veventqKind, veventqRows, veventRow } from './veventq.ts';
import { attachedRow } from './vfio.ts';
import { viommuRows } from './viommu.ts';
import { viommuKind } from './viommu-object.ts';

export const rows: Rows = {
  ...contextRows,
  ...ioasRows,
  ...mapRows,
  ...copyRows,
  ...unmapRows,
  ...optionRows,
  ...hwptRows,
  ...hwInfoRows,
  ...dirtyRows,
  ...invalidateRows,
  ...faultRows,
  ...viommuRows,
  ...veventqRows,
  ...hwQueueRows,
  ...devDataRows,
  ...eventFdRows,
  ...viommu2024Rows,
};

/** How objects end; those that are not here just go. */
export const kinds: { readonly [K in ObjectKind]?: KindRow<K> } = {
  ioas: ioasKind,
  hwpt_paging: hwptPagingKind,
  hwpt_nested: hwptNestedKind,
  device: deviceKind,
  fault: faultKind,
  viommu: viommuKind,
  vdevice: vdeviceKind,
  veventq: veventqKind,
  hw_queue: hwQueueKind,
};

/** Files that belong to objects. */
export const objectFiles: { readonly [K in FileKind]?: FileKindRow<K> } = {
  vfio: vfioFile,
  fault: faultFile,
  veventq: veventqFile,
};

/** Work of tasks. */
// biome-ignore format: a table
export const objectFrames = {
  'invalidate.done': doneRow,
  'vcmdq.work':      workRow,
  'queue.closed':    queueClosedRow,
  'irq.cmdqv':       cmdqvIrqRow,
  'vevent.deliver':  veventRow,
  'page.fault':      pageFaultRow,
  'vfio.attached':   attachedRow,
  'device.released': releasedRow,
  'context.left':    leftRow,
} as const satisfies Readonly<Record<string, FrameRow<never>>>;
