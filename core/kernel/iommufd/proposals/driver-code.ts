/**
 * HWPT_INVALIDATE of November 2023: a count of requests and a word for the driver's own error code; and its
 * variant in which errors are read from an event fd, the word saying that one waits there. Source: the mails
 * `invalidate` and `eventFd` of `uapi/proposed.ts`. What they leave open is derived.
 */

import type { DoneFrame } from '../../../driver/viommu.ts';
import type { Context as Machine } from '../../../machine.ts';
import { cerrors } from '../../../smmu/codes.ts';
import type { Answer } from '../../call.ts';
import type { Errno } from '../../errno.ts';
import { type Call, contextOf, failed, make, type Result, type Rows, setAnswer } from '../../ioctl.ts';
import { kernelOf, switchOf } from '../../kernel.ts';
import { numbers } from '../../uapi/enums.ts';
import type { proposedStructs } from '../../uapi/proposed-structs.ts';
import type { Values } from '../../uapi/struct.ts';
import { readEntries } from '../invalidate-entries.ts';
import { issue, targetOfNested } from '../invalidation.ts';
import { find, refer } from '../object.ts';
import { openQueueFile } from '../queue-file.ts';
import { HWPT_EVENTS, queueOf, report } from '../veventq.ts';

type Asked = Values<(typeof proposedStructs)['iommu_hwpt_invalidate 2023-11']>;

/** Records that wait at most. */
const DEPTH = 64;

/** Whether a struct is that of the proposal. */
export function isWithCode(arg: object): arg is Asked {
  return 'req_num' in arg;
}

/** Gives the requests to the driver; `answerWithCode` answers. */
export function invalidateWithCode(call: Call, arg: Asked): Result {
  if (arg.req_num !== 0 && (arg.reqs_uptr === 0n || arg.req_len === 0)) return told('EINVAL');
  const hwpt = find(contextOf(call), arg.hwpt_id, 'hwpt_nested');
  if (hwpt === undefined) return told('ENOENT');
  const target = targetOfNested(call.machine.state, call.context, hwpt);
  if (target === undefined) return told('EOPNOTSUPP');
  const array = { type: arg.req_type, va: arg.reqs_uptr, length: arg.req_len, count: arg.req_num };
  const entries = readEntries(call, array, numbers.IOMMU_HWPT_DATA_ARM_SMMUV3);
  if ('errno' in entries) return told(entries.errno, entries.handled);
  const about = { form: 'code', context: call.context, hwpt: hwpt.id };
  return { ...told(undefined), frames: issue(call, target, entries.commands, about) };
}

function told(errno: Errno | undefined, req_num = 0, out_driver_error_code = 0): Answer {
  return {
    ...(errno === undefined ? {} : { errno }),
    out: { req_num, out_driver_error_code },
    copy: 'always',
  };
}

export interface CodedFrame extends DoneFrame {
  readonly form: 'code';
  readonly ioctl: number;
  readonly context: number;
  readonly hwpt: number;
}

/** A command that is refused is CERROR_ILL; one that is not answered shows at its CMD_SYNC. */
export function answerWithCode(machine: Machine, { ioctl, context, hwpt, handled, errno }: CodedFrame): void {
  const code =
    errno === undefined ? 0 : errno === 'ETIMEDOUT' ? cerrors.CERROR_ATC_INV_SYNC : cerrors.CERROR_ILL;
  const byFd = switchOf(kernelOf(machine.state), 'invalidateErrors') === 'event-fd';
  const waits = byFd && code !== 0 && tellByFd(machine, context, hwpt, { index: handled, code });
  setAnswer(machine, ioctl, told(errno, handled, byFd ? Number(waits) : code));
}

/** A record for the event fd of the HWPT, if it has one. */
function tellByFd(
  machine: Machine,
  context: number,
  hwpt: number,
  { index, code }: { readonly index: number; readonly code: number },
): boolean {
  const body = [(BigInt(index) << 32n) | BigInt(hwpt), BigInt(code)];
  return report(machine, { context, viommu: hwpt, type: HWPT_EVENTS }, body);
}

export const eventFdRows: Rows = {
  IOMMU_HWPT_EVENT_ALLOC: (call, arg) => {
    const { flags, hwpt_id } = arg as Values<(typeof proposedStructs)['iommu_hwpt_event_alloc']>;
    const { machine, context } = call;
    if (flags !== 0) return failed('EOPNOTSUPP');
    if (find(contextOf(call), hwpt_id, 'hwpt_nested') === undefined) return failed('ENOENT');
    if (queueOf(machine.state, context, hwpt_id, HWPT_EVENTS) !== undefined) return failed('EEXIST');
    const queue = {
      kind: 'veventq',
      viommu: hwpt_id,
      type: HWPT_EVENTS,
      depth: DEPTH,
      sequence: 0,
      events: [],
    } as const;
    const id = make(call, queue);
    if (id === undefined) return failed('ENOMEM');
    refer(machine, context, hwpt_id, 1);
    return { out: { out_event_fd: openQueueFile(call, 'veventq', id) } };
  },
};
