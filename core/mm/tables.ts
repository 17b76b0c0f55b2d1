/**
 * The page tables of a process, as its CPUs write them (linux: mm/memory.c, mm/mprotect.c, arm64 pgtable.h): pages
 * only, present from the map on, young, and dirty where they may be written. Tables that become empty go with the
 * pages; the root stays.
 */

import { addressOf, isLeaf, LAST_LEVEL } from '../driver/descriptors.ts';
import { driverOf, loadDoublewords, portOf, storeDoublewords } from '../driver/port.ts';
import type { DriverState } from '../driver/state.ts';
import { mapPiece, type PhysicalRun } from '../driver/table-map.ts';
import { indexAt, levelLog2, tableBytes } from '../driver/table-shape.ts';
import { clear, findEntries } from '../driver/table-unmap.ts';
import { openBuffer } from '../driver/write-buffer.ts';
import type { Errno } from '../kernel/errno.ts';
import type { Context } from '../machine.ts';
import type { State } from '../state.ts';
import { type Mm, pageBytes } from './state.ts';

/** What a process may do with a page: it can always read. */
export type PageAccess = 'read' | 'read-write';

const USER = 1n << 6n;
const READ_ONLY = 1n << 7n;
const INNER_SHAREABLE = 3n << 8n;
const YOUNG = 1n << 10n;
const NOT_GLOBAL = 1n << 11n;
/** DBM: who may write is told by it, and by AP whether the page is dirty. */
const WRITABLE = 1n << 51n;
const NO_EXECUTE = 3n << 53n;

/** Bits of a page besides its address and type; AttrIndx 0 is write-back. */
function pageBits(access: PageAccess): bigint {
  const rights = access === 'read' ? READ_ONLY : WRITABLE;
  return USER | rights | INNER_SHAREABLE | YOUNG | NOT_GLOBAL | NO_EXECUTE;
}

/** The hand that writes the tables: the owner's memory, and the process's CPUs as who acts. */
export function handOf(state: State, { driver, owner, name }: Mm): DriverState {
  return handNamed(driverOf(state, driver), owner, name);
}

/** The same for a process by its name. */
export function handNamed(driver: DriverState, owner: string, process: string): DriverState {
  return { ...driver, name: `mm ${process}`, setup: { ...driver.setup, actor: `${owner}.mm` } };
}

/** Descriptors of pages that stand side by side in one table. */
interface Found {
  readonly va: number;
  readonly slot: number;
  readonly descriptors: readonly bigint[];
}

/** The descriptors of a range, table by table, where there are tables. */
function* pagesIn(state: State, mm: Mm, start: number, end: number): Generator<Found> {
  const hand = handOf(state, mm);
  const page = pageBytes(mm);
  const span = page * 2 ** mm.table.bits;
  for (let va = start; va < end; ) {
    const stop = Math.min(end, (Math.floor(va / span) + 1) * span);
    const found = findEntries(state, hand, mm.table, va, page, (stop - va) / page);
    if (typeof found === 'object') yield { va, slot: found.slot, descriptors: found.descriptors };
    va = stop;
  }
}

/** Whether a page of the range is there. */
export function isPresent(state: State, mm: Mm, start: number, end: number): boolean {
  return [...pagesIn(state, mm, start, end)].some(({ descriptors }) =>
    descriptors.some((each) => each !== 0n),
  );
}

/** Maps a run of memory. On ENOMEM what was mapped before stays. @returns bytes that are mapped */
export function mapRun(
  context: Context,
  mm: Mm,
  va: number,
  run: PhysicalRun,
  access: PageAccess,
): { readonly bytes: number; readonly errno?: Errno } {
  const hand = handOf(context.state, mm);
  const buffer = openBuffer(context, hand);
  const page = pageBytes(mm);
  const bits = pageBits(access);
  let done = 0;
  while (done < run.size) {
    const piece = { iova: va + done, pa: run.pa + done, bytes: page, count: (run.size - done) / page, bits };
    const mapped = mapPiece(context, hand, mm.table, buffer, piece);
    if (typeof mapped === 'string' || 'slot' in mapped) {
      buffer.flush();
      return { bytes: done, errno: typeof mapped === 'string' ? mapped : 'EEXIST' };
    }
    done += mapped.bytes;
  }
  buffer.flush();
  return { bytes: done };
}

/** What a change of the tables touched: from the first page to the end of the last. */
export interface Touched {
  readonly va: number;
  readonly end: number;
}

