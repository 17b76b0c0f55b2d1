/**
 * What devices can reach: every page that the tables of a domain map, found by reading the tables themselves
 * (VMSAv8-64, as the driver's shape says where they begin), without the driver's own walk.
 */
import type { PagingDomain } from '../../core/driver/state.ts';
import type { State } from '../../core/state.ts';

export interface Leaf {
  readonly iova: number;
  readonly bytes: number;
  readonly pa: number;
  readonly descriptor: bigint;
}

/** All leaves of a domain, ascending. */
export function leavesOf(state: State, domain: PagingDomain): readonly Leaf[] {
  const out: Leaf[] = [];
  walk(state, domain, (leaf) => out.push(leaf));
  return out;
}

/** Numbers of the 4 KiB pages that the tables of a domain are in. */
export function tablesOf(state: State, domain: PagingDomain): ReadonlySet<number> {
  const pages = new Set<number>();
  const add = (pa: number, bytes: number): void => {
    for (let at = pa; at < pa + bytes; at += 0x1000) pages.add(Math.floor(at / 0x1000));
  };
  walk(state, domain, () => {}, add);
  return pages;
}

function walk(
  { memory }: State,
  { table }: PagingDomain,
  onLeaf: (leaf: Leaf) => void,
  onTable: (pa: number, bytes: number) => void = () => {},
): void {
  const { granuleLog2, bits, startLevel, rootLog2, root } = table;
  const mask = 0xffff_ffff_ffffn & -(1n << BigInt(granuleLog2));
  const visit = (pa: number, level: number, entries: number, base: number): void => {
    onTable(pa, entries * 8);
    const span = 2 ** (granuleLog2 + (3 - level) * bits);
    for (let at = 0; at < entries; at += 1) {
      const descriptor = memory.read64(pa + at * 8);
      if ((descriptor & 1n) === 0n) continue;
      const iova = base + at * span;
      const to = Number(descriptor & mask);
      if (level < 3 && (descriptor & 2n) !== 0n) visit(to, level + 1, 2 ** bits, iova);
      else onLeaf({ iova, bytes: span, pa: to, descriptor });
    }
  };
  visit(root, startLevel, 2 ** (rootLog2 - 3), 0);
}

/** Domains of all drivers with what they map, as text. */
export function reachText(state: State): string {
  const lines = Object.values(state.drivers).flatMap(({ name, domains }) =>
    [...domains.range()].map(([id, domain]) => {
      if (domain.kind === 'nested') return `${name} ${id} nested ${domain.parent}`;
      const leaves = leavesOf(state, domain).map(
        ({ iova, pa, bytes }) => `${iova.toString(16)}+${bytes.toString(16)}:${pa.toString(16)}`,
      );
      return `${name} ${id} ${leaves.join(' ')}`;
    }),
  );
  return lines.join('\n');
}

/** Pages of the pool that are free. */
export function freePages({ kernel }: State): number {
  return [...(kernel?.pool.free.range() ?? [])].reduce((sum, [, count]) => sum + count, 0);
}
