/**
 * Memory that became known, as the fewest sensible `mem.write`: only runs of words that differ from
 * what the machine holds, with small gaps of equal words bridged.
 */
import { LINE_BYTES, type Memory } from '../../core/memory/memory.ts';

export interface Run {
  readonly pa: number;
  readonly bytes: Uint8Array;
}

const PAGE_BYTES = 4096;
const WORDS = PAGE_BYTES / 8;
/** Equal words that a run goes over: a store of 64 bytes more is cheaper than a second stimulus. */
const GAP_WORDS = 8;

/**
 * What must be written so that the page holds `list`: `offset:value,...` of its 64-bit words that are
 * not zero. Undefined when the list is garbled.
 */
export function pageRuns(memory: Memory, pa: number, list: string): readonly Run[] | undefined {
  const wanted = new BigUint64Array(WORDS);
  if (list !== '' && !list.split(',').every((pair) => readPair(pair, wanted))) return undefined;
  return runsOf(memory, pa, wanted);
}

function readPair(pair: string, words: BigUint64Array): boolean {
  const colon = pair.indexOf(':');
  const offset = Number.parseInt(pair.slice(0, colon), 16);
  const digits = pair.slice(colon + 1);
  if (colon < 1 || !(offset < PAGE_BYTES) || offset % 8 !== 0 || !/^0x[0-9a-f]{1,16}$/i.test(digits))
    return false;
  words[offset / 8] = BigInt(digits);
  return true;
}

function runsOf(memory: Memory, pa: number, wanted: BigUint64Array): readonly Run[] {
  const runs: Run[] = [];
  let first = -1;
  let last = -1;
  const close = (): void => {
    if (first >= 0)
      runs.push({ pa: pa + first * 8, bytes: new Uint8Array(wanted.slice(first, last + 1).buffer) });
    first = -1;
  };
  for (let at = 0; at < WORDS; at += 1) {
    if (memory.read64(pa + at * 8) === wanted[at]) continue;
    if (first >= 0 && at - last > GAP_WORDS) close();
    if (first < 0) first = at;
    last = at;
  }
  close();
  return runs;
}

/** What must be written so that `[pa, pa + size)` is zero. */
export function zeroRuns(memory: Memory, pa: number, size: number): readonly Run[] {
  const runs: Run[] = [];
  const from = Math.floor(pa / LINE_BYTES);
  const end = Math.ceil((pa + size) / LINE_BYTES);
  for (const [key, line] of memory.lines.range(from, end)) {
    const start = Math.max(pa, key * LINE_BYTES);
    const stop = Math.min(pa + size, (key + 1) * LINE_BYTES);
    if (line.words.some((word) => word !== 0)) runs.push({ pa: start, bytes: new Uint8Array(stop - start) });
  }
  return runs;
}

/** The low `size` bytes of a value, as memory holds them. */
export function littleEndian(value: bigint, size: number): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, value, true);
  return bytes.slice(0, size);
}

/** A comma-separated list of `0x` words; undefined when it is garbled. */
export function wordList(list: string): readonly bigint[] | undefined {
  const parts = list.split(',');
  return parts.every((part) => /^0x[0-9a-f]{1,16}$/i.test(part)) ? parts.map(BigInt) : undefined;
}
