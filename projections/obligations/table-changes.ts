/** What the change of one translation table descriptor makes owed (IHI 0070 3.21, Arm ARM D8.16). */
import type { Words } from '../../core/layout/field.ts';
import { spanLog2 } from '../../core/smmu/granule.ts';
import {
  changesAttributes,
  type Descriptor,
  isCacheable,
  isGlobal,
  leafDifference,
  needsBreak,
  readDescriptor,
  sameTable,
} from './descriptor-change.ts';
import { owe, tlbObligations } from './ledger.ts';
import {
  type Change,
  lastChange,
  type Obligation,
  type ObligationKind,
  type Output,
  type TlbTarget,
} from './obligation.ts';
import {
  cacheableBelow,
  linkChild,
  markGlobals,
  putLeaf,
  type Reach,
  reachesOf,
  spanOffset,
  type Table,
  type Tables,
  unlink,
} from './tables.ts';
import { nonZeroUnits } from './watch.ts';

/**
 * Obligations made for the leaves and tables below one descriptor that is taken away. A subtree with
 * more is represented by as many.
 */
const BELOW_MAX = 2048;

/** Handles the store to entry `index` of a reachable table. */
export function tableChanged(
  tables: Tables,
  table: Table,
  index: number,
  before: Words,
  after: Words,
  change: Change,
): void {
  const old = readDescriptor(before, table.level, table.reading);
  const now = readDescriptor(after, table.level, table.reading);
  const owes = change.initial !== true && change.byHardware !== true;
  const kind = owes ? owedKind(table, old, now) : undefined;
  const place = { table, index, descriptor: old, attributes: changesAttributes(old, now, table.reading) };
  if (kind !== undefined) {
    for (const reach of reachesOf(table)) oweAt(tables, place, kind, reach, change);
    const why = needsBreak(old, now, table.reading, tables.bbml) ?? movesOutput(tables, place, old, now);
    if (why !== undefined) noteUnbroken(tables, place, why, change);
  } else if (old.kind === 'invalid' && now.kind !== 'invalid') noteRemade(tables, place, now, change);

  if (old.kind === 'leaf' || now.kind === 'leaf') putLeaf(tables, table, index, now, change);
  if (now.kind === 'leaf') {
    const bytes = 2 ** spanLog2(table.reading.granule, table.level);
    tables.mapped(now.output, bytes, { as: 'page for DMA', where: table.pa + index * 8, change });
    if (isGlobal(now, table.reading)) markGlobals(table);
  }
  if (old.kind === 'table' && now.kind === 'table' && old.output === now.output) return;
  // The new child first, so that what both share stays.
  const link = table.children.get(index);
  if (now.kind === 'table') linkChild(tables, table, index, now, change);
  if (link !== undefined) unlink(tables, link);
}

/**
 * A block took the place of a table, or a table of a block: BBML says that the size may change, not that the
 * output may (IHI 0070 3.21.1). Bounded by the entries of one table.
 */
function movesOutput(
  tables: Tables,
  { table, index }: Place,
  old: Descriptor,
  now: Descriptor,
): string | undefined {
  if (old.kind === now.kind || old.kind === 'invalid' || now.kind === 'invalid') return undefined;
  const { reading, level } = table;
  const block = old.kind === 'leaf' ? old : now;
  const start = old.kind === 'table' ? (table.children.get(index)?.table.pa ?? 0) : now.output;
  const pieceLog2 = spanLog2(reading.granule, level + 1);
  const end = start + 8 * 2 ** reading.granule.stride;
  for (const [at, words] of nonZeroUnits(tables.watch.memory, start, end, 8)) {
    const piece = readDescriptor(words, level + 1, reading);
    if (piece.kind === 'leaf' && piece.output !== block.output + at * 2 ** pieceLog2)
      return 'the output address changes, with the size';
  }
  return undefined;
}

/** What a change of a valid descriptor makes owed, or undefined: nothing. */
function owedKind(table: Table, old: Descriptor, now: Descriptor): ObligationKind | undefined {
  if (!isCacheable(old, table.reading)) return undefined;
  if (old.kind === 'table')
    return now.kind === 'table' && sameTable(old, now, table.reading) ? undefined : 'table';
  if (now.kind !== 'leaf') return 'broken';
  const difference = leafDifference(old, now, table.reading);
  return difference === 'none' ? undefined : difference;
}

