/**
 * What a descriptor of either stage says, and what it means for caches when it changes: Arm ARM D8.3, D8.16,
 * and IHI 0070 3.21. Descriptors are pairs of 32-bit words.
 */
import type { Words } from '../../core/layout/field.ts';
import { type Granule, spanLog2 } from '../../core/smmu/granule.ts';

/** How descriptors of one tree are read. */
export interface Reading {
  readonly stage: 1 | 2;
  readonly granule: Granule;
  /** Output addresses have 52 bits: CD.DS, or 64KB tables with a large output size. */
  readonly wide: boolean;
  readonly bigEndian: boolean;
  /** AF=0 leaves are used all the same (CD.AFFD), or hardware sets AF (CD.HA): they may be cached. */
  readonly ignoresAf: boolean;
}

export interface Descriptor {
  readonly kind: 'invalid' | 'leaf' | 'table';
  readonly lo: number;
  readonly hi: number;
  /** The next table, or the base of the page or block. */
  readonly output: number;
}

// Bits of the low word.
const AP1 = 1 << 6;
const AP2 = 1 << 7;
const AF = 1 << 10;
const NG = 1 << 11;
/** Type, AttrIndx, AP, SH, AF, nG. NS has no effect for a Non-secure stream. */
const LEAF_LOW = 0b1111_1101_1111;
// Bits of the high word.
const PXN = 1 << 21;
const UXN = 1 << 22;
/** DBM, Contiguous, PXN, UXN; bits for software, PBHA and GP are ignored. */
const LEAF_HIGH = (1 << 19) | (1 << 20) | PXN | UXN;
/** APTable, PXNTable, UXNTable. */
const TABLE_HIGH = 0xf << 27;
/** Stage 2: type, MemAttr, S2AP, SH, AF. */
const LEAF2_LOW = 0b0111_1111_1111;
const S2AP = 3 << 6;

/** What the descriptor says at its level; a block where none may stand is invalid. */
export function readDescriptor(words: Words, level: number, reading: Reading): Descriptor {
  const lo = reading.bigEndian ? swap(words[1] ?? 0) : (words[0] ?? 0);
  const hi = reading.bigEndian ? swap(words[0] ?? 0) : (words[1] ?? 0);
  const kind = kindOf(lo, level, reading);
  return { kind, lo, hi, output: kind === 'invalid' ? 0 : outputOf(kind, lo, hi, level, reading) };
}

