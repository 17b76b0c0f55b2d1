/**
 * Areas and the domains that an IOAS's HWPTs have: mapping an area into all of them, one domain with all
 * areas, and the way back. What is mapped is pinned first; what is unmapped is unpinned after the driver's
 * invalidations are done. linux: iommufd/pages.c, iopt_area_fill_domains, iopt_area_fill_domain.
 */
import { present } from '../../assert.ts';
import { isMapped, mapPages, unmapPages } from '../../driver/ops.ts';
import type { Context as Machine } from '../../machine.ts';
import type { Frame } from '../../tasks/task.ts';
import type { Errno } from '../errno.ts';
import { setAnswer } from '../ioctl.ts';
import { PAGE_BYTES, type Run } from '../process/state.ts';
import { areasIn, areasOf, IOVA_LAST, lengthOf } from './areas.ts';
import { objectOf } from './object.ts';
import { contextIn } from './object-handlers.ts';
import { type AreaPlace, pin, pinnedRuns, unpin } from './pins.ts';
import type { Area, Ioas, Span } from './state.ts';

/** What was done, and what is left to do, most of all where it failed. */
export interface Filled {
  readonly errno?: Errno;
  readonly frames: readonly Frame[];
}

const done: Filled = { frames: [] };

/** Maps an area into every domain of its IOAS. On an error it is in none when the frames are done. */
export function fillArea(machine: Machine, place: AreaPlace, iova: bigint): Filled {
  const { hwpts } = ioasAt(machine, place);
  if (hwpts.length === 0) return done;
  const pinned = pin(machine, place, areaAt(machine, place, iova));
  if (pinned !== undefined) return { errno: pinned, frames: [] };
  const area = areaAt(machine, place, iova);
  const after: Frame[] = [];
  for (const [at, hwpt] of hwpts.entries()) {
    const errno = mapArea(machine, place, area, domainOf(machine, place.context, hwpt), after);
    if (errno === undefined) continue;
    return {
      errno,
      frames: [...after, ...undoing(machine, place, area, hwpts.slice(0, at), after.length > 0)],
    };
  }
  return { frames: after };
}

/** Takes an area out of domains again: now, or when what was begun there is done. */
export function undoing(
  machine: Machine,
  place: AreaPlace,
  area: Area,
  hwpts: readonly number[],
  later: boolean,
): readonly Frame[] {
  const { context, ioas } = place;
  if (later) return [{ do: 'area.empty', context, ioas, iova: area.iova, hwpts }];
  return emptyArea(machine, place, area, hwpts);
}

export interface EmptyFrame extends Frame, AreaPlace {
  readonly iova: bigint;
  readonly hwpts: readonly number[];
}

/** The work of `area.empty`. */
export function runEmpty(machine: Machine, { context, ioas, iova, hwpts }: EmptyFrame): readonly Frame[] {
  const place = { context, ioas };
  return emptyArea(machine, place, areaAt(machine, place, iova), havingIt(machine, place, iova, hwpts));
}

/** The HWPTs whose domains map an address. */
function havingIt(
  machine: Machine,
  { context }: AreaPlace,
  iova: bigint,
  hwpts: readonly number[],
): readonly number[] {
  return hwpts.filter((hwpt) => isMapped(machine.state, domainOf(machine, context, hwpt), iova));
}

export interface CheckFrame extends Frame, AreaPlace, Span {
  readonly ioctl: number;
}

/**
 * The work of `areas.check`, after a filling that had to wait: a table could not be had for the rest of it, and
 * the domain mapped nothing of the area then. So the call fails, and its areas go.
 */
export function runCheck(
  machine: Machine,
  { context, ioas, start, last, ioctl }: CheckFrame,
): readonly Frame[] {
  const place = { context, ioas };
  const object = ioasAt(machine, place);
  const areas = [...areasIn(areasOf(contextIn(machine.state, context), object), { start, last })];
  const having = areas.map(({ iova }) => havingIt(machine, place, iova, object.hwpts));
  if (having.every(({ length }) => length === object.hwpts.length)) return [];
  setAnswer(machine, ioctl, { errno: 'ENOMEM' });
  const emptied = areas.flatMap((area, at) => emptyArea(machine, place, area, having[at] ?? []));
  return [...emptied, { do: 'areas.remove', context, ioas, start, last }];
}

