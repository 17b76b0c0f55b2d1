/**
 * From a StreamID and SubstreamID to the STE and CD: IHI 0070 3.3.1, 5.1, 5.3, and the steps T3 to
 * T10 of an access, through the configuration caches. Priority of the faults is 7.3.22.
 */

import { decode } from '../layout/layout.ts';
import type { Context } from '../machine.ts';
import { inSpace } from '../memory/space.ts';
import { pow2 } from '../pow2.ts';
import { CD, type Cd, L1CD } from './cd.ts';
import { brokenCdRule } from './cd-rules.ts';
import type { EventRecordName } from './event-record.ts';
import type { Fault } from './fault.ts';
import { fillConfig } from './fills.ts';
import { ordinary, type Updates } from './httu.ts';
import { isE2h, reg, regHigh } from './regs.ts';
import { stage2Of, translateStage2 } from './stage2.ts';
import type { ConfigEntry, SmmuState } from './state.ts';
import { L1STD, STE, type Ste, steConfig } from './ste.ts';
import { brokenSteRule } from './ste-rules.ts';

/** A structure as it was read, and the fill it rests on (0: not cached). */
export interface Held<T> {
  readonly value: T;
  readonly fill: number;
}

export type Found<T> =
  | { readonly ok: true; readonly held: Held<T> }
  /** `fill`: the cached structure that was found wrong; 0 when it was not cached. */
  | { readonly ok: false; readonly fault: Fault; readonly fill: number };

function fail(record: EventRecordName, why: string, fetchAddr?: number, fill = 0): Found<never> {
  return { ok: false, fault: fetchAddr === undefined ? { record, why } : { record, why, fetchAddr }, fill };
}

/** Decoding and checking cost more than an access that hits: remembered for as long as the entry lives. */
const steOf = new WeakMap<ConfigEntry, Found<Ste>>();
const cdOf = new WeakMap<
  ConfigEntry,
  { readonly ste: Ste; readonly e2h: boolean; readonly found: Found<Cd> }
>();

/** The STE of a stream, from the cache or the stream table (T3, T4). */
export function findSte(context: Context, smmu: SmmuState, streamId: number): Found<Ste> {
  const cached = smmu.caches.ste.find(streamId, 0);
  if (cached !== undefined) return cachedSte(smmu, cached);
  const at = steAddress(context, smmu, streamId);
  if (!at.ok) return at;
  const pa = at.held.value;
  const words = fetchStructure(context, smmu, 'STE', streamId, 0, pa, 64);
  if (words === undefined) return fail('F_STE_FETCH', 'the read of the STE aborted', pa);
  const fill = fillConfig(context, smmu, { cache: 'ste', streamId, substreamId: 0, span: 1, pa, words });
  return legalSte(decode(STE, wordsOf(words)), fill, smmu);
}

/** The STE as it was cached. */
export function cachedSte(smmu: SmmuState, cached: ConfigEntry): Found<Ste> {
  const known = steOf.get(cached);
  if (known !== undefined) return known;
  const found = legalSte(decode(STE, wordsOf(cached.words)), cached.id, smmu);
  steOf.set(cached, found);
  return found;
}

function legalSte(ste: Ste, fill: number, smmu: SmmuState): Found<Ste> {
  if (!ste.V) return fail('C_BAD_STE', 'V=0', undefined, fill);
  if (steConfig(ste) === 'ABORT') return { ok: true, held: { value: ste, fill } }; // not checked (5.2.2)
  const broken = brokenSteRule(ste, smmu.features);
  if (broken !== undefined) return fail('C_BAD_STE', broken.name, undefined, fill);
  return { ok: true, held: { value: ste, fill } };
}

/** The bytes of an STE as memory has them, read anew; undefined when it cannot be reached. For an emulator. */
export function readSte(context: Context, smmu: SmmuState, streamId: number): Uint8Array | undefined {
  const at = steAddress(context, smmu, streamId);
  return at.ok ? fetchStructure(context, smmu, 'STE', streamId, 0, at.held.value, 64) : undefined;
}

/** Where the STE stands (5.1, 6.3.24, 6.3.25). */
function steAddress(context: Context, smmu: SmmuState, streamId: number): Found<number> {
  const cfg = reg(smmu, 'STRTAB_BASE_CFG');
  const log2size = cfg & 0x3f;
  if (streamId >= pow2(Math.min(log2size, smmu.features.sidBits)))
    return fail('C_BAD_STREAMID', 'beyond the stream table');
  const raw =
    (regHigh(smmu, 'STRTAB_BASE') & 0xff_ffff) * 2 ** 32 + ((reg(smmu, 'STRTAB_BASE') & 0xffff_ffc0) >>> 0);
  const twoLevel = ((cfg >>> 16) & 3) === 1 && smmu.features.stLevel !== 0;
  if (!twoLevel) {
    const base = raw - (raw % pow2(log2size + 6));
    return within(smmu, base + 64 * streamId);
  }
  const code = (cfg >>> 6) & 0x1f;
  const split = code === 8 || code === 10 ? code : 6; // other values act as 6
  const base = raw - (raw % pow2(Math.max(6, log2size - split + 3)));
  const l1std = findL1std(context, smmu, streamId, split, base);
  if (!l1std.ok) return l1std;
  const { Span, L2Ptr } = l1std.held.value;
  if (Span === 0 || Span > 11 || Span > split + 1) return fail('C_BAD_STREAMID', `L1STD.Span=${Span}`);
  const index = streamId % pow2(split);
  if (index >= pow2(Span - 1)) return fail('C_BAD_STREAMID', 'beyond L1STD.Span');
  return within(smmu, L2Ptr - (L2Ptr % pow2(Span + 5)) + 64 * index);
}

