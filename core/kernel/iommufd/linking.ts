/**
 * What HWPTs, devices and accesses do to an IOAS when they come and go: reserved ranges, the alignment of
 * IOVAs, its areas in their domains. linux: iommufd/io_pagetable.c, iopt_table_add_domain and around.
 */
import { geometry } from '../../driver/ops.ts';
import type { Context as Machine } from '../../machine.ts';
import type { Frame } from '../../tasks/task.ts';
import type { Errno } from '../errno.ts';
import { PAGE_BYTES } from '../process/state.ts';
import { areasIn, areasOf, firstAreaIn, IOVA_LAST, isAligned, meets } from './areas.ts';
import { areaAt, domainOf, EVERYWHERE, type Filled, fillDomain, ioasAt, unmapArea } from './filling.ts';
import { change, objectOf, refer } from './object.ts';
import { contextIn } from './object-handlers.ts';
import { type AreaPlace, unpin } from './pins.ts';
import type { Ioas, Span } from './state.ts';

/** Keeps ranges for an owner; an area or an allowed range in one is EADDRINUSE. */
export function reserveRanges(
  machine: Machine,
  place: AreaPlace,
  owner: string,
  ranges: readonly Span[],
): Errno | undefined {
  const ioas = ioasAt(machine, place);
  const areas = areasOf(contextIn(machine.state, place.context), ioas);
  const taken = (range: Span): boolean =>
    firstAreaIn(areas, range) !== undefined || ioas.allowed.some((each) => meets(each, range));
  if (ranges.some(taken)) return 'EADDRINUSE';
  const reserved = [...ioas.reserved, ...ranges.map(({ start, last }) => ({ start, last, owner }))];
  change(machine, place.context, ioas, { reserved: reserved.sort(byStart) });
  return undefined;
}

/** Gives up what an owner kept. */
export function releaseRanges(machine: Machine, place: AreaPlace, owner: string): void {
  const ioas = ioasAt(machine, place);
  const reserved = ioas.reserved.filter((each) => each.owner !== owner);
  if (reserved.length < ioas.reserved.length) change(machine, place.context, ioas, { reserved });
}

/** Orders spans by where they begin. */
export function byStart(one: Span, other: Span): number {
  return one.start < other.start ? -1 : one.start > other.start ? 1 : 0;
}

/**
 * Adds the domain of a HWPT, whose object is made already: checks, reservations, all areas mapped. Takes a
 * reference on the IOAS. On an error nothing of it stays when the frames are done.
 */
export function linkHwpt(machine: Machine, context: number, hwpt: number): Filled {
  const { ioas: id, domain } = objectOf(machine.state, context, hwpt, 'hwpt_paging');
  const place = { context, ioas: id };
  const { pageSizes, inputBits } = geometry(machine.state, domain);
  const alignment = Math.max(Number(pageSizes & -pageSizes), ioasAt(machine, place).alignment);
  if (alignment > PAGE_BYTES) return { errno: 'EINVAL', frames: [] };
  if (isMisaligned(machine, place, alignment)) return { errno: 'EADDRINUSE', frames: [] };
  const outside = 2n ** BigInt(inputBits);
  const beyond = outside > IOVA_LAST ? [] : [{ start: outside, last: IOVA_LAST }];
  const errno = reserveRanges(machine, place, ownerOfHwpt(hwpt), beyond);
  if (errno !== undefined) return { errno, frames: [] };
  const filled = fillDomain(machine, place, domain);
  if (filled.errno !== undefined) {
    releaseRanges(machine, place, ownerOfHwpt(hwpt));
    return filled;
  }
  const ioas = ioasAt(machine, place);
  change(machine, context, ioas, { alignment, hwpts: [...ioas.hwpts, hwpt], users: ioas.users + 1 });
  return filled;
}

/** Work that takes a HWPT's domain off its IOAS: each area is unmapped. */
export function unlinkHwpt(machine: Machine, context: number, hwpt: number): readonly Frame[] {
  const { ioas } = objectOf(machine.state, context, hwpt, 'hwpt_paging');
  return [{ do: 'ioas.unlink', context, ioas, hwpt, from: 0n }];
}

