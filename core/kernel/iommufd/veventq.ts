/**
 * vEVENTQs: event records of a vIOMMU on their way to user space. A queue holds `depth` records; one more
 * is lost, and a header without a body says so at the end of the queue for as long as it is the last. The
 * sequence number counts lost ones too. linux: iommufd/eventq.c, iommufd/driver.c.
 */
import type { VeventFrame } from '../../driver/event-queues.ts';
import { driverOf, tell } from '../../driver/port.ts';
import type { Context as Machine } from '../../machine.ts';
import type { State } from '../../state.ts';
import type { FrameRow } from '../../tasks/task.ts';
import type { FileKindRow } from '../files.ts';
import { contextOf, failed, make, type Rows } from '../ioctl.ts';
import { allocates, kernelOf, switchOf } from '../kernel.ts';
import { structs } from '../uapi/data-structs.ts';
import { constants, numbers } from '../uapi/enums.ts';
import { encodeStruct } from '../uapi/struct.ts';
import type { KindRow } from './kinds.ts';
import { change, find, objectOf, objectsOf, refer } from './object.ts';
import { contextIn } from './object-handlers.ts';
import { dropQueueFile, leaveQueue, openQueueFile } from './queue-file.ts';
import { fitting, joined, tooShort } from './queue-read.ts';
import type { Veventq } from './state.ts';

const HEADER_BYTES = structs.iommufd_vevent_header.bytes;
/** Type of a HWPT's own queue, which a proposal has: its records have no header. */
export const HWPT_EVENTS = numbers.IOMMU_VEVENTQ_TYPE_DEFAULT;
/** Bits 31:0 of a record's first doubleword; StreamID stands above them (IHI 0070 7.3). */
const BELOW_STREAM_ID = 0xffff_ffffn;

export const veventqRows: Rows = {
  IOMMU_VEVENTQ_ALLOC: (call, { flags, viommu_id, type, veventq_depth: depth, __reserved }) => {
    const { machine, context } = call;
    const { IOMMU_VEVENTQ_TYPE_DEFAULT } = numbers;
    if (flags !== 0 || __reserved !== 0 || type === IOMMU_VEVENTQ_TYPE_DEFAULT) return failed('EOPNOTSUPP'); // 1
    const capped = switchOf(kernelOf(machine.state), 'veventqDepthCap');
    if (depth === 0 || (capped && depth > constants.VEVENTQ_DEPTH_MAX)) return failed('EINVAL'); // 2
    const viommu = find(contextOf(call), viommu_id, 'viommu');
    if (viommu === undefined) return failed('ENOENT'); // 3
    if (viommu.veventqs[type] !== undefined) return failed('EEXIST'); // 4
    const id = make(call, { kind: 'veventq', viommu: viommu_id, type, depth, sequence: 0, events: [] });
    if (id === undefined) return failed('ENOMEM');
    const veventqs = { ...viommu.veventqs, [type]: id };
    change(machine, context, viommu, { veventqs, users: viommu.users + 1 });
    return { out: { out_veventq_id: id, out_veventq_fd: openQueueFile(call, 'veventq', id) } };
  },
};

export const veventqKind: KindRow<'veventq'> = {
  end: (machine, context, { id, viommu: owner, type }) => {
    const viommu = find(contextIn(machine.state, context), owner, 'viommu');
    if (viommu !== undefined) {
      const { [type]: _, ...veventqs } = viommu.veventqs;
      change(machine, context, viommu, { veventqs });
    }
    refer(machine, context, owner, -1);
    return dropQueueFile(machine, context, 'veventq', id);
  },
};

export const veventqFile: FileKindRow<'veventq'> = {
  close: leaveQueue,
  /** linux: iommufd_veventq_fops_read. */
  read: (machine, { context, object }, bytes) => {
    const { state } = machine;
    if (bytes < HEADER_BYTES) return tooShort(state);
    const { events, type } = objectOf(state, context, object, 'veventq');
    const { count, data } = fitting(events, type === HWPT_EVENTS ? bodyOf : recordOf, bytes);
    if (count === 0) return events.length === 0 ? { data } : tooShort(state);
    machine.emit('kernel', { type: 'vevents.read', context, veventq: object, count });
    return { data };
  },
  write: () => ({ errno: 'EINVAL' }),
};

function recordOf(event: Veventq['events'][number]): Uint8Array {
  const { sequence, lost } = event;
  const flags = lost ? numbers.IOMMU_VEVENTQ_FLAG_LOST_EVENTS : 0;
  return joined([encodeStruct(structs.iommufd_vevent_header, { flags, sequence }), bodyOf(event)]);
}

function bodyOf({ words }: Veventq['events'][number]): Uint8Array {
  const body = new Uint8Array(words.length * 8);
  const view = new DataView(body.buffer);
  for (const [at, word] of words.entries()) view.setBigUint64(at * 8, word, true);
  return body;
}

/** Whether a read would give something: POLLIN. */
export function hasVevents(state: State, context: number, id: number): boolean {
  return objectOf(state, context, id, 'veventq').events.length > 0;
}

/** The queue of a vIOMMU, or of a HWPT where a proposal has it so, for a type of events. */
export function queueOf(state: State, context: number, owner: number, type: number): Veventq | undefined {
  const held = contextIn(state, context);
  const viommu = find(held, owner, 'viommu');
  if (viommu !== undefined) {
    const id = viommu.veventqs[type];
    return id === undefined ? undefined : objectOf(state, context, id, 'veventq');
  }
  for (const each of objectsOf(held, 'veventq')) if (each.viommu === owner && each.type === type) return each;
  return undefined;
}

/** An event record of a nested endpoint: its VM sees it with the StreamID that the driver took at the attach. */
export const veventRow: FrameRow<VeventFrame> = {
  run: (machine, { driver, endpoint, vmaster: { context, viommu, vsid }, words }) => {
    const [first = 0n, ...rest] = words;
    const virtual = (BigInt.asUintN(32, BigInt(vsid)) << 32n) | (first & BELOW_STREAM_ID);
    const type = numbers.IOMMU_VEVENTQ_TYPE_ARM_SMMUV3;
    if (report(machine, { context, viommu, type }, [virtual, ...rest])) return;
    tell(machine, driverOf(machine.state, driver), 'event without a vEVENTQ', endpoint);
  },
};

interface Receiver {
  readonly context: number;
  readonly viommu: number;
  readonly type: number;
}

/**
 * Puts a record into the queue of a vIOMMU, or marks it as lost there. Returns whether there is a queue.
 * linux: iommufd_viommu_report_event.
 */
export function report(
  machine: Machine,
  { context, viommu, type }: Receiver,
  words: readonly bigint[],
): boolean {
  const queue = queueOf(machine.state, context, viommu, type);
  if (queue === undefined) return false;
  const { id: veventq, depth, sequence } = queue;
  const lost = countOf(queue) >= depth || !allocates(machine, 'vEVENT');
  const body = lost ? [] : words;
  machine.emit('kernel', { type: 'vevent.queued', context, veventq, sequence, lost, words: body });
  return true;
}

/** Records that wait; a header that tells of lost ones is none. */
function countOf({ events }: Veventq): number {
  let count = 0;
  for (const { lost } of events) if (!lost) count += 1;
  return count;
}
