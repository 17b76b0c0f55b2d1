/**
 * The stage 1 walk: IHI 0070 3.4, Arm ARM D8.2 and D8.3. One bounded loop over the levels, from the
 * walk cache where it helps. Descriptors are pairs of 32-bit words, addresses numbers.
 */
import type { Context } from '../machine.ts';
import { leafAttributes, tableAttributes } from './attributes.ts';
import type { Regime } from './events.ts';
import { fillTlb } from './fills.ts';
import { type Granule, spanLog2, startLevel } from './granule.ts';
import { contextKey, vaKey } from './keys.ts';
import type { SmmuState, TlbEntry } from './state.ts';

const TWO32 = 2 ** 32;

/** One table of a translation context, ready to be walked. */
export interface WalkContext {
  readonly regime: Regime;
  readonly vmid: number;
  readonly asid: number;
  readonly granule: Granule;
  /** Input bits of this half: 64 - TxSZ. */
  readonly inputBits: number;
  readonly ttb: number;
  /** Hierarchical attributes are off. */
  readonly had: boolean;
  readonly bigEndian: boolean;
  /** Output size in bits. */
  readonly outputBits: number;
  /** 64KB descriptors hold OA[51:48]: OAS, not IPS, decides (Arm ARM D8.3; above IPS is F_ADDR_SIZE). */
  readonly wide64: boolean;
  /** 52-bit outputs with 4KB and 16KB (CD.DS); never with 64KB. */
  readonly ds: boolean;
}

export interface Leaf {
  readonly pa: number;
  readonly level: number;
  readonly sizeLog2: number;
  readonly attributes: number;
  readonly global: boolean;
  readonly accessFlag: boolean;
  readonly descriptorPa: number;
  /** The descriptor's halves. */
  readonly lo: number;
  readonly hi: number;
  /** The walk-cache entry the walk began from; 0 for none. */
  readonly parent: number;
}

export type Walked =
  | { readonly ok: true; readonly leaf: Leaf }
  | {
      readonly ok: false;
      readonly record: 'F_TRANSLATION' | 'F_ADDR_SIZE' | 'F_WALK_EABT';
      readonly why: string;
      readonly fetchAddr?: number;
    };

interface Position {
  readonly level: number;
  readonly table: number;
  readonly above: number;
  readonly parent: number;
}

/** Walks `va` (in range of its half already) down to a leaf. */
export function walkStage1(context: Context, smmu: SmmuState, walk: WalkContext, va: bigint): Walked {
  const { granule } = walk;
  // The in-range part of an input address fits a number: 52 bits at the most.
  const input = Number(BigInt.asUintN(walk.inputBits, va));
  const first = beginning(smmu, walk, va);
  let { level, table, above, parent } = first;
  for (let steps = 0; steps < 5; steps += 1) {
    const indexBits =
      level === startLevel(granule, walk.inputBits)
        ? walk.inputBits - spanLog2(granule, level)
        : granule.stride;
    const index = Math.floor(input / 2 ** spanLog2(granule, level)) % 2 ** indexBits;
    const pa = table + index * 8;
    const read = readDescriptor(context, smmu, walk, level, pa);
    if (read === undefined)
      return { ok: false, record: 'F_WALK_EABT', why: `the read of level ${level} aborted`, fetchAddr: pa };
    const [lo, hi] = read;
    const kind = descriptorKind(walk, level, lo);
    if (kind === 'invalid')
      return { ok: false, record: 'F_TRANSLATION', why: `level ${level} descriptor is invalid` };
    const output = outputAddress(walk, level, kind, hi, lo);
    if (output >= 2 ** walk.outputBits)
      return { ok: false, record: 'F_ADDR_SIZE', why: `level ${level} output is beyond IPS` };
    if (kind === 'leaf') {
      return {
        ok: true,
        leaf: {
          pa: output,
          level,
          sizeLog2: spanLog2(granule, level),
          attributes: leafAttributes(above, hi, lo),
          global: (lo & (1 << 11)) === 0,
          accessFlag: (lo & (1 << 10)) !== 0,
          descriptorPa: pa,
          lo,
          hi,
          parent,
        },
      };
    }
    above = walk.had ? 0 : tableAttributes(above, hi);
    parent = fillTable(context, smmu, walk, va, { level, pa, lo, hi, next: output, above, parent });
    table = output;
    level += 1;
  }
  return { ok: false, record: 'F_TRANSLATION', why: 'no leaf' };
}

