/**
 * What endpoints state: their Translation Requests and what their address translation caches hold (IHI
 * 0070 3.9), and what they do not send. An entry of an ATC is named by the seq of the event that filled it.
 */
import { id, int, iova, optional, pa, seq, seqs, text, u64 } from '../schema.ts';

const endpoint = { smmu: text(), endpoint: text('endpoint'), streamId: id('sid') };
const asked = { ...endpoint, substreamId: optional(id()) };
/** What the answer rests on: the fills of the STE, the CD and the TLB entries; 0 for none. */
const basis = { ste: seq(), cd: seq(), tlb: seq(), tlb2: optional(seq()) };

/** How a Translation Request ends: Success, Unsupported Request, Completer Abort. */
export type AtsStatus = 'success' | 'ur' | 'ca';

export const endpointEvents = {
  /** A Translation Request was answered: one event for each entry of the completion. */
  'ats.answered': {
    ...asked,
    /** First address of the span that the answer holds for. */
    iova: iova(),
    answer: text<AtsStatus>(),
    /** Of the first address: a PA, an IPA with split-stage ATS; 0 where nothing is permitted. */
    pa: pa(),
    sizeLog2: int(),
    /** Letters of `rwxp`: read, write, execute; privileged, as it was asked. */
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
  /** The endpoint did what a CMD_ATC_INV asks, and answered (4.5.1). */
  'atc.invalidated': { ...asked, fetched: seq(), removed: seqs() },
  /** The endpoint dropped entries on its own. */
  'atc.evicted': { ...endpoint, why: text(), removed: seqs() },
  /** The endpoint cannot ask what it was to ask: nothing went out. */
  'request.withheld': {
    ...asked,
    /** `translation`, `translated`, `page` or `message`. */
    request: text(),
    iova: iova(),
    why: text(),
  },
  /** Its MSIs go there from now on; absent: they are off. */
  'msi.programmed': { ...endpoint, address: optional(iova()) },
  /** A message reached the doorbell. */
  'msi.received': { ...endpoint, pa: pa(), data: u64() },
  /** A function level reset: ATS and PRI are off, and nothing asked is waited for. */
  'endpoint.reset': endpoint,
} as const;
