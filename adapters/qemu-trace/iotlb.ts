/**
 * What the emulator's TLB must hold, by its own lines: 256 entries at most, found by ASID, address,
 * granule and level. It explains hits, and tells what an invalidation took beyond its scope.
 */
import type { LineOf } from './events.ts';

export interface IotlbEntry {
  readonly asid: number;
  /** First address of the leaf. */
  readonly address: number;
  /** 1, 2, 3: 4, 16, 64 KiB. */
  readonly tg: number;
  readonly level: number;
  readonly sizeLog2: number;
  /** The leaf's descriptor. */
  readonly pte: bigint;
  /** A table above the leaf had APTable[0], APTable[1]. */
  readonly tablesUnprivileged: boolean;
  readonly tablesReadOnly: boolean;
}

/** log2 of the granule that a TG of the trace means. */
export function granuleLog2(tg: number): number {
  return tg * 2 + 10;
}

/** log2 of the bytes that a leaf of this granule and level serves. */
export function leafSizeLog2(tg: number, level: number): number {
  const page = granuleLog2(tg);
  return page + (3 - level) * (page - 3);
}

export class Iotlb {
  readonly #entries = new Map<string, IotlbEntry>();

  get size(): number {
    return this.#entries.size;
  }

  entries(): Iterable<IotlbEntry> {
    return this.#entries.values();
  }

  insert(entry: IotlbEntry): void {
    this.#entries.set(keyOf(entry.asid, entry.address, entry.tg, entry.level), entry);
  }

  /** The entry with the same tags. */
  exact({ asid, address, tg, level }: IotlbEntry): IotlbEntry | undefined {
    return this.#entries.get(keyOf(asid, address, tg, level));
  }

  /** The entry that serves an address; the larger one where two do. */
  find(asid: number, address: number): IotlbEntry | undefined {
    let found: IotlbEntry | undefined;
    for (const entry of this.#entries.values()) {
      if (
        entry.asid === asid &&
        holds(entry, address) &&
        (found === undefined || entry.sizeLog2 > found.sizeLog2)
      ) {
        found = entry;
      }
    }
    return found;
  }

  dropAll(): readonly IotlbEntry[] {
    const dropped = [...this.#entries.values()];
    this.#entries.clear();
    return dropped;
  }

  dropAsid(asid: number): readonly IotlbEntry[] {
    return this.#dropWhere((entry) => entry.asid === asid);
  }

  /** One piece of a range: the exact entry where a level is given for a single page, else a scan. */
  dropPiece(piece: LineOf<'smmuv3_s1_range_inval'>): readonly IotlbEntry[] {
    const { asid, addr, tg, numPages, ttl } = piece;
    if (ttl !== 0 && numPages === 1 && asid >= 0) {
      const key = keyOf(asid, addr, tg, ttl);
      const exact = this.#entries.get(key);
      if (exact !== undefined) {
        this.#entries.delete(key);
        return [exact];
      }
    }
    const size = numPages * 2 ** (tg === 0 ? 12 : granuleLog2(tg));
    return this.#dropWhere(
      (entry) =>
        (asid < 0 || entry.asid === asid) &&
        (holds(entry, addr) || (entry.address >= addr && entry.address < addr + size)),
    );
  }

  #dropWhere(match: (entry: IotlbEntry) => boolean): readonly IotlbEntry[] {
    const dropped: IotlbEntry[] = [];
    for (const [key, entry] of this.#entries) {
      if (!match(entry)) continue;
      this.#entries.delete(key);
      dropped.push(entry);
    }
    return dropped;
  }
}

function holds(entry: IotlbEntry, address: number): boolean {
  return address >= entry.address && address < entry.address + 2 ** entry.sizeLog2;
}

function keyOf(asid: number, address: number, tg: number, level: number): string {
  return `${asid}:${address}:${tg}:${level}`;
}
