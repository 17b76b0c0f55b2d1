/**
 * Exposure windows of lazy domains (N2 of the catalogue): from the moment an operating system takes a mapping away
 * to the flush that completes later, a device may still reach the memory. That is declared, and no defect; an IOVA
 * that is given again before the flush ends its window, and what is met then is one.
 */
import type { EntryOf } from '../../core/event.ts';

export interface Window {
  /** seq of `dma.unmapping`. */
  readonly opened: number;
  readonly iova: bigint;
  readonly bytes: number;
  open: boolean;
  /** seq of what closed it; 0 while it is open. */
  closed: number;
}

interface OfDomain {
  lazy: boolean;
  /** By page, those that are open. */
  readonly pages: Map<bigint, Window>;
  /** By CPU, those in its ring, oldest first. */
  readonly rings: Map<number, Window[]>;
}

export interface Windows {
  readonly domains: Map<string, OfDomain>;
  /** The stores that follow from this entry belong to the window. */
  current: { readonly cause: number; readonly window: Window } | undefined;
  readonly totals: { count: number; longest: number };
  /** By address space, the change under way: its mmap lock lets there be no other. */
  readonly mms: Map<string, Window>;
}

const PAGE = 0x1000n;

/** No window. */
export function newWindows(): Windows {
  return { domains: new Map(), current: undefined, totals: { count: 0, longest: 0 }, mms: new Map() };
}

interface Domain {
  readonly driver: string;
  readonly domain: number;
}

function ofDomain({ domains }: Windows, { driver, domain }: Domain): OfDomain {
  const key = `${driver} ${domain}`;
  const known = domains.get(key) ?? { lazy: false, pages: new Map(), rings: new Map() };
  domains.set(key, known);
  return known;
}

/** A default domain is opened, or becomes lazy. */
export function domainKind(windows: Windows, entry: EntryOf<'dma.opened'> | EntryOf<'dma.kind'>): void {
  ofDomain(windows, entry).lazy = entry.kind === 'dma-fq';
}

/** A default domain is freed: its windows are nobody's. */
export function domainClosed({ domains }: Windows, { driver, domain }: EntryOf<'dma.closed'>): void {
  domains.delete(`${driver} ${domain}`);
}

/** An unmap begins. In a lazy domain it opens a window. */
export function unmapping(windows: Windows, entry: EntryOf<'dma.unmapping'>): void {
  const of = ofDomain(windows, entry);
  if (!of.lazy) return;
  const { iova, bytes, seq, cause } = entry;
  const window: Window = { opened: seq, iova, bytes, open: true, closed: 0 };
  windows.current = { cause, window };
  windows.totals.count += 1;
  for (const page of pagesOf(window)) of.pages.set(page, window);
}

/** It waits in the ring of a CPU. */
export function queued(windows: Windows, entry: EntryOf<'fq.queued'>): void {
  const of = ofDomain(windows, entry);
  const window = of.pages.get(entry.iova);
  const ring = of.rings.get(entry.cpu) ?? [];
  of.rings.set(entry.cpu, ring);
  if (window !== undefined) ring.push(window);
}

/** The oldest of a ring were flushed. */
export function released(windows: Windows, entry: EntryOf<'fq.released'>): void {
  const of = ofDomain(windows, entry);
  for (const window of of.rings.get(entry.cpu)?.splice(0, entry.count) ?? [])
    close(windows, of, window, entry.seq);
}

/** An IOVA is given: a window that it lies in is over. */
export function taken(windows: Windows, entry: EntryOf<'iova.taken'>): void {
  const of = ofDomain(windows, entry);
  if (of.pages.size === 0) return;
  for (const page of pagesOf({ iova: entry.iova, bytes: entry.pages * Number(PAGE) })) {
    const window = of.pages.get(page);
    if (window !== undefined) close(windows, of, window, entry.seq);
  }
}

function close({ totals }: Windows, of: OfDomain, window: Window, seq: number): void {
  for (const page of pagesOf(window)) if (of.pages.get(page) === window) of.pages.delete(page);
  if (!window.open) return;
  window.open = false;
  window.closed = seq;
  totals.longest = Math.max(totals.longest, seq - window.opened);
}

/**
 * A process changes its tables. Its devices may come between the stores and the end of the mm notifier (N1): nothing
 * is given back before, and it is the process's own race.
 */
export function changing(windows: Windows, { mm, va, bytes, seq, cause }: EntryOf<'mm.changing'>): void {
  const window = windows.mms.get(mm) ?? { opened: seq, iova: va, bytes, open: true, closed: 0 };
  windows.current = { cause, window };
  windows.mms.set(mm, window);
}

/** From now on it is relied upon. */
export function settled({ mms }: Windows, { mm, seq }: EntryOf<'mm.settled'>): void {
  const window = mms.get(mm);
  if (window !== undefined) Object.assign(window, { open: false, closed: seq });
  mms.delete(mm);
}

/** The window that a store opens, where it is one of a lazy unmap. */
export function windowOf({ current }: Windows, cause: number): Window | undefined {
  return current?.cause === cause ? current.window : undefined;
}

function pagesOf({ iova, bytes }: Pick<Window, 'iova' | 'bytes'>): readonly bigint[] {
  const first = iova - (iova % PAGE);
  const count = Number((iova + BigInt(bytes) - first + PAGE - 1n) / PAGE);
  return Array.from({ length: count }, (_, at) => first + BigInt(at) * PAGE);
}