/** An address above OAS is F_STE_FETCH (3.4.3, a choice). */
function within(smmu: SmmuState, pa: number): Found<number> {
  if (pa >= pow2(smmu.features.oas)) return fail('F_STE_FETCH', 'the address is beyond OAS', pa);
  return { ok: true, held: { value: pa, fill: 0 } };
}

function findL1std(
  context: Context,
  smmu: SmmuState,
  streamId: number,
  split: number,
  base: number,
): Found<{ Span: number; L2Ptr: number }> {
  const first = streamId - (streamId % pow2(split));
  const cached = smmu.caches.l1std.find(first, 0);
  if (cached !== undefined)
    return { ok: true, held: { value: decode(L1STD, wordsOf(cached.words)), fill: cached.id } };
  const pa = base + 8 * (first / pow2(split));
  const words =
    pa < pow2(smmu.features.oas) ? fetchStructure(context, smmu, 'L1STD', first, 0, pa, 8) : undefined;
  if (words === undefined) return fail('F_STE_FETCH', 'the read of the L1STD aborted', pa);
  const fill = fillConfig(context, smmu, {
    cache: 'l1std',
    streamId: first,
    substreamId: 0,
    span: pow2(split),
    pa,
    words,
  });
  return { ok: true, held: { value: decode(L1STD, wordsOf(words)), fill } };
}

export type Selected =
  | { readonly kind: 'bypass' }
  | { readonly kind: 'cd'; readonly index: number }
  | { readonly kind: 'fault'; readonly fault: Fault };

/** Which CD an access uses (T7; 5.2 S1DSS, S1CDMax; 7.3.7, 7.3.9). Config is 1xx. */
export function selectCd(ste: Ste, substreamId: number | undefined, smmu: SmmuState): Selected {
  const stage1 = ste.Config === 'S1' || ste.Config === 'NESTED';
  const refuse = (record: EventRecordName, why: string): Selected => ({
    kind: 'fault',
    fault: { record, why },
  });
  const cdMax = smmu.features.ssidBits === 0 ? 0 : ste.S1CDMax;
  if (substreamId !== undefined) {
    if (!stage1 || cdMax === 0) return refuse('C_BAD_SUBSTREAMID', 'the stream has no substreams');
    if (substreamId >= pow2(cdMax)) return refuse('C_BAD_SUBSTREAMID', 'beyond S1CDMax');
    if (ste.S1DSS === 'SUBSTREAM0' && substreamId === 0)
      return refuse('F_STREAM_DISABLED', 'SubstreamID 0 with S1DSS=2');
    return { kind: 'cd', index: substreamId };
  }
  if (!stage1) return { kind: 'bypass' };
  if (cdMax === 0) return { kind: 'cd', index: 0 };
  if (ste.S1DSS === 'SUBSTREAM0') return { kind: 'cd', index: 0 };
  if (ste.S1DSS === 'BYPASS') return { kind: 'bypass' };
  return refuse('F_STREAM_DISABLED', 'no SubstreamID');
}

/** The CD of a stream, from the cache or its table (T9, T10). Nested, all addresses go through stage 2. */
export function findCd(
  context: Context,
  smmu: SmmuState,
  streamId: number,
  ste: Ste,
  index: number,
  updates: Updates = ordinary,
): Found<Cd> {
  const cached = smmu.caches.cd.find(streamId, index);
  if (cached !== undefined) return cachedCd(smmu, cached, ste);
  const reader: CdReader = { context, smmu, streamId, ste, updates };
  const at = cdAddress(reader, index);
  if (!at.ok) return at;
  const read = readThrough(reader, 'CD', index, at.held.value, 64);
  if (!read.ok) return read;
  const { words, ...about } = read.held.value;
  const fill = fillConfig(context, smmu, {
    cache: 'cd',
    streamId,
    substreamId: index,
    span: 1,
    words,
    ...about,
  });
  return legalCd(decode(CD, wordsOf(words)), ste, fill, smmu);
}

/** The CD as it was cached. It can be legal through one STE and ILLEGAL through another (5.4.1). */
export function cachedCd(smmu: SmmuState, cached: ConfigEntry, ste: Ste): Found<Cd> {
  const known = cdOf.get(cached);
  const e2h = isE2h(smmu);
  if (known?.ste === ste && known.e2h === e2h) return known.found;
  const found = legalCd(decode(CD, wordsOf(cached.words)), ste, cached.id, smmu);
  cdOf.set(cached, { ste, e2h, found });
  return found;
}

