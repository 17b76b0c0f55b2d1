/**
 * Facts about objects that `object.changed` would tell badly: records that come and go in the queues of a
 * context, and what was told to user space about the hardware.
 */
import { flag, id, int, json, seq, text, u64 } from '../../schema.ts';
import type { FaultGroup } from './state.ts';

const context = int();

export const iommufdEvents = {
  /** GET_HW_INFO answered: `words` are those of the driver's struct, whole, whatever was copied of it. */
  'hwinfo.reported': {
    context,
    endpoint: text('endpoint'),
    smmu: text(),
    /** Number of iommu_hw_info_type. */
    dataType: int(),
    words: json<readonly number[]>(),
    capabilities: u64(),
    maxPasidLog2: int(),
  },

  /**
   * The answer of an ioctl counts these commands of a guest as handled, as they would have gone to the SMMU; they
   * were never issued, because one after them was refused.
   */
  'commands.unissued': {
    ioctl: seq(),
    name: text(),
    smmu: text(),
    commands: json<readonly (readonly [bigint, bigint])[]>(),
  },

  /** A record waits at the end of a vEVENTQ; a lost one takes the place of a lost one before it. */
  'vevent.queued': {
    context,
    veventq: int(),
    sequence: int(),
    lost: flag(),
    /** Doublewords of the record's body; none of a lost one. */
    words: json<readonly bigint[]>(),
  },
  /** The first `count` records were read. */
  'vevents.read': { context, veventq: int(), count: int() },

  /** A group of page faults waits to be read. */
  'fault.queued': { context, fault: int(), group: json<FaultGroup>() },
  /** Groups were read, oldest first; each got a cookie. */
  'faults.read': { context, fault: int(), cookies: json<readonly number[]>() },
  /** Groups were answered: those of these numbers leave the queue and the list of those that wait. */
  'faults.answered': { context, fault: int(), groups: json<readonly number[]>(), code: id() },
} as const;
