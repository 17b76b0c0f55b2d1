/** The CDs behind one S1ContextPtr, for all the streams that share them: IHI 0070 5.3, 5.4. */
import type { Words } from '../../core/layout/field.ts';
import { CD, L1CD } from '../../core/smmu/cd.ts';
import type { Regime } from '../../core/smmu/events.ts';
import { owe } from './ledger.ts';
import type { Change, Obligation } from './obligation.ts';
import { acquireRoots, oweContext, type Roots, releaseRoot } from './roots.ts';
import { cdDifference, hasOtherMair, type SteView } from './structures.ts';
import type { Root } from './tables.ts';
import { addRegion, nonZeroUnits, type Region, removeRegion, type Watch, wholeRegion } from './watch.ts';

/** One stream that reaches the CDs. */
interface User {
  readonly streamId: number;
  readonly regime: Regime;
  readonly vmid: number;
  /** Roots by SubstreamID. */
  readonly roots: Map<number, readonly Root[]>;
}

export interface CdTable {
  readonly key: string;
  readonly view: SteView;
  readonly users: Map<number, User>;
  /** The array of CDs, or of L1CDs. */
  readonly region: Region;
  /** Arrays of CDs by L1CD. */
  readonly leaves: Map<number, Region>;
}

export interface Contexts {
  readonly watch: Watch;
  readonly roots: Roots;
  readonly byKey: Map<string, CdTable>;
  /** seq of the last change of an STE, CD or level 1 descriptor. */
  lastChange: number;
}

const keyOf = ({ contexts, leafLog2, cdMax }: SteView): string => `${contexts}:${leafLog2}:${cdMax}`;

/** A valid STE of the stream leads to these CDs. */
export function attach(contexts: Contexts, streamId: number, view: SteView, change: Change): void {
  let table = contexts.byKey.get(keyOf(view));
  if (table === undefined) table = addTable(contexts, view, change);
  const user: User = { streamId, regime: view.regime, vmid: view.vmid, roots: new Map() };
  table.users.set(streamId, user);
  for (const { ssid, words } of cdsOf(contexts, table))
    user.roots.set(ssid, acquireRoots(contexts.roots, words, user, change));
}

/** The STE of the stream no longer leads there. */
export function detach(
  contexts: Contexts,
  streamId: number,
  view: SteView,
  change: Change,
  upper: Obligation | undefined,
): void {
  const table = contexts.byKey.get(keyOf(view));
  const user = table?.users.get(streamId);
  if (table === undefined || user === undefined) return;
  for (const roots of user.roots.values())
    for (const root of roots) releaseRoot(contexts.roots, root, change, upper);
  table.users.delete(streamId);
  if (table.users.size > 0) return;
  contexts.byKey.delete(table.key);
  removeRegion(contexts.watch, table.region);
  for (const leaf of table.leaves.values()) removeRegion(contexts.watch, leaf);
}

function addTable(contexts: Contexts, view: SteView, change: Change): CdTable {
  const { watch } = contexts;
  const twoLevel = view.leafLog2 > 0;
  const count = twoLevel ? 2 ** Math.max(0, view.cdMax - view.leafLog2) : 2 ** view.cdMax;
  const table: CdTable = {
    key: keyOf(view),
    view,
    users: new Map(),
    leaves: new Map(),
    region: {
      smmu: contexts.roots.tables.smmu,
      as: twoLevel ? 'table of L1CDs' : 'table of CDs',
      held: () => 'an STE still leads there',
      start: view.contexts,
      end: view.contexts + count * (twoLevel ? 8 : 64),
      unitBytes: twoLevel ? 8 : 64,
      since: watch.clock.tick,
      changed: (index, before, after, by) =>
        twoLevel
          ? l1cdChanged(contexts, table, index, before, after, by)
          : cdChanged(contexts, table, index, view.contexts + index * 64, before, after, by),
      gone: false,
    },
  };
  contexts.byKey.set(table.key, table);
  addRegion(watch, table.region);
  claim(contexts, table.region, twoLevel ? 'table of L1CDs' : 'table of CDs', change);
  if (twoLevel) {
    for (const [index, words] of nonZeroUnits(watch.memory, table.region.start, table.region.end, 8))
      addLeaf(contexts, table, index, words, change);
  }
  return table;
}

function claim({ roots }: Contexts, region: Region, as: string, change: Change): void {
  roots.tables.claimed(region.start, region.end - region.start, { as, where: change.pa, change });
}

/** The CDs that are not all zero. */
function* cdsOf(
  { watch }: Contexts,
  table: CdTable,
): Generator<{ readonly ssid: number; readonly words: Uint32Array }> {
  const { leafLog2 } = table.view;
  const arrays = leafLog2 === 0 ? ([[0, table.region]] as const) : table.leaves;
  for (const [l1, region] of arrays) {
    for (const [index, words] of nonZeroUnits(watch.memory, region.start, region.end, 64))
      yield { ssid: l1 * 2 ** leafLog2 + index, words };
  }
}

