/**
 * Which STEs and CDs the SMMU can read now: those of the stream table while SMMUEN=1, and the CDs that valid
 * STEs with stage 1 alone lead to (IHI 0070 3.3.1, 5.1 to 5.4). Listeners are told of each that becomes
 * reachable, with no `before`, and of each change after that. CDs behind stage 2 are not followed.
 */
import type { Words } from '../../core/layout/field.ts';
import { L1CD } from '../../core/smmu/cd.ts';
import { isE2h, reg, regValue } from '../../core/smmu/regs.ts';
import { L1STD } from '../../core/smmu/ste.ts';
import type { Change } from '../obligations/obligation.ts';
import { streamTableShape } from '../obligations/streams.ts';
import { type SteView, viewSte } from '../obligations/structures.ts';
import { addRegion, nonZeroUnits, type Region, removeRegion, type Watch } from '../obligations/watch.ts';
import type { Unit } from './world.ts';

export interface Seen {
  readonly unit: Unit;
  readonly streamId: number;
  readonly pa: number;
  /** Absent: it became reachable as it is. */
  readonly before: Words | undefined;
  readonly after: Words;
  readonly change: Change;
}

/** A CD, and the STE that leads to it. */
export interface SeenCd extends Seen {
  readonly substreamId: number;
  readonly ste: Words;
}

export interface Listener {
  ste?(seen: Seen): void;
  cd?(seen: SeenCd): void;
}

interface Table {
  readonly region: Region;
  /** Arrays of structures, by index of the level 1 descriptor. */
  readonly leaves: Map<number, Region>;
}

interface Contexts extends Table {
  readonly streamId: number;
  readonly view: SteView;
  /** Where the STE stands. */
  readonly ste: number;
}

/** The reach of one SMMU. */
export interface Reach {
  readonly unit: Unit;
  readonly watch: Watch;
  readonly listeners: Listener[];
  streams: Table | undefined;
  splitLog2: number;
  readonly contexts: Map<number, Contexts>;
}

/** Nothing is reachable before SMMUEN=1. */
export function newReach(unit: Unit, watch: Watch): Reach {
  return { unit, watch, listeners: [], streams: undefined, splitLog2: 0, contexts: new Map() };
}

/** CR0 was written. */
export function enableReach(reach: Reach, on: boolean, change: Change): void {
  if (on === (reach.streams !== undefined)) return;
  if (on) link(reach, change);
  else unlink(reach);
}

function link(reach: Reach, change: Change): void {
  const { unit, watch } = reach;
  const { bare, features } = unit;
  const base = regValue(bare, 'STRTAB_BASE');
  const { base: start, splitLog2, sizeLog2 } = streamTableShape(base, reg(bare, 'STRTAB_BASE_CFG'), features);
  reach.splitLog2 = splitLog2;
  const table: Table = {
    leaves: new Map(),
    region:
      splitLog2 === 0
        ? regionOf(watch, start, 2 ** sizeLog2, 64, steAt(reach, start, 0))
        : regionOf(watch, start, 2 ** Math.max(0, sizeLog2 - splitLog2), 8, (index, _, after, by) => {
            dropLeaf(watch, table, index);
            leadStes(reach, table, index, after, by);
          }),
  };
  reach.streams = table;
  if (splitLog2 === 0) return steArray(reach, table.region, 0, change);
  for (const [index, words] of nonZeroUnits(watch.memory, table.region.start, table.region.end, 8))
    leadStes(reach, table, index, words, change);
}

function unlink(reach: Reach): void {
  const { streams, watch, contexts } = reach;
  if (streams === undefined) return;
  for (const streamId of [...contexts.keys()]) forgetContexts(reach, streamId);
  dropTable(watch, streams);
  reach.streams = undefined;
}

type Changed = (index: number, before: Words, after: Words, change: Change) => void;

function regionOf(watch: Watch, start: number, count: number, unitBytes: 8 | 64, changed: Changed): Region {
  const end = start + count * unitBytes;
  const region: Region = {
    start,
    end,
    unitBytes,
    since: watch.clock.tick,
    changed,
    gone: false,
    // Who holds it is the business of the rules of releases.
    smmu: '',
    as: 'structures',
    held: () => undefined,
  };
  addRegion(watch, region);
  return region;
}

function dropTable(watch: Watch, { region, leaves }: Table): void {
  removeRegion(watch, region);
  for (const leaf of leaves.values()) removeRegion(watch, leaf);
}

function dropLeaf(watch: Watch, { leaves }: Table, index: number): void {
  const leaf = leaves.get(index);
  if (leaf !== undefined) removeRegion(watch, leaf);
  leaves.delete(index);
}

