/** The TLB entry that a leaf becomes, of either stage (IHI 0070 3.17, 16.2). */
import type { EventOf } from '../event.ts';
import { wide } from '../layout/words.ts';
import type { SmmuState, TlbEntry } from './state.ts';
import { entryAddress, type Leaf, type WalkContext } from './walker.ts';

type Fill = { -readonly [K in keyof EventOf<'tlb.filled'>]: EventOf<'tlb.filled'>[K] };

/** The entry of a leaf over 2^sizeLog2 bytes around a page, to be completed by who keeps more in it. */
export function leafEntry(
  smmu: SmmuState,
  walk: WalkContext,
  page: number,
  leaf: Leaf,
  sizeLog2: number,
): Fill {
  return {
    type: 'tlb.filled',
    smmu: smmu.config.name,
    cache: 'tlb',
    regime: walk.regime,
    stage: walk.stage,
    vmid: walk.vmid,
    asid: walk.asid,
    // nG has no effect in EL2 (3.17), and stage 2 has none.
    global: walk.stage === 1 && leaf.global && walk.regime !== 'EL2',
    va: entryAddress(walk, page, sizeLog2),
    sizeLog2,
    granuleLog2: walk.granule.pageLog2,
    level: leaf.level,
    leaf: true,
    pa: leaf.pa,
    attributes: leaf.attributes,
    descriptorPa: leaf.descriptorPa,
    descriptor: wide(leaf.hi, leaf.lo),
    parent: leaf.parent,
  };
}

/** The descriptor: an entry holds it whole, a leaf in halves. */
export function descriptorOf(from: TlbEntry | Leaf): bigint {
  return 'descriptor' in from ? from.descriptor : wide(from.hi, from.lo);
}
