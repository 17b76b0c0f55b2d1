/**
 * The translation tables that CDs and STEs make reachable, found as they are linked: a table page is
 * read once when a descriptor or a TTB first points at it, and followed store by store from then on.
 * What is kept is bounded by the tables that are linked.
 */
import type { Words } from '../../core/layout/field.ts';
import type { Regime } from '../../core/smmu/events.ts';
import { spanLog2 } from '../../core/smmu/granule.ts';
import { type Descriptor, isCacheable, isGlobal, type Reading, readDescriptor } from './descriptor-change.ts';
import type { Ledger } from './ledger.ts';
import type { Change, Obligation, Output, TlbTarget } from './obligation.ts';
import { addOutput, type OutputIndex, removeOutput } from './outputs.ts';
import { addRegion, nonZeroUnits, type Region, removeRegion, type Watch } from './watch.ts';

/** One TTB of a CD, as the tags of its entries see it. Lives while CDs name it or its tags are dirty. */
export interface Root {
  readonly key: string;
  readonly regime: Regime;
  readonly stage: 1 | 2;
  readonly vmid: number;
  readonly asid: number;
  /** CD.ASET of stage 1: broadcasts by ASID leave its entries alone (3.17). */
  readonly aset: boolean;
  /** First input address: 0, or that of the TTB1 half. */
  readonly va: bigint;
  readonly inputBits: number;
  readonly reading: Reading;
  top: Link | undefined;
  /** CDs, by stream, that name it now. */
  users: number;
  /** Of a stage 2 root: the streams whose stage 1 rests on it. */
  readonly nested: Set<number>;
  /** A leaf with nG=0 was seen. */
  globals: boolean;
  /** What made it reachable, and other roots in use under its tags that were told of. */
  readonly since: Change;
  readonly conflicts: Set<Root>;
  /** What is owed before its tags may be used for something else. */
  tags: Obligation | undefined;
}

export interface Table {
  readonly key: string;
  readonly pa: number;
  readonly level: number;
  readonly entries: number;
  readonly reading: Reading;
  readonly parents: Set<Link>;
  readonly children: Map<number, Link>;
  readonly leaves: Map<number, LiveLeaf>;
  readonly region: Region;
}

/** A valid leaf of a table that is linked. */
export interface LiveLeaf {
  readonly table: Table;
  readonly index: number;
  readonly output: Output;
}

/** A pointer to a table: from a descriptor of another, or from a TTB. */
export interface Link {
  readonly from: Origin;
  readonly table: Table;
}
export type Origin = Root | { readonly table: Table; readonly index: number };

/** Where a table is reached: which root, and the input address of its first entry. */
export interface Reach {
  readonly root: Root;
  readonly va: bigint;
}

export interface Tables {
  readonly smmu: string;
  /** IDR3.BBML. */
  readonly bbml: number;
  readonly watch: Watch;
  readonly ledger: Ledger;
  readonly byKey: Map<string, Table>;
  readonly roots: Map<string, Root>;
  /** What made a leaf valid for every ASID (nG=0), by its address. */
  readonly globals: Map<number, Change>;
  /** Valid leaves by the memory they lead to. */
  readonly live: OutputIndex<LiveLeaf>;
  /** Told of every change of a descriptor in a reachable table. */
  readonly changed: (table: Table, index: number, before: Words, after: Words, change: Change) => void;
  /** Told of what is owed for a stage 2 descriptor that entries of both stages may rest on. */
  readonly combined: (owed: Obligation, target: TlbTarget, change: Change) => void;
  /** Told of a valid descriptor that was made before the old one was clean, and why that had to be. */
  readonly remade: (obligation: Obligation, why: string, change: Change) => void;
  /** Told of memory that becomes a structure. */
  readonly claimed: (pa: number, bytes: number, by: Claim) => void;
  /** Told of memory that becomes the output of a leaf. */
  readonly mapped: (pa: number, bytes: number, by: Claim) => void;
}

export interface Claim {
  /** What the memory becomes. */
  readonly as: string;
  /** Address of the pointer that makes it so. */
  readonly where: number;
  readonly change: Change;
}

/** Ways to reach one table that are followed; software that shares more is not known. */
const REACHES_MAX = 64;

/** Links the table at `pa` and, when it is new, all that it points to. */
export function linkTable(
  tables: Tables,
  from: Origin,
  shape: Pick<Table, 'pa' | 'level' | 'entries' | 'reading'>,
  change: Change,
): Link {
  const key = keyOf(shape);
  let table = tables.byKey.get(key);
  const fresh = table === undefined;
  if (table === undefined) {
    table = newTable(tables, key, shape);
    tables.byKey.set(key, table);
    addRegion(tables.watch, table.region);
  }
  const link: Link = { from, table };
  table.parents.add(link);
  if ('table' in from) from.table.children.set(from.index, link);
  if (fresh) {
    const where = 'table' in from ? from.table.pa + from.index * 8 : change.pa;
    tables.claimed(shape.pa, shape.entries * 8, { as: 'translation table', where, change });
    linkChildren(tables, table, change);
  }
  return link;
}

function keyOf({ pa, level, entries, reading }: Pick<Table, 'pa' | 'level' | 'entries' | 'reading'>): string {
  const { stage, granule, wide, bigEndian, ignoresAf } = reading;
  return `${stage}:${pa}:${level}:${entries}:${granule.pageLog2}:${wide}:${bigEndian}:${ignoresAf}`;
}

