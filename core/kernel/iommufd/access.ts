/**
 * Accesses: users of an IOAS's memory inside the kernel. The internal one of a HW queue pins the pages of the
 * queue and locks their areas, so that they cannot be unmapped. linux: iommufd/device.c, pages.c.
 */
import type { Context as Machine } from '../../machine.ts';
import type { Failed } from '../errno.ts';
import type { Run } from '../process/state.ts';
import { areasIn, areasOf, IOVA_LAST, overlapOf } from './areas.ts';
import { areaAt, ioasAt } from './filling.ts';
import { linkAccess, unlinkAccess, unpinIfFree } from './linking.ts';
import { objectOf, reserve } from './object.ts';
import { contextIn } from './object-handlers.ts';
import { type AreaPlace, pin, pinnedRuns, pinsOfPart } from './pins.ts';
import type { Area, Span } from './state.ts';

/** Makes an access on an IOAS and links it; it is not published. Its id, or why there is none. */
export function makeAccess(
  machine: Machine,
  context: number,
  ioas: number,
  internal: boolean,
): { readonly id: number } | Failed {
  const id = reserve(machine, context, { kind: 'access', ioas, internal });
  if (id === undefined) return { errno: 'ENOMEM' };
  const errno = linkAccess(machine, context, id);
  if (errno === undefined) return { id };
  machine.emit('kernel', { type: 'object.removed', context, object: id, kind: 'access', tombstone: false });
  return { errno };
}

/** Unlinks and removes an access, which pins nothing any more. */
export function endAccess(machine: Machine, context: number, id: number): void {
  unlinkAccess(machine, context, id);
  machine.emit('kernel', { type: 'object.removed', context, object: id, kind: 'access', tombstone: false });
}

/**
 * Pins the memory behind a range for an access. `ranges` without a hole: ENOENT; not mapped for writing when
 * `write`: EPERM. Gives where it lies.
 */
export function pinRange(
  machine: Machine,
  context: number,
  access: number,
  span: Span,
  write: boolean,
): { readonly runs: readonly Run[] } | Failed {
  const { ioas, internal } = objectOf(machine.state, context, access, 'access');
  const place = { context, ioas };
  const areas = rangeOf(machine, place, span);
  if (areas === undefined) return { errno: 'ENOENT' };
  if (write && areas.some(({ writeable }) => !writeable)) return { errno: 'EPERM' };
  const done: Area[] = [];
  for (const area of areas) {
    const errno = pin(machine, place, area);
    if (errno !== undefined) {
      for (const each of done) use(machine, place, each.iova, -1, internal);
      return { errno };
    }
    use(machine, place, area.iova, 1, internal);
    done.push(area);
  }
  const slices = done.flatMap(({ iova, last }) => {
    const used = overlapOf(span, { start: iova, last });
    return pinsOfPart(areaAt(machine, place, iova), used.start - iova, used.last - used.start + 1n) ?? [];
  });
  return { runs: pinnedRuns(machine.state, slices) };
}

/** Takes back what `pinRange` did. */
export function unpinRange(machine: Machine, context: number, access: number, span: Span): void {
  const { ioas, internal } = objectOf(machine.state, context, access, 'access');
  for (const { iova } of rangeOf(machine, { context, ioas }, span) ?? [])
    use(machine, { context, ioas }, iova, -1, internal);
}

function use(machine: Machine, place: AreaPlace, iova: bigint, by: 1 | -1, lock: boolean): void {
  const { last, accesses, locks } = areaAt(machine, place, iova);
  const used = { accesses: accesses + by, locks: locks + (lock ? by : 0) };
  machine.emit('kernel', { type: 'area.used', ...place, iova, last, ...used });
  unpinIfFree(machine, place, iova);
}

/** The areas of a span without a hole; undefined where there is one. */
function rangeOf(machine: Machine, place: AreaPlace, { start, last }: Span): readonly Area[] | undefined {
  if (last < start || last > IOVA_LAST) return undefined;
  const all = areasOf(contextIn(machine.state, place.context), ioasAt(machine, place));
  const areas = [...areasIn(all, { start, last })];
  let from = start;
  for (const area of areas) {
    if (area.iova > from) return undefined;
    from = area.last + 1n;
  }
  return from > last ? areas : undefined;
}
