/**
 * Requests and answers of a virtio-iommu, from bytes and to bytes, by the tables of `structs.ts`. A request
 * has two parts: what the device reads, and what it writes, whose end is the tail with the status. An unknown
 * type, or too few bytes, decode as what can be read of them.
 */
import { present } from '../assert.ts';
import { nameOf } from '../kernel/uapi/names.ts';
import { decodeStruct, encodeStruct, type Struct, showStruct, type Values } from '../kernel/uapi/struct.ts';
import { hexOf } from '../schema.ts';
import {
  HEAD,
  names,
  PROPERTY,
  PROPERTY_TYPE_MASK,
  RESV_MEM,
  type RequestName,
  requests,
  type StatusName,
  type Subtype,
  TAIL,
  TAIL_BYTES,
} from './structs.ts';

type Fields<N extends RequestName> = Values<(typeof requests)[N]>;

/** A request that has all the bytes of its type, `short` of them, or a type that is `unknown`. */
export type Request =
  | { [N in RequestName]: { readonly name: N; readonly fields: Fields<N> } }[RequestName]
  | { readonly name: 'short'; readonly of: RequestName }
  | { readonly name: 'unknown'; readonly type: number };

/** Bytes that the device reads of a request. */
export function readableBytes(name: RequestName): number {
  const of: Struct = requests[name];
  const tail = of.fields['status'];
  return tail === undefined ? of.bytes : tail.offset;
}

/** Bytes that it writes: the tail, after the properties of a PROBE. */
export function writableBytes(name: RequestName, probeSize: number): number {
  return name === 'PROBE' ? probeSize + TAIL_BYTES : TAIL_BYTES;
}

/** The request that the device reads; undefined where not even its head is there. */
export function decodeRequest(readable: Uint8Array): Request | undefined {
  if (readable.length < HEAD.bytes) return undefined;
  const { type } = decodeStruct(HEAD, readable);
  const name = nameOf(names.type, type) as RequestName | undefined;
  if (name === undefined) return { name: 'unknown', type };
  if (readable.length < readableBytes(name)) return { name: 'short', of: name };
  return { name, fields: decodeStruct(requests[name] as Struct, readable) } as Request;
}

/** What the driver writes of a request: fields that are not given are 0. */
export function encodeRequest<N extends RequestName>(name: N, fields: Partial<Fields<N>>): Uint8Array {
  const of = requests[name] as unknown as Struct;
  const type = names.type.members[name][0];
  const whole = encodeStruct(of, { ...(fields as Partial<Values<Struct>>), type });
  return whole.subarray(0, readableBytes(name));
}

/** `virtio_iommu_req_unmap { type=UNMAP domain=1 virt_end=0xfff }`, or the bytes where they are none. */
export function showRequest(readable: Uint8Array): string {
  const request = decodeRequest(readable);
  if (request === undefined) return `no head: ${hexOf(readable)}`;
  if (request.name === 'unknown') return `unknown type ${request.type}`;
  if (request.name === 'short') return `${request.of}, ${readable.length} bytes of it`;
  return showStruct(requests[request.name], readable);
}

/** A tail with a status, behind properties where there are any. */
export function encodeTail(status: StatusName, properties: Uint8Array = new Uint8Array()): Uint8Array {
  const out = new Uint8Array(properties.length + TAIL_BYTES);
  out.set(properties);
  out.set(encodeStruct(TAIL, { status: names.status.members[status][0] }), properties.length);
  return out;
}

/**
 * The status that the device wrote; used length 0 is IOERR, and so is a number that is none (linux:
 * viommu_get_req_errno).
 * @param written what the device wrote, which ends in the tail
 */
export function statusOf(written: Uint8Array): StatusName {
  if (written.length < TAIL_BYTES) return 'IOERR';
  const { status } = decodeStruct(TAIL, written.subarray(written.length - TAIL_BYTES));
  return (nameOf(names.status, status) as StatusName | undefined) ?? 'IOERR';
}

/** `OK`, `OK { RESV_MEM MSI 0x8000000-0x80fffff }`, or that the buffers came back unwritten. */
export function showAnswer(written: Uint8Array): string {
  if (written.length === 0) return 'used length 0';
  const listed = decodeProperties(written.subarray(0, Math.max(0, written.length - TAIL_BYTES)));
  const shown = listed.map((each) => `RESV_MEM ${each.subtype} ${hex(each.start)}-${hex(each.last)}`);
  return shown.length === 0 ? statusOf(written) : `${statusOf(written)} { ${shown.join(', ')} }`;
}

const hex = (value: bigint): string => `0x${value.toString(16)}`;

/** Addresses that a driver must not map, or where an endpoint's MSIs go without translation; inclusive end. */
export interface Reserved {
  readonly subtype: Subtype;
  readonly start: bigint;
  readonly last: bigint;
}

/** Bytes of one RESV_MEM property. */
export const RESV_MEM_BYTES = RESV_MEM.bytes;

/** Properties of an endpoint, with zeros up to `bytes`; undefined where they do not fit. */
export function encodeProperties(reserved: readonly Reserved[], bytes: number): Uint8Array | undefined {
  if (reserved.length * RESV_MEM_BYTES > bytes) return undefined;
  const out = new Uint8Array(bytes);
  for (const [at, { subtype, start, last }] of reserved.entries()) {
    const property = encodeStruct(RESV_MEM, {
      type: names.property.members.RESV_MEM[0],
      length: RESV_MEM_BYTES - PROPERTY.bytes,
      subtype: names.subtype.members[subtype][0],
      start,
      end: last,
    });
    out.set(property, at * RESV_MEM_BYTES);
  }
  return out;
}

/**
 * The reserved ranges that a driver finds in properties (linux: viommu_probe_endpoint): up to type 0 or the
 * end, by the length that each has. An unknown subtype counts as RESERVED; a range that wraps is left out.
 */
export function decodeProperties(properties: Uint8Array): readonly Reserved[] {
  const found: Reserved[] = [];
  for (let at = 0; at + PROPERTY.bytes <= properties.length; ) {
    const { type, length } = decodeStruct(PROPERTY, properties.subarray(at));
    const kind = nameOf(names.property, type & PROPERTY_TYPE_MASK);
    if (kind === 'NONE') break;
    const end = at + PROPERTY.bytes + length;
    const whole = length + PROPERTY.bytes >= RESV_MEM_BYTES && end <= properties.length;
    if (kind === 'RESV_MEM' && type <= PROPERTY_TYPE_MASK && whole) {
      const { subtype, start, end: last } = decodeStruct(RESV_MEM, properties.subarray(at));
      const named = (nameOf(names.subtype, subtype) ?? 'RESERVED') as Subtype;
      if (last >= start) found.push({ subtype: named, start, last });
    }
    at = end;
  }
  return found;
}

/** Bits of features by their names. */
export function featureBits(of: readonly (keyof (typeof names)['features']['members'])[]): number {
  return of.reduce((bits, name) => bits | present(names.features.members[name], name)[0], 0);
}
