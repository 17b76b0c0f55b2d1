/**
 * The records of the Event queue and of the PRI queue as bits: IHI 0070 7.3 and 8. When a record is
 * made, and what its fields then hold, stands elsewhere. The positions of DirtyBit, AssuredOnly and
 * Overlay in F_PERMISSION (v3.4) are not known here.
 */
import { addr, type Field, flag, oneOf, u64, uint } from '../layout/field.ts';
import { type AnyField, type Decoded, encode, type Layout, layout } from '../layout/layout.ts';

type Row = readonly [
  number: number,
  spec: string,
  stall: 'may stall' | 'never',
  fields: Record<string, AnyField>,
];

export interface EventRecordLayout<N extends string = string, F = Record<string, AnyField>> {
  readonly name: N;
  /** EventID. */
  readonly number: number;
  readonly spec: string;
  readonly layout: Layout<F>;
  /** Whether the record may carry Stall=1, 3.12.2. */
  readonly mayStall: boolean;
}

type EventTable<T extends Record<string, Row>> = {
  readonly [N in keyof T & string]: EventRecordLayout<N, { readonly EventID: Field<number> } & T[N][3]>;
};

// Fields that records share. Positions are in the 256-bit record.
const SID = { StreamID: uint(63, 32) };
const SSID = { SubstreamID: uint(31, 12) };
const HDR = { SSV: flag(11), ...SSID, ...SID };
const REASON = { Reason: uint(79, 64) };
const STALL = { STAG: uint(79, 64), Stall: flag(95) };
const ACCESS = { PnU: flag(97), InD: flag(98), RnW: flag(99) };
const NSIPA = { NSIPA: flag(102) };
const S2 = { S2: flag(103) };
const CLASS = { CLASS: oneOf(105, 104, { CD: 0, TT: 1, IN: 2 }) };
const INPUT = { InputAddr: u64(191, 128) };
const PAGE = { InputAddr: addr(191, 140) };
const IPA = { IPA: addr(247, 204) };
const FETCH = { FetchAddr: addr(247, 195) };
const GPCF = { GPCF: flag(80) };

// biome-ignore format: a table
export const eventRecords = events({
  F_UUT:              [0x01, '7.3.2',  'never',     { ...HDR, ...REASON, ...ACCESS, ...INPUT }],
  C_BAD_STREAMID:     [0x02, '7.3.3',  'never',     { ...HDR }],
  F_STE_FETCH:        [0x03, '7.3.4',  'never',     { ...HDR, ...REASON, ...GPCF, ...FETCH }],
  C_BAD_STE:          [0x04, '7.3.5',  'never',     { ...HDR }],
  F_BAD_ATS_TREQ:     [0x05, '7.3.6',  'never',     { ...HDR, Span: uint(67, 64), P: flag(92), X: flag(93), W: flag(94), R: flag(95), ...PAGE }],
  // The figures of these two are not conclusive about SSV and SubstreamID.
  F_STREAM_DISABLED:  [0x06, '7.3.7',  'never',     { ...SID }],
  F_TRANSL_FORBIDDEN: [0x07, '7.3.8',  'never',     { ...SID, RnW: flag(99), ...INPUT }],
  C_BAD_SUBSTREAMID:  [0x08, '7.3.9',  'never',     { ...SSID, ...SID }],
  F_CD_FETCH:         [0x09, '7.3.10', 'never',     { ...HDR, ...REASON, ...GPCF, ...FETCH }],
  C_BAD_CD:           [0x0a, '7.3.11', 'never',     { ...HDR }],
  F_WALK_EABT:        [0x0b, '7.3.12', 'never',     { ...HDR, ...REASON, ...GPCF, ...ACCESS, ...S2, ...CLASS, ...INPUT, ...FETCH }],
  F_TRANSLATION:      [0x10, '7.3.13', 'may stall', { ...HDR, ...STALL, ...ACCESS, ...NSIPA, ...S2, ...CLASS, ...INPUT, ...IPA }],
  F_ADDR_SIZE:        [0x11, '7.3.14', 'may stall', { ...HDR, ...STALL, ...ACCESS, ...NSIPA, ...S2, ...CLASS, ...INPUT, ...IPA }],
  F_ACCESS:           [0x12, '7.3.15', 'may stall', { ...HDR, ...STALL, ...ACCESS, ...NSIPA, ...S2, ...CLASS, ...INPUT, ...IPA }],
  F_PERMISSION:       [0x13, '7.3.16', 'may stall', { ...HDR, ...STALL, ...ACCESS, ...NSIPA, ...S2, ...CLASS, TTRnW: flag(108), ...INPUT, ...IPA }],
  F_TLB_CONFLICT:     [0x20, '7.3.17', 'never',     { ...HDR, ...REASON, ...ACCESS, ...NSIPA, ...S2, ...INPUT, ...IPA }],
  F_CFG_CONFLICT:     [0x21, '7.3.18', 'never',     { ...HDR, Reason: uint(95, 64) }],
  E_PAGE_REQUEST:     [0x24, '7.3.19', 'never',     { ...HDR, uX: flag(97), uW: flag(98), uR: flag(99), pX: flag(101), pW: flag(102), pR: flag(103), Span: uint(115, 108), ...PAGE }],
  F_VMS_FETCH:        [0x25, '7.3.20', 'never',     { ...HDR, ...REASON, ...GPCF, ...FETCH }],
});

