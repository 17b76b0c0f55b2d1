/**
 * Event records of the trace: the words that changed tell a record only together with those that did
 * not, so the Event queue's memory is kept here. And the comparison of a record, bit by bit.
 */

import type { DeviationName } from './deviations.ts';
import { EVENT_BYTES } from './emulator.ts';
import type { LineOf } from './events.ts';
import { littleEndian, wordList } from './pages.ts';

const PAGE = 4096;

/** The memory of the Event queue, as the emulator wrote it. Bounded by the queue: 16 MiB at the most. */
export class EventMemory {
  readonly #pages = new Map<number, Uint8Array>();
  /** The queue's memory was told, so what is not written is zero. */
  known = false;

  range({ pa, len }: LineOf<'cap_range'>): void {
    this.known = true;
    for (const page of [...this.#pages.keys()]) {
      if (page * PAGE >= pa - PAGE && page * PAGE < pa + len) this.#pages.delete(page);
    }
  }

  page({ pa, words }: LineOf<'cap_page'>): void {
    const page = new Uint8Array(PAGE);
    for (const pair of words === '' ? [] : words.split(',')) {
      const [offset = '', value = ''] = pair.split(':');
      const at = Number.parseInt(offset, 16);
      if (at >= 0 && at + 8 <= PAGE) page.set(littleEndian(wordList(value)?.[0] ?? 0n, 8), at);
    }
    this.#pages.set(Math.floor(pa / PAGE), page);
  }

  store({ pa, size, val }: LineOf<'cap_devstore'>): void {
    const bytes = littleEndian(val, size);
    for (const [at, byte] of bytes.entries()) this.#page(pa + at)[(pa + at) % PAGE] = byte;
  }

  record(pa: number): Uint8Array {
    const bytes = new Uint8Array(EVENT_BYTES);
    for (let at = 0; at < EVENT_BYTES; at += 1) {
      bytes[at] = this.#pages.get(Math.floor((pa + at) / PAGE))?.[(pa + at) % PAGE] ?? 0;
    }
    return bytes;
  }

  #page(pa: number): Uint8Array {
    const key = Math.floor(pa / PAGE);
    const found = this.#pages.get(key) ?? new Uint8Array(PAGE);
    this.#pages.set(key, found);
    return found;
  }
}

/** What a record of the trace says of its access. */
export interface RecordFacts {
  readonly number: number;
  readonly iova: number | undefined;
  readonly access: 'read' | 'write' | undefined;
}

const WITH_ADDRESS: readonly number[] = [0x0b, 0x10, 0x11, 0x12, 0x13];

/** Number, input address and direction, as far as a record of its kind has them. */
export function recordFacts(record: Uint8Array): RecordFacts {
  const view = new DataView(record.buffer, record.byteOffset);
  const number = record[0] ?? 0;
  if (!WITH_ADDRESS.includes(number)) return { number, iova: undefined, access: undefined };
  const access = (view.getUint32(12, true) & 8) !== 0 ? 'read' : 'write';
  return { number, iova: Number(view.getBigUint64(16, true)), access };
}

/** Bits of a record that a habit of the emulator leaves at another value. */
interface Mask {
  readonly name: DeviationName;
  readonly records: readonly number[];
  readonly word: number;
  readonly bits: number;
}

// biome-ignore format: a table
const masks: readonly Mask[] = [
  { name: 'fault-class-zero',   records: [0x10, 0x13], word: 3, bits: 0x300 },
  { name: 'pnu-zero',           records: [0x0b, 0x10, 0x13], word: 3, bits: 0x2 },
  { name: 'cd-fetch-addr-word', records: [0x09],       word: 4, bits: 0xffff_ffff },
  { name: 'cd-fetch-addr-word', records: [0x09],       word: 5, bits: 0xffff_ffff },
  { name: 'cd-fetch-addr-word', records: [0x09],       word: 6, bits: 0xffff_ffff },
  { name: 'cd-fetch-addr-word', records: [0x09],       word: 7, bits: 0xffff_ffff },
];

/** The habits that explain how two records differ; undefined when some bit is left over. */
export function explainRecord(traced: Uint8Array, ours: Uint8Array): readonly DeviationName[] | undefined {
  const theirs = wordsOf(traced);
  const own = wordsOf(ours);
  const number = traced[0] ?? 0;
  const names = new Set<DeviationName>();
  for (let at = 0; at < theirs.length; at += 1) {
    let left = ((theirs[at] ?? 0) ^ (own[at] ?? 0)) >>> 0;
    for (const { name, records, word, bits } of masks) {
      if (word !== at || !records.includes(number) || (left & bits) === 0) continue;
      left = (left & ~bits) >>> 0;
      names.add(name);
    }
    if (left !== 0) return undefined;
  }
  // The address must stand in the other words, not be another one.
  const moved = theirs[4] === own[6] && theirs[5] === own[7];
  return names.has('cd-fetch-addr-word') && !moved ? undefined : [...names];
}

function wordsOf(bytes: Uint8Array): Uint32Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Uint32Array.from({ length: bytes.length / 4 }, (_, at) => view.getUint32(at * 4, true));
}
