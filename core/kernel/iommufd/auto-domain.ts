/**
 * Attaching to an IOAS or a HWPT by its id, and the HWPTs that the kernel makes for IOASes by itself.
 * linux: iommufd/device.c, iommufd_device_change_pt and iommufd_device_auto_get_domain.
 */
import type { Context as Machine } from '../../machine.ts';
import type { Frame } from '../../tasks/task.ts';
import type { Errno } from '../errno.ts';
import { kernelOf, switchOf } from '../kernel.ts';
import { type Attached, attachDevice, replaceDevice } from './attach.ts';
import { type DevicePlace, deviceAt } from './group.ts';
import { makePagingHwpt } from './hwpt-paging.ts';
import { makeNested } from './nested.ts';
import { finalize, find, findAny, objectOf } from './object.ts';
import { contextIn } from './object-handlers.ts';
import type { HwptPaging, Ioas } from './state.ts';

/** `id`: the HWPT that the device is attached to now. */
export type Changed =
  | { readonly errno: Errno; readonly frames: readonly Frame[] }
  | { readonly id: number; readonly frames: readonly Frame[] };

/** Attaches a device, or moves it where it is attached already. */
export function changeAttachment(
  machine: Machine,
  place: DevicePlace,
  target: number,
  pasid: number,
): Changed {
  const object = findAny(contextIn(machine.state, place.context), target);
  if (object === undefined) return { errno: 'ENOENT', frames: [] };
  if (object.kind === 'ioas') return changeToIoas(machine, place, object, pasid);
  if (object.kind === 'hwpt_paging' && needsProxy(machine, object))
    return changeToProxy(machine, place, object, pasid);
  if (object.kind !== 'hwpt_paging' && object.kind !== 'hwpt_nested') return { errno: 'EINVAL', frames: [] };
  return settled(machine, place, target, put(machine, place, target, pasid));
}

function put(machine: Machine, place: DevicePlace, hwpt: number, pasid: number): Attached {
  const has = deviceAt(machine.state, place).attached[pasid] !== undefined;
  return (has ? replaceDevice : attachDevice)(machine, place, hwpt, pasid);
}

function settled(
  machine: Machine,
  { context }: DevicePlace,
  id: number,
  { errno, frames, old }: Attached,
): Changed {
  if (errno !== undefined) return { errno, frames };
  return { id, frames: [...frames, ...(old === undefined ? [] : putHwpt(machine, context, old))] };
}

/** The auto domains of the IOAS are tried, oldest first; one that does not fit is passed over. */
function changeToIoas(machine: Machine, place: DevicePlace, ioas: Ioas, pasid: number): Changed {
  for (const id of ioas.hwpts) {
    const hwpt = objectOf(machine.state, place.context, id, 'hwpt_paging');
    if (!hwpt.auto || !hwpt.ready) continue;
    const done = put(machine, place, id, pasid);
    if (done.errno !== 'EINVAL') return settled(machine, place, id, done);
  }
  const { endpoint } = deviceAt(machine.state, place);
  const made = makePagingHwpt(machine, place.context, { ioas: ioas.id, endpoint, auto: true });
  if ('errno' in made) return made;
  return attached(machine, place, made.id, pasid);
}

function needsProxy({ state }: Machine, { nestParent }: HwptPaging): boolean {
  return nestParent && switchOf(kernelOf(state), 'stage2Attach') === 'proxy-nested';
}

/** A bypass vSTE: V=1 and Config "bypass" (IHI 0070 5.2). */
const BYPASS = [0x9n, 0n] as const;

/** A parent that vIOMMUs share has no VMID: the device reaches it by a nested HWPT of its vIOMMU (a proposal). */
function changeToProxy(machine: Machine, place: DevicePlace, parent: HwptPaging, pasid: number): Changed {
  const { viommu: id } = deviceAt(machine.state, place);
  const viommu = find(contextIn(machine.state, place.context), id, 'viommu');
  if (viommu?.hwpt !== parent.id) return { errno: 'EINVAL', frames: [] };
  const made = makeNested(machine, place.context, { parent, viommu }, BYPASS, true);
  if ('errno' in made) return made;
  const done = attached(machine, place, made.id, pasid);
  return 'errno' in done ? done : { id: parent.id, frames: done.frames };
}

/** Attaches to a HWPT that was made for it: published with it, or ended. */
function attached(machine: Machine, place: DevicePlace, id: number, pasid: number): Changed {
  const done = put(machine, place, id, pasid);
  if (done.errno !== undefined)
    return { errno: done.errno, frames: [...done.frames, ending(place.context, id)] };
  finalize(machine, place.context, id);
  return settled(machine, place, id, done);
}

/** A device has left the HWPT: one that the kernel made goes with its last user. */
export function putHwpt(machine: Machine, context: number, id: number): readonly Frame[] {
  const hwpt = contextIn(machine.state, context).objects.get(id);
  const made = (hwpt?.kind === 'hwpt_paging' && hwpt.auto) || (hwpt?.kind === 'hwpt_nested' && hwpt.proxy);
  const goes = made && hwpt.users === 1;
  return goes ? [ending(context, id)] : [];
}

/** Work that ends an object. */
export function ending(context: number, object: number): Frame {
  return { do: 'object.end', context, object };
}