/** Changes the rights of the pages that are there; undefined where none was to be changed. */
export function protectRange(
  context: Context,
  mm: Mm,
  start: number,
  end: number,
  access: PageAccess,
): Touched | undefined {
  const hand = handOf(context.state, mm);
  const bits = pageBits(access);
  let touched: Touched | undefined;
  for (const found of [...pagesIn(context.state, mm, start, end)]) {
    const wanted = found.descriptors.map((each) =>
      each === 0n ? 0n : (each & ~(READ_ONLY | WRITABLE)) | (bits & (READ_ONLY | WRITABLE)),
    );
    const first = wanted.findIndex((each, at) => each !== found.descriptors[at]);
    if (first < 0) continue;
    const last = wanted.findLastIndex((each, at) => each !== found.descriptors[at]);
    storeDoublewords(context, hand, found.slot + first * 8, wanted.slice(first, last + 1));
    touched = widened(touched, found.va + first * pageBytes(mm), found.va + (last + 1) * pageBytes(mm));
  }
  return touched;
}

function widened(before: Touched | undefined, va: number, end: number): Touched {
  return { va: before?.va ?? va, end };
}

/** What was taken out of the tables, and can go when nobody reaches it any more. */
export interface Cleared {
  readonly touched: Touched | undefined;
  readonly pages: readonly PhysicalRun[];
  readonly tables: readonly PhysicalRun[];
}

/** Clears the pages of a range, and unlinks the tables that are empty then. */
export function clearRange(context: Context, mm: Mm, start: number, end: number): Cleared {
  const hand = handOf(context.state, mm);
  const page = pageBytes(mm);
  const pages: PhysicalRun[] = [];
  let touched: Touched | undefined;
  for (const { va, slot, descriptors } of [...pagesIn(context.state, mm, start, end)]) {
    const first = descriptors.findIndex((each) => each !== 0n);
    if (first < 0) continue;
    clear(context, hand, slot, descriptors);
    for (const each of descriptors) if (each !== 0n) addPage(pages, addressOf(each, mm.table), page);
    const last = descriptors.findLastIndex((each) => each !== 0n);
    touched = widened(touched, va + first * page, va + (last + 1) * page);
  }
  if (touched === undefined) return { touched, pages, tables: [] };
  return { touched, pages, tables: unlinkEmpty(context, mm, touched) };
}

function addPage(pages: PhysicalRun[], pa: number, size: number): void {
  const last = pages.at(-1);
  if (last !== undefined && last.pa + last.size === pa)
    pages[pages.length - 1] = { pa: last.pa, size: last.size + size };
  else pages.push({ pa, size });
}

/** Tables under the range without a descriptor, the lowest first, are taken out of the tables above them. */
function unlinkEmpty(context: Context, mm: Mm, { va, end }: Touched): readonly PhysicalRun[] {
  const { table: shape } = mm;
  const hand = handOf(context.state, mm);
  const gone: PhysicalRun[] = [];
  for (let level = LAST_LEVEL; level > shape.startLevel; level -= 1) {
    const span = 2 ** levelLog2(shape, level - 1);
    for (let at = Math.floor(va / span) * span; at < end; at += span) {
      const found = tableAt(context.state, mm, at, level);
      if (found === undefined) continue;
      const size = tableBytes(shape, level);
      if (loadDoublewords(context.state, hand, found.pa, size / 8).some((each) => each !== 0n)) continue;
      storeDoublewords(context, hand, found.slot, [0n]);
      gone.push({ pa: found.pa, size });
    }
  }
  return gone;
}

/** The table of a level that an address is looked up in, and the slot that leads to it. */
function tableAt(
  state: State,
  mm: Mm,
  va: number,
  level: number,
): { readonly pa: number; readonly slot: number } | undefined {
  const { table: shape } = mm;
  const hand = handOf(state, mm);
  let [pa, slot] = [shape.root, 0];
  for (let above = shape.startLevel; above < level; above += 1) {
    slot = pa + indexAt(shape, above, va) * 8;
    const descriptor = portOf(hand).load64(state, slot, hand);
    if (descriptor === 0n || isLeaf(descriptor, above)) return undefined;
    pa = addressOf(descriptor, shape);
  }
  return { pa, slot };
}

/** What the tables of pages cover, each by its own: all that may be mapped. */
export function populated(state: State, mm: Mm): readonly Touched[] {
  const { table: shape } = mm;
  const hand = handOf(state, mm);
  let tables = [{ pa: shape.root, va: 0 }];
  for (let level = shape.startLevel; level < LAST_LEVEL; level += 1) {
    const span = 2 ** levelLog2(shape, level);
    tables = tables.flatMap(({ pa, va }) =>
      loadDoublewords(state, hand, pa, tableBytes(shape, level) / 8).flatMap((each, at) =>
        each === 0n ? [] : [{ pa: addressOf(each, shape), va: va + at * span }],
      ),
    );
  }
  return tables.map(({ va }) => ({ va, end: va + 2 ** levelLog2(shape, LAST_LEVEL - 1) }));
}