function newTable(
  tables: Tables,
  key: string,
  shape: Pick<Table, 'pa' | 'level' | 'entries' | 'reading'>,
): Table {
  const table: Table = {
    key,
    ...shape,
    parents: new Set(),
    children: new Map(),
    leaves: new Map(),
    region: {
      smmu: tables.smmu,
      as: 'translation table',
      held: () => heldBy(table),
      told: () => toldOf(table),
      start: shape.pa,
      end: shape.pa + shape.entries * 8,
      unitBytes: 8,
      since: tables.watch.clock.tick,
      changed: (index, before, after, change) => tables.changed(table, index, before, after, change),
      gone: false,
    },
  };
  return table;
}

/** Bounded by the levels: each child is one level down. */
function linkChildren(tables: Tables, table: Table, change: Change): void {
  let globals = false;
  for (const [index, words] of nonZeroUnits(tables.watch.memory, table.region.start, table.region.end, 8)) {
    const descriptor = readDescriptor(words, table.level, table.reading);
    if (descriptor.kind === 'table') linkChild(tables, table, index, descriptor, change);
    else if (descriptor.kind === 'leaf') {
      putLeaf(tables, table, index, descriptor, change);
      globals ||= isGlobal(descriptor, table.reading);
    }
  }
  if (globals) markGlobals(table);
}

/** Entry `index` is this leaf now; or none, when it is not one. */
export function putLeaf(
  tables: Tables,
  table: Table,
  index: number,
  descriptor: Descriptor,
  change: Change,
): void {
  const before = table.leaves.get(index);
  const isLeaf = descriptor.kind === 'leaf';
  const where = table.pa + index * 8;
  if (!isLeaf || !isGlobal(descriptor, table.reading)) tables.globals.delete(where);
  else if (!tables.globals.has(where)) tables.globals.set(where, change);
  if (before !== undefined) {
    if (isLeaf && before.output.pa === descriptor.output) return;
    removeOutput(tables.live, before);
    table.leaves.delete(index);
  }
  if (!isLeaf) return;
  const output = { pa: descriptor.output, sizeLog2: spanLog2(table.reading.granule, table.level) };
  const leaf: LiveLeaf = { table, index, output };
  table.leaves.set(index, leaf);
  addOutput(tables.live, leaf);
}

/** A context that was given up is told once, whatever of its tables is given back. */
export function toldOf(table: Table): void {
  for (const { root } of reachesOf(table)) if (root.tags !== undefined) root.tags.reported = true;
}

/** Why a walk may read the table: it is linked below a context in use, or below one whose tags are dirty. */
export function heldBy(table: Table): string | undefined {
  const reaches = reachesOf(table);
  if (reaches.some(({ root }) => root.users > 0)) return 'a walk still leads there';
  const dirty = reaches.some(({ root: { tags } }) => tags !== undefined && !tags.done && !tags.reported);
  return dirty ? 'entries of a context that was given up may lead there' : undefined;
}

/** Notes with every root of the table that it has global leaves. */
export function markGlobals(table: Table): void {
  for (const { root } of reachesOf(table)) root.globals = true;
}

/** Links the table that entry `index` points to, one level down. */
export function linkChild(
  tables: Tables,
  table: Table,
  index: number,
  descriptor: Descriptor,
  change: Change,
): void {
  const { reading, level } = table;
  const entries = 2 ** reading.granule.stride;
  linkTable(tables, { table, index }, { pa: descriptor.output, level: level + 1, entries, reading }, change);
}

/** Takes one pointer away; a table that nothing points to any more is let go, with all below it. */
export function unlink(tables: Tables, link: Link): void {
  const { table, from } = link;
  table.parents.delete(link);
  if ('table' in from && from.table.children.get(from.index) === link) from.table.children.delete(from.index);
  if (table.parents.size > 0) return;
  tables.byKey.delete(table.key);
  removeRegion(tables.watch, table.region);
  for (const leaf of table.leaves.values()) {
    removeOutput(tables.live, leaf);
    tables.globals.delete(table.pa + leaf.index * 8);
  }
  for (const child of table.children.values()) unlink(tables, child);
}

/** Every place at which a table is reached, at most `REACHES_MAX`. */
export function reachesOf(table: Table, found: Reach[] = [], below = 0n): Reach[] {
  for (const link of table.parents) {
    if (found.length >= REACHES_MAX) break;
    const { from } = link;
    if ('table' in from) reachesOf(from.table, found, below + spanOffset(from.table, from.index));
    else found.push({ root: from, va: from.va + below });
  }
  return found;
}

/** Offset of the entry's span in what the table translates. */
export function spanOffset(table: Table, index: number): bigint {
  return BigInt(index) << BigInt(spanLog2(table.reading.granule, table.level));
}

/** Valid, cacheable descriptors of a table and the tables below it, with their offset to `va`. */
export function* cacheableBelow(
  tables: Tables,
  table: Table,
  va: bigint,
): Generator<{
  readonly table: Table;
  readonly index: number;
  readonly descriptor: Descriptor;
  readonly va: bigint;
}> {
  for (const [index, words] of nonZeroUnits(tables.watch.memory, table.region.start, table.region.end, 8)) {
    const descriptor = readDescriptor(words, table.level, table.reading);
    if (!isCacheable(descriptor, table.reading)) continue;
    const at = va + spanOffset(table, index);
    yield { table, index, descriptor, va: at };
    const child = table.children.get(index)?.table;
    if (descriptor.kind === 'table' && child !== undefined) yield* cacheableBelow(tables, child, at);
  }
}
