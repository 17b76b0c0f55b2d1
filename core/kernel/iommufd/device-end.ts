/** The end of a device with all it is attached to, and of vDEVICEs. linux: iommufd/device.c, iommufd/viommu.c. */
import type { Context as Machine } from '../../machine.ts';
import type { Frame } from '../../tasks/task.ts';
import { kernelOf, switchOf } from '../kernel.ts';
import { detachDevice } from './attach.ts';
import { putHwpt } from './auto-domain.ts';
import { closePair } from './cmdqv-hardware.ts';
import { type DevicePlace, deviceAt } from './group.ts';
import type { KindRow } from './kinds.ts';
import { change, find, objectOf, remove } from './object.ts';
import { contextIn } from './object-handlers.ts';
import type { Vdevice } from './state.ts';

/**
 * Takes the device off all it is attached to, its PASIDs first. Its auto domains go with their last user.
 */
export function detachAll(machine: Machine, place: DevicePlace): readonly Frame[] {
  const pasids = Object.keys(deviceAt(machine.state, place).attached).map(Number);
  // Highest first: the RID, which is 0, comes last.
  return pasids.reverse().flatMap((pasid) => {
    const { frames, old } = detachDevice(machine, place, pasid);
    return [...frames, ...(old === undefined ? [] : putHwpt(machine, place.context, old))];
  });
}

/** A device ends when it is unbound: its vDEVICE goes too, or stays behind it (before 6.17). */
export const deviceKind: KindRow<'device'> = {
  end: (machine, context, { id }) => {
    const frames = detachAll(machine, { context, device: id });
    const { vdevice } = deviceAt(machine.state, { context, device: id });
    if (vdevice !== 0 && switchOf(kernelOf(machine.state), 'tombstones')) {
      endVdevice(machine, context, objectOf(machine.state, context, vdevice, 'vdevice'));
      remove(machine, context, vdevice, true);
    }
    return frames;
  },
};

export const vdeviceKind: KindRow<'vdevice'> = {
  end: (machine, context, vdevice) => {
    endVdevice(machine, context, vdevice);
    return [];
  },
};

/** Its virtual StreamID means nothing from now on; what is attached stays so. */
function endVdevice(machine: Machine, context: number, { id, viommu: owner, device, virtId }: Vdevice): void {
  const viommu = objectOf(machine.state, context, owner, 'viommu');
  if (viommu.vintf !== 0) closePair(machine, viommu, virtId);
  const { [String(virtId)]: _, ...vdevices } = viommu.vdevices;
  change(machine, context, viommu, { vdevices, users: viommu.users - 1 });
  const of = find(contextIn(machine.state, context), device, 'device');
  if (of?.vdevice === id) change(machine, context, of, { vdevice: 0 });
}
