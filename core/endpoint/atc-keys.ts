/**
 * The integer keys of ATC entries: PASID, privilege and size, then the address. An ATC compares all 64
 * bits (3.9.1), and takes nothing of one privilege for the other (13.7).
 */
import type { AtcEntry } from './state.ts';

/** PASIDs have 20 bits; what stands for none. */
export const NO_PASID = 2 ** 20;
const PRIVILEGES = 2;
/** Sizes are 2^12 to 2^63. */
const SIZES = 64;

/** All entries of one PASID, privilege and size. */
export function atcPrimary(substreamId: number | undefined, privileged: boolean, sizeLog2: number): number {
  return ((substreamId ?? NO_PASID) * PRIVILEGES + (privileged ? 1 : 0)) * SIZES + sizeLog2;
}

/** Number of the span of that size which holds the address: at most 52 bits. */
export function atcSpan(iova: bigint, sizeLog2: number): number {
  return Number(iova >> BigInt(sizeLog2));
}

/** Both keys of an entry. */
export function atcKeys({
  substreamId,
  iova,
  sizeLog2,
  permissions,
}: Pick<AtcEntry, 'substreamId' | 'iova' | 'sizeLog2' | 'permissions'>): [
  primary: number,
  secondary: number,
] {
  return [atcPrimary(substreamId, permissions.includes('p'), sizeLog2), atcSpan(iova, sizeLog2)];
}

/** PASID and size of a primary key. */
export function partsOf(primary: number): { readonly substreamId: number; readonly sizeLog2: number } {
  return { substreamId: Math.floor(primary / (PRIVILEGES * SIZES)), sizeLog2: primary % SIZES };
}
