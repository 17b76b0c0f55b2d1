/** What the counts of an operation depend on, and how ranges fall into commands and pieces. */

export interface Sizes {
  /** Pages. */
  readonly n: number;
  /** ATS of the endpoint is on: 1 or 0. */
  readonly a: number;
  /** StreamIDs of the endpoint. */
  readonly k: number;
  /** Assigned devices behind the emulated SMMU, and those of them in the domain. */
  readonly d: number;
  readonly e: number;
  /** Range invalidation of the guest's SMMU. */
  readonly ril: boolean;
  /** Pieces of the range: powers of two of pages, each at a multiple of its size. */
  readonly r: number;
  /** Regions of the guest's memory. */
  readonly m: number;
}

/** Commands that a driver submits at once; those of one block of the kernel's, with a CMD_SYNC of its own. */
export const BATCH = 64;
export const BLOCK = 63;
/** From so many pages on, a driver without ranges invalidates the whole ASID: 2 MiB. */
const ALL_PAGES = 512;

/** TLBI commands for n pages of 4 KiB, all leaves of one size. */
export function commandsFor(n: number, ril: boolean): number {
  if (!ril) return n >= ALL_PAGES ? 1 : n;
  let commands = 0;
  for (let left = n; left > 0; commands += 1) {
    const scale = 31 - Math.clz32(left & -left);
    left -= ((left >>> scale) & 31) << scale;
  }
  return commands;
}

/** Pieces that QEMU cuts the range of a request into (virtio_iommu_notify_map_unmap). Both in pages. */
export function piecesOf(iova: number, n: number): number {
  let pieces = 0;
  for (let done = 0; done < n; pieces += 1) {
    const most = 2 ** (31 - Math.clz32(n - done));
    // The lowest bit that is set; 0 where it is above these 32, so that any piece fits.
    const align = ((iova + done) & -(iova + done)) >>> 0;
    done += align === 0 ? most : Math.min(most, align);
  }
  return pieces;
}
