/**
 * Fault queues: page faults of endpoints whose HWPT has one, in groups that are answered together. A group
 * waits to be read, is read with a cookie, and waits for the response that names it. What is not answered
 * when its attachment or the queue ends is answered INVALID. linux: iommufd/eventq.c, iommu/io-pgfault.c.
 */
import { type PageFaultFrame, resumeFrame } from '../../driver/event-queues.ts';
import type { Context as Machine } from '../../machine.ts';
import type { State } from '../../state.ts';
import type { Frame, FrameRow } from '../../tasks/task.ts';
import type { FileKindRow } from '../files.ts';
import { failed, make, type Rows } from '../ioctl.ts';
import { structs } from '../uapi/data-structs.ts';
import { numbers } from '../uapi/enums.ts';
import { decodeStruct, encodeStruct } from '../uapi/struct.ts';
import { boundIn, deviceAt } from './group.ts';
import type { KindRow } from './kinds.ts';
import { objectOf } from './object.ts';
import { contextIn } from './object-handlers.ts';
import { dropQueueFile, leaveQueue, openQueueFile } from './queue-file.ts';
import { fitting, joined, tooShort } from './queue-read.ts';
import type { FaultGroup } from './state.ts';

const RECORD_BYTES = structs.iommu_hwpt_pgfault.bytes;
const RESPONSE_BYTES = structs.iommu_hwpt_page_response.bytes;
const INVALID = numbers.IOMMUFD_PAGE_RESP_INVALID;

export const faultRows: Rows = {
  IOMMU_FAULT_QUEUE_ALLOC: (call, { flags }) => {
    if (flags !== 0) return failed('EOPNOTSUPP');
    const id = make(call, { kind: 'fault', queue: [], pending: {}, nextGroup: 1 });
    if (id === undefined) return failed('ENOMEM');
    return { out: { out_fault_id: id, out_fault_fd: openQueueFile(call, 'fault', id) } };
  },
};

export const faultKind: KindRow<'fault'> = {
  end: (machine, context, { id }) => [
    ...answerFaults(machine, context, id),
    ...dropQueueFile(machine, context, 'fault', id),
  ],
};

export const faultFile: FileKindRow<'fault'> = {
  close: leaveQueue,
  /** linux: iommufd_fault_fops_read. */
  read: (machine, { context, object: fault }, bytes) => {
    if (bytes % RECORD_BYTES !== 0) return { errno: 'ESPIPE' };
    const { queue, pending } = objectOf(machine.state, context, fault, 'fault');
    const free = freeCookies(pending, queue.length);
    const { count, data } = fitting(queue, (group, at) => recordOf(group, free[at] ?? 0), bytes);
    if (count === 0) return queue.length === 0 ? { data } : tooShort(machine.state);
    machine.emit('kernel', { type: 'faults.read', context, fault, cookies: free.slice(0, count) });
    return { data };
  },

  /** linux: iommufd_fault_fops_write. Responses up to the first bad one are given to the driver. */
  write: (machine, { context, object: fault }, data) => {
    if (data.length % RESPONSE_BYTES !== 0) return { errno: 'ESPIPE' };
    const frames: Frame[] = [];
    for (let at = 0; at < data.length; at += RESPONSE_BYTES) {
      const { cookie, code } = decodeStruct(
        structs.iommu_hwpt_page_response,
        data.subarray(at, at + RESPONSE_BYTES),
      );
      const group = objectOf(machine.state, context, fault, 'fault').pending[cookie];
      if (code > INVALID || group === undefined)
        return at === 0 ? { errno: 'EINVAL' } : { count: at, frames };
      frames.push(...answer(machine, context, fault, [group], code));
    }
    return { count: data.length, frames };
  },
};

/** The lowest numbers from 1 on that no group has. */
function freeCookies(pending: Readonly<Record<number, FaultGroup>>, count: number): readonly number[] {
  const cookies: number[] = [];
  for (let cookie = 1; cookies.length < count; cookie += 1)
    if (pending[cookie] === undefined) cookies.push(cookie);
  return cookies;
}