/** Where the walk begins: the deepest table the walk cache knows, or the base table. */
function beginning(smmu: SmmuState, walk: WalkContext, va: bigint): Position {
  const start = startLevel(walk.granule, walk.inputBits);
  if (smmu.caches.walk.size > 0) {
    const primary = contextKey(walk.regime, 1, walk.vmid, walk.asid, false);
    for (let level = 2; level >= start; level -= 1) {
      if (level < 0) break;
      const found = findAligned(smmu.caches.walk, primary, va, spanLog2(walk.granule, level));
      if (found !== undefined && found.granuleLog2 === walk.granule.pageLog2) {
        return { level: level + 1, table: found.pa, above: found.attributes, parent: found.id };
      }
    }
  }
  const sizeLog2 = walk.inputBits - spanLog2(walk.granule, start) + 3;
  // 52-bit outputs need a base aligned to 64 bytes (5.4 TTB0).
  const wide = walk.ds || (walk.wide64 && walk.outputBits > 48);
  const align = 2 ** Math.max(sizeLog2, wide ? 6 : 4);
  return { level: start, table: walk.ttb - (walk.ttb % align), above: 0, parent: 0 };
}

/** The entry of span `sizeLog2` that holds `va`. */
export function findAligned(
  cache: SmmuState['caches']['tlb'],
  primary: number,
  va: bigint,
  sizeLog2: number,
): TlbEntry | undefined {
  return cache.find(primary, vaKey((va >> BigInt(sizeLog2)) << BigInt(sizeLog2), sizeLog2));
}

function readDescriptor(
  context: Context,
  smmu: SmmuState,
  walk: WalkContext,
  level: number,
  pa: number,
): readonly [number, number] | undefined {
  const { memory } = context.state;
  const name = smmu.config.name;
  if (!memory.isRam(pa, 8)) {
    context.emit(name, { type: 'fetch.aborted', smmu: name, structure: 'descriptor', pa });
    return undefined;
  }
  const low = memory.read32(pa);
  const high = memory.read32(pa + 4);
  context.emit(name, {
    type: 'descriptor.fetched',
    smmu: name,
    stage: 1,
    level,
    pa,
    value: (BigInt(high) << 32n) | BigInt(low),
  });
  return walk.bigEndian ? [swap(high), swap(low)] : [low, high];
}

function swap(word: number): number {
  return (((word & 0xff) << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | (word >>> 24)) >>> 0;
}

/** Bits [1:0] and the level decide (Arm ARM D8.3). */
function descriptorKind(walk: WalkContext, level: number, lo: number): 'invalid' | 'table' | 'leaf' {
  if ((lo & 1) === 0) return 'invalid';
  if (level === 3) return (lo & 2) === 0 ? 'invalid' : 'leaf';
  if ((lo & 2) !== 0) return 'table';
  const wide = walk.granule.pageLog2 === 16 ? walk.wide64 : walk.ds;
  return (wide ? walk.granule.blockLevelsWide : walk.granule.blockLevels).includes(level)
    ? 'leaf'
    : 'invalid';
}

/** The next table, or the base of the page or block. */
function outputAddress(
  walk: WalkContext,
  level: number,
  kind: 'table' | 'leaf',
  hi: number,
  lo: number,
): number {
  const { pageLog2 } = walk.granule;
  let high = hi & 0xffff;
  if (walk.ds) high = (hi & 0x3_ffff) + ((lo >>> 8) & 3) * 2 ** 18;
  else if (walk.wide64) high += ((lo >>> 12) & 0xf) * 2 ** 16;
  const low = ((lo >>> pageLog2) << pageLog2) >>> 0;
  const address = high * TWO32 + low;
  return kind === 'table' ? address : address - (address % 2 ** spanLog2(walk.granule, level));
}

interface TableStep {
  readonly level: number;
  readonly pa: number;
  readonly lo: number;
  readonly hi: number;
  readonly next: number;
  readonly above: number;
  readonly parent: number;
}

/** Caches a table descriptor; such information is ASID-specific, even below a global leaf (ARM D8.16.3). */
function fillTable(
  context: Context,
  smmu: SmmuState,
  walk: WalkContext,
  va: bigint,
  step: TableStep,
): number {
  if (smmu.config.caches.walk === 0 || step.level < 0) return 0;
  const sizeLog2 = spanLog2(walk.granule, step.level);
  return fillTlb(context, smmu, {
    cache: 'walk',
    regime: walk.regime,
    stage: 1,
    vmid: walk.vmid,
    asid: walk.asid,
    global: false,
    va: (va >> BigInt(sizeLog2)) << BigInt(sizeLog2),
    sizeLog2,
    granuleLog2: walk.granule.pageLog2,
    level: step.level,
    leaf: false,
    pa: step.next,
    attributes: step.above,
    descriptorPa: step.pa,
    descriptor: (BigInt(step.hi) << 32n) | BigInt(step.lo),
    parent: step.parent,
  });
}
