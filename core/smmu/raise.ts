/**
 * Raising event records (7.3): a record is formed with every field that its layout has and the fault
 * knows, and waits for the Event queue's turn. Where STE.MEV lets it, and the choice `mergeRecords`, one
 * that still waits speaks for its like.
 */
import { encode } from '../layout/layout.ts';
import type { Context } from '../machine.ts';
import { asTold } from './errata.ts';
import { type EventRecordFields, type EventRecordName, eventRecords } from './event-record.ts';
import type { Fault } from './fault.ts';
import { limits, type PendingRecord, type SmmuState } from './state.ts';
import type { Request } from './translate.ts';

/** Records that may be merged whatever STE.MEV says: no STE is known (7.3.1). */
export const mergedAlways: ReadonlySet<string> = new Set([
  'F_UUT',
  'C_BAD_STREAMID',
  'F_STE_FETCH',
  'C_BAD_STE',
]);
/** Records whose InputAddr[11:0] does not count when they are compared (7.3.1). */
const PAGE_MASK = 0xffff_f000;
const INPUT_ADDR_WORD = 4;

export interface RaiseAbout {
  /** STAG of the access, when it stalls. */
  readonly stag?: number;
  /** STE.MEV. */
  readonly mev?: boolean;
  /** Fields that only this record has, or has in another form. */
  readonly fields?: Readonly<Record<string, unknown>>;
}

/** Raises the event record of a fault. More than the architecture can hold waiting are lost. */
export function raise(
  context: Context,
  smmu: SmmuState,
  request: Request,
  fault: Fault,
  { stag, mev = false, fields = {} }: RaiseAbout = {},
): void {
  const name = smmu.config.name;
  const { record } = fault;
  const { streamId } = request;
  if (stag === undefined && smmu.records.length >= limits.pendingRecords) {
    context.emit(name, { type: 'misuse.noted', smmu: name, rule: 'record-lost', detail: record });
    return;
  }
  const words = recordWords(request, asTold(fault, smmu.config.choices), stag, smmu.features.oas, fields);
  if (
    stag === undefined &&
    smmu.config.choices['mergeRecords'] === true &&
    (mev || mergedAlways.has(record))
  ) {
    const like = smmu.records.find((each) => isLike(each, streamId, words));
    if (like !== undefined) {
      context.emit(name, { type: 'record.merged', smmu: name, record, streamId, into: like.raised });
      return;
    }
  }
  context.emit(name, {
    type: 'record.raised',
    smmu: name,
    record,
    streamId,
    words: new Uint8Array(words.buffer),
    ...(stag === undefined ? {} : { stag }),
  });
}

/** Whether a waiting record says the same; one with Stall=1 has a STAG of its own, and never does. */
function isLike(pending: PendingRecord, streamId: number, words: Uint32Array): boolean {
  if (pending.streamId !== streamId) return false;
  const view = new DataView(pending.words.buffer, pending.words.byteOffset, pending.words.byteLength);
  return words.every((word, at) => {
    const mask = at === INPUT_ADDR_WORD ? PAGE_MASK : 0xffff_ffff;
    return ((word ^ view.getUint32(at * 4, true)) & mask) === 0;
  });
}

/** The words of the record of a fault. @param besides fields that only this record has, or has in another form. */
export function recordWords(
  request: Request,
  fault: Fault,
  stag: number | undefined,
  oas: number,
  besides: Readonly<Record<string, unknown>>,
): Uint32Array {
  const { layout, number } = eventRecords[fault.record as EventRecordName];
  // Bits [2:0], and those at OAS and above, are 0 (7.3.4).
  const fetchAddr = (fault.fetchAddr ?? 0) % 2 ** oas;
  const ipa = fault.ipa ?? 0;
  const known: Record<string, unknown> = {
    EventID: number,
    SSV: request.substreamId !== undefined,
    SubstreamID: request.substreamId ?? 0,
    StreamID: request.streamId,
    PnU: request.privileged,
    InD: request.exec,
    RnW: request.access === 'read',
    S2: fault.s2 === true,
    CLASS: fault.class ?? (fault.record === 'F_WALK_EABT' ? 'TT' : 'IN'),
    TTRnW: fault.ttrnw === true,
    InputAddr: request.iova,
    IPA: ipa - (ipa % 4096),
    FetchAddr: fetchAddr - (fetchAddr % 8),
    Stall: stag !== undefined,
    STAG: stag ?? 0,
    ...besides,
  };
  const fields = Object.fromEntries(Object.entries(known).filter(([name]) => name in layout.fields));
  return encode(layout, fields as Partial<EventRecordFields>);
}