function cdChanged(
  contexts: Contexts,
  table: CdTable,
  ssid: number,
  pa: number,
  before: Words,
  after: Words,
  change: Change,
): void {
  const difference = cdDifference(before, after);
  if (difference === 'none') return;
  contexts.lastChange = change.seq;
  const { roots } = contexts;
  for (const user of table.users.values()) {
    const old = user.roots.get(ssid) ?? [];
    const upper = change.initial === true ? undefined : oweCd(contexts, user.streamId, ssid, pa, change);
    if (upper !== undefined && difference === 'tlb')
      for (const root of old) oweContext(roots.ledger, root, pa, change, upper, hasOtherMair(before, after));
    if (difference === 'config') continue;
    user.roots.set(ssid, acquireRoots(roots, after, user, change));
    for (const root of old) releaseRoot(roots, root, change, upper);
  }
}

function oweCd(
  { roots }: Contexts,
  streamId: number,
  substreamId: number,
  where: number,
  change: Change,
  upper?: Obligation,
): Obligation {
  const target = { cache: 'cd', streamId, substreamId, span: 1 } as const;
  return owe(roots.ledger, { kind: 'config', structure: 'CD', where, targets: [target], upper }, change);
}

/** A level 1 CD is owed whatever it was: V=0 copies may be cached too (8.1). */
function l1cdChanged(
  contexts: Contexts,
  table: CdTable,
  index: number,
  before: Words,
  after: Words,
  change: Change,
): void {
  const [was, is] = [leafAddress(table, before), leafAddress(table, after)];
  if (was === is) return;
  contexts.lastChange = change.seq;
  const span = 2 ** table.view.leafLog2;
  const old = table.leaves.get(index);
  const uppers = new Map<number, Obligation>();
  if (change.initial !== true) {
    for (const { streamId } of table.users.values()) {
      const target = { cache: 'l1cd', streamId, substreamId: index * span, span } as const;
      const where = table.region.start + index * 8;
      const lead = old === undefined ? {} : { output: wholeRegion(old) };
      const owed = { kind: 'config', structure: 'L1CD', where, targets: [target], ...lead } as const;
      uppers.set(streamId, owe(contexts.roots.ledger, owed, change));
    }
  }
  if (old !== undefined) removeLeaf(contexts, table, index, old, change, uppers);
  addLeaf(contexts, table, index, after, change);
  const added = table.leaves.get(index);
  if (added === undefined) return;
  for (const [at, words] of nonZeroUnits(contexts.watch.memory, added.start, added.end, 64)) {
    for (const user of table.users.values())
      user.roots.set(index * span + at, acquireRoots(contexts.roots, words, user, change));
  }
}

function leafAddress({ view }: CdTable, words: Words): number | undefined {
  if (!L1CD.fields.V.read(words)) return undefined;
  const pointer = L1CD.fields.L2Ptr.read(words);
  return pointer - (pointer % 2 ** (view.leafLog2 + 6));
}

function addLeaf(contexts: Contexts, table: CdTable, index: number, words: Words, change: Change): void {
  const start = leafAddress(table, words);
  if (start === undefined) return;
  const span = 2 ** table.view.leafLog2;
  const region: Region = {
    smmu: contexts.roots.tables.smmu,
    as: 'table of CDs',
    held: () => 'an L1CD still leads there',
    start,
    end: start + span * 64,
    unitBytes: 64,
    since: contexts.watch.clock.tick,
    changed: (at, before, after, by) =>
      cdChanged(contexts, table, index * span + at, start + at * 64, before, after, by),
    gone: false,
  };
  table.leaves.set(index, region);
  addRegion(contexts.watch, region);
  claim(contexts, region, 'table of CDs', change);
}

/** CDs that an L1CD led to may be cached, valid or not, until each is invalidated. */
function removeLeaf(
  contexts: Contexts,
  table: CdTable,
  index: number,
  region: Region,
  change: Change,
  uppers: ReadonlyMap<number, Obligation>,
): void {
  const span = 2 ** table.view.leafLog2;
  for (const [at, words] of nonZeroUnits(contexts.watch.memory, region.start, region.end, 64)) {
    const ssid = index * span + at;
    for (const user of table.users.values()) {
      const above = uppers.get(user.streamId);
      const upper = CD.fields.V.read(words)
        ? oweCd(contexts, user.streamId, ssid, region.start + at * 64, change, above)
        : above;
      for (const root of user.roots.get(ssid) ?? []) releaseRoot(contexts.roots, root, change, upper);
      user.roots.delete(ssid);
    }
  }
  table.leaves.delete(index);
  removeRegion(contexts.watch, region);
}
