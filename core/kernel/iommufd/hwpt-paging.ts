/**
 * Paging HWPTs: a domain of the driver that maps all of an IOAS. linux: iommufd/hw_pagetable.c,
 * iommufd_hwpt_paging_alloc.
 */
import { allocPaging, freeDomain } from '../../driver/ops.ts';
import type { Context as Machine } from '../../machine.ts';
import type { Frame } from '../../tasks/task.ts';
import type { Errno } from '../errno.ts';
import { hardwareOf } from './device.ts';
import type { KindRow } from './kinds.ts';
import { linkHwpt, unlinkHwpt } from './linking.ts';
import { objectOf, refer, reserve } from './object.ts';

export interface PagingRequest {
  readonly ioas: number;
  /** For whose SMMU it is made. */
  readonly endpoint: string;
  readonly auto: boolean;
  readonly nestParent?: boolean;
  readonly dirtyTracking?: boolean;
  readonly pasid?: boolean;
  /** That a stage 2 is to have; the driver chooses when absent. */
  readonly vmid?: number;
}

export type MadeHwpt = { readonly id: number } | { readonly errno: Errno; readonly frames: readonly Frame[] };

/** A new HWPT with all areas of its IOAS mapped, which is not published yet; on an error there is none. */
export function makePagingHwpt(machine: Machine, context: number, request: PagingRequest): MadeHwpt {
  const { ioas, endpoint, auto, nestParent = false, dirtyTracking = false, pasid = false, vmid } = request;
  const smmu = hardwareOf(machine.state, endpoint)?.smmu;
  if (smmu === undefined) return { errno: 'ENODEV', frames: [] };
  const flags = { nestParent, dirtyTracking, pasid };
  const domain = { kind: 'hwpt_paging', ioas, auto, ...flags, fault: 0, domain: 0, smmu } as const;
  const id = reserve(machine, context, domain);
  if (id === undefined) return { errno: 'ENOMEM', frames: [] };
  const made = allocPaging(machine, smmu, vmid === undefined ? flags : { ...flags, vmid });
  if ('errno' in made) return { errno: made.errno, frames: [{ do: 'object.end', context, object: id }] };
  machine.emit('kernel', { type: 'object.changed', context, object: id, set: { domain: made.domain } });
  const { errno, frames } = linkHwpt(machine, context, id);
  if (errno === undefined) return { id };
  return { errno, frames: [...frames, { do: 'object.end', context, object: id }] };
}

export const hwptPagingKind: KindRow<'hwpt_paging'> = {
  end: (machine, context, { id, ioas, domain, fault }) => {
    const linked = objectOf(machine.state, context, ioas, 'ioas').hwpts.includes(id);
    if (fault !== 0) refer(machine, context, fault, -1);
    return [
      ...(linked ? unlinkHwpt(machine, context, id) : []),
      ...(domain === 0 ? [] : freeDomain(machine, domain)),
    ];
  },
};
