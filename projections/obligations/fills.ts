/**
 * What the caches hold, as the log tells it, and which descriptor words each translation rests on.
 * Bounded by the caches: a fill goes with the event that removes it, or with a later one in its place.
 */
import type { EntryOf } from '../../core/event.ts';
import type { Memory } from '../../core/memory/memory.ts';
import type { CacheName } from '../../core/smmu/events.ts';
import { granules, spanLog2 } from '../../core/smmu/granule.ts';
import { contextKey, vaKey } from '../../core/smmu/keys.ts';
import { limits } from '../../core/smmu/state.ts';
import type { Output } from './obligation.ts';
import { addOutput, newOutputs, type OutputIndex, removeOutput } from './outputs.ts';
import { type Stray, strayBelow } from './stray.ts';

/** A descriptor as a walk read it, and those above it. */
export interface PathNode {
  readonly pa: number;
  readonly lo: number;
  readonly hi: number;
  readonly level: number;
  /** seq at which it was read. */
  readonly at: number;
  readonly up: PathNode | undefined;
}

export interface TlbFill {
  readonly entry: EntryOf<'tlb.filled'>;
  readonly path: PathNode;
  /** Paths of the stage 2 entries through which its descriptors and its output were reached. */
  readonly others: readonly PathNode[];
  /** Where it leads: an IPA where it holds stage 1 alone of two. */
  readonly output: Output;
  /** seq of the oldest read it rests on. */
  readonly oldest: number;
  /** It was made while an STE, CD or level 1 descriptor was dirty: its context may be of before the change. */
  readonly doubtful: boolean;
  /** The CD that it was made under, where the access that it was made for tells. */
  cd: ReadCd | undefined;
  /** An entry of another context that it rests on. */
  readonly stray: Stray | undefined;
  /** The last configuration change and stream for which its context was found right. */
  verified: number;
  verifiedStream: number;
}
export type ConfigFill = EntryOf<'config.filled'>;
/** A CD that was read: into a cache, or for one access. */
export type ReadCd = ConfigFill | EntryOf<'structure.fetched'>;

export interface Fills {
  readonly tlb: Map<number, TlbFill>;
  readonly config: Map<number, ConfigFill>;
  /** What TLBs beside devices were filled under, whatever has become of it in the caches behind. */
  readonly kept: Map<number, ConfigFill>;
  readonly tlbPlaces: Map<number, Map<number, number>>;
  readonly walkPlaces: Map<number, Map<number, number>>;
  readonly configPlaces: Map<string, number>;
  /** Entries that hold stage 1, by the stage 2 descriptors they rest on. */
  readonly through: Map<number, Set<number>>;
  /** The same entries by where they lead. */
  readonly guest: OutputIndex<TlbFill>;
  /** Stage 2 entries dropped since the last access: the walk under way may rest on them all the same. */
  readonly dropped: Map<number, PathNode>;
  /** Entries that gave way since the last access: the walk under way may have begun from them. */
  readonly evicted: Map<number, TlbFill>;
  /** Leaves of the step under way, and the last CD that was read from memory. */
  readonly made: TlbFill[];
  fetchedCd: EntryOf<'structure.fetched'> | undefined;
  /** Entries that gave way to one in their place since the last access, as when a leaf is marked dirty on the way. */
  readonly successors: Map<number, number>;
  /** Where the stage 2 entry stood through which a CD or L1CD was read. */
  readonly configPaths: Map<number, PathNode>;
  /** Descriptors of the walk that is under way, and of the stage 2 walk inside it. */
  walk: PathNode | undefined;
  walk2: PathNode | undefined;
  /** What was evicted for the entry that comes next. */
  leaving: number | undefined;
  /** Where the walk under way could not read a descriptor. */
  aborted: number | undefined;
}

