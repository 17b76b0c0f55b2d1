/** Obligations by input address and span, for look-ups by a page or by the range of a command. */
import { entrySpans } from '../../core/smmu/granule.ts';
import { spanCode, vaKey } from '../../core/smmu/keys.ts';
import type { Obligation } from './obligation.ts';

export interface Slots {
  readonly map: Map<number, Obligation[]>;
  /** How many obligations there are of each span, by its code. */
  readonly spans: number[];
}

const CODES = entrySpans.map((sizeLog2) => ({ pages: 2 ** (sizeLog2 - 12), code: spanCode(sizeLog2) }));
const PAGES = 2 ** 44;

/** No obligations. */
export function newSlots(): Slots {
  return { map: new Map(), spans: CODES.map(() => 0) };
}

/** The obligations of just this address and span. */
export function slotAt(slots: Slots, va: bigint, sizeLog2: number): readonly Obligation[] {
  return slots.map.get(vaKey(va, sizeLog2)) ?? [];
}

/** Enters the obligation under its address and span. */
export function addSlot(slots: Slots, va: bigint, sizeLog2: number, obligation: Obligation): void {
  const key = vaKey(va, sizeLog2);
  const present = slots.map.get(key);
  if (present === undefined) slots.map.set(key, [obligation]);
  else present.push(obligation);
  const code = spanCode(sizeLog2);
  slots.spans[code] = (slots.spans[code] ?? 0) + 1;
}

/** Takes the obligation out again. */
export function removeSlot(slots: Slots, va: bigint, sizeLog2: number, obligation: Obligation): void {
  const key = vaKey(va, sizeLog2);
  const present = slots.map.get(key);
  const at = present?.indexOf(obligation) ?? -1;
  if (present === undefined || at < 0) return;
  present.splice(at, 1);
  if (present.length === 0) slots.map.delete(key);
  const code = spanCode(sizeLog2);
  slots.spans[code] = (slots.spans[code] ?? 0) - 1;
}

/**
 * Adds to `found` all that may overlap the range (everything without one). A narrow range is looked
 * up, a range wider than what there is goes through what there is.
 */
export function candidates(
  slots: Slots,
  range: { readonly start: bigint; readonly end: bigint } | undefined,
  found: Obligation[],
): void {
  if (slots.map.size === 0) return;
  if (range === undefined) return addAll(slots, found);
  const first = Number((range.start >> 12n) % BigInt(PAGES));
  const end = first + Number((range.end - range.start + 4095n) >> 12n);
  const used = CODES.filter(({ code }) => (slots.spans[code] ?? 0) > 0);
  const asked = used.reduce((sum, { pages }) => sum + (end - first) / pages + 1, 0);
  if (asked > slots.map.size + used.length) return addAll(slots, found);
  for (const { pages, code } of used) {
    for (let page = first - (first % pages); page < end; page += pages) {
      const present = slots.map.get(page * 16 + code);
      if (present !== undefined) found.push(...present);
    }
  }
}

function addAll(slots: Slots, found: Obligation[]): void {
  for (const present of slots.map.values()) found.push(...present);
}