function recordOf({ device, pasid, faults }: FaultGroup, cookie: number): Uint8Array {
  const records = faults.map(({ flags, perm, grpid, addr }) =>
    encodeStruct(structs.iommu_hwpt_pgfault, { flags, dev_id: device, pasid, grpid, perm, addr, cookie }),
  );
  return joined(records);
}

/** Whether a read would give something: POLLIN. */
export function hasFaults(state: State, context: number, id: number): boolean {
  return objectOf(state, context, id, 'fault').queue.length > 0;
}

/** A stalled access, for the fault queue of the HWPT that its PASID is attached to; without one it is refused. */
export const pageFaultRow: FrameRow<PageFaultFrame> = {
  run: (machine, frame) => {
    const { driver, endpoint, streamId, stag, ssid = 0 } = frame;
    const found = queueOf(machine.state, endpoint, ssid);
    if (found === undefined) return [resumeFrame(driver, streamId, stag, false)];
    const { context, fault, device, hwpt } = found;
    const { nextGroup: number } = objectOf(machine.state, context, fault, 'fault');
    const about = { number, driver, device, endpoint, hwpt, pasid: ssid, streamId, stag };
    const group: FaultGroup = { ...about, faults: [faultOf(frame)] };
    machine.emit('kernel', { type: 'fault.queued', context, fault, group });
    return [];
  },
};

function faultOf({
  ssid,
  stag,
  iova,
  write,
  execute,
  privileged,
}: PageFaultFrame): FaultGroup['faults'][number] {
  const perm =
    (write ? numbers.IOMMU_PGFAULT_PERM_WRITE : numbers.IOMMU_PGFAULT_PERM_READ) |
    (execute ? numbers.IOMMU_PGFAULT_PERM_EXEC : 0) |
    (privileged ? numbers.IOMMU_PGFAULT_PERM_PRIV : 0);
  const withPasid = ssid === undefined ? 0 : numbers.IOMMU_PGFAULT_FLAGS_PASID_VALID;
  return { flags: numbers.IOMMU_PGFAULT_FLAGS_LAST_PAGE | withPasid, perm, grpid: stag, addr: iova };
}

interface Found {
  readonly context: number;
  readonly device: number;
  readonly hwpt: number;
  readonly fault: number;
}

function queueOf(state: State, endpoint: string, pasid: number): Found | undefined {
  for (const { context, device } of boundIn(state, endpoint)) {
    const { endpoint: of, attached } = deviceAt(state, { context, device });
    const hwpt = of === endpoint ? attached[pasid] : undefined;
    const object = hwpt === undefined ? undefined : contextIn(state, context).objects.get(hwpt);
    if (object === undefined || !('fault' in object) || object.fault === 0) continue;
    return { context, device, hwpt: object.id, fault: object.fault };
  }
  return undefined;
}

/** Answers INVALID what an attachment, or with no `of` the whole queue, has left. */
export function answerFaults(
  machine: Machine,
  context: number,
  fault: number,
  of?: { readonly device: number; readonly hwpt: number },
): readonly Frame[] {
  if (fault === 0) return [];
  const { queue, pending } = objectOf(machine.state, context, fault, 'fault');
  const groups = [...queue, ...Object.values(pending)].filter(
    ({ device, hwpt }) => of === undefined || (of.device === device && of.hwpt === hwpt),
  );
  return groups.length === 0 ? [] : answer(machine, context, fault, groups, INVALID);
}

function answer(
  { emit }: Machine,
  context: number,
  fault: number,
  groups: readonly FaultGroup[],
  code: number,
): readonly Frame[] {
  const answered = groups.map(({ number }) => number);
  emit('kernel', { type: 'faults.answered', context, fault, groups: answered, code });
  return groups.map(({ driver, streamId, stag }) => resumeFrame(driver, streamId, stag, code !== INVALID));
}
