/**
 * A VMM reads the stage 1 tables of its guest: the leaves of a range, as an emulator that shadows them does. The
 * descriptors of levels are those of the Arm ARM, D8.3; attributes that no host mapping can have are left out.
 */
import { inSpace } from '../memory/space.ts';
import { pow2 } from '../pow2.ts';
import { type Granule, spanLog2 } from '../smmu/granule.ts';
import type { WalkContext } from '../smmu/walker.ts';
import type { State } from '../state.ts';

/** A leaf of the guest's tables. */
export interface GuestLeaf {
  readonly iova: number;
  readonly size: number;
  readonly gpa: number;
  readonly writeable: boolean;
}

interface Reader {
  readonly state: State;
  readonly space: string;
  readonly granule: Granule;
  readonly from: number;
  readonly to: number;
  readonly leaves: GuestLeaf[];
}

/** The leaves that lie in `[from, to)`, ascending. Tables that are not memory of the guest hold none. */
export function leavesIn(
  state: State,
  space: string,
  walk: WalkContext,
  from: number,
  to: number,
): readonly GuestLeaf[] {
  const reader: Reader = { state, space, granule: walk.granule, from, to, leaves: [] };
  readTable(reader, walk.start, walk.base, walk.firstEntries, 0);
  return reader.leaves;
}

const AP2 = 1 << 7;

function readTable(reader: Reader, level: number, table: number, entries: number, base: number): void {
  const { state, space, granule, from, to, leaves } = reader;
  const size = pow2(spanLog2(granule, level));
  const first = Math.max(0, Math.floor((from - base) / size));
  const last = Math.min(entries - 1, Math.floor((to - 1 - base) / size));
  for (let index = first; index <= last; index += 1) {
    const pa = inSpace(state, space, table + index * 8);
    if (!state.memory.isRam(pa, 8)) continue;
    const low = state.memory.read32(pa);
    if ((low & 1) === 0) continue;
    const high = state.memory.read32(pa + 4);
    const iova = base + index * size;
    const isTable = level < 3 && (low & 2) !== 0;
    const address = addressOf(high, low, isTable ? granule.pageLog2 : spanLog2(granule, level));
    if (isTable) readTable(reader, level + 1, address, pow2(granule.stride), iova);
    else if (iova >= from && iova + size <= to)
      leaves.push({ iova, size, gpa: address, writeable: (low & AP2) === 0 });
  }
}

/** Bits [47:n] of a descriptor. */
function addressOf(high: number, low: number, alignLog2: number): number {
  const address = (high & 0xffff) * pow2(32) + (low >>> 0);
  return address - (address % pow2(alignLog2));
}