/** An L1STD leads to an array of STEs. */
function leadStes(reach: Reach, table: Table, index: number, words: Words, change: Change): void {
  const span = L1STD.fields.Span.read(words);
  const { splitLog2, watch } = reach;
  if (span === 0 || span > 11 || span > splitLog2 + 1) return;
  const pointer = L1STD.fields.L2Ptr.read(words);
  const first = index * 2 ** splitLog2;
  const start = pointer - (pointer % 2 ** (span + 5));
  const leaf = regionOf(watch, start, 2 ** (span - 1), 64, steAt(reach, start, first));
  table.leaves.set(index, leaf);
  steArray(reach, leaf, first, change);
}

function steAt(reach: Reach, start: number, first: number): Changed {
  return (index, before, after, change) => {
    const pa = start + index * 64;
    for (const each of reach.listeners)
      each.ste?.({ unit: reach.unit, streamId: first + index, pa, before, after, change });
    followSte(reach, first + index, pa, after, change);
  };
}

function steArray(reach: Reach, { start, end }: Region, first: number, change: Change): void {
  for (const [index, after] of nonZeroUnits(reach.watch.memory, start, end, 64)) {
    const pa = start + index * 64;
    for (const each of reach.listeners)
      each.ste?.({ unit: reach.unit, streamId: first + index, pa, before: undefined, after, change });
    followSte(reach, first + index, pa, after, change);
  }
}

/** The CDs of a stream: told when another array of them is reached than before. */
function followSte(reach: Reach, streamId: number, pa: number, ste: Words, change: Change): void {
  const view = viewSte(ste, reach.unit.features, isE2h(reach.unit.bare));
  const held = reach.contexts.get(streamId);
  if (held !== undefined && view !== undefined && sameArray(held.view, view)) return;
  forgetContexts(reach, streamId);
  if (view === undefined) return;
  const { watch } = reach;
  const { contexts, leafLog2, cdMax } = view;
  const table: Contexts = {
    streamId,
    view,
    ste: pa,
    leaves: new Map(),
    region:
      leafLog2 === 0
        ? regionOf(watch, contexts, 2 ** cdMax, 64, (index, before, after, by) =>
            tellCd(reach, table, { substreamId: index, pa: contexts + index * 64 }, before, after, by),
          )
        : regionOf(watch, contexts, 2 ** Math.max(0, cdMax - leafLog2), 8, (index, _, after, by) => {
            dropLeaf(watch, table, index);
            leadCds(reach, table, index, after, by);
          }),
  };
  reach.contexts.set(streamId, table);
  if (leafLog2 === 0) return cdArray(reach, table, table.region, 0, change);
  for (const [index, words] of nonZeroUnits(watch.memory, table.region.start, table.region.end, 8))
    leadCds(reach, table, index, words, change);
}

const sameArray = (a: SteView, b: SteView): boolean =>
  a.contexts === b.contexts && a.leafLog2 === b.leafLog2 && a.cdMax === b.cdMax;

function forgetContexts({ contexts, watch }: Reach, streamId: number): void {
  const held = contexts.get(streamId);
  if (held === undefined) return;
  dropTable(watch, held);
  contexts.delete(streamId);
}

function leadCds(reach: Reach, table: Contexts, index: number, words: Words, change: Change): void {
  if (!L1CD.fields.V.read(words)) return;
  const pointer = L1CD.fields.L2Ptr.read(words);
  const count = 2 ** table.view.leafLog2;
  const start = pointer - (pointer % (count * 64));
  const leaf = regionOf(reach.watch, start, count, 64, (at, before, after, by) =>
    tellCd(reach, table, { substreamId: index * count + at, pa: start + at * 64 }, before, after, by),
  );
  table.leaves.set(index, leaf);
  cdArray(reach, table, leaf, index * count, change);
}

function cdArray(reach: Reach, table: Contexts, { start, end }: Region, first: number, change: Change): void {
  for (const [index, words] of nonZeroUnits(reach.watch.memory, start, end, 64))
    tellCd(reach, table, { substreamId: first + index, pa: start + index * 64 }, undefined, words, change);
}

function tellCd(
  { listeners, unit, watch }: Reach,
  { streamId, ste }: Contexts,
  where: { readonly substreamId: number; readonly pa: number },
  before: Words | undefined,
  after: Words,
  change: Change,
): void {
  const told = { unit, streamId, ...where, before, after, change, ste: watch.memory.readWords(ste, 16) };
  for (const each of listeners) each.cd?.(told);
}

/** Where the STE of a stream stands; undefined where hardware finds none. */
export function steAddressOf({ streams, splitLog2 }: Reach, streamId: number): number | undefined {
  if (streams === undefined) return undefined;
  const region = splitLog2 === 0 ? streams.region : streams.leaves.get(Math.floor(streamId / 2 ** splitLog2));
  const pa = (region?.start ?? 0) + (splitLog2 === 0 ? streamId : streamId % 2 ** splitLog2) * 64;
  return region !== undefined && pa < region.end ? pa : undefined;
}
