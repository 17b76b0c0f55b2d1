/** An IOAS with three areas, a second, empty one, and what they were made from. */
import { areas, fields, type Host, hostWithIoas, memory } from './kernel.ts';

/** A host, and what its IOAS was filled from. */
export interface World extends Host {
  readonly va: string;
  readonly memfd: unknown;
}

/**
 * Areas of IOAS 1, all of one buffer of 16 pages: 0x100000 and 0x101000, a page each and neighbours, the second
 * read-only; 0x200000, two pages. Nothing is pinned: there is no HWPT.
 */
export function world(kernel: object = {}): World {
  const made = hostWithIoas(kernel);
  made.ioctl('IOMMU_IOAS_ALLOC', {});
  const va = memory(made, 0x10000);
  const map = (more: string): unknown =>
    made.ioctl('IOMMU_IOAS_MAP', { ioas_id: 1, user_va: va, ...fields(more) });
  map('flags=7 iova=0x100000 length=0x1000');
  map('flags=5 iova=0x101000 length=0x1000');
  map('flags=7 iova=0x200000 length=0x2000');
  const memfd = made.line({ op: 'mem.memfd', bytes: 0x4000 })['fd'];
  return Object.assign(made, { va, memfd });
}

/** `va` and `memfd` in a cell stand for the world's. */
export function args(cell: string, { va, memfd }: World): Record<string, unknown> {
  const given = fields(cell);
  return Object.fromEntries(
    Object.entries(given).map(([name, value]) => [
      name,
      value === 'va' ? va : value === 'memfd' ? memfd : value,
    ]),
  );
}

/** The areas of an IOAS as `0xFIRST-0xLAST`. */
export function shown(of: Host, ioas = 1): string[] {
  return areas(of, ioas).map(({ iova, last }) => `0x${iova.toString(16)}-0x${last.toString(16)}`);
}

export const MAX = '0xffffffffffffffff';