/** Empty caches. */
export function newFills(): Fills {
  return {
    tlb: new Map(),
    config: new Map(),
    kept: new Map(),
    tlbPlaces: new Map(),
    walkPlaces: new Map(),
    configPlaces: new Map(),
    through: new Map(),
    guest: newOutputs(),
    dropped: new Map(),
    evicted: new Map(),
    made: [],
    fetchedCd: undefined,
    successors: new Map(),
    configPaths: new Map(),
    walk: undefined,
    walk2: undefined,
    aborted: undefined,
    leaving: undefined,
  };
}

/** A walk read a descriptor; the walk is over with its access. */
export function descriptorFetched(fills: Fills, entry: EntryOf<'descriptor.fetched'>): void {
  const { pa, level, seq: at, value } = entry;
  const lo = Number(value & 0xffff_ffffn);
  const hi = Number(value >> 32n);
  if (entry.stage === 1) {
    fills.walk = { pa, lo, hi, level, at, up: level <= 0 ? undefined : fills.walk };
    return;
  }
  // Many stage 2 walks stand in one access: each begins anew.
  const above = fills.walk2;
  fills.walk2 = {
    pa,
    lo,
    hi,
    level,
    at,
    up: above !== undefined && above.level === level - 1 ? above : undefined,
  };
}

/** Hardware stored to the descriptor that it has just read: the entry to come is made of the new value (3.13). */
export function descriptorUpdated(fills: Fills, { pa, value }: EntryOf<'memory.written'>): void {
  const words = { lo: Number(value & 0xffff_ffffn), hi: Number(value >> 32n) };
  if (fills.walk?.pa === pa) fills.walk = { ...fills.walk, ...words };
  if (fills.walk2?.pa === pa) fills.walk2 = { ...fills.walk2, ...words };
}

/**
 * The TLB or walk cache took an entry; what stood in its place goes.
 * @param doubtful an STE or CD that is wrong may have led to it.
 */
export function tlbFilled(fills: Fills, entry: EntryOf<'tlb.filled'>, doubtful: boolean): void {
  const path = pathOf(fills, entry);
  let oldest = path.at;
  for (let node = path.up; node !== undefined; node = node.up) oldest = Math.min(oldest, node.at);
  const places = entry.leaf ? fills.tlbPlaces : fills.walkPlaces;
  const context = contextKey(entry.regime, entry.stage, entry.vmid, entry.asid, entry.global);
  let inner = places.get(context);
  if (inner === undefined) {
    inner = new Map();
    places.set(context, inner);
  }
  const place = vaKey(entry.va, entry.sizeLog2);
  const replaced = inner.get(place);
  if (replaced !== undefined) dropFill(fills, replaced);
  inner.set(place, entry.seq);
  const others = (entry.rests ?? []).flatMap((seq) => pathOfFill(fills, seq) ?? []);
  for (const head of others) noteThrough(fills, head, entry.seq);
  const output = { pa: entry.pa, sizeLog2: entry.leaf ? entry.sizeLog2 : entry.granuleLog2 };
  const stray = strayBelow(entry, restsOf(fills, entry));
  const fill: TlbFill = {
    entry,
    path,
    others,
    output,
    oldest,
    doubtful,
    cd: undefined,
    stray,
    verified: 0,
    verifiedStream: -1,
  };
  if (others.length > 0) addOutput(fills.guest, fill);
  fills.tlb.set(entry.seq, fill);
  if (entry.leaf && entry.stage !== 2) {
    if (fills.made[0]?.entry.cause !== entry.cause) fills.made.length = 0;
    fills.made.push(fill);
  }
  if (fills.leaving !== undefined) fills.successors.set(fills.leaving, entry.seq);
  fills.leaving = undefined;
  if (entry.stage === 2 && entry.leaf) fills.walk2 = undefined;
}

/** The table its walk went on from, and the stage 2 entries of its addresses. */
function restsOf({ tlb, evicted }: Fills, { parent, rests = [] }: EntryOf<'tlb.filled'>): readonly TlbFill[] {
  const above = parent === 0 ? undefined : (tlb.get(parent) ?? evicted.get(parent));
  const second = rests.flatMap((seq) => tlb.get(seq) ?? []);
  return above === undefined ? second : [above, ...second];
}

