/**
 * Pinning: an area's pages are held for as long as a HWPT maps them or an access uses them, so that they
 * stay where they are whatever their process does. linux: iommufd/pages.c.
 */

import type { Context as Machine } from '../../machine.ts';
import type { State } from '../../state.ts';
import type { Errno } from '../errno.ts';
import { allocates } from '../kernel.ts';
import { holdSlices } from '../process/backing.ts';
import { backingOf, mappedSlices, runsOf, total } from '../process/memory.ts';
import { PAGE_BYTES, type Run, type Slice } from '../process/state.ts';
import { splitSlices } from './area-handlers.ts';
import { lengthOf } from './areas.ts';
import type { Area } from './state.ts';

const PAGE = BigInt(PAGE_BYTES);

/** Where an area is. */
export interface AreaPlace {
  readonly context: number;
  readonly ioas: number;
}

/** Pins the area's pages; nothing to do where they are pinned. An errno when that is not possible. */
export function pin(machine: Machine, place: AreaPlace, area: Area): Errno | undefined {
  if (area.pins !== undefined) return undefined;
  if (!allocates(machine, 'pinned pages')) return 'ENOMEM';
  const pins = pagesOf(machine.state, area);
  if (!Array.isArray(pins)) return pins as Errno;
  keepPinned(machine, place, area, pins);
  return undefined;
}

/** Pins an area by what is pinned already. */
export function keepPinned(
  machine: Machine,
  { context, ioas }: AreaPlace,
  { iova, last }: Area,
  pins: readonly Slice[],
): void {
  holdSlices(machine, pins, 1);
  machine.emit('kernel', { type: 'area.pinned', context, ioas, iova, last, pins });
}

/** Lets the area's pages go. */
export function unpin(machine: Machine, { context, ioas }: AreaPlace, { iova, last, pins }: Area): void {
  if (pins === undefined) return;
  machine.emit('kernel', { type: 'area.unpinned', context, ioas, iova, last });
  holdSlices(machine, pins, -1);
}

/** The pages of an area as pieces of backings, or why they cannot be had. */
function pagesOf(state: State, area: Area): readonly Slice[] | Errno {
  const start = (area.address / PAGE) * PAGE;
  const end = area.address + lengthOf(area);
  const bytes = Number(((end - start + PAGE - 1n) / PAGE) * PAGE);
  if ('backing' in area.source) {
    const { backing } = area.source;
    if (start + BigInt(bytes) > BigInt(backingOf(state, backing).bytes)) return 'EINVAL';
    return [{ backing, offset: Number(start), bytes }];
  }
  const slices = mappedSlices(state, area.source.process, start, bytes);
  return total(slices) < bytes ? 'EFAULT' : slices;
}

/** Pins of a part of a pinned area, `bytes` from the page of `offset` on, both from the area's first byte. */
export function pinsOfPart(area: Area, offset: bigint, bytes: bigint): readonly Slice[] | undefined {
  if (area.pins === undefined) return undefined;
  const lead = area.address % PAGE;
  const start = Number(((lead + offset) / PAGE) * PAGE);
  const end = Number(((lead + offset + bytes + PAGE - 1n) / PAGE) * PAGE);
  return splitSlices(splitSlices(area.pins, start)[1], end - start)[0];
}

/** Where pinned pages lie, in order; what is contiguous is one run. */
export function pinnedRuns(state: State, pins: readonly Slice[]): readonly Run[] {
  const runs: { pa: number; size: number }[] = [];
  for (const { pa, size } of pins.flatMap((slice) => runsOf(state, slice))) {
    const before = runs.at(-1);
    if (before !== undefined && before.pa + before.size === pa) before.size += size;
    else runs.push({ pa, size });
  }
  return runs;
}