export type EventRecordName = keyof typeof eventRecords;
/** The fields of a record, decoded; of all records, a union, when no name is given. */
export type EventRecordFields<N extends EventRecordName = EventRecordName> = {
  [K in N]: (typeof eventRecords)[K] extends EventRecordLayout<K, infer F extends Record<string, AnyField>>
    ? Decoded<Layout<F>>
    : never;
}[N];

/** IMPDEF_EVENTn, 7.3.21: first and last number. Numbers without a name outside them are reserved. */
export const impdefEventFirst = 0xe0;
export const impdefEventLast = 0xef;

const byNumber = new Map<number, EventRecordLayout<EventRecordName>>(
  Object.values(eventRecords).map((record) => [record.number, record]),
);

/** The record of an EventID, or undefined when it is reserved or IMPLEMENTATION DEFINED. */
export function eventRecordByNumber(number: number): EventRecordLayout<EventRecordName> | undefined {
  return byNumber.get(number);
}

/** The eight words of a record, EventID included. */
export function encodeEventRecord<N extends EventRecordName>(
  name: N,
  fields: Partial<Omit<EventRecordFields<N>, 'EventID'>>,
): Uint32Array {
  const { layout: of, number }: EventRecordLayout = eventRecords[name];
  return encode(of, { EventID: number, ...fields });
}

/** An entry of the PRI queue; Last=1, W=R=0 with SSV=1 is a Stop PASID marker. */
// biome-ignore format: a table
export const PRI_ENTRY = layout('PRI_ENTRY', { bytes: 16, spec: '8' }, {
  StreamID:    uint(31, 0),
  SubstreamID: uint(51, 32),
  Priv:        flag(58),
  X:           flag(59),
  R:           flag(60),
  W:           flag(61),
  Last:        flag(62),
  SSV:         flag(63),
  PRGIndex:    uint(72, 64),
  PageAddr:    addr(127, 76),
});
export type PriEntry = Decoded<typeof PRI_ENTRY>;

function events<const T extends Record<string, Row>>(rows: T): EventTable<T> {
  const table: Record<string, EventRecordLayout> = {};
  for (const [name, [number, spec, stall, fields]] of Object.entries(rows)) {
    const of = layout(name, { bytes: 32, spec }, { EventID: uint(7, 0), ...fields });
    table[name] = { name, number, spec, layout: of, mayStall: stall === 'may stall' };
  }
  return table as EventTable<T>;
}