interface Place {
  readonly table: Table;
  readonly index: number;
  readonly descriptor: Descriptor;
  /** Another memory type or shareability stands there now. */
  readonly attributes?: boolean;
}

function oweAt(tables: Tables, place: Place, kind: ObligationKind, reach: Reach, change: Change): void {
  const { table, index, descriptor } = place;
  const va = reach.va + spanOffset(table, index);
  const upper = oweDescriptor(tables, place, kind, reach, va, change);
  const below = descriptor.kind === 'table' ? table.children.get(index)?.table : undefined;
  if (below === undefined) return;
  let count = 0;
  for (const each of cacheableBelow(tables, below, va)) {
    if (count >= BELOW_MAX) return;
    count += 1;
    const lost = each.descriptor.kind === 'table' ? 'table' : 'broken';
    oweDescriptor(tables, each, lost, reach, each.va, change, upper);
  }
}

function oweDescriptor(
  tables: Tables,
  { table, index, descriptor, attributes = false }: Place,
  kind: ObligationKind,
  { root }: Reach,
  va: bigint,
  change: Change,
  upper?: Obligation,
): Obligation | undefined {
  if (table.level < 0) return undefined; // Not held by the modelled walk cache, and without a span code.
  const { ledger } = tables;
  const { granule } = table.reading;
  const leaf = descriptor.kind === 'leaf';
  const sizeLog2 = spanLog2(granule, table.level);
  const target: TlbTarget = {
    cache: leaf ? 'tlb' : 'walk',
    regime: root.regime,
    stage: root.stage,
    vmid: root.vmid,
    asid: root.asid,
    aset: root.aset,
    // Table information is ASID-specific even below a global leaf (Arm ARM D8.16.3); nG does not count in EL2.
    global: leaf && isGlobal(descriptor, table.reading) && root.regime !== 'EL2',
    va,
    sizeLog2,
    granuleLog2: granule.pageLog2,
    level: table.level,
    leaf,
  };
  const structure = leaf ? 'leaf' : 'table';
  const bytesLog2 = leaf ? sizeLog2 : granule.pageLog2;
  const output: Output = { pa: descriptor.output, sizeLog2: bytesLog2 };
  const where = table.pa + index * 8;
  const told = { kind, structure, where, targets: [target], output, upper } as const;
  const owed = owe(ledger, attributes ? { ...told, attributes } : told, change);
  if (root.nested.size > 0) tables.combined(owed, target, change);
  return owed;
}

/** A valid descriptor was stored over a valid one that had to be broken first. */
function noteUnbroken(tables: Tables, { table, index }: Place, why: string, change: Change): void {
  const where = table.pa + index * 8;
  for (const reach of reachesOf(table)) {
    const va = reach.va + spanOffset(table, index);
    for (const obligation of tlbObligations(tables.ledger, reach.root, va)) {
      if (!isOf(obligation, where) || lastChange(obligation) !== change) continue;
      tables.remade(obligation, why, change);
      return;
    }
  }
}

/** What was owed for a whole context stands at the address of its top table, and is not of its first descriptor. */
function isOf(obligation: Obligation, where: number): boolean {
  return obligation.where === where && obligation.kind !== 'tags';
}

/** The descriptor as it was before the obligation's first change of it. */
function oldOf(
  { changes: [first], where, structure, output }: Obligation,
  { level, reading }: Table,
): Descriptor {
  const kind = structure === 'table' ? 'table' : 'leaf';
  // It went with a table above it: what is kept of it is where it led.
  if (first.pa !== where) return { kind, lo: 0, hi: 0, output: output?.pa ?? 0 };
  return readDescriptor([Number(first.before & 0xffff_ffffn), Number(first.before >> 32n)], level, reading);
}

/** A valid descriptor stands again where an obligation is outstanding: told with the finding. */
function noteRemade(tables: Tables, { table, index }: Place, now: Descriptor, change: Change): void {
  if (tables.ledger.size === 0) return;
  const where = table.pa + index * 8;
  for (const reach of reachesOf(table)) {
    const va = reach.va + spanOffset(table, index);
    for (const obligation of tlbObligations(tables.ledger, reach.root, va)) {
      if (!isOf(obligation, where) || obligation.remade !== 0) continue;
      obligation.remade = change.seq;
      const why = needsBreak(oldOf(obligation, table), now, table.reading, tables.bbml);
      if (why !== undefined) tables.remade(obligation, why, change);
    }
  }
}
