/**
 * The stream table from STRTAB_BASE on: which STEs hardware can reach, and what their changes make
 * owed. IHI 0070 3.3.1, 3.21, 5.1, 5.2. Nothing is reachable before SMMUEN is set; what was reachable
 * before SMMUEN was cleared may still be cached, and is followed on.
 */
import type { Words } from '../../core/layout/field.ts';
import type { Features } from '../../core/smmu/features.ts';
import { L1STD } from '../../core/smmu/ste.ts';
import { attach, type Contexts, detach } from './contexts.ts';
import { owe } from './ledger.ts';
import type { Change, Obligation, Output } from './obligation.ts';
import { changeSecond, type SecondUser, viewStage2 } from './second-stage.ts';
import { type SteView, sameSte, viewSte } from './structures.ts';
import { addRegion, nonZeroUnits, type Region, removeRegion, type Watch, wholeRegion } from './watch.ts';

/** Where the stream table stands and how it is cut. */
export interface StreamTableShape {
  readonly base: number;
  /** STEs behind one L1STD, log2; 0: linear. */
  readonly splitLog2: number;
  /** StreamIDs, log2. */
  readonly sizeLog2: number;
}

interface Linked {
  readonly shape: StreamTableShape;
  readonly region: Region;
  /** Arrays of STEs by L1STD. */
  readonly leaves: Map<number, Region>;
}

export interface Streams {
  readonly watch: Watch;
  readonly contexts: Contexts;
  readonly features: Features;
  linked: Linked | undefined;
  /** Streams whose STE leads to stage 2 tables. */
  readonly second: Map<number, SecondUser>;
  e2h: boolean;
}

/** STRTAB_BASE and STRTAB_BASE_CFG as the SMMU reads them (6.3.24, 6.3.25). */
export function streamTableShape(base: bigint, cfg: number, features: Features): StreamTableShape {
  const raw = Number(base & 0xff_ffff_ffff_ffc0n);
  const log2size = cfg & 0x3f;
  const sizeLog2 = Math.min(log2size, features.sidBits);
  if (((cfg >>> 16) & 3) !== 1 || features.stLevel === 0)
    return { base: raw - (raw % 2 ** (log2size + 6)), splitLog2: 0, sizeLog2 };
  const code = (cfg >>> 6) & 0x1f;
  const splitLog2 = code === 8 || code === 10 ? code : 6;
  return { base: raw - (raw % 2 ** Math.max(6, log2size - splitLog2 + 3)), splitLog2, sizeLog2 };
}

/** SMMUEN became 1: all that the table leads to is reachable from now on. */
export function linkStreams(streams: Streams, shape: StreamTableShape, change: Change): void {
  const { watch } = streams;
  const { base, splitLog2, sizeLog2 } = shape;
  const twoLevel = splitLog2 > 0;
  const count = twoLevel ? 2 ** Math.max(0, sizeLog2 - splitLog2) : 2 ** sizeLog2;
  const region: Region = {
    smmu: streams.contexts.roots.tables.smmu,
    as: 'stream table',
    held: () => 'STRTAB_BASE still leads there',
    start: base,
    end: base + count * (twoLevel ? 8 : 64),
    unitBytes: twoLevel ? 8 : 64,
    since: watch.clock.tick,
    changed: (index, before, after, by) =>
      twoLevel
        ? l1stdChanged(streams, index, before, after, by)
        : steChanged(streams, index, base + index * 64, before, after, by),
    gone: false,
  };
  streams.linked = { shape, region, leaves: new Map() };
  addRegion(watch, region);
  claim(streams, region, change);
  for (const [index, words] of nonZeroUnits(watch.memory, region.start, region.end, region.unitBytes)) {
    if (twoLevel) addLeaf(streams, index, words, change);
    else reach(streams, index, words, change);
  }
}

function claim({ contexts }: Streams, { start, end }: Region, change: Change): void {
  contexts.roots.tables.claimed(start, end - start, { as: 'stream table', where: change.pa, change });
}

/** STRTAB_BASE or its CFG changed: every STE of the old table may be cached (8.4). */
export function unlinkStreams(streams: Streams, change: Change): void {
  const { linked, contexts } = streams;
  if (linked === undefined) return;
  contexts.lastChange = change.seq;
  removeRegion(streams.watch, linked.region);
  if (linked.shape.splitLog2 === 0) dropStes(streams, linked.region, 0, change, undefined);
  for (const [index] of linked.leaves) {
    dropLeaf(streams, linked, index, change, oweL1std(streams, linked, index, change));
  }
  streams.linked = undefined;
}

/** The address at which the STE of the stream stands, or undefined when there is none. */
export function steAddress({ linked }: Streams, streamId: number): number | undefined {
  if (linked === undefined || streamId >= 2 ** linked.shape.sizeLog2) return undefined;
  const { splitLog2, base } = linked.shape;
  if (splitLog2 === 0) return base + streamId * 64;
  const leaf = linked.leaves.get(Math.floor(streamId / 2 ** splitLog2));
  const pa = leaf === undefined ? 0 : leaf.start + (streamId % 2 ** splitLog2) * 64;
  return leaf !== undefined && pa < leaf.end ? pa : undefined;
}

