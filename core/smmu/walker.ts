/**
 * The table walk, of stage 1 and of stage 2: IHI 0070 3.4, Arm ARM D8.2 and D8.3. One bounded loop over
 * the levels, from the walk cache where it helps. Descriptors are pairs of 32-bit words, addresses
 * numbers. In a nested stage 1 walk every descriptor address goes through stage 2 first.
 */
import { swap, wide } from '../layout/words.ts';
import type { Context } from '../machine.ts';
import { inSpace } from '../memory/space.ts';
import { below, pow2 } from '../pow2.ts';
import { leafAttributes, tableAttributes } from './attributes.ts';
import { leafAttributes2 } from './attributes2.ts';
import type { Regime } from './events.ts';
import type { Fault } from './fault.ts';
import { fillTlb } from './fills.ts';
import { type Granule, spanLog2 } from './granule.ts';
import { ACCESS_FLAG, type FetchedDescriptor, type Updates, updateDescriptor } from './httu.ts';
import { spanStart } from './keys.ts';
import { findEntry } from './look-up.ts';
import type { SmmuState } from './state.ts';

const TWO32 = 2 ** 32;

/** One translation regime's tables, ready to be walked. */
export interface WalkContext {
  readonly stage: 1 | 2;
  readonly regime: Regime;
  readonly vmid: number;
  readonly asid: number;
  readonly aset: boolean;
  readonly granule: Granule;
  /** Input bits: 64 - TxSZ. */
  readonly inputBits: number;
  readonly start: number;
  /** Entries of the first table, or of the concatenated first tables. */
  readonly firstEntries: number;
  /** The first table, aligned as it must be. */
  readonly base: number;
  /** Hierarchical attributes are off. */
  readonly had: boolean;
  readonly bigEndian: boolean;
  /** Output size in bits. */
  readonly outputBits: number;
  /** 64KB descriptors hold OA[51:48]: OAS, not IPS, decides (Arm ARM D8.3; above IPS is F_ADDR_SIZE). */
  readonly wide64: boolean;
  /** 52-bit outputs with 4KB and 16KB (CD.DS, STE.S2DS); never with 64KB. */
  readonly ds: boolean;
  /** AF=0 is a fault. */
  readonly checkAf: boolean;
  /** Hardware sets AF; manages dirty state; sets AF of table descriptors (3.13). */
  readonly ha: boolean;
  readonly hd: boolean;
  readonly haft: boolean;
  /** Key of the context's own entries in the TLB and the walk cache (`contextKey`). */
  readonly primary: number;
}

/** Where a descriptor stands, or why that cannot be known. */
export type Place =
  | { readonly ok: true; readonly pa: number; readonly fill: number }
  | { readonly ok: false; readonly fault: Fault };
/** Takes the address of a stage 1 descriptor through stage 2, for a read or for an update. */
export type Resolve = (address: number, update: boolean) => Place;

export interface Leaf {
  readonly pa: number;
  readonly level: number;
  readonly sizeLog2: number;
  readonly attributes: number;
  readonly global: boolean;
  readonly accessFlag: boolean;
  /** A table on the way had AF=0 and was left so, where hardware keeps that flag: nothing of it may be cached (3.13.6). */
  readonly unaccessed: boolean;
  /** Where the descriptor stands, and the address by which the walk found it (an IPA when nested). */
  readonly descriptorPa: number;
  readonly descriptorAddress: number;
  /** The descriptor's halves. */
  readonly lo: number;
  readonly hi: number;
  /** The walk-cache entry the walk began from; 0 for none. */
  readonly parent: number;
  /** Stage 2 entries that the descriptors were reached through. */
  readonly rests: readonly number[];
}

export type Walked =
  | { readonly ok: true; readonly leaf: Leaf }
  | { readonly ok: false; readonly fault: Fault };

const NO_RESTS: readonly number[] = [];

/**
 * Walks down to a leaf. The leaf's access flag and permissions are the caller's business.
 * @param input the input address, within `inputBits`.
 * @param page bits [55:12] of it, as the caches know it.
 */
