/**
 * HWPT_INVALIDATE: commands of a guest, for its vIOMMU. Whatever comes of it, the struct is written back with
 * how many entries were handled. The numbers are those of the table of checks in the reference. linux:
 * iommufd/hw_pagetable.c, iommufd_hwpt_invalidate.
 */

import type { DoneFrame } from '../../driver/viommu.ts';
import type { FrameRow } from '../../tasks/task.ts';
import type { Errno } from '../errno.ts';
import { type Call, contextOf, type Rows, setAnswer } from '../ioctl.ts';
import { kernelOf, switchOf } from '../kernel.ts';
import { PAGE_BYTES } from '../process/state.ts';
import { constants, numbers } from '../uapi/enums.ts';
import { counted, invalidate, type Target, targetOfNested, targetOfViommu } from './invalidation.ts';
import { findAny } from './object.ts';
import { answerWithCode, type CodedFrame, invalidateWithCode, isWithCode } from './proposals/driver-code.ts';
import { answerInQueue, handOverQueue, isGuestQueue, type QueueFrame } from './proposals/guest-queue.ts';
import { endBatch, type WorkerFrame } from './software-queue.ts';

export const invalidateRows: Rows = {
  IOMMU_HWPT_INVALIDATE: (call, arg) => {
    if (isGuestQueue(arg)) return handOverQueue(call, arg);
    if (isWithCode(arg)) return invalidateWithCode(call, arg);
    if (arg.__reserved !== 0) return counted('EOPNOTSUPP'); // 1
    if (arg.entry_num !== 0 && (arg.data_uptr === 0n || arg.entry_len === 0)) return counted('EINVAL'); // 2
    const capped = switchOf(kernelOf(call.machine.state), 'entryCaps');
    const large = arg.entry_len > PAGE_BYTES || arg.entry_num > constants.INVALIDATE_ENTRY_NUM_MAX;
    if (capped && arg.entry_num !== 0 && large) return counted('EINVAL'); // 2b
    const target = targetOf(call, arg.hwpt_id); // 3 to 6
    if (typeof target === 'string') return counted(target);
    const array = { type: arg.data_type, va: arg.data_uptr, length: arg.entry_len, count: arg.entry_num };
    return invalidate(call, target, array, numbers.IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3); // 7
  },
};

function targetOf(call: Call, id: number): Target | Errno {
  const { state } = call.machine;
  const object = findAny(contextOf(call), id);
  if (!switchOf(kernelOf(state), 'invalidateViommu') && object?.kind !== 'hwpt_nested') return 'ENOENT';
  if (object === undefined) return 'ENOENT'; // 3
  if (object.kind === 'hwpt_nested') return targetOfNested(state, call.context, object) ?? 'EOPNOTSUPP'; // 4
  return object.kind === 'viommu' ? targetOfViommu(state, object) : 'EINVAL'; // 5, 6
}

/** The end of the work, in the form that the kernel has. */
type Done = Ended | CodedFrame | QueueFrame | WorkerFrame;
interface Ended extends DoneFrame {
  readonly form: 'count';
  readonly ioctl: number;
}

export const doneRow: FrameRow<Done> = {
  run: (machine, frame) => {
    // The guest's CONS stays at the first of a batch that was refused: nothing is counted that was not issued.
    if (frame.form === 'queue') return answerInQueue(machine, frame);
    if (frame.form === 'worker') return endBatch(machine, frame);
    const { ioctl, unissued } = frame;
    if (unissued !== undefined) {
      const name = kernelOf(machine.state).calls[ioctl]?.name ?? '';
      machine.emit('kernel', { type: 'commands.unissued', ioctl, name, ...unissued });
    }
    if (frame.form === 'code') return answerWithCode(machine, frame);
    return setAnswer(machine, frame.ioctl, counted(frame.errno, frame.handled));
  },
};
