/**
 * IOMMU_IOAS_UNMAP: whole areas only, in ascending order, each done before the next is looked at, so that
 * an error leaves those before it removed. While one is taken out of its domains no lock is held. Without HWPTs and accesses there is nothing to wait for, and all
 * are removed by one event. linux: iommufd/io_pagetable.c, iopt_unmap_iova_range.
 */
import type { Context as Machine } from '../../machine.ts';
import type { Frame } from '../../tasks/task.ts';
import type { Errno } from '../errno.ts';
import { type Call, contextOf, failed, type Result, type Rows, setAnswer } from '../ioctl.ts';
import { kernelOf, switchOf } from '../kernel.ts';
import { holdEach } from '../process/backing.ts';
import { areasIn, areasOf, firstAreaIn, IOVA_LAST, lengthOf } from './areas.ts';
import { EVERYWHERE, emptyArea, ioasAt } from './filling.ts';
import { find } from './object.ts';
import { contextIn } from './object-handlers.ts';
import type { AreaPlace } from './pins.ts';
import type { Area, Ioas, Span } from './state.ts';

export const unmapRows: Rows = {
  IOMMU_IOAS_UNMAP: (call, { ioas_id, iova, length }) => {
    const ioas = find(contextOf(call), ioas_id, 'ioas');
    if (ioas === undefined) return failed('ENOENT');
    if (iova === 0n && length === IOVA_LAST)
      return unmapSpan(call, ioas, EVERYWHERE, { field: 'length', none: undefined });
    const span = spanProblem(iova, length) ?? { start: iova, last: iova + length - 1n };
    return typeof span === 'string'
      ? failed(span)
      : unmapSpan(call, ioas, span, { field: 'length', none: 'ENOENT' });
  },
};

function spanProblem(iova: bigint, length: bigint): Errno | undefined {
  if (iova >= IOVA_LAST || length >= IOVA_LAST) return 'EOVERFLOW';
  if (length === 0n) return 'EINVAL';
  return iova + length - 1n > IOVA_LAST ? 'EOVERFLOW' : undefined;
}

/** How an unmapping answers. */
export interface UnmapAnswer {
  /** Field of the struct that tells how many bytes were removed. */
  readonly field: string;
  /** The errno where nothing was in the range. */
  readonly none: Errno | undefined;
  /** The count is told on errors, too. */
  readonly always?: boolean;
}

/** Removes the areas of a span, or as many as come before one that cannot be removed. */
export function unmapSpan(call: Call, ioas: Ioas, span: Span, how: UnmapAnswer): Result {
  const { machine, context } = call;
  const place = { context, ioas: ioas.id };
  const frame: UnmapFrame = { do: 'ioas.unmap', ioctl: call.id, ...place, ...span, removed: 0n, how };
  if (ioas.hwpts.length > 0) return { frames: [frame] };
  const { areas, errno } = removable(machine, place, span);
  const removed = areas.reduce((sum, area) => sum + lengthOf(area), 0n);
  const [first, last] = [areas[0], areas.at(-1)];
  if (first !== undefined && last !== undefined)
    removeAreas(machine, place, { start: first.iova, last: last.last });
  return answerOf(how, errno, removed);
}

export interface UnmapFrame extends Frame, AreaPlace, Span {
  readonly ioctl: number;
  readonly removed: bigint;
  readonly how: UnmapAnswer;
}

/** The work of `ioas.unmap`: the next area, and the rest. */
export function runUnmap(machine: Machine, frame: UnmapFrame): readonly Frame[] {
  const { context, ioas: id, start, last, removed, how, ioctl } = frame;
  const place = { context, ioas: id };
  const ioas = ioasAt(machine, place);
  const areas = areasOf(contextIn(machine.state, context), ioas);
  const area = start > last ? undefined : firstAreaIn(areas, { start, last });
  const errno = area && removalProblem(area, frame);
  if (area === undefined || errno !== undefined) {
    setAnswer(machine, ioctl, answerOf(how, errno, removed));
    return [];
  }
  const removal = { do: 'areas.remove', ...place, start: area.iova, last: area.last };
  const again = switchOf(kernelOf(machine.state), 'unmapSearch') === 'again';
  const rest = { ...frame, start: again ? start : area.last + 1n, removed: removed + lengthOf(area) };
  return [...emptyArea(machine, place, area, ioas.hwpts), removal, rest];
}

function answerOf({ field, none, always }: UnmapAnswer, errno: Errno | undefined, removed: bigint): Result {
  const wrong = errno ?? (removed === 0n ? none : undefined);
  const out = { [field]: removed };
  if (wrong === undefined) return { out };
  return always === true ? { errno: wrong, out, copy: 'always' } : { errno: wrong };
}

/** Areas of a span from its start on, up to one that cannot be removed. */
function removable(
  machine: Machine,
  place: AreaPlace,
  span: Span,
): { readonly areas: readonly Area[]; readonly errno?: Errno } {
  const areas: Area[] = [];
  for (const area of areasIn(
    areasOf(contextIn(machine.state, place.context), ioasAt(machine, place)),
    span,
  )) {
    const errno = removalProblem(area, span);
    if (errno !== undefined) return { areas, errno };
    areas.push(area);
  }
  return { areas };
}

function removalProblem({ iova, last, locks }: Area, span: Span): Errno | undefined {
  if (locks > 0) return 'EBUSY';
  return iova < span.start || last > span.last ? 'ENOENT' : undefined;
}

/** Removes all areas of a span, which no domain maps any more; what they pin and hold is let go. */
export function removeAreas(machine: Machine, { context, ioas }: AreaPlace, { start, last }: Span): void {
  const all = areasOf(contextIn(machine.state, context), ioasAt(machine, { context, ioas }));
  const areas = [...areasIn(all, { start, last })];
  if (areas.length === 0) return;
  machine.emit('kernel', { type: 'areas.removed', context, ioas, iova: start, last, count: areas.length });
  holdEach(machine, areas.flatMap(holdsOf), -1);
}

/** The backings that an area holds: its file, and what it has pinned. */
function holdsOf({ source, pins = [] }: Area): readonly number[] {
  const file = 'backing' in source ? [source.backing] : [];
  return [...file, ...pins.map(({ backing }) => backing)];
}