/** The chain is short: the levels of stage 2. */
function noteThrough({ through }: Fills, head: PathNode, seq: number): void {
  for (let node: PathNode | undefined = head; node !== undefined; node = node.up) {
    const present = through.get(node.pa);
    if (present === undefined) through.set(node.pa, new Set([seq]));
    else present.add(seq);
  }
}

function dropFill({ tlb, through, guest }: Fills, seq: number): void {
  const fill = tlb.get(seq);
  if (fill !== undefined && fill.others.length > 0) removeOutput(guest, fill);
  for (const head of tlb.get(seq)?.others ?? []) {
    for (let node: PathNode | undefined = head; node !== undefined; node = node.up) {
      const present = through.get(node.pa);
      if (present?.delete(seq) === true && present.size === 0) through.delete(node.pa);
    }
  }
  tlb.delete(seq);
}

/** The descriptors above are those of the walk-cache entry it began from, or those just read. */
function pathOf({ tlb, walk: walk1, walk2 }: Fills, entry: EntryOf<'tlb.filled'>): PathNode {
  const walk = entry.stage === 2 ? walk2 : walk1;
  const parent = entry.parent === 0 ? undefined : tlb.get(entry.parent)?.path;
  const read = walk?.pa === entry.descriptorPa ? walk : undefined;
  return {
    pa: entry.descriptorPa,
    lo: read?.lo ?? Number(entry.descriptor & 0xffff_ffffn),
    hi: read?.hi ?? Number(entry.descriptor >> 32n),
    level: entry.level,
    at: read?.at ?? entry.seq,
    up: parent ?? read?.up,
  };
}

/**
 * The walk-cache entry from which the walk under way began: the one over `iova` whose table holds the
 * first descriptor that was read. An access that ends without a TLB entry does not name it.
 */
export function walkBegan(
  { tlb, walk, aborted, walkPlaces }: Fills,
  iova: bigint,
  asid?: number,
): TlbFill | undefined {
  let first = walk;
  while (first?.up !== undefined) first = first.up;
  const pa = first?.pa ?? aborted;
  if (pa === undefined) return undefined;
  // A read that aborted does not tell its level.
  const sizes = (first === undefined ? [3, 2, 1] : [first.level]).filter((level) => level > 0);
  for (const inner of walkPlaces.values()) {
    for (const [granule, level] of Object.values(granules).flatMap((each) =>
      sizes.map((of) => [each, of] as const),
    )) {
      const sizeLog2 = spanLog2(granule, level - 1);
      const seq = inner.get(vaKey((iova >> BigInt(sizeLog2)) << BigInt(sizeLog2), sizeLog2));
      const fill = seq === undefined ? undefined : tlb.get(seq);
      if (fill === undefined || (asid !== undefined && fill.entry.asid !== asid)) continue;
      const table = fill.entry.pa;
      if (pa >= table && pa < table + 2 ** (granule.stride + 3)) return fill;
    }
  }
  return undefined;
}

function pathOfFill({ tlb, dropped }: Fills, seq: number): PathNode | undefined {
  return tlb.get(seq)?.path ?? dropped.get(seq);
}

/** The access is over, and its walk with it. */
export function accessEnded(fills: Fills): void {
  fills.walk = undefined;
  fills.walk2 = undefined;
  fills.aborted = undefined;
  fills.dropped.clear();
  fills.evicted.clear();
  fills.made.length = 0;
  fills.successors.clear();
}

/** The entry of that fill, or what took its place in the walk that is under way. */
export function filledBy({ tlb, successors }: Fills, seq: number): TlbFill | undefined {
  return tlb.get(seq) ?? tlb.get(successors.get(seq) ?? 0);
}

/** A cache lets an entry go for the one that is to come in its place. */
export function replacing(fills: Fills, { why, removed: going }: EntryOf<'cache.evicted'>): void {
  fills.leaving = why === 'replaced' ? going[0] : undefined;
  for (const seq of going) {
    const fill = fills.tlb.get(seq);
    if (fill !== undefined) fills.evicted.set(seq, fill);
  }
}

