/**
 * The ceiling of the fold: the same logic on plain mutable data, with no past to keep. Pages are typed
 * arrays in a flat array, registers and lists plain fields.
 */
import type { Entry } from '../../core/event.ts';

const PAGE_BYTES = 4096;
const BASE = 0x4000_0000;

export class PlainReducer {
  readonly pages: (Uint32Array | undefined)[];
  readonly regs: Record<string, number> = {};
  inFlight: { fetched: number }[] = [];
  records: { words: Uint8Array }[] = [];
  tick = 0;
  seq = 0;

  constructor(pages: number) {
    this.pages = new Array(pages).fill(undefined);
  }

  fold(entries: readonly Entry[]): void {
    for (const entry of entries) {
      this.seq = entry.seq;
      this.#one(entry);
    }
  }

  #one(entry: Entry): void {
    switch (entry.type) {
      case 'memory.written': {
        const offset = entry.pa - BASE;
        const at = Math.floor(offset / PAGE_BYTES);
        let page = this.pages[at];
        if (page === undefined) {
          page = new Uint32Array(PAGE_BYTES / 4);
          this.pages[at] = page;
        }
        const word = (offset % PAGE_BYTES) >>> 2;
        page[word] = Number(entry.value & 0xffff_ffffn);
        page[word + 1] = Number(entry.value >> 32n);
        return;
      }
      case 'register.written':
      case 'register.updated':
        this.regs[entry.register] = Number(entry.value & 0xffff_ffffn);
        return;
      case 'command.fetched':
        this.inFlight.push({ fetched: entry.seq });
        return;
      case 'command.performed':
        this.inFlight = this.inFlight.filter((each) => each.fetched !== entry.fetched);
        return;
      case 'record.raised':
        this.records.push({ words: entry.words });
        return;
      case 'record.written':
        this.records.shift();
        return;
      default:
    }
  }
}
