/**
 * Address spaces besides the physical one: what a VM takes for physical memory is windows onto pieces of the
 * machine's. An SMMU that a VMM emulates reads and writes through the space of its VM.
 */
import { own } from '../lookup.ts';
import type { State } from '../state.ts';

/** `bytes` of the machine's memory at `pa`, seen at `base`. */
export interface Window {
  readonly base: number;
  readonly bytes: number;
  readonly pa: number;
}

/** No RAM is here: RAM ends at 2^52 at the latest. */
export const NOWHERE = 2 ** 52;

/** Where an address of a space lies in the machine's memory; NOWHERE where it has none. No space: as it is. */
export function inSpace({ spaces }: State, space: string | undefined, address: number): number {
  if (space === undefined) return address;
  for (const { base, bytes, pa } of own(spaces, space) ?? [])
    if (address >= base && address < base + bytes) return pa + address - base;
  return NOWHERE;
}

/** The other way: the address at which a space shows a physical one; undefined where it does not. */
export function addressIn({ spaces }: State, space: string | undefined, at: number): number | undefined {
  if (space === undefined) return at;
  for (const { base, bytes, pa } of own(spaces, space) ?? [])
    if (at >= pa && at < pa + bytes) return base + at - pa;
  return undefined;
}

/** The pieces of a range, in order; `pa` is NOWHERE where the space has none. */
export function piecesIn(
  state: State,
  space: string | undefined,
  address: number,
  size: number,
): readonly { readonly pa: number; readonly size: number }[] {
  if (space === undefined) return [{ pa: address, size }];
  const pieces: { pa: number; size: number }[] = [];
  for (let at = 0; at < size; ) {
    const window = (own(state.spaces, space) ?? []).find(
      ({ base, bytes }) => address + at >= base && address + at < base + bytes,
    );
    if (window === undefined) return [...pieces, { pa: NOWHERE, size: size - at }];
    const within = address + at - window.base;
    const length = Math.min(size - at, window.bytes - within);
    pieces.push({ pa: window.pa + within, size: length });
    at += length;
  }
  return pieces;
}

/** Memory as somebody sees it; `place` gives the physical address. */
export interface MemoryView {
  place(address: number): number;
  isRam(address: number, size: number): boolean;
  read64(address: number): bigint;
  readWords(address: number, count: number): Uint32Array;
}

/** Memory as a space shows it. Reads are of pieces that do not cross windows: queue entries, STEs, descriptors. */
export function viewOf(state: State, space: string | undefined): MemoryView {
  const { memory } = state;
  const place = (address: number): number => inSpace(state, space, address);
  return {
    place,
    isRam: (address, size) => memory.isRam(place(address), size),
    read64: (address) => memory.read64(place(address)),
    readWords: (address, count) => memory.readWords(place(address), count),
  };
}
