/**
 * vEVENTQs: event records of a vIOMMU on their way to user space. A queue holds `depth` records; one more
 * is lost, and a header without a body says so at the end of the queue for as long as it is the last. The
 * sequence number counts lost ones too. linux: iommufd/eventq.c, iommufd/driver.c.
 */
import type { Context as Machine } from '../../machine.ts';
import type { State } from '../../state.ts';
import { type Words, writeBits } from '../../layout/field.ts';
import { allocates } from '../kernel.ts';
import { structs } from '../uapi/data-structs.ts';
import { numbers } from '../uapi/enums.ts';
import { encodeStruct } from '../uapi/struct.ts';
import { find, objectsOf } from './object.ts';
import { contextIn } from './object-handlers.ts';
import { type Buffer, joined, type Transfer, tooShort } from './queue-read.ts';
import type { Veventq } from './state.ts';

const HEADER_BYTES = structs.iommufd_vevent_header.bytes;
/** StreamID of an event record: bits 63:32 (IHI 0070 7.3). */
const STREAM_ID = { hi: 63, lo: 32 } as const;

/**
 * An event record of a nested endpoint, for its VM: the StreamID becomes the virtual one that the driver
 * took when it attached the endpoint. Returns whether a queue took it or lost it; else it is the host's.
 * @param words 32-bit words of the record as hardware wrote it.
 */
export function deliverVevent(machine: Machine, smmu: string, endpoint: string, words: Words): boolean {
  const vmaster = machine.state.drivers[smmu]?.masters[endpoint]?.vmaster;
  if (vmaster === undefined) return false;
  const type = numbers.IOMMU_VEVENTQ_TYPE_ARM_SMMUV3;
  const queue = queueOf(machine.state, vmaster.context, vmaster.viommu, type);
  if (queue === undefined) return false;
  const record = [...words];
  writeBits(record, STREAM_ID.hi, STREAM_ID.lo, Number(BigInt.asUintN(32, BigInt(vmaster.vsid))));
  report(machine, vmaster.context, queue, record);
  return true;
}

/** The queue of a vIOMMU for a type of events. */
export function queueOf(state: State, context: number, viommu: number, type: number): Veventq | undefined {
  for (const each of objectsOf(contextIn(state, context), 'veventq'))
    if (each.ready && each.viommu === viommu && each.type === type) return each;
  return undefined;
}

/** Puts a record into a queue, or marks it as lost. linux: iommufd_viommu_report_event. */
export function report(machine: Machine, context: number, queue: Veventq, words: readonly number[]): void {
  const { id: veventq, depth, sequence } = queue;
  const lost = countOf(queue) >= depth || !allocates(machine, 'vEVENT');
  machine.emit('kernel', {
    type: 'vevent.queued',
    context,
    veventq,
    sequence,
    lost,
    words: lost ? [] : words,
  });
}

/** Records that wait; a header that tells of lost ones is none. */
function countOf({ events }: Veventq): number {
  return events.length - (events.at(-1)?.lost === true ? 1 : 0);
}

/** Whether a read would give something. */
export function hasVevents(state: State, context: number, id: number): boolean {
  return (find(contextIn(state, context), id, 'veventq')?.events.length ?? 0) > 0;
}

/** linux: iommufd_veventq_fops_read; the queue's file is at position 0 for ever. */
export function readVevents(machine: Machine, context: number, queue: Veventq, buffer: Buffer): Transfer {
  if (buffer.bytes < HEADER_BYTES) return tooShort(machine.state);
  const records: Uint8Array[] = [];
  let done = 0;
  for (const { sequence, lost, words } of queue.events) {
    const flags = lost ? numbers.IOMMU_VEVENTQ_FLAG_LOST_EVENTS : 0;
    const header = encodeStruct(structs.iommufd_vevent_header, { flags, sequence });
    const record = joined([header, bytesOf(words)]);
    if (done + record.length > buffer.bytes) {
      if (records.length === 0) return tooShort(machine.state);
      break;
    }
    if (done + record.length > (buffer.mapped ?? buffer.bytes)) {
      if (records.length === 0) return { errno: 'EFAULT' };
      break;
    }
    records.push(record);
    done += record.length;
  }
  const count = records.length;
  if (count > 0) machine.emit('kernel', { type: 'vevents.read', context, veventq: queue.id, count });
  return { data: joined(records) };
}

function bytesOf(words: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(words.length * 4);
  const view = new DataView(bytes.buffer);
  for (const [at, word] of words.entries()) view.setUint32(at * 4, word, true);
  return bytes;
}