function swap(word: number): number {
  return (((word & 0xff) << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | (word >>> 24)) >>> 0;
}

/** Bits [1:0] and the level decide (Arm ARM D8.3). */
function kindOf(lo: number, level: number, { granule, wide }: Reading): Descriptor['kind'] {
  if ((lo & 1) === 0) return 'invalid';
  if (level === 3) return (lo & 2) === 0 ? 'invalid' : 'leaf';
  if ((lo & 2) !== 0) return 'table';
  return (wide ? granule.blockLevelsWide : granule.blockLevels).includes(level) ? 'leaf' : 'invalid';
}

function outputOf(
  kind: 'leaf' | 'table',
  lo: number,
  hi: number,
  level: number,
  { granule, wide }: Reading,
): number {
  let high = hi & 0xffff;
  if (wide && granule.pageLog2 === 16) high += ((lo >>> 12) & 0xf) * 2 ** 16;
  else if (wide) high = (hi & 0x3_ffff) + ((lo >>> 8) & 3) * 2 ** 18;
  const low = ((lo >>> granule.pageLog2) << granule.pageLog2) >>> 0;
  const address = high * 2 ** 32 + low;
  return kind === 'table' ? address : address - (address % 2 ** spanLog2(granule, level));
}

/** Whether entries of the leaf match every ASID: nG=0. Stage 2 has no such bit. */
export function isGlobal({ lo }: Descriptor, { stage }: Reading): boolean {
  return stage === 1 && (lo & NG) === 0;
}

/** Whether hardware may have cached the leaf: AF=0 leaves fault, and are not cached (8.1). */
export function isCacheable({ kind, lo }: Descriptor, { ignoresAf }: Reading): boolean {
  return kind === 'table' || (kind === 'leaf' && (ignoresAf || (lo & AF) !== 0));
}

/** What a valid leaf that was replaced by another valid leaf makes owed (Arm ARM D8.16). */
export function leafDifference(
  before: Descriptor,
  after: Descriptor,
  { stage }: Reading,
): 'none' | 'relaxed' | 'broken' {
  if (before.output !== after.output) return 'broken';
  if (stage === 2) return leaf2Difference(before, after);
  const low = (before.lo ^ after.lo) & LEAF_LOW;
  const high = (before.hi ^ after.hi) & LEAF_HIGH;
  if (low === 0 && high === 0) return 'none';
  const permissions = (low & ~(AP1 | AP2 | AF)) === 0 && (high & ~(PXN | UXN)) === 0;
  if (!permissions || (low & before.lo & AF) !== 0) return 'broken';
  if ((low & ~AF) === 0 && high === 0) return 'none'; // AF 0 -> 1
  // AP1 may be gained; AP2, PXN and UXN may be lost.
  const tightened = (low & after.lo & AP2) | (low & before.lo & AP1) | (high & after.hi & (PXN | UXN));
  return tightened === 0 ? 'relaxed' : 'broken';
}

function leaf2Difference(before: Descriptor, after: Descriptor): 'none' | 'relaxed' | 'broken' {
  const low = (before.lo ^ after.lo) & LEAF2_LOW;
  const high = (before.hi ^ after.hi) & LEAF_HIGH;
  if (low === 0 && high === 0) return 'none';
  const permissions = (low & ~(S2AP | AF)) === 0 && (high & ~(PXN | UXN)) === 0;
  if (!permissions || (low & before.lo & AF) !== 0) return 'broken';
  if ((low & ~AF) === 0 && high === 0) return 'none'; // AF 0 -> 1
  // S2AP may be gained; XN may be lost.
  const tightened = (low & before.lo & S2AP) | (high & after.hi & (PXN | UXN));
  return tightened === 0 ? 'relaxed' : 'broken';
}

// Low words: MemAttr and AttrIndx are the memory type; nT of a block.
const ATTR_INDEX = 7 << 2;
const MEM_ATTR = 15 << 2;
const SH = 3 << 8;
const NT = 1 << 16;
const CONTIGUOUS = 1 << 20;

/**
 * Why a valid descriptor may take the place of another only after break-before-make: the output, the
 * memory type, a global entry, and the size as IDR3.BBML lets it (Arm ARM D8.16; IHI 0070 3.21.1).
 * Undefined: it may be stored over the other.
 */
export function needsBreak(
  before: Descriptor,
  after: Descriptor,
  reading: Reading,
  bbml: number,
): string | undefined {
  if (before.kind === 'invalid' || after.kind === 'invalid') return undefined;
  if (before.kind === 'table' && after.kind === 'table') return undefined;
  if (before.kind !== after.kind) {
    const block = before.kind === 'leaf' ? before : after;
    const quiet = bbml >= 2 || (bbml === 1 && (block.lo & NT) !== 0);
    return quiet ? undefined : `the size changes, and IDR3.BBML=${bbml}`;
  }
  if (before.output !== after.output) return 'the output address changes';
  const type = reading.stage === 1 ? ATTR_INDEX : MEM_ATTR;
  if (((before.lo ^ after.lo) & type) !== 0) return 'the memory type changes';
  if (!isGlobal(before, reading) && isGlobal(after, reading)) return 'a global entry takes its place';
  if (((before.hi ^ after.hi) & CONTIGUOUS) !== 0 && bbml === 0)
    return 'the Contiguous bit changes, and IDR3.BBML=0';
  return undefined;
}

/** Whether an entry of the old leaf would go on with another memory type or shareability than the new one says. */
export function changesAttributes(before: Descriptor, after: Descriptor, { stage, wide }: Reading): boolean {
  if (before.kind !== 'leaf' || after.kind !== 'leaf') return false;
  // With 52-bit outputs these bits are of the address (Arm ARM D8.3).
  const shareability = wide ? 0 : SH;
  return ((before.lo ^ after.lo) & ((stage === 1 ? ATTR_INDEX : MEM_ATTR) | shareability)) !== 0;
}

/** Whether two table descriptors are the same to a walk. Those of stage 2 hold no attributes. */
export function sameTable(before: Descriptor, after: Descriptor, { stage }: Reading): boolean {
  const attributes = stage === 1 ? TABLE_HIGH : 0;
  return before.output === after.output && ((before.hi ^ after.hi) & attributes) === 0;
}
