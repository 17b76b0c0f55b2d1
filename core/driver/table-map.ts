/**
 * Mapping (linux: iommu_map, arm_lpae_map_pages): the largest pages that fit, tables made on the way, no
 * contiguous hint, no command. The descriptors of a run that stand side by side are one store. Where a block
 * meets a table that was left behind, the table is taken away first, with its invalidation, and mapping goes
 * on after it.
 */

import type { Errno } from '../kernel/errno.ts';
import type { Context } from '../machine.ts';
import { pow2 } from '../pow2.ts';
import type { Frame, FrameRow } from '../tasks/task.ts';
import { addressOf, isLeaf, LAST_LEVEL, leafBits, leafOf, type Protection, tableOf } from './descriptors.ts';
import { findPaging } from './domains.ts';
import { driverOf, portOf, storeDoublewords, tell } from './port.ts';
import type { DriverState } from './state.ts';
import { indexAt, levelLog2, nextPiece, type TableShape, tableBytes } from './table-shape.ts';
import { cutTable, unmapFrames } from './table-unmap.ts';
import { openBuffer, type WriteBuffer } from './write-buffer.ts';

/** A contiguous piece of memory. */
export interface PhysicalRun {
  readonly pa: number;
  readonly size: number;
}

/** The rest of a mapping, to be done when a table that stood in the way is gone. */
export interface MapFrame extends Frame {
  readonly do: 'map.go';
  readonly driver: string;
  readonly domain: number;
  /** Where the whole mapping begins: where the rest of it fails, nothing of it stays. */
  readonly start: number;
  readonly iova: number;
  readonly runs: readonly PhysicalRun[];
  readonly prot: Protection;
}

export const mapRow: FrameRow<MapFrame> = {
  run: (context, { domain, start, iova, runs, prot, driver }) => {
    const after: Frame[] = [];
    const errno = mapRest(context, domain, { start, iova }, runs, prot, after);
    if (errno !== undefined) tell(context, driverOf(context.state, driver), 'map failed', errno);
    return after;
  },
};

/**
 * Maps runs of memory one behind the other.
 * @param after takes frames that have to be done before the mapping is in force.
 */
export function mapRuns(
  context: Context,
  id: number,
  start: number,
  runs: readonly PhysicalRun[],
  prot: Protection,
  after: Frame[],
): Errno | undefined {
  return mapRest(context, id, { start, iova: start }, runs, prot, after);
}

/** The same for what is left of a mapping. On an error nothing of the mapping is left when the frames are done. */
function mapRest(
  context: Context,
  id: number,
  { start, iova: from }: { readonly start: number; readonly iova: number },
  runs: readonly PhysicalRun[],
  prot: Protection,
  after: Frame[],
): Errno | undefined {
  const { driver, domain } = findPaging(context.state, id);
  const shape = domain.table;
  const bits = leafBits(shape, prot);
  const buffer = openBuffer(context, driver);
  let iova = from;
  for (const [at, run] of runs.entries()) {
    for (let done = 0; done < run.size; ) {
      const pa = run.pa + done;
      const piece = nextPiece(shape.pageSizes, iova, pa, run.size - done);
      const mapped = mapPiece(context, driver, shape, buffer, { iova, pa, ...piece, bits });
      if (typeof mapped === 'string') {
        buffer.flush();
        if (iova > start) after.push(...unmapFrames(context, id, start, iova - start));
        return mapped;
      }
      if ('slot' in mapped) {
        buffer.flush();
        const left = [{ pa, size: run.size - done }, ...runs.slice(at + 1)];
        const cut = cutTable(context, driver, id, { ...mapped, iova, size: piece.bytes });
        after.push(...cut, { do: 'map.go', driver: driver.name, domain: id, start, iova, runs: left, prot });
        return undefined;
      }
      done += mapped.bytes;
      iova += mapped.bytes;
    }
  }
  buffer.flush();
  return undefined;
}

export interface Piece {
  readonly iova: number;
  readonly pa: number;
  /** Page or block size, and how many of them. */
  readonly bytes: number;
  readonly count: number;
  readonly bits: bigint;
}

/** Maps what of the piece lies in one table; or says where a table stands in the way. */
export function mapPiece(
  context: Context,
  driver: DriverState,
  shape: TableShape,
  buffer: WriteBuffer,
  { iova, pa, bytes, count, bits }: Piece,
): { readonly bytes: number } | { readonly slot: number; readonly level: number } | Errno {
  if (bytes < pow2(shape.granuleLog2)) return 'EINVAL';
  if (iova + bytes > 2 ** shape.ias || pa + bytes > 2 ** shape.oas) return 'ERANGE';
  const port = portOf(driver);
  let table = shape.root;
  for (let level = shape.startLevel; level <= LAST_LEVEL; level += 1) {
    const index = indexAt(shape, level, iova);
    const slot = table + index * 8;
    if (pow2(levelLog2(shape, level)) === bytes) {
      const entries = tableBytes(shape, level) / 8;
      const perPage = pow2(shape.bits);
      const room = Math.min(entries - index, perPage - (index % perPage));
      return putLeaves(buffer, { slot, level, pa, bytes, count: Math.min(count, room), bits });
    }
    const descriptor = buffer.read(slot);
    if (descriptor === 0n) {
      const made = port.take(context, driver, pow2(shape.granuleLog2), 'page table');
      if (made === undefined) return 'ENOMEM';
      buffer.flush();
      storeDoublewords(context, driver, slot, [tableOf(made)]);
      table = made;
    } else if (isLeaf(descriptor, level)) return 'EEXIST';
    else table = addressOf(descriptor, shape);
  }
  return 'EINVAL';
}

interface LeafRun {
  readonly slot: number;
  readonly level: number;
  readonly pa: number;
  readonly bytes: number;
  readonly count: number;
  readonly bits: bigint;
}

/** Puts leaves side by side, up to a table that is in the way: it is met again, as the first of the next piece. */
function putLeaves(
  buffer: WriteBuffer,
  { slot, level, pa, bytes, count, bits }: LeafRun,
): { readonly bytes: number } | { readonly slot: number; readonly level: number } | Errno {
  let free = 0;
  for (; free < count; free += 1) {
    const old = buffer.read(slot + free * 8);
    if (old === 0n) continue;
    if (isLeaf(old, level)) return 'EEXIST';
    if (free === 0) return { slot, level };
    break;
  }
  for (let at = 0; at < free; at += 1) buffer.put(slot + at * 8, leafOf(pa + at * bytes, bits, level));
  return { bytes: free * bytes };
}
