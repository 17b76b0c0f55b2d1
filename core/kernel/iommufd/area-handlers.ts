/** How the facts about areas evolve the state. */
import { present } from '../../assert.ts';
import type { EntryOf } from '../../event.ts';
import type { Handlers } from '../../machine.ts';
import { openInner, openMap } from '../../parts.ts';
import type { State } from '../../state.ts';
import { type Areas, areasIn, insertArea, pageOf, putAreas, removeAreas } from './areas.ts';
import { giveGap, takeGap } from './gaps.ts';
import { contextIn } from './object-handlers.ts';
import type { Area, Context } from './state.ts';

type AreaEvents =
  | 'area.added'
  | 'area.pinned'
  | 'area.unpinned'
  | 'area.used'
  | 'area.split'
  | 'areas.removed';

export const areaHandlers: Pick<Handlers, AreaEvents> = {
  'area.added': (state, added) => {
    const context = contextIn(state, added.context);
    const areas = writable(context, added.ioas);
    const area = areaOf(added);
    takeGap(openMap(context, 'gaps'), added.ioas, areas, area);
    insertArea(areas, area);
  },
  'area.pinned': (state, { context, ioas, iova, pins }) => {
    replace(state, context, ioas, iova, (area) => [{ ...area, pins }]);
  },
  'area.unpinned': (state, { context, ioas, iova }) => {
    replace(state, context, ioas, iova, ({ pins: _, ...area }) => [area]);
  },
  'area.used': (state, { context, ioas, iova, accesses, locks }) => {
    replace(state, context, ioas, iova, (area) => [{ ...area, accesses, locks }]);
  },
  'area.split': (state, { context, ioas, iova, last }) => {
    replace(state, context, ioas, iova, (area) => split(area, last));
  },
  'areas.removed': (state, { context: id, ioas, iova, last }) => {
    const context = contextIn(state, id);
    const areas = writable(context, ioas);
    const removed = [...areasIn(areas, { start: iova, last })];
    giveGap(openMap(context, 'gaps'), ioas, areas, removed);
    removeAreas(areas, { start: iova, last });
  },
};

function areaOf(added: EntryOf<'area.added'>): Area {
  const { iova, last, source, address, readable, writeable, pagesWriteable } = added;
  return { iova, last, source, address, readable, writeable, pagesWriteable, accesses: 0, locks: 0 };
}

/** Pins go by pages; a page in which an area is split belongs to both halves, so splits are at pages. */
function split(area: Area, last: bigint): readonly Area[] {
  const lower = last - area.iova + 1n;
  const { pins } = area;
  const [below, above] = pins === undefined ? [undefined, undefined] : splitSlices(pins, Number(lower));
  return [
    { ...area, last, ...(below && { pins: below }) },
    { ...area, iova: last + 1n, address: area.address + lower, ...(above && { pins: above }) },
  ];
}

/** Slices up to so many bytes, and those after. */
export function splitSlices(
  slices: NonNullable<Area['pins']>,
  at: number,
): readonly [NonNullable<Area['pins']>, NonNullable<Area['pins']>] {
  const [below, above]: [NonNullable<Area['pins']>[number][], NonNullable<Area['pins']>[number][]] = [[], []];
  let from = 0;
  for (const { backing, offset, bytes } of slices) {
    const low = Math.min(Math.max(at - from, 0), bytes);
    if (low > 0) below.push({ backing, offset, bytes: low });
    if (low < bytes) above.push({ backing, offset: offset + low, bytes: bytes - low });
    from += bytes;
  }
  return [below, above];
}

function writable(context: Context, ioas: number): Areas {
  return openInner(openMap(context, 'areas'), ioas);
}

function replace(
  state: State,
  contextId: number,
  ioas: number,
  iova: bigint,
  by: (area: Area) => readonly Area[],
): void {
  const areas = writable(contextIn(state, contextId), ioas);
  const list = areas.get(pageOf(iova)) ?? [];
  const area = present(
    list.find((each) => each.iova === iova),
    `area at ${iova}`,
  );
  putAreas(
    areas,
    pageOf(iova),
    list.filter((each) => each !== area),
  );
  for (const each of by(area)) insertArea(areas, each);
}
