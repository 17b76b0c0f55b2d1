/** Obligations by the physical memory that a stale entry would still lead to. */
import type { Obligation } from './obligation.ts';

/** By log2 of the size, then by the number of the block of that size. */
export type OutputIndex = Map<number, Map<number, Set<Obligation>>>;

/** An index of nothing. */
export function newOutputs(): OutputIndex {
  return new Map();
}

/** Enters the obligation, if it leads anywhere. */
export function addOutput(index: OutputIndex, obligation: Obligation): void {
  const { output } = obligation;
  if (output === undefined) return;
  let blocks = index.get(output.sizeLog2);
  if (blocks === undefined) {
    blocks = new Map();
    index.set(output.sizeLog2, blocks);
  }
  const block = Math.floor(output.pa / 2 ** output.sizeLog2);
  const present = blocks.get(block);
  if (present === undefined) blocks.set(block, new Set([obligation]));
  else present.add(obligation);
}

/** Takes the obligation out again. */
export function removeOutput(index: OutputIndex, obligation: Obligation): void {
  const { output } = obligation;
  if (output === undefined) return;
  const blocks = index.get(output.sizeLog2);
  const block = Math.floor(output.pa / 2 ** output.sizeLog2);
  const present = blocks?.get(block);
  if (blocks === undefined || present === undefined) return;
  present.delete(obligation);
  if (present.size === 0) blocks.delete(block);
  if (blocks.size === 0) index.delete(output.sizeLog2);
}

/** Outstanding obligations whose entry would lead into `[pa, pa + bytes)`. */
export function leadingTo(index: OutputIndex, pa: number, bytes: number): readonly Obligation[] {
  const found: Obligation[] = [];
  for (const [sizeLog2, blocks] of index) {
    const size = 2 ** sizeLog2;
    const last = Math.floor((pa + bytes - 1) / size);
    const first = Math.floor(pa / size);
    if (last - first > blocks.size) {
      for (const [block, present] of blocks) if (block >= first && block <= last) found.push(...present);
      continue;
    }
    for (let block = first; block <= last; block += 1) found.push(...(blocks.get(block) ?? []));
  }
  return found;
}
