/**
 * Which habit of the emulator explains that an access ended differently. Each row proves its case by
 * what the trace and the machine show; the first that holds is taken.
 */
import type { EntryOf } from '../../core/event.ts';
import { decode } from '../../core/layout/layout.ts';
import type { Memory } from '../../core/memory/memory.ts';
import { CD, type Cd } from '../../core/smmu/cd.ts';
import { granules } from '../../core/smmu/granule.ts';
import { reg } from '../../core/smmu/regs.ts';
import type { SmmuState, TlbEntry } from '../../core/smmu/state.ts';
import { STE, type Ste } from '../../core/smmu/ste.ts';
import type { TracedAccess } from './access.ts';
import type { DeviationName } from './deviations.ts';
import { type Emulator, EVENT_BYTES } from './emulator.ts';
import { granuleLog2, type IotlbEntry } from './iotlb.ts';

/** What the machine made of an access. */
export interface OurAccess {
  readonly completed: EntryOf<'access.completed'> | undefined;
  readonly terminated: EntryOf<'access.terminated'> | undefined;
  readonly raised: EntryOf<'record.raised'> | undefined;
  readonly written: EntryOf<'record.written'> | undefined;
  readonly dropped: EntryOf<'record.dropped'> | undefined;
  readonly interrupt: boolean;
  /** The TLB entry that served or refused it. */
  readonly entry: TlbEntry | undefined;
}

export interface AccessCase {
  readonly traced: TracedAccess;
  readonly ours: OurAccess;
  readonly iova: number;
  readonly smmu: SmmuState;
  readonly memory: Memory;
  readonly emulator: Emulator;
  /** The emulator's TLB entry that served it. */
  readonly served: IotlbEntry | undefined;
  /** Fills of ours that the emulator dropped with a wider scan. */
  readonly outlived: ReadonlySet<number>;
  /** Our TLB was emptied when the emulator's was not full. */
  readonly flushedAlone: boolean;
  /** A range that is not aligned to its granule was seen. */
  readonly misaligned: boolean;
}

/** Name of the fault by which ours ended. */
export function ourFault({ raised, terminated }: OurAccess): string {
  return raised?.record ?? /^([A-Z][A-Z0-9_]+):/.exec(terminated?.reason ?? '')?.[1] ?? '';
}

/** Name of the fault the trace tells: its record, or what the walk found; empty when it tells none. */
export function theirFault({ record, invalidLevel }: TracedAccess): string {
  return record ?? (invalidLevel === undefined ? '' : 'F_TRANSLATION');
}

type Holds = (is: AccessCase, fault: string) => boolean;

// biome-ignore format: a table
const rows: readonly (readonly [name: DeviationName, holds: Holds])[] = [
  ['gbpa-missing',         ({ traced, ours }) => traced.end === 'disabled' && /GBPA/.test(why(ours))],
  ['bypass-oas',           ({ traced, iova, smmu }) => (traced.end === 'disabled' || traced.end === 'bypass') && iova >= 2 ** smmu.features.oas],
  ['l1std-span-double',    ({ traced, ours }, fault) => fault === 'C_BAD_STREAMID' && traced.stePa !== undefined && /Span/.test(why(ours))],
  ['span-overrun-bad-ste', ({ traced, ours }, fault) => fault === 'C_BAD_STREAMID' && traced.record === 'C_BAD_STE' && traced.stePa === undefined && /Span/.test(why(ours))],
  ['strtab-fmt-sticky',    (is) => is.traced.twoLevel && format(is.smmu) !== 1],
  ['split-raw',            (is) => is.traced.twoLevel && ![6, 8, 10].includes(split(is.smmu))],
  ['strtab-align-short',   (is) => otherSte(is) && strtabUnaligned(is.smmu)],
  ['l2ptr-unaligned',      (is) => otherSte(is) && is.traced.twoLevel],
  ['s1cdmax-bad-ste',      (is) => is.traced.record === 'C_BAD_STE' && (steOf(is)?.S1CDMax ?? 0) !== 0],
  ['ctxptr-oas',           ({ ours }, fault) => fault === 'C_BAD_STE' && /s1contextptr/.test(why(ours))],
  ['ttb1-broken',          (is) => { const cd = cdOf(is); return cd?.EPD0 === true && !cd.EPD1 && is.traced.lookup !== undefined; }],
  ['af-ignored',           (is, fault) => fault === 'F_ACCESS' && leafOf(is) !== undefined && ((leafOf(is) ?? 0n) & 0x400n) === 0n],
  ['no-addr-size',         (_, fault) => fault === 'F_ADDR_SIZE'],
  ['block-any-level',      (is, fault) => fault === 'F_TRANSLATION' && illegalBlock(is)],
  ['tlbi-scan-wide',       ({ ours, traced, outlived }) => traced.lookup === 'miss' && outlived.has(ours.entry?.id ?? 0)],
  ['tlbi-scan-wide',       ({ ours, outlived }) => outlived.has(ours.entry?.id ?? 0)],
  ['global-as-asid',       ({ ours, served }) => ours.entry?.global === true || (served !== undefined && (served.pte & 0x800n) === 0n)],
  ['aptable-not-cached',   (is) => is.served?.tablesReadOnly === true && is.traced.end === 'success'],
  ['privileged-always',    (is, fault) => fault === 'F_PERMISSION' && is.traced.end === 'success' && (((is.served?.pte ?? 0x40n) & 0x40n) === 0n || is.served?.tablesUnprivileged === true)],
  ['tlb-flush-at-256',     ({ traced, flushedAlone }) => traced.lookup === 'hit' && flushedAlone],
  ['tlbi-range-misaligned', ({ traced, ours, misaligned }) => traced.lookup === 'hit' && misaligned && ours.completed?.via !== 'hit'],
];