export interface UnlinkFrame extends Frame, AreaPlace {
  readonly hwpt: number;
  /** Areas below are done. */
  readonly from: bigint;
}

/** The work of `ioas.unlink`: one area, and the rest. */
export function runUnlink(machine: Machine, frame: UnlinkFrame): readonly Frame[] {
  const { context, ioas: id, hwpt, from } = frame;
  const place = { context, ioas: id };
  const ioas = ioasAt(machine, place);
  const areas = areasOf(contextIn(machine.state, context), ioas);
  const area = from > IOVA_LAST ? undefined : firstAreaIn(areas, { start: from, last: IOVA_LAST });
  if (area === undefined) return finishUnlink(machine, place, hwpt);
  const frames = unmapArea(machine, area, domainOf(machine, context, hwpt));
  const last = ioas.hwpts.length === 1 && area.accesses === 0;
  const unpinning = last ? [{ do: 'area.unpin', context, ioas: id, iova: area.iova }] : [];
  return [...frames, ...unpinning, { ...frame, from: area.last + 1n }];
}

/** The domain is off: its ranges are free, and the alignment is what the others need. */
export function finishUnlink(machine: Machine, place: AreaPlace, hwpt: number): readonly Frame[] {
  releaseRanges(machine, place, ownerOfHwpt(hwpt));
  const ioas = ioasAt(machine, place);
  const hwpts = ioas.hwpts.filter((each) => each !== hwpt);
  change(machine, place.context, ioas, { hwpts, users: ioas.users - 1 });
  realign(machine, place);
  return [];
}

/** An access uses the IOAS; one that pins needs whole pages (EADDRINUSE where areas are not). */
export function linkAccess(machine: Machine, context: number, access: number): Errno | undefined {
  const place = { context, ioas: objectOf(machine.state, context, access, 'access').ioas };
  if (isMisaligned(machine, place, PAGE_BYTES)) return 'EADDRINUSE';
  const ioas = ioasAt(machine, place);
  change(machine, context, ioas, { accesses: [...ioas.accesses, access], users: ioas.users + 1 });
  realign(machine, place);
  return undefined;
}

/** The access is gone. */
export function unlinkAccess(machine: Machine, context: number, access: number): void {
  const place = { context, ioas: objectOf(machine.state, context, access, 'access').ioas };
  const ioas = ioasAt(machine, place);
  change(machine, context, ioas, { accesses: ioas.accesses.filter((each) => each !== access) });
  refer(machine, context, ioas.id, -1);
  realign(machine, place);
}

/** Whether an area stands in the way of a larger alignment. */
export function isMisaligned(machine: Machine, place: AreaPlace, alignment: number): boolean {
  const ioas = ioasAt(machine, place);
  if (alignment <= ioas.alignment) return false;
  for (const area of areasIn(areasOf(contextIn(machine.state, place.context), ioas), EVERYWHERE))
    if (!isAligned(area, alignment)) return true;
  return false;
}

/** Makes the alignment what HWPTs, accesses and the size of pages ask for. */
export function realign(machine: Machine, place: AreaPlace): void {
  const ioas = ioasAt(machine, place);
  const alignment = alignmentOf(machine, place, ioas);
  if (alignment !== ioas.alignment) change(machine, place.context, ioas, { alignment });
}

function alignmentOf(machine: Machine, { context }: AreaPlace, ioas: Ioas): number {
  const smallest = ioas.hwpts.map((hwpt) => {
    const { pageSizes } = geometry(machine.state, domainOf(machine, context, hwpt));
    return Number(pageSizes & -pageSizes);
  });
  return Math.max(ioas.hugePages && ioas.accesses.length === 0 ? 1 : PAGE_BYTES, ...smallest);
}

function ownerOfHwpt(hwpt: number): string {
  return `hwpt:${hwpt}`;
}

/** Lets go of what an area has pinned, unless something else needs it. */
export function unpinIfFree(machine: Machine, place: AreaPlace, iova: bigint): void {
  const area = areaAt(machine, place, iova);
  if (ioasAt(machine, place).hwpts.length === 0 && area.accesses === 0) unpin(machine, place, area);
}
