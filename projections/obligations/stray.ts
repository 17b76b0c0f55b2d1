/** Entries that rest on one of another context: a walk that goes on from a wrong table fills right tags with wrong content. */
import type { TlbFill } from './fills.ts';
import { hex } from './tell.ts';

/** An entry of another context that served an access. */
export interface Stray {
  readonly fill: TlbFill;
  /** seq of the entry that a walk made after it went on from there, or of the answer that an ATC keeps; 0: the access itself hit it. */
  readonly through: number;
  /** What differs: `ASID 0x5, not 0x6`. */
  readonly why: string;
}

/** What a new entry rests on that is of another context: the table its walk began from, or the stage 2 of its addresses. */
export function strayBelow(entry: TlbFill['entry'], rests: readonly TlbFill[]): Stray | undefined {
  for (const fill of rests) {
    if (fill.stray !== undefined) return fill.stray;
    const below = fill.entry;
    const stage2 = below.stage === 2 && entry.stage !== 2;
    const part = stage2
      ? below.vmid !== entry.vmid && `VMID ${hex(below.vmid)}, not ${hex(entry.vmid)}`
      : differs(below, entry);
    if (part) return { fill, through: entry.seq, why: part };
  }
  return undefined;
}

function differs(table: TlbFill['entry'], entry: TlbFill['entry']): string | undefined {
  if (table.regime !== entry.regime) return `${table.regime}, not ${entry.regime}`;
  if (table.vmid !== entry.vmid) return `VMID ${hex(table.vmid)}, not ${hex(entry.vmid)}`;
  if (table.asid !== entry.asid) return `ASID ${hex(table.asid)}, not ${hex(entry.asid)}`;
  return isWithin(table, entry.va) ? undefined : `for ${hex(table.va)}, not ${hex(entry.va)}`;
}

/** In bits [55:0], as entries and look-ups have them (3.4.1: the byte above may be a tag of the software). */
export function isWithin({ va, sizeLog2 }: TlbFill['entry'], address: bigint): boolean {
  const size = BigInt(sizeLog2);
  return BigInt.asUintN(56, va) >> size === BigInt.asUintN(56, address) >> size;
}