/** The habit that explains the difference, if one does. */
export function explainAccess(is: AccessCase): DeviationName | undefined {
  const fault = ourFault(is.ours);
  return rows.find(([, holds]) => holds(is, fault))?.[0];
}

function why(ours: OurAccess): string {
  return ours.terminated?.reason ?? '';
}

function format(smmu: SmmuState): number {
  return (reg(smmu, 'STRTAB_BASE_CFG') >>> 16) & 3;
}

function split(smmu: SmmuState): number {
  return (reg(smmu, 'STRTAB_BASE_CFG') >>> 6) & 0x1f;
}

/** The emulator read another STE than ours. */
function otherSte({ traced, smmu }: AccessCase): boolean {
  const held = smmu.caches.ste.find(traced.sid, 0);
  return traced.stePa !== undefined && held !== undefined && held.pa !== traced.stePa;
}

function strtabUnaligned(smmu: SmmuState): boolean {
  const log2 = reg(smmu, 'STRTAB_BASE_CFG') & 0x3f;
  const bits = format(smmu) === 1 ? Math.max(6, log2 - split(smmu) + 3) : log2 + 6;
  return (reg(smmu, 'STRTAB_BASE') & 0xffff_ffc0) % 2 ** Math.min(bits, 32) !== 0;
}

function steOf({ traced, memory }: AccessCase): Ste | undefined {
  return traced.stePa === undefined ? undefined : decode(STE, memory.readWords(traced.stePa, 16));
}

/** The CD the machine holds of the stream. */
function cdOf({ traced, smmu }: AccessCase): Cd | undefined {
  const held = smmu.caches.cd.find(traced.sid, 0);
  if (held === undefined) return undefined;
  const view = new DataView(held.words.buffer, held.words.byteOffset, held.words.byteLength);
  return decode(
    CD,
    Uint32Array.from({ length: 16 }, (_, word) => view.getUint32(word * 4, true)),
  );
}

function leafOf({ traced, served }: AccessCase): bigint | undefined {
  return traced.leaf?.pte ?? served?.pte;
}

function illegalBlock({ traced, served }: AccessCase): boolean {
  const level = traced.leaf?.level ?? served?.level;
  const tg = traced.insert?.tg ?? served?.tg;
  if (level === undefined || tg === undefined || level === 3) return false;
  const granule = granules[granuleLog2(tg) as keyof typeof granules];
  return granule !== undefined && !granule.blockLevels.includes(level);
}

/** Why a record stands in the trace's queue and not in ours, or is lost in both in another way. */
export function explainMissingRecord({ traced, ours, emulator }: AccessCase): DeviationName | undefined {
  if (emulator.eventsFull || traced.gerror !== undefined) return 'evtq-full-is-abort';
  if (/EVENTQ_ABT_ERR/.test(ours.dropped?.why ?? '')) return 'evtq-abt-not-blocking';
  if (traced.record === 'C_BAD_STREAMID' && ours.raised === undefined) return 'recinvsid-ignored';
  if (emulator.eventBase % (EVENT_BYTES * 2 ** emulator.eventLog2) !== 0) return 'queue-base-unaligned';
  return undefined;
}
