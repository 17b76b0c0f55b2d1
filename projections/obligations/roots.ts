/**
 * Translation contexts: which trees the CDs name, and under which tags their entries are cached. A
 * context that no CD names any more is still followed until its tags are clean, since entries with
 * them may be left and the same CD may come back (IHI 0070 5.2.1, 3.21).
 */
import type { Words } from '../../core/layout/field.ts';
import type { Regime } from '../../core/smmu/events.ts';
import { type Ledger, owe, remove } from './ledger.ts';
import type { Change, Obligation, Target, TlbTarget } from './obligation.ts';
import { type TreeView, viewCd } from './structures.ts';
import { linkTable, type Root, type Tables, unlink } from './tables.ts';

export interface Roots {
  readonly tables: Tables;
  readonly ledger: Ledger;
  /** Roots that no CD names, by what is owed for their tags. */
  readonly dormant: Map<Obligation, Root>;
  readonly oas: number;
  /** Roots by stage, regime, VMID, ASID and half. */
  readonly byTag: Map<string, Set<Root>>;
  /** A tag stood for two sets of tables in use: a hit may be of another stream's tables, at any time since. */
  shared: boolean;
  /** Those that came into use by the entry at hand. */
  readonly fresh: { readonly root: Root; readonly change: Change }[];
}

/** The roots of a CD read through a stream; those that are new are read. */
export function acquireRoots(
  roots: Roots,
  words: Words,
  tags: { readonly regime: Regime; readonly vmid: number },
  change: Change,
): readonly Root[] {
  return viewCd(words, tags.regime, roots.oas).map((tree) => acquire(roots, tree, tags, change));
}

/** The root of one tree under these tags; it is read when it is new. */
export function acquire(
  roots: Roots,
  tree: TreeView,
  { regime, vmid }: { readonly regime: Regime; readonly vmid: number },
  change: Change,
): Root {
  const { tables, ledger, dormant, fresh } = roots;
  const { asid, aset, va, inputBits, pa, level, reading } = tree;
  const { stage, granule, wide, bigEndian, ignoresAf } = reading;
  const shape = `${granule.pageLog2}:${wide}:${bigEndian}:${ignoresAf}`;
  const key = `${stage}:${regime}:${vmid}:${asid}:${aset}:${va}:${inputBits}:${pa}:${shape}`;
  const present = tables.roots.get(key);
  if (present !== undefined) {
    if (present.users === 0) fresh.push({ root: present, change });
    present.users += 1;
    if (present.tags !== undefined) {
      // What the tags stood for is back: entries with them are right again.
      remove(ledger, present.tags);
      dormant.delete(present.tags);
      present.tags = undefined;
    }
    return present;
  }
  const root: Root = {
    key,
    regime,
    stage,
    vmid,
    asid,
    aset,
    va,
    inputBits,
    reading,
    top: undefined,
    users: 1,
    nested: new Set(),
    globals: false,
    since: change,
    conflicts: new Set(),
    tags: undefined,
  };
  const tag = tagKey(root);
  const same = roots.byTag.get(tag);
  if (same === undefined) roots.byTag.set(tag, new Set([root]));
  else same.add(root);
  fresh.push({ root, change });
  tables.roots.set(key, root);
  root.top = linkTable(tables, root, { pa, level, entries: tree.entries, reading }, change);
  return root;
}

function tagKey({
  stage,
  regime,
  vmid,
  asid,
  va,
}: Pick<Root, 'stage' | 'regime' | 'vmid' | 'asid' | 'va'>): string {
  return `${stage}:${regime}:${vmid}:${asid}:${va}`;
}

/** Other roots under the tags of this one; the same tables under another ASET are no other. */
export function sameTag({ byTag }: Roots, root: Root): readonly Root[] {
  return [...(byTag.get(tagKey(root)) ?? [])].filter(
    ({ top }) => top === undefined || top.table !== root.top?.table,
  );
}

/** A CD stops naming the root. With the last one its tags are owed an invalidation before reuse. */
export function releaseRoot(roots: Roots, root: Root, change: Change, upper: Obligation | undefined): void {
  const { ledger, dormant } = roots;
  root.users -= 1;
  if (root.users === 0) for (const other of root.conflicts) other.conflicts.delete(root);
  if (root.users > 0 || root.top === undefined) return;
  if (change.initial === true) return drop(roots, root);
  const where = root.top.table.pa;
  const structure = root.stage === 1 ? 'CD' : 'STE';
  const owed = { kind: 'tags', structure, where, targets: wholeContext(root), upper } as const;
  root.tags = owe(ledger, owed, change);
  dormant.set(root.tags, root);
}

/** After a discharge: dormant roots whose tags are clean are let go. */
export function settleRoots(roots: Roots, discharged: readonly Obligation[]): void {
  const { dormant } = roots;
  if (dormant.size === 0) return;
  for (const obligation of discharged) {
    const root = dormant.get(obligation);
    if (root === undefined) continue;
    dormant.delete(obligation);
    root.tags = undefined;
    if (root.users === 0) drop(roots, root);
  }
}

function drop({ tables, byTag }: Roots, root: Root): void {
  const same = byTag.get(tagKey(root));
  if (same?.delete(root) === true && same.size === 0) byTag.delete(tagKey(root));
  if (root.top !== undefined) unlink(tables, root.top);
  root.top = undefined;
  tables.roots.delete(root.key);
}

/** Fields of a CD or STE that TLB entries hold changed while its trees stay: all under the ASID or VMID is owed. */
export function oweContext(
  ledger: Ledger,
  root: Root,
  where: number,
  change: Change,
  upper: Obligation,
  attributes: boolean,
): void {
  const structure = root.stage === 1 ? 'CD' : 'STE';
  const owed = { kind: 'tags', structure, where, targets: wholeContext(root), upper } as const;
  owe(ledger, attributes ? { ...owed, attributes } : owed, change);
}

/** The far ends of all that a context may have cached: one command that covers them covers the rest. */
function wholeContext(root: Root): readonly [Target, ...Target[]] {
  const { regime, stage, vmid, asid, aset, va, inputBits, reading, top } = root;
  const { pageLog2 } = reading.granule;
  const tags = { regime, stage, vmid, asid, aset, granuleLog2: pageLog2, sizeLog2: pageLog2 };
  const last = va + (1n << BigInt(inputBits)) - (1n << BigInt(pageLog2));
  const leaf = (at: bigint, global: boolean): TlbTarget => ({
    cache: 'tlb',
    ...tags,
    global,
    va: at,
    level: 3,
    leaf: true,
  });
  const targets: [Target, ...Target[]] = [leaf(va, false), leaf(last, false)];
  if (root.globals && regime !== 'EL2') targets.push(leaf(va, true), leaf(last, true));
  const level = top?.table.level ?? 3;
  if (level < 3) {
    const table = { cache: 'walk', ...tags, global: false, level: Math.max(level, 0), leaf: false } as const;
    targets.push({ ...table, va }, { ...table, va: last });
  }
  return targets;
}
