/**
 * Fault queues: page faults of endpoints whose HWPT has one, in groups that are answered together. A group
 * waits to be read, is read with a cookie, and waits for the response that names it. What is not answered
 * when its attachment or the queue ends is answered INVALID. linux: iommufd/eventq.c, iommu/io-pgfault.c.
 */
import { respond } from '../../driver/ops.ts';
import type { Context as Machine } from '../../machine.ts';
import type { State } from '../../state.ts';
import type { Frame } from '../../tasks/task.ts';
import { kernelOf, switchOf } from '../kernel.ts';
import { structs } from '../uapi/data-structs.ts';
import { numbers } from '../uapi/enums.ts';
import { decodeStruct, encodeStruct } from '../uapi/struct.ts';
import { boundIn, deviceAt } from './group.ts';
import { find, objectOf } from './object.ts';
import { contextIn } from './object-handlers.ts';
import { type Buffer, joined, type Transfer, tooShort } from './queue-read.ts';
import type { Fault, FaultGroup } from './state.ts';

const RECORD_BYTES = structs.iommu_hwpt_pgfault.bytes;
const RESPONSE_BYTES = structs.iommu_hwpt_page_response.bytes;
const INVALID = numbers.IOMMUFD_PAGE_RESP_INVALID;

/** A page fault as the driver has it. */
export interface PageFault {
  readonly streamId: number;
  /** Of the stalled access. */
  readonly stag: number;
  readonly pasid: number | undefined;
  readonly addr: bigint;
  /** Bits of iommu_hwpt_pgfault_perm. */
  readonly perm: number;
}

/**
 * A page fault of an endpoint, for the fault queue of the HWPT that its PASID is attached to. Returns
 * whether a queue took it; else the driver refuses the access itself.
 */
export function deliverFault(machine: Machine, endpoint: string, of: PageFault): boolean {
  const { state } = machine;
  for (const place of boundIn(state, endpoint)) {
    const device = deviceAt(state, place);
    const hwpt = device.endpoint === endpoint ? device.attached[of.pasid ?? 0] : undefined;
    if (hwpt === undefined) continue;
    const fault = faultOf(state, place.context, hwpt);
    if (fault === 0) return false;
    const { nextGroup } = objectOf(state, place.context, fault, 'fault');
    const { streamId, stag, pasid, addr, perm } = of;
    const flags =
      numbers.IOMMU_PGFAULT_FLAGS_LAST_PAGE | (pasid === undefined ? 0 : numbers.IOMMU_PGFAULT_FLAGS_PASID_VALID);
    const group: FaultGroup = {
      number: nextGroup,
      device: device.id,
      endpoint,
      hwpt,
      pasid: pasid ?? 0,
      streamId,
      stag,
      faults: [{ flags, perm, grpid: stag, addr }],
    };
    machine.emit('kernel', { type: 'fault.queued', context: place.context, fault, group });
    return true;
  }
  return false;
}

function faultOf(state: State, context: number, hwpt: number): number {
  const object = contextIn(state, context).objects.get(hwpt);
  return object !== undefined && 'fault' in object ? object.fault : 0;
}

/** Whether a read would give something. */
export function hasFaults(state: State, context: number, id: number): boolean {
  return (find(contextIn(state, context), id, 'fault')?.queue.length ?? 0) > 0;
}

/** linux: iommufd_fault_fops_read; the queue's file is at position 0 for ever. */
export function readFaults(machine: Machine, context: number, fault: Fault, buffer: Buffer): Transfer {
  if (buffer.bytes % RECORD_BYTES !== 0) return { errno: 'ESPIPE' };
  const records: Uint8Array[] = [];
  const cookies: number[] = [];
  const taken = new Set(Object.keys(fault.pending).map(Number));
  for (const group of fault.queue) {
    const done = records.length * RECORD_BYTES;
    const bytes = group.faults.length * RECORD_BYTES;
    if (done + bytes > buffer.bytes) {
      if (records.length === 0) return tooShort(machine.state);
      break;
    }
    if (done + bytes > (buffer.mapped ?? buffer.bytes)) {
      if (records.length === 0) return { errno: 'EFAULT' };
      break;
    }
    const cookie = lowestFree(taken);
    taken.add(cookie);
    cookies.push(cookie);
    records.push(...recordsOf(group, cookie));
  }
  if (cookies.length > 0)
    machine.emit('kernel', { type: 'faults.read', context, fault: fault.id, cookies });
  return { data: joined(records) };
}

function recordsOf({ device, pasid, faults }: FaultGroup, cookie: number): readonly Uint8Array[] {
  return faults.map(({ flags, perm, grpid, addr }) =>
    encodeStruct(structs.iommu_hwpt_pgfault, { flags, dev_id: device, pasid, grpid, perm, addr, cookie }),
  );
}

function lowestFree(taken: ReadonlySet<number>): number {
  let cookie = 1;
  while (taken.has(cookie)) cookie += 1;
  return cookie;
}

/**
 * linux: iommufd_fault_fops_write. The responses up to the first bad one are given to the driver.
 * @param mapped bytes of the buffer that could be read.
 */
export function writeFaults(
  machine: Machine,
  context: number,
  fault: Fault,
  data: Uint8Array,
  mapped = data.length,
): { readonly transfer: Transfer; readonly frames: readonly Frame[] } {
  const { state } = machine;
  if (data.length % RESPONSE_BYTES !== 0) return { transfer: { errno: 'ESPIPE' }, frames: [] };
  const frames: Frame[] = [];
  let written = 0;
  let refused: Transfer | undefined;
  while (written < data.length && refused === undefined) {
    const end = written + RESPONSE_BYTES;
    const { cookie, code } = decodeStruct(structs.iommu_hwpt_page_response, data.subarray(written, end));
    const group = objectOf(state, context, fault.id, 'fault').pending[cookie];
    if (end > mapped) refused = unreadable(state, end - mapped);
    else if (code > INVALID || group === undefined) refused = { errno: 'EINVAL' };
    else {
      frames.push(...answer(machine, context, fault.id, [group], code));
      written = end;
    }
  }
  return { transfer: written === 0 && refused !== undefined ? refused : { written }, frames };
}

/** The first record cannot be read. @param left bytes of it that were not. */
function unreadable(state: State, left: number): Transfer {
  return switchOf(kernelOf(state), 'faultWriteFault') === 'EFAULT'
    ? { errno: 'EFAULT' }
    : { written: Math.min(left, RESPONSE_BYTES) };
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
  machine: Machine,
  context: number,
  fault: number,
  groups: readonly FaultGroup[],
  code: number,
): readonly Frame[] {
  const answered = groups.map(({ number }) => number);
  machine.emit('kernel', { type: 'faults.answered', context, fault, groups: answered, code });
  return groups.flatMap(({ endpoint, streamId, stag }) =>
    respond(machine, endpoint, { streamId, stag, granted: code !== INVALID }),
  );
}
