/**
 * Hardware update of descriptors: access flag and dirty state, at both stages. IHI 0070 3.13, Arm ARM
 * D8.5. An update is one atomic store on the value that was walked.
 */
import { swap, wide } from '../layout/words.ts';
import type { Context } from '../machine.ts';
import { inSpace } from '../memory/space.ts';
import type { Fault } from './fault.ts';
import type { SmmuState } from './state.ts';
import type { Leaf, Resolve, WalkContext } from './walker.ts';

export const ACCESS_FLAG = 1 << 10;

/** What hardware may do to descriptors on the way (3.13). */
export interface Updates {
  /** Set AF. */
  readonly af: boolean;
  /** A write to a writable-clean leaf: mark it dirty, let it pass unmarked, or refuse it. */
  readonly dirty: 'mark' | 'pass' | 'refuse';
}

/** What an access of a device may do. */
export const ordinary: Updates = { af: true, dirty: 'mark' };

/** AF=0 is a fault; AFFD is IGNORED where hardware sets the flag (5.4 AFFD). */
export function checksAccessFlag(smmu: SmmuState, walk: WalkContext): boolean {
  return walk.checkAf && !walk.ha && smmu.config.choices['checkAccessFlag'] !== false;
}

/** A leaf with AF=0 that hardware would have to set is never cached, nor one below a table of that kind (3.13.6). */
export function isCacheable(walk: WalkContext, leaf: Leaf): boolean {
  return (leaf.accessFlag || !walk.ha) && !leaf.unaccessed;
}

/** Whether a write through these attributes must go to memory to mark the leaf dirty. */
export function marksDirty(walk: WalkContext, clean: boolean, write: boolean, updates: Updates): boolean {
  return write && clean && walk.hd && updates.dirty === 'mark';
}

/** A descriptor that was read, and by which address. */
export interface FetchedDescriptor {
  readonly pa: number;
  readonly address: number;
  readonly lo: number;
  readonly hi: number;
}

/**
 * Hardware's atomic update of a descriptor (3.13): nested, it is a write through stage 2 (7.3.16). Returns
 * the fault that forbids it, if any.
 */
export function updateDescriptor(
  { state, emit }: Context,
  smmu: SmmuState,
  walk: WalkContext,
  from: FetchedDescriptor,
  lo: number,
  hi: number,
  resolve?: Resolve,
): Fault | undefined {
  let { pa } = from;
  if (resolve !== undefined) {
    const place = resolve(from.address, true);
    if (!place.ok) return place.fault;
    pa = place.pa;
  }
  if (smmu.config.choices['descriptorUpdates'] === false) return undefined;
  const store = (high: number, low: number): bigint =>
    walk.bigEndian ? wide(swap(low), swap(high)) : wide(high, low);
  emit(smmu.config.name, {
    type: 'memory.written',
    pa: inSpace(state, smmu.config.space, pa),
    value: store(hi >>> 0, lo >>> 0),
    old: store(from.hi, from.lo),
  });
  return undefined;
}
