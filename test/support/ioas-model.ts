/**
 * A second, plain model of IOAS address spaces, for comparison: lists that are searched from the start each time,
 * and nothing remembered between calls. It follows Documentation/userspace-api/iommufd.rst and the rules of
 * io_pagetable.c as iommufd.md 3 states them.
 */
export interface ModelArea {
  readonly iova: bigint;
  readonly last: bigint;
  readonly address: bigint;
  /** Its memory was first mapped for writing: so copies may be, too. */
  readonly mayWrite: boolean;
}

interface ModelSpan {
  readonly start: bigint;
  readonly last: bigint;
}

export interface ModelIoas {
  areas: ModelArea[];
  allowed: readonly ModelSpan[];
  alignment: bigint;
}

export type ModelAnswer = { readonly errno: string } | { readonly value: bigint };

const PAGE = 4096n;
const LAST = 2n ** 64n - 1n;

export const emptyIoas = (): ModelIoas => ({ areas: [], allowed: [], alignment: 1n });

export function modelMap(
  ioas: ModelIoas,
  want: {
    readonly fixed: boolean;
    readonly iova: bigint;
    readonly address: bigint;
    readonly length: bigint;
    readonly writeable: boolean;
  },
): ModelAnswer {
  if (want.length === 0n) return { errno: 'EINVAL' };
  return insert(ioas, want, [{ address: want.address, length: want.length, mayWrite: want.writeable }]);
}

export function modelCopy(
  target: ModelIoas,
  source: ModelIoas,
  want: {
    readonly fixed: boolean;
    readonly from: bigint;
    readonly iova: bigint;
    readonly length: bigint;
    readonly writeable: boolean;
  },
): ModelAnswer {
  if (want.length === 0n) return { errno: 'EINVAL' };
  const pieces = [];
  let at = want.from;
  const end = want.from + want.length;
  while (at < end) {
    const area = source.areas.find(({ iova, last }) => iova <= at && at <= last);
    if (area === undefined) return { errno: 'ENOENT' };
    const stop = area.last + 1n < end ? area.last + 1n : end;
    pieces.push({ address: area.address + at - area.iova, length: stop - at, mayWrite: area.mayWrite });
    at = stop;
  }
  return insert(target, want, pieces);
}

interface Piece {
  readonly address: bigint;
  readonly length: bigint;
  /** Of the memory as it was first mapped. */
  readonly mayWrite: boolean;
}

function insert(
  ioas: ModelIoas,
  {
    fixed,
    iova,
    length,
    writeable,
  }: { readonly fixed: boolean; readonly iova: bigint; readonly length: bigint; readonly writeable: boolean },
  pieces: readonly Piece[],
): ModelAnswer {
  if (length % ioas.alignment !== 0n) return { errno: 'EINVAL' };
  const place = fixed ? fixedPlace(ioas, iova, length) : anyPlace(ioas, pieces[0]!.address, length);
  if ('errno' in place) return place;
  for (const { address, mayWrite } of pieces) {
    if (writeable && !mayWrite) return { errno: 'EPERM' };
    if ((address % PAGE) % ioas.alignment !== 0n) return { errno: 'EINVAL' };
  }
  let at = place.value;
  for (const { address, length: bytes, mayWrite } of pieces) {
    ioas.areas.push({ iova: at, last: at + bytes - 1n, address, mayWrite });
    at += bytes;
  }
  ioas.areas.sort((a, b) => (a.iova < b.iova ? -1 : 1));
  return place;
}

function fixedPlace({ areas, alignment }: ModelIoas, iova: bigint, length: bigint): ModelAnswer {
  if (iova % alignment !== 0n) return { errno: 'EINVAL' };
  if (iova + length - 1n > LAST) return { errno: 'EOVERFLOW' };
  const hit = areas.some((area) => area.iova < iova + length && iova <= area.last);
  return hit ? { errno: 'EEXIST' } : { value: iova };
}

function anyPlace({ areas, allowed, alignment }: ModelIoas, address: bigint, length: bigint): ModelAnswer {
  let align = 1n;
  while (align < length) align *= 2n;
  while (address % align !== 0n) align /= 2n;
  if (align > 0x20_0000n) align = 0x20_0000n;
  if (align < alignment) return { errno: 'EINVAL' };
  const inside = allowed.length === 0 ? [{ start: PAGE, last: LAST - PAGE }] : allowed;
  const up = (from: bigint): bigint => (((from + align - 1n) / align) * align) | (address % PAGE);
  for (const span of inside) {
    const first = up(span.start);
    if (first + length - 1n > span.last || first > span.last) continue;
    let from = first;
    for (const area of [...areas, { iova: span.last + 1n, last: LAST }]) {
      if (area.last < from) continue;
      const end = area.iova <= span.last ? area.iova : span.last + 1n;
      if (end > from && end - from >= length && up(from) + length <= end) return { value: up(from) };
      if (area.last + 1n > from) from = area.last + 1n;
      if (from > span.last) break;
    }
  }
  return { errno: 'ENOSPC' };
}

export function modelUnmap(ioas: ModelIoas, start: bigint, length: bigint): ModelAnswer {
  if (length === 0n) return { errno: 'EINVAL' };
  const last = start + length - 1n;
  let removed = 0n;
  for (const area of [...ioas.areas]) {
    if (area.last < start || area.iova > last) continue;
    if (area.iova < start || area.last > last) return { errno: 'ENOENT' };
    ioas.areas = ioas.areas.filter((each) => each !== area);
    removed += area.last - area.iova + 1n;
  }
  return removed === 0n ? { errno: 'ENOENT' } : { value: removed };
}