/** Maps all areas of an IOAS into one domain. On an error it holds none when the frames are done. */
export function fillDomain(machine: Machine, place: AreaPlace, domain: number): Filled {
  const first = ioasAt(machine, place).hwpts.length === 0;
  const filled: Area[] = [];
  const after: Frame[] = [];
  const all = [
    ...areasIn(areasOf(contextIn(machine.state, place.context), ioasAt(machine, place)), EVERYWHERE),
  ];
  for (const { iova } of all) {
    const errno =
      pin(machine, place, areaAt(machine, place, iova)) ??
      mapArea(machine, place, areaAt(machine, place, iova), domain, after);
    if (errno === undefined) {
      filled.push(areaAt(machine, place, iova));
      continue;
    }
    const last = areaAt(machine, place, iova);
    const undone = filled.flatMap((area) => unmapArea(machine, area, domain));
    const unpinned = first ? [...filled, last].flatMap((area) => unpinning(place, area)) : [];
    return { errno, frames: [...after, ...undone, ...unpinned] };
  }
  return { frames: after };
}

/** Takes an area out of some domains; its pages are let go when that is done and nothing else needs them. */
export function emptyArea(
  machine: Machine,
  place: AreaPlace,
  area: Area,
  hwpts: readonly number[],
): readonly Frame[] {
  const frames = hwpts.flatMap((hwpt) => unmapArea(machine, area, domainOf(machine, place.context, hwpt)));
  return [...frames, ...unpinning(place, area)];
}

function unpinning({ context, ioas }: AreaPlace, { iova, pins, accesses }: Area): readonly Frame[] {
  return pins === undefined || accesses > 0 ? [] : [{ do: 'area.unpin', context, ioas, iova }];
}

/** The work of `area.unpin`. */
export function runUnpin(
  machine: Machine,
  { context, ioas, iova }: AreaPlace & { readonly iova: bigint },
): void {
  unpin(machine, { context, ioas }, areaAt(machine, { context, ioas }, iova));
}

/** Takes an area out of one domain; it is out of reach when the frames are done. */
export function unmapArea(machine: Machine, area: Area, domain: number): readonly Frame[] {
  return unmapPages(machine, domain, area.iova, lengthOf(area));
}

function mapArea(
  machine: Machine,
  place: AreaPlace,
  area: Area,
  domain: number,
  after: Frame[],
): Errno | undefined {
  const runs = pinnedRuns(machine.state, present(area.pins, 'pins of an area that is mapped'));
  const fit = ioasAt(machine, place).hugePages ? runs : runs.flatMap(inPages);
  return mapPages(machine, domain, area.iova, fit, { read: area.readable, write: area.writeable }, after);
}

/** Pages one by one, so that no larger page is made of them. */
function inPages({ pa, size }: Run): readonly Run[] {
  return Array.from({ length: size / PAGE_BYTES }, (_, at) => ({
    pa: pa + at * PAGE_BYTES,
    size: PAGE_BYTES,
  }));
}

export const EVERYWHERE = { start: 0n, last: IOVA_LAST } as const;

/** The IOAS that a place means. */
export function ioasAt({ state }: Machine, { context, ioas }: AreaPlace): Ioas {
  return objectOf(state, context, ioas, 'ioas');
}

/** The area that begins at an address. */
export function areaAt(machine: Machine, place: AreaPlace, iova: bigint): Area {
  const areas = areasOf(contextIn(machine.state, place.context), ioasAt(machine, place));
  for (const area of areasIn(areas, { start: iova, last: iova })) if (area.iova === iova) return area;
  throw new Error(`invariant: an area begins at ${iova}`);
}

/** The domain of a paging HWPT. */
export function domainOf({ state }: Machine, context: number, hwpt: number): number {
  return objectOf(state, context, hwpt, 'hwpt_paging').domain;
}