/** A configuration cache took a structure; what stood in its place goes. */
export function configFilled(fills: Fills, entry: ConfigFill): void {
  const place = configPlace(entry.cache, entry.streamId, entry.substreamId);
  const replaced = fills.configPlaces.get(place);
  if (replaced !== undefined) {
    fills.config.delete(replaced);
    fills.configPaths.delete(replaced);
  }
  fills.configPlaces.set(place, entry.seq);
  fills.config.set(entry.seq, entry);
  const through = entry.tlb2 === undefined ? undefined : pathOfFill(fills, entry.tlb2);
  if (through !== undefined) fills.configPaths.set(entry.seq, through);
}

/** Twice what such TLBs have entries: those of the last fills are among these. */
const KEPT_MAX = 2 * limits.ports;

/** A TLB beside a device goes on with this configuration. */
export function portFilled({ config, kept }: Fills, { ste, cd }: EntryOf<'port.filled'>): void {
  for (const seq of [ste, cd]) {
    const fill = config.get(seq) ?? kept.get(seq);
    if (fill === undefined) continue;
    kept.delete(seq);
    kept.set(seq, fill);
  }
  for (const seq of kept.keys()) {
    if (kept.size <= KEPT_MAX) return;
    kept.delete(seq);
  }
}

/** The structure that an access names: of the caches, or of a TLB beside the device. */
export function configOf({ config, kept }: Fills, seq: number): ConfigFill | undefined {
  return config.get(seq) ?? kept.get(seq);
}

function configPlace(cache: string, streamId: number, substreamId: number): string {
  return `${cache}:${streamId}:${substreamId}`;
}

/** The entry that the cache holds for the stream, if any. */
export function heldConfig(
  { config, configPlaces }: Fills,
  cache: CacheName,
  streamId: number,
  substreamId: number,
): ConfigFill | undefined {
  const seq = configPlaces.get(configPlace(cache, streamId, substreamId));
  return seq === undefined ? undefined : config.get(seq);
}

/** The caches dropped these fills. */
export function removed(fills: Fills, seqs: readonly number[]): void {
  for (const seq of seqs) {
    const tlb = fills.tlb.get(seq);
    if (tlb !== undefined) forget(fills, tlb.entry);
    if (tlb?.entry.stage === 2) fills.dropped.set(seq, tlb.path);
    dropFill(fills, seq);
    const config = fills.config.get(seq);
    if (config === undefined) continue;
    fills.config.delete(seq);
    fills.configPaths.delete(seq);
    const place = configPlace(config.cache, config.streamId, config.substreamId);
    if (fills.configPlaces.get(place) === seq) fills.configPlaces.delete(place);
  }
}

function forget({ tlbPlaces, walkPlaces }: Fills, entry: EntryOf<'tlb.filled'>): void {
  const places = entry.leaf ? tlbPlaces : walkPlaces;
  const context = contextKey(entry.regime, entry.stage, entry.vmid, entry.asid, entry.global);
  const inner = places.get(context);
  const place = vaKey(entry.va, entry.sizeLog2);
  if (inner?.get(place) !== entry.seq) return;
  inner.delete(place);
  if (inner.size === 0) places.delete(context);
}

/** Whether every descriptor of the path still stands in memory as it was read. */
export function pathStands(memory: Memory, path: PathNode): boolean {
  for (let node: PathNode | undefined = path; node !== undefined; node = node.up) {
    if (memory.read32(node.pa) !== node.lo || memory.read32(node.pa + 4) !== node.hi) return false;
  }
  return true;
}

/** Whether a structure stands at `pa` as the fill holds it. */
export function structureStands(memory: Memory, fill: ConfigFill): boolean {
  const { words, pa } = fill;
  for (let at = 0; at < words.length; at += 4) {
    const word =
      ((words[at] ?? 0) |
        ((words[at + 1] ?? 0) << 8) |
        ((words[at + 2] ?? 0) << 16) |
        ((words[at + 3] ?? 0) << 24)) >>>
      0;
    if (memory.read32(pa + at) !== word) return false;
  }
  return true;
}
