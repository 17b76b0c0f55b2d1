/**
 * What endpoints state: their Translation Requests and what their address translation caches hold (IHI
 * 0070 3.9). An entry of an ATC is named by the seq of the event that filled it.
 */
import { id, int, iova, optional, pa, seq, seqs, text } from '../schema.ts';

const asked = {
  smmu: text(),
  endpoint: text('endpoint'),
  streamId: id('sid'),
  substreamId: optional(id()),
};
/** What the answer rests on: the fills of the STE, the CD and the TLB entries; 0 for none. */
const basis = { ste: seq(), cd: seq(), tlb: seq(), tlb2: optional(seq()) };

export type AtsAnswer = 'success' | 'ur' | 'ca';

export const endpointEvents = {
  /** A Translation Request was answered. */
  'ats.answered': {
    ...asked,
    iova: iova(),
    /** `success`, `ur` (Unsupported Request), `ca` (Completer Abort). */
    answer: text(),
    pa: pa(),
    sizeLog2: int(),
    /** Letters of `rwxp`: read, write, execute, privileged. */
    permissions: text(),
    reason: text(),
    ...basis,
  },
  'atc.filled': {
    ...asked,
    iova: iova(),
    sizeLog2: int(),
    pa: pa(),
    permissions: text(),
    ...basis,
  },
  'atc.invalidated': { ...asked, fetched: seq(), why: text(), removed: seqs() },
  'atc.evicted': { ...asked, why: text(), removed: seqs() },
} as const;
