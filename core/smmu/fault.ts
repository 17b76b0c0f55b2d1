/** A fault of an access, before it is known whether and how it is recorded: IHI 0070 7.3. */
import type { EventRecordName } from './event-record.ts';

/** What the failing address was for: a CD fetch, a stage 1 descriptor, the access itself (7.3, CLASS). */
export type FaultClass = 'CD' | 'TT' | 'IN';

export interface Fault {
  readonly record: EventRecordName;
  /** What went wrong, for people. */
  readonly why: string;
  readonly fetchAddr?: number;
  /** Stage 2 found it. */
  readonly s2?: boolean;
  /** `TT` for F_WALK_EABT of stage 1, else `IN`, when absent. */
  readonly class?: FaultClass;
  /** The address that went into stage 2. */
  readonly ipa?: number;
  /** F_PERMISSION of class TT: the descriptor was read (not updated). */
  readonly ttrnw?: boolean;
}