/** Any change counts, valid or not: an STE with V=0 may be cached too (8.1). */
function steChanged(
  streams: Streams,
  streamId: number,
  pa: number,
  before: Words,
  after: Words,
  change: Change,
): void {
  if (sameSte(before, after)) return;
  streams.contexts.lastChange = change.seq;
  const { contexts, features, second } = streams;
  const was = viewSte(before, features, streams.e2h);
  const is = viewSte(after, features, streams.e2h);
  const output = was === undefined || was.contexts === is?.contexts ? undefined : contextsOf(was);
  const owed = change.initial === true ? undefined : oweSte(streams, streamId, pa, change, undefined, output);
  changeSecond(contexts.roots, second, streamId, viewStage2(after, features), change, owed);
  // The new first, so that what both lead to stays.
  const same = was !== undefined && is !== undefined && sameView(was, is);
  if (same) return;
  if (was !== undefined && is !== undefined && was.contexts === is.contexts) {
    detach(streams.contexts, streamId, was, change, owed);
    attach(streams.contexts, streamId, is, change);
    return;
  }
  if (is !== undefined) attach(streams.contexts, streamId, is, change);
  if (was !== undefined) detach(streams.contexts, streamId, was, change, owed);
}

function sameView(a: object, b: object): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

function oweSte(
  { contexts }: Streams,
  streamId: number,
  where: number,
  change: Change,
  upper?: Obligation,
  output?: Output,
): Obligation {
  const target = { cache: 'ste', streamId, substreamId: 0, span: 1 } as const;
  const lead = output === undefined ? {} : { output };
  const owed = { kind: 'config', structure: 'STE', where, targets: [target], upper, ...lead } as const;
  return owe(contexts.roots.ledger, owed, change);
}

/** The array of CDs or L1CDs that a stale STE leads to. */
function contextsOf({ contexts, leafLog2, cdMax }: SteView): Output {
  const sizeLog2 = leafLog2 === 0 ? cdMax + 6 : Math.max(6, cdMax - leafLog2 + 3);
  return { pa: contexts, sizeLog2 };
}

function reach(streams: Streams, streamId: number, words: Words, change: Change): void {
  const view = viewSte(words, streams.features, streams.e2h);
  if (view !== undefined) attach(streams.contexts, streamId, view, change);
  const { contexts, features, second } = streams;
  changeSecond(contexts.roots, second, streamId, viewStage2(words, features), change, undefined);
}

function l1stdChanged(streams: Streams, index: number, before: Words, after: Words, change: Change): void {
  const { linked } = streams;
  if (linked === undefined) return;
  const was = spanOf(before, linked.shape);
  const is = spanOf(after, linked.shape);
  if (was?.start === is?.start && was?.end === is?.end) return;
  streams.contexts.lastChange = change.seq;
  const owed = change.initial === true ? undefined : oweL1std(streams, linked, index, change);
  dropLeaf(streams, linked, index, change, owed);
  addLeaf(streams, index, after, change);
}

function oweL1std(
  { contexts }: Streams,
  { shape, region, leaves }: Linked,
  index: number,
  change: Change,
): Obligation {
  const span = 2 ** shape.splitLog2;
  const target = { cache: 'l1std', streamId: index * span, substreamId: 0, span } as const;
  const where = region.start + index * 8;
  const leaf = leaves.get(index);
  const output = leaf === undefined ? {} : { output: wholeRegion(leaf) };
  const owed = { kind: 'config', structure: 'L1STD', where, targets: [target], ...output } as const;
  return owe(contexts.roots.ledger, owed, change);
}

/** The array of STEs an L1STD leads to: Span 0 and 12 on are inactive (5.1). */
function spanOf(words: Words, { splitLog2 }: StreamTableShape): { start: number; end: number } | undefined {
  const span = L1STD.fields.Span.read(words);
  if (span === 0 || span > 11 || span > splitLog2 + 1) return undefined;
  const pointer = L1STD.fields.L2Ptr.read(words);
  const start = pointer - (pointer % 2 ** (span + 5));
  return { start, end: start + 64 * 2 ** (span - 1) };
}

function addLeaf(streams: Streams, index: number, words: Words, change: Change): void {
  const { linked, watch } = streams;
  const span = linked === undefined ? undefined : spanOf(words, linked.shape);
  if (linked === undefined || span === undefined) return;
  const first = index * 2 ** linked.shape.splitLog2;
  const region: Region = {
    smmu: streams.contexts.roots.tables.smmu,
    as: 'stream table',
    held: () => 'an L1STD still leads there',
    ...span,
    unitBytes: 64,
    since: watch.clock.tick,
    changed: (at, before, after, by) =>
      steChanged(streams, first + at, span.start + at * 64, before, after, by),
    gone: false,
  };
  linked.leaves.set(index, region);
  addRegion(watch, region);
  claim(streams, region, change);
  for (const [at, ste] of nonZeroUnits(watch.memory, span.start, span.end, 64))
    reach(streams, first + at, ste, change);
}

function dropLeaf(
  streams: Streams,
  linked: Linked,
  index: number,
  change: Change,
  upper: Obligation | undefined,
): void {
  const region = linked.leaves.get(index);
  if (region === undefined) return;
  linked.leaves.delete(index);
  removeRegion(streams.watch, region);
  dropStes(streams, region, index * 2 ** linked.shape.splitLog2, change, upper);
}

/** STEs that are no longer reachable may be cached until each is invalidated. */
function dropStes(
  streams: Streams,
  region: Region,
  first: number,
  change: Change,
  upper: Obligation | undefined,
): void {
  for (const [at, words] of nonZeroUnits(streams.watch.memory, region.start, region.end, 64)) {
    const view = viewSte(words, streams.features, streams.e2h);
    const output = view === undefined ? undefined : contextsOf(view);
    const owed = oweSte(streams, first + at, region.start + at * 64, change, upper, output);
    if (view !== undefined) detach(streams.contexts, first + at, view, change, owed);
    changeSecond(streams.contexts.roots, streams.second, first + at, undefined, change, owed);
  }
}