export function walkTables(
  context: Context,
  smmu: SmmuState,
  walk: WalkContext,
  input: number,
  page: number,
  updates: Updates,
  resolve?: Resolve,
): Walked {
  const { granule } = walk;
  let { level, table, above, parent } = beginning(smmu, walk, page);
  let rests = NO_RESTS;
  let unaccessed = false;
  const keeps = smmu.config.caches.walk !== 0;
  for (; level <= 3; level += 1) {
    const entries = level === walk.start ? walk.firstEntries : pow2(granule.stride);
    const address = table + below(Math.floor(input / pow2(spanLog2(granule, level))), entries) * 8;
    let pa = address;
    if (resolve !== undefined) {
      const place = resolve(address, false);
      if (!place.ok) return place;
      pa = place.pa;
      if (place.fill !== 0) rests = [...rests, place.fill];
    }
    const low = readDescriptor(context, smmu, walk, level, pa);
    if (low === undefined) return fail(walk, 'F_WALK_EABT', `the read of level ${level} aborted`, pa);
    const raw = context.state.memory.read32(inSpace(context.state, smmu.config.space, pa) + 4);
    let lo = walk.bigEndian ? swap(raw) : low;
    const hi = walk.bigEndian ? swap(low) : raw;
    const kind = descriptorKind(walk, level, lo);
    if (kind === 'invalid') return fail(walk, 'F_TRANSLATION', `level ${level} descriptor is invalid`);
    const output = outputAddress(walk, level, kind, hi, lo);
    if (output >= pow2(walk.outputBits))
      return fail(
        walk,
        'F_ADDR_SIZE',
        `level ${level} output is beyond ${walk.stage === 1 ? 'IPS' : 'S2PS'}`,
      );
    if (kind === 'leaf') {
      const fetched: FetchedDescriptor = { pa, address, lo, hi };
      return { ok: true, leaf: leafOf(walk, level, output, fetched, { above, parent, rests, unaccessed }) };
    }
    if (walk.haft && !updates.af && (lo & ACCESS_FLAG) === 0) unaccessed = true;
    else if (walk.haft && (lo & ACCESS_FLAG) === 0) {
      const fetched: FetchedDescriptor = { pa, address, lo, hi };
      lo |= ACCESS_FLAG;
      const fault = updateDescriptor(context, smmu, walk, fetched, lo, hi, resolve);
      if (fault !== undefined) return { ok: false, fault };
    }
    if (walk.stage === 1) above = walk.had ? 0 : tableAttributes(above, hi);
    if (keeps && !unaccessed)
      parent = fillTable(context, smmu, walk, page, {
        level,
        pa,
        lo,
        hi,
        next: output,
        above,
        parent,
        rests,
      });
    table = output;
  }
  return fail(walk, 'F_TRANSLATION', 'no leaf');
}

/** What the tables on the way to a leaf add to it. */
type Way = Pick<Leaf, 'parent' | 'rests' | 'unaccessed'> & { readonly above: number };

function leafOf(
  walk: WalkContext,
  level: number,
  output: number,
  { pa, address, lo, hi }: FetchedDescriptor,
  { above, parent, rests, unaccessed }: Way,
): Leaf {
  return {
    pa: output,
    level,
    sizeLog2: spanLog2(walk.granule, level),
    attributes: walk.stage === 1 ? leafAttributes(above, hi, lo) : leafAttributes2(hi, lo),
    global: (lo & (1 << 11)) === 0,
    accessFlag: (lo & ACCESS_FLAG) !== 0,
    descriptorPa: pa,
    descriptorAddress: address,
    lo,
    hi,
    parent,
    rests,
    unaccessed,
  };
}

function fail(walk: WalkContext, record: Fault['record'], why: string, fetchAddr?: number): Walked {
  const s2 = walk.stage === 2 ? { s2: true } : {};
  return { ok: false, fault: { record, why, ...s2, ...(fetchAddr === undefined ? {} : { fetchAddr }) } };
}

interface Position {
  readonly level: number;
  readonly table: number;
  readonly above: number;
  readonly parent: number;
}

