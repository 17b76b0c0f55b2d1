/**
 * DMA of the emulator's "edu" device: its registers say where, how much and which way, so the direction
 * and the length of its accesses are known. The device works on one transfer at a time.
 */
import type { LineOf } from './events.ts';

// biome-ignore format: a table
const registers = { source: 0x80, destination: 0x88, count: 0x90, command: 0x98 } as const;
const BAR_BYTES = 1024 * 1024;
const START = 1n;
const TO_MEMORY = 2n;

interface Transfer {
  next: number;
  left: number;
  readonly access: 'read' | 'write';
}

/** What an access of the device is known to be. */
export interface Known {
  readonly access: 'read' | 'write';
  readonly size: number;
}

export class Edu {
  /** Registers by BAR and offset. */
  readonly #registers = new Map<number, bigint>();
  readonly #transfers = new Map<number, Transfer>();
  /** The StreamID of each BAR, once an access matched. */
  readonly #streams = new Map<number, number>();

  write({ addr, val, device }: LineOf<'cap_dev_write'>): void {
    if (!device.startsWith('edu')) return;
    const offset = addr % BAR_BYTES;
    const bar = addr - offset;
    this.#registers.set(addr, val);
    if (offset !== registers.command || (val & START) === 0n) return;
    const toMemory = (val & TO_MEMORY) !== 0n;
    const address = this.#registers.get(bar + (toMemory ? registers.destination : registers.source)) ?? 0n;
    const left = Number(this.#registers.get(bar + registers.count) ?? 0n);
    this.#transfers.set(bar, { next: Number(address), left, access: toMemory ? 'write' : 'read' });
  }

  /**
   * The access of a stream at an address, when a transfer stands there.
   * @param span bytes from the address to the end of what one translation serves; undefined: refused,
   * and then it is tried in pieces of 4 bytes or less.
   */
  take(sid: number, iova: number, span: number | undefined): Known | undefined {
    for (const [bar, transfer] of this.#transfers) {
      if (transfer.next !== iova || transfer.left <= 0 || (this.#streams.get(bar) ?? sid) !== sid) continue;
      this.#streams.set(bar, sid);
      const size = Math.min(transfer.left, span ?? refusedPiece(iova, transfer.left));
      transfer.next += size;
      transfer.left -= size;
      if (transfer.left === 0) this.#transfers.delete(bar);
      return { access: transfer.access, size };
    }
    return undefined;
  }

  /** The transfer that a stream's next access, of which only the page is known, must belong to. */
  addressIn(sid: number, page: number, pageBytes: number): number | undefined {
    for (const [bar, { next, left }] of this.#transfers) {
      if (left > 0 && next >= page && next < page + pageBytes && (this.#streams.get(bar) ?? sid) === sid)
        return next;
    }
    return undefined;
  }
}

/** A refused access goes on by pieces: 4 bytes, less where the address or the rest does not allow it. */
function refusedPiece(iova: number, left: number): number {
  let size = 4;
  while (size > 1 && (iova % size !== 0 || size > left)) size /= 2;
  return size;
}
