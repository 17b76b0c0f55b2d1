/** Obligations and entries by the physical memory that they would still lead to. */
import type { Output } from './obligation.ts';

export interface Leading {
  readonly output: Output | undefined;
}

/** By log2 of the size, then by the number of the block of that size. */
export type OutputIndex<T extends Leading> = Map<number, Map<number, Set<T>>>;

/** An index of nothing. */
export function newOutputs<T extends Leading>(): OutputIndex<T> {
  return new Map();
}

/** Enters what leads somewhere. */
export function addOutput<T extends Leading>(index: OutputIndex<T>, leading: T): void {
  const { output } = leading;
  if (output === undefined) return;
  let blocks = index.get(output.sizeLog2);
  if (blocks === undefined) {
    blocks = new Map();
    index.set(output.sizeLog2, blocks);
  }
  const block = Math.floor(output.pa / 2 ** output.sizeLog2);
  const present = blocks.get(block);
  if (present === undefined) blocks.set(block, new Set([leading]));
  else present.add(leading);
}

/** Takes it out again. */
export function removeOutput<T extends Leading>(index: OutputIndex<T>, leading: T): void {
  const { output } = leading;
  if (output === undefined) return;
  const blocks = index.get(output.sizeLog2);
  const block = Math.floor(output.pa / 2 ** output.sizeLog2);
  const present = blocks?.get(block);
  if (blocks === undefined || present === undefined) return;
  present.delete(leading);
  if (present.size === 0) blocks.delete(block);
  if (blocks.size === 0) index.delete(output.sizeLog2);
}

/** What would lead into `[pa, pa + bytes)`. */
export function leadingTo<T extends Leading>(index: OutputIndex<T>, pa: number, bytes: number): readonly T[] {
  const found: T[] = [];
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
