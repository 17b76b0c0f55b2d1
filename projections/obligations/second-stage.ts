/** The stage 2 tables that STEs lead to (IHI 0070 5.2, S2TTB and what goes with it): one tree for a VMID. */
import type { Words } from '../../core/layout/field.ts';
import { decode, mask } from '../../core/layout/layout.ts';
import type { Features } from '../../core/smmu/features.ts';
import { stage2Of } from '../../core/smmu/stage2.ts';
import { STE } from '../../core/smmu/ste.ts';
import type { Change, Obligation } from './obligation.ts';
import { acquire, oweContext, type Roots, releaseRoot } from './roots.ts';
import type { TreeView } from './structures.ts';
import type { Root } from './tables.ts';

/** What TLB entries hold of an STE beside the tables that it names (5.2.1). */
const HELD = mask(STE, ['S2PTW', 'S2IR0', 'S2OR0', 'S2SH0', 'S2PS', 'S2HA', 'S2HD', 'S2HAFT', 'S2FWB']);

interface View {
  readonly vmid: number;
  readonly nested: boolean;
  readonly held: readonly number[];
  readonly fwb: boolean;
  readonly tree: TreeView;
}

/** A stream that walks stage 2 tables. */
export interface SecondUser {
  readonly view: View;
  readonly root: Root;
}

/** What a valid STE says of stage 2; undefined where it has none. */
export function viewStage2(words: Words, features: Features): View | undefined {
  const { fields } = STE;
  if (!features.s2p || !fields.V.read(words)) return undefined;
  const config = fields.Config.read(words);
  if ((config !== 'S2' && config !== 'NESTED') || !fields.S2AA64.read(words)) return undefined;
  const ste = decode(STE, words);
  const { walk } = stage2Of(ste, features);
  if (walk.inputBits < 16 || walk.inputBits > 52 || walk.firstEntries < 1) return undefined; // ILLEGAL: never walked
  return {
    vmid: ste.S2VMID,
    nested: config === 'NESTED',
    held: Array.from(HELD, (bits, at) => (words[at] ?? 0) & bits),
    fwb: ste.S2FWB,
    tree: {
      asid: 0,
      aset: false,
      va: 0n,
      inputBits: walk.inputBits,
      pa: walk.base,
      level: walk.start,
      entries: walk.firstEntries,
      reading: {
        stage: 2,
        granule: walk.granule,
        wide: walk.wide64 || walk.ds,
        bigEndian: walk.bigEndian,
        ignoresAf: !walk.checkAf || walk.ha,
      },
    },
  };
}

/** The STE of the stream says something else of stage 2 now. */
export function changeSecond(
  roots: Roots,
  users: Map<number, SecondUser>,
  streamId: number,
  view: View | undefined,
  change: Change,
  upper: Obligation | undefined,
): void {
  const before = users.get(streamId);
  if (before === undefined && view === undefined) return;
  // The new first, so that what both lead to stays.
  if (view === undefined) users.delete(streamId);
  else {
    const root = acquire(roots, view.tree, { regime: 'EL1', vmid: view.vmid }, change);
    if (view.nested) root.nested.add(streamId);
    else root.nested.delete(streamId);
    users.set(streamId, { view, root });
  }
  if (before === undefined) return;
  const after = users.get(streamId);
  if (after?.root === before.root && upper !== undefined && view !== undefined)
    oweHeld(roots, before, view, change, upper);
  if (after?.root !== before.root) before.root.nested.delete(streamId);
  releaseRoot(roots, before.root, change, upper);
}

/** Fields that entries hold changed while the tables stay: everything under the VMID is owed. */
function oweHeld(
  { ledger }: Roots,
  { view: before, root }: SecondUser,
  after: View,
  change: Change,
  upper: Obligation,
): void {
  if (before.held.every((word, at) => word === after.held[at])) return;
  oweContext(ledger, root, change.pa - (change.pa % 64), change, upper, before.fwb !== after.fwb);
}