/** Who reads CDs, and what hardware may do to stage 2 descriptors on the way. */
interface CdReader {
  readonly context: Context;
  readonly smmu: SmmuState;
  readonly streamId: number;
  readonly ste: Ste;
  readonly updates: Updates;
}

interface ReadThrough {
  readonly words: Uint8Array;
  readonly pa: number;
  readonly ipa?: number;
  readonly tlb2?: number;
}

/** Reads a CD or L1CD: a PA, or an IPA where stage 2 is enabled (7.3.10, 7.3.11; 6.2 of the reference). */
function readThrough(
  { context, smmu, streamId, ste, updates }: CdReader,
  structure: 'CD' | 'L1CD',
  substreamId: number,
  address: number,
  size: number,
): Found<ReadThrough> {
  const nested = ste.Config === 'NESTED';
  let pa = address;
  let through = {};
  if (nested) {
    const access = { class: 'CD', write: false, exec: false, privileged: true } as const;
    const answer = translateStage2(context, smmu, stage2Of(ste, smmu.features), address, access, updates);
    if (!answer.ok) return { ok: false, fault: answer.fault, fill: 0 };
    pa = answer.pa;
    through = { ipa: address, tlb2: answer.entry.fill };
  }
  const words =
    pa < pow2(smmu.features.oas)
      ? fetchStructure(
          context,
          smmu,
          structure,
          streamId,
          substreamId,
          pa,
          size,
          nested ? address : undefined,
        )
      : undefined;
  if (words === undefined) return fail('F_CD_FETCH', `the read of the ${structure} aborted`, pa);
  return { ok: true, held: { value: { words, pa, ...through }, fill: 0 } };
}

function legalCd(cd: Cd, ste: Ste, fill: number, smmu: SmmuState): Found<Cd> {
  const broken = brokenCdRule(cd, ste, smmu.features, isE2h(smmu));
  if (broken !== undefined) return fail('C_BAD_CD', broken.name, undefined, fill);
  return { ok: true, held: { value: cd, fill } };
}

/** Where the CD stands (5.2 S1Fmt, 5.3): a PA, or an IPA where stage 2 is enabled. */
function cdAddress(reader: CdReader, index: number): Found<number> {
  const { context, smmu, streamId, ste } = reader;
  const cdMax = smmu.features.ssidBits === 0 ? 0 : ste.S1CDMax;
  const leafLog2 =
    cdMax === 0 ? 0 : ste.S1Fmt === 'TWO_LEVEL_4K' ? 6 : ste.S1Fmt === 'TWO_LEVEL_64K' ? 10 : 0;
  if (leafLog2 === 0) {
    const base = ste.S1ContextPtr - (ste.S1ContextPtr % pow2(cdMax + 6));
    return { ok: true, held: { value: base + 64 * index, fill: 0 } };
  }
  const base = ste.S1ContextPtr - (ste.S1ContextPtr % pow2(Math.max(6, cdMax - leafLog2 + 3)));
  const first = index - (index % pow2(leafLog2));
  let words = smmu.caches.l1cd.find(streamId, first)?.words;
  if (words === undefined) {
    const read = readThrough(reader, 'L1CD', first, base + 8 * (first / pow2(leafLog2)), 8);
    if (!read.ok) return read;
    words = read.held.value.words;
    const span = pow2(leafLog2);
    fillConfig(context, smmu, { cache: 'l1cd', streamId, substreamId: first, span, ...read.held.value });
  }
  const { V, L2Ptr } = decode(L1CD, wordsOf(words));
  if (!V) return fail('C_BAD_SUBSTREAMID', 'L1CD.V=0');
  // Nested, beyond IAS, which is OAS: a choice of two (5.3).
  if (L2Ptr >= pow2(smmu.features.oas)) return fail('C_BAD_SUBSTREAMID', 'L1CD.L2Ptr is beyond OAS');
  return { ok: true, held: { value: L2Ptr - (L2Ptr % pow2(leafLog2 + 6)) + 64 * (index - first), fill: 0 } };
}

/** Reads a structure and logs it; undefined when the read aborts. */
function fetchStructure(
  context: Context,
  smmu: SmmuState,
  structure: string,
  streamId: number,
  substreamId: number,
  pa: number,
  size: number,
  ipa?: number,
): Uint8Array | undefined {
  const name = smmu.config.name;
  const at = inSpace(context.state, smmu.config.space, pa);
  if (!context.state.memory.isRam(at, size)) {
    context.emit(name, { type: 'fetch.aborted', smmu: name, structure, pa });
    return undefined;
  }
  const words = context.state.memory.readBytes(at, size);
  const through = ipa === undefined ? {} : { ipa };
  context.emit(name, {
    type: 'structure.fetched',
    smmu: name,
    structure,
    streamId,
    substreamId,
    pa,
    words,
    ...through,
  });
  return words;
}

/** Bytes in memory order as 32-bit words. */
function wordsOf(bytes: Uint8Array): Uint32Array {
  const words = new Uint32Array(bytes.length / 4);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at < words.length; at += 1) words[at] = view.getUint32(at * 4, true);
  return words;
}
