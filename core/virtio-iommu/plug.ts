/**
 * Devices behind the virtio-iommu of a VM, as its VMM serves them (qemu: vfio_realize,
 * virtio_iommu_find_add_as): an assigned device gets an IOAS of its own, with all of the guest's memory in it as
 * long as it bypasses. MSIs of the guest go to the page of the ITS that QEMU's board has them at.
 */

import type { Context } from '../machine.ts';
import type { State } from '../state.ts';
import type { Frame, FrameRow } from '../tasks/task.ts';
import { vmmUnit } from '../vm/state.ts';
import { deviceOf, vmOf } from '../vm/vm.ts';
import { answerOf, call } from '../vmm/call.ts';
import { policiesOf } from '../vmm/profiles.ts';
import type { Reserved } from './codec.ts';
import { switchFrames } from './effects.ts';
import type { DeviceSetup } from './initial.ts';
import { effectFrames } from './server.ts';
import { resetDevice, spaceOf } from './space.ts';
import { endpointIdOf, findVirtio, virtioIn } from './virtio.ts';

/** GITS_TRANSLATER of the board `virt`. */
const DOORBELL: Reserved = { subtype: 'MSI', start: 0x809_0000n, last: 0x809_ffffn };

/** The device, when its VM is made. */
export function makeVirtio({ state, emit }: Context, vm: string): void {
  const { virtioDevice: profile, bootBypass } = policiesOf(vmOf(state, vm).config);
  const setup: DeviceSetup = { profile, endpoints: {}, bootBypass };
  emit(vmmUnit(vm), { type: 'virtio.made', vm, setup });
}

/** A device comes behind it; of the host, or emulated. */
export function plugVirtio({ state, emit }: Context, vm: string, endpoint: string): void {
  const { streamId: id } = deviceOf(vmOf(state, vm), endpoint);
  const host = { endpoint, ioas: 0 };
  emit(vmmUnit(vm), { type: 'virtio.plugged', vm, id, endpoint: { reserved: [DOORBELL] }, host });
}

type OfDevice = Frame & { readonly vm: string; readonly endpoint: string };

/** An assigned device, whose file is bound: its IOAS first. */
export const plugRow: FrameRow<OfDevice> = {
  run: (context, { vm, endpoint }) => {
    plugVirtio(context, vm, endpoint);
    const { iommufd } = vmOf(context.state, vm);
    return [call(vm, iommufd, 'IOMMU_IOAS_ALLOC', {}, { do: 'virtio.ioas', vm, endpoint })];
  },
};

export const ioasRow: FrameRow<OfDevice> = {
  run: ({ state, emit }, frame) => {
    const { vm, endpoint } = frame;
    const { errno, out } = answerOf(frame);
    if (errno !== undefined) return [{ do: 'plug.refused', vm, why: `IOMMU_IOAS_ALLOC: ${errno}` }];
    const virtio = virtioIn(state, vm);
    const id = endpointIdOf(virtio, endpoint) ?? 0;
    const ioas = Number(out['out_ioas_id']);
    emit(vmmUnit(vm), { type: 'virtio.hosted', vm, id, host: { endpoint, ioas } });
    const { fd } = deviceOf(vmOf(state, vm), endpoint);
    const then = { do: 'virtio.plugged', vm, endpoint };
    const attach = call(vm, fd, 'VFIO_DEVICE_ATTACH_IOMMUFD_PT', { pt_id: ioas }, then);
    return [
      attach,
      ...(spaceOf(virtio.device, id) === 'system' ? switchFrames(state, vm, ioas, 'system') : []),
    ];
  },
};

export const pluggedRow: FrameRow<OfDevice> = {
  run: (_, frame) => {
    const { errno } = answerOf(frame);
    if (errno === undefined) return;
    return [{ do: 'plug.refused', vm: frame.vm, why: `VFIO_DEVICE_ATTACH_IOMMUFD_PT: ${errno}` }];
  },
};

/** Before the device's file is closed: its IOAS goes, with all that is mapped in it. */
export function unplugFrames(state: State, vm: string, endpoint: string): readonly Frame[] {
  const virtio = findVirtio(state, vm);
  const id = virtio && endpointIdOf(virtio, endpoint);
  if (virtio === undefined || id === undefined) return [];
  const { fd } = deviceOf(vmOf(state, vm), endpoint);
  const ioas = virtio.hosts[id]?.ioas ?? 0;
  const { iommufd } = vmOf(state, vm);
  const host = [
    call(vm, fd, 'VFIO_DEVICE_DETACH_IOMMUFD_PT', {}),
    call(vm, iommufd, 'IOMMU_DESTROY', { id: ioas }),
  ];
  return [...(ioas === 0 ? [] : host), { do: 'virtio.unplug', vm, id }];
}

/** An emulated one goes. */
export function unplugVirtio({ state, emit }: Context, vm: string, endpoint: string): void {
  const virtio = findVirtio(state, vm);
  const id = virtio && endpointIdOf(virtio, endpoint);
  if (id !== undefined) emit(vmmUnit(vm), { type: 'virtio.unplugged', vm, id });
}

export const unplugRow: FrameRow<Frame & { readonly vm: string; readonly id: number }> = {
  run: ({ state, emit }, { vm, id }) => {
    if (findVirtio(state, vm) !== undefined) emit(vmmUnit(vm), { type: 'virtio.unplugged', vm, id });
  },
};

/** Power-on: the device is reset, and `bypass` is what it was at first. */
export function resetFrames(state: State, vm: string): readonly Frame[] {
  const virtio = findVirtio(state, vm);
  if (virtio === undefined) return [];
  const { changes, effects } = resetDevice(virtio.device, true);
  return [...effectFrames(vm, effects), { do: 'virtio.change', vm, changes }];
}

export const changeRow: FrameRow<Frame & { readonly vm: string; readonly changes: never[] }> = {
  run: ({ state, emit }, { vm, changes }) => {
    if (findVirtio(state, vm) !== undefined) emit(vmmUnit(vm), { type: 'virtio.changed', vm, changes });
  },
};