/** Where the walk begins: the deepest table the walk cache knows, or the base table. */
function beginning(smmu: SmmuState, walk: WalkContext, page: number): Position {
  if (smmu.caches.walk.size > 0) {
    for (let level = 2; level >= walk.start && level >= 0; level -= 1) {
      const found = findEntry(smmu, 'walk', walk.primary, page, spanLog2(walk.granule, level));
      if (found !== undefined && found.granuleLog2 === walk.granule.pageLog2) {
        return { level: level + 1, table: found.pa, above: found.attributes, parent: found.id };
      }
    }
  }
  return { level: walk.start, table: walk.base, above: 0, parent: 0 };
}

/**
 * The first table, aligned down to its size; to 64 bytes at least where the effective output size is 52 bits
 * (5.4 TTB0, 5.2 S2TTB).
 */
export function tableBase(ttb: number, tableLog2: number, wide: boolean): number {
  return ttb - (ttb % pow2(Math.max(tableLog2, wide ? 6 : 4)));
}

/** Logs the read of a descriptor. Returns its lower word, undefined when the read aborts. */
function readDescriptor(
  context: Context,
  smmu: SmmuState,
  walk: WalkContext,
  level: number,
  pa: number,
): number | undefined {
  const { memory } = context.state;
  const name = smmu.config.name;
  const at = inSpace(context.state, smmu.config.space, pa);
  if (!memory.isRam(at, 8)) {
    context.emit(name, { type: 'fetch.aborted', smmu: name, structure: 'descriptor', pa });
    return undefined;
  }
  const low = memory.read32(at);
  const value = wide(memory.read32(at + 4), low);
  context.emit(name, { type: 'descriptor.fetched', smmu: name, stage: walk.stage, level, pa, value });
  return low;
}

/** Bits [1:0] and the level decide (Arm ARM D8.3). */
function descriptorKind(walk: WalkContext, level: number, lo: number): 'invalid' | 'table' | 'leaf' {
  if ((lo & 1) === 0) return 'invalid';
  if (level === 3) return (lo & 2) === 0 ? 'invalid' : 'leaf';
  if ((lo & 2) !== 0) return 'table';
  const wider = walk.granule.pageLog2 === 16 ? walk.wide64 : walk.ds;
  return (wider ? walk.granule.blockLevelsWide : walk.granule.blockLevels).includes(level)
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
  if (kind === 'table') return address;
  const span = pow2(spanLog2(walk.granule, level));
  return Math.floor(address / span) * span;
}

interface TableStep {
  readonly level: number;
  readonly pa: number;
  readonly lo: number;
  readonly hi: number;
  readonly next: number;
  readonly above: number;
  readonly parent: number;
  readonly rests: readonly number[];
}

/** Caches a table descriptor; such information is ASID-specific, even below a global leaf (ARM D8.16.3). */
function fillTable(
  context: Context,
  smmu: SmmuState,
  walk: WalkContext,
  page: number,
  step: TableStep,
): number {
  if (step.level < 0) return 0;
  const sizeLog2 = spanLog2(walk.granule, step.level);
  return fillTlb(context, smmu, {
    type: 'tlb.filled',
    smmu: smmu.config.name,
    cache: 'walk',
    regime: walk.regime,
    stage: walk.stage,
    vmid: walk.vmid,
    asid: walk.asid,
    global: false,
    va: entryAddress(walk, page, sizeLog2),
    sizeLog2,
    granuleLog2: walk.granule.pageLog2,
    level: step.level,
    leaf: false,
    pa: step.next,
    attributes: step.above,
    descriptorPa: step.pa,
    descriptor: wide(step.hi, step.lo),
    parent: step.parent,
    ...(walk.aset ? { aset: true } : {}),
    ...(step.rests.length === 0 ? {} : { rests: step.rests }),
  });
}

/** First input address of the entry that holds `page`: of the upper half of a stage 1, sign-extended. */
export function entryAddress(walk: WalkContext, page: number, sizeLog2: number): bigint {
  const va = BigInt(spanStart(page, sizeLog2)) << 12n;
  return walk.stage === 1 && walk.regime !== 'EL2' ? BigInt.asUintN(64, BigInt.asIntN(56, va)) : va;
}
