/**
 * Attach, replace and detach of one device at one PASID (0: its RID) and one HWPT: the counts, the group,
 * the reserved ranges, and the driver. linux: iommufd/device.c, iommufd_hw_pagetable_attach,
 * iommufd_device_do_replace, iommufd_hw_pagetable_detach. What fails changes nothing.
 */

import { present } from '../../assert.ts';
import { attach as attachDriver } from '../../driver/ops.ts';
import type { Context as Machine } from '../../machine.ts';
import type { State } from '../../state.ts';
import type { Frame } from '../../tasks/task.ts';
import type { Errno } from '../errno.ts';
import { allocates, kernelOf, switchOf } from '../kernel.ts';
import { constants } from '../uapi/enums.ts';
import { answerFaults } from './fault.ts';
import type { Filled } from './filling.ts';
import { attachedIn, type DevicePlace, deviceAt, endpointsOf, hasPasids } from './group.ts';
import { type Hwpt, hwptAt, pagingOf } from './hwpt-at.ts';
import { releaseRanges, reserveRanges } from './linking.ts';
import { mapDoorbell } from './msi.ts';
import { vmasterFor } from './nested.ts';
import { change, refer } from './object.ts';
import type { Device, Span } from './state.ts';

/** What became of it; `old`: the HWPT that the device had. */
export interface Attached extends Filled {
  readonly old?: number;
}

const RID = constants.IOMMU_NO_PASID;

/** Where the host maps the doorbells of MSIs; every device keeps it. linux: arm-smmu-v3.c, MSI_IOVA_BASE. */
export const MSI_WINDOW: Span = {
  start: BigInt(constants.ARM_SW_MSI_IOVA_BASE),
  last: BigInt(constants.ARM_SW_MSI_IOVA_BASE + constants.ARM_SW_MSI_IOVA_LENGTH - 1),
};

const refused = (errno: Errno): Attached => ({ errno, frames: [] });

/** Attaches a device that has nothing at the PASID. */
export function attachDevice(machine: Machine, place: DevicePlace, id: number, pasid: number): Attached {
  const { state } = machine;
  const hwpt = hwptAt(state, place.context, id);
  const others = attachedIn(state, place, pasid);
  if (others.some((each) => each.id === place.device)) return refused('EBUSY');
  const before = others[0]?.attached[pasid];
  if (before !== undefined && before !== id) return refused('EINVAL');
  const kept = pasid === RID ? reserve(machine, place, hwpt) : undefined;
  if (kept !== undefined) return refused(kept);
  const moved = before === undefined ? moveGroup(machine, place, hwpt, pasid) : { frames: [] };
  if (moved.errno !== undefined) {
    if (pasid === RID) release(machine, place, hwpt);
    return moved;
  }
  const device = deviceAt(state, place);
  count(machine, place.context, hwpt, 1);
  change(machine, place.context, device, {
    users: device.users + 1,
    attached: { ...device.attached, [pasid]: id },
  });
  return moved;
}

/** Puts another HWPT in the place of the group's. */
export function replaceDevice(machine: Machine, place: DevicePlace, id: number, pasid: number): Attached {
  const { state } = machine;
  const devices = attachedIn(state, place, pasid);
  const old = deviceAt(state, place).attached[pasid];
  if (old === undefined) return refused('EINVAL');
  if (old === id) return { frames: [] };
  const hwpt = hwptAt(state, place.context, id);
  const before = hwptAt(state, place.context, old);
  const elsewhere = pasid === RID && ioasOf(state, place, hwpt) !== ioasOf(state, place, before);
  if (elsewhere) {
    const errno = reserveAll(machine, place, devices, hwpt);
    if (errno !== undefined) return refused(errno);
  }
  const moved = moveGroup(machine, place, hwpt, pasid);
  if (moved.errno !== undefined) {
    if (elsewhere) for (const { id: device } of devices) release(machine, { ...place, device }, hwpt);
    return moved;
  }
  if (elsewhere) for (const { id: device } of devices) release(machine, { ...place, device }, before);
  count(machine, place.context, hwpt, devices.length);
  count(machine, place.context, before, -devices.length);
  const answers: Frame[] = [];
  for (const { id: device } of devices) {
    const now = deviceAt(state, { ...place, device });
    change(machine, place.context, now, { attached: { ...now.attached, [pasid]: id } });
    answers.push(...answerFaults(machine, place.context, before.fault, { device, hwpt: old }));
  }
  return { frames: [...moved.frames, ...answers], old };
}

/** Takes the device off what it has at the PASID; nothing to do where it has nothing. */
export function detachDevice(machine: Machine, place: DevicePlace, pasid: number): Attached {
  const { state } = machine;
  const { [pasid]: old, ...left } = deviceAt(state, place).attached;
  if (old === undefined) return { frames: [] };
  const hwpt = hwptAt(state, place.context, old);
  // The device's own file may be closed already.
  const last = attachedIn(state, place, pasid).every(({ id }) => id === place.device);
  const frames = last ? blockGroup(machine, place, pasid) : [];
  if (pasid === RID) release(machine, place, hwpt);
  count(machine, place.context, hwpt, -1);
  const device = deviceAt(state, place);
  change(machine, place.context, device, { users: device.users - 1, attached: left });
  const answers = answerFaults(machine, place.context, hwpt.fault, { device: place.device, hwpt: old });
  return { frames: [...frames, ...answers], old };
}

/** The driver attaches every endpoint of the group; linux: iommufd_hwpt_attach_device. */
function moveGroup(machine: Machine, place: DevicePlace, hwpt: Hwpt, pasid: number): Filled {
  const { state } = machine;
  const { endpoint } = deviceAt(state, place);
  const incompatible = checkPasid(state, place, hwpt, pasid);
  if (incompatible !== undefined) return refused(incompatible);
  if (!allocates(machine, 'attach handle')) return refused('ENOMEM');
  if (hwpt.fault !== 0 && isFunctionWithPri(state, endpoint)) return refused('EINVAL');
  const frames: Frame[] = [];
  if (hasMessages(state, endpoint)) {
    const { domain } = pagingOf(state, place.context, hwpt);
    const errno = mapDoorbell(machine, domain, present(state.doorbell, 'doorbell'), frames);
    if (errno !== undefined) return refused(errno);
  }
  for (const each of endpointsOf(state, endpoint)) {
    const found = hwpt.kind === 'hwpt_nested' ? vmasterFor(state, place.context, each, hwpt) : {};
    if ('errno' in found) return refused(found.errno);
    const limit = pasid === RID ? undefined : pasidLimit(state, each, pasid);
    if (limit === 'skipped') continue;
    if (limit !== undefined) return refused(limit);
    const how = {
      ...(pasid === RID ? {} : { pasid }),
      ...found,
      mev: switchOf(kernelOf(state), 'nestedMev'),
    };
    const done = attachDriver(machine, each, { domain: hwpt.domain }, how);
    if ('errno' in done) return refused(done.errno);
    frames.push(...done);
  }
  return { frames };
}

/** Whether MSIs of a device are on. */
function hasMessages({ endpoints, doorbell }: State, endpoint: string): boolean {
  return doorbell !== undefined && endpoints[endpoint]?.msi !== undefined;
}

/** Nothing passes until the next attach. */
function blockGroup(machine: Machine, place: DevicePlace, pasid: number): readonly Frame[] {
  const { endpoint } = deviceAt(machine.state, place);
  return endpointsOf(machine.state, endpoint).flatMap((each) => {
    const done = attachDriver(machine, each, 'blocked', pasid === RID ? {} : { pasid });
    return 'errno' in done ? [] : done;
  });
}

/** linux: iommufd_hwpt_pasid_compat. */
function checkPasid(state: State, place: DevicePlace, hwpt: Hwpt, pasid: number): Errno | undefined {
  const compatible = hwpt.kind === 'hwpt_paging' && hwpt.pasid;
  if (pasid === RID) return hasPasids(state, place) && !compatible ? 'EINVAL' : undefined;
  if (!compatible) return 'EINVAL';
  const rid = attachedIn(state, place, RID)[0]?.attached[RID];
  if (rid === undefined) return undefined;
  const ofRid = hwptAt(state, place.context, rid);
  return ofRid.kind === 'hwpt_paging' && ofRid.pasid ? undefined : 'EINVAL';
}

/** linux: iommu_attach_device_pasid. A device without PASIDs is passed over, or was refused once. */
function pasidLimit(state: State, endpoint: string, pasid: number): Errno | 'skipped' | undefined {
  const smmu = state.endpoints[endpoint]?.config.smmu ?? '';
  const bits = state.drivers[smmu]?.masters[endpoint]?.ssidBits ?? 0;
  if (bits === 0) return switchOf(kernelOf(state), 'pasidWithoutPasid');
  return pasid >= 2 ** bits ? 'EINVAL' : undefined;
}

function isFunctionWithPri({ endpoints }: State, endpoint: string): boolean {
  const config = endpoints[endpoint]?.config;
  return config?.virtualFunction === true && config.pri;
}

function ioasOf(state: State, { context }: DevicePlace, hwpt: Hwpt): number {
  return pagingOf(state, context, hwpt).ioas;
}

function reserve(machine: Machine, place: DevicePlace, hwpt: Hwpt): Errno | undefined {
  const at = { context: place.context, ioas: ioasOf(machine.state, place, hwpt) };
  return reserveRanges(machine, at, ownerOfDevice(place.device), [MSI_WINDOW]);
}

/** Keeps the ranges of all these devices, or of none. */
function reserveAll(
  machine: Machine,
  place: DevicePlace,
  devices: readonly Device[],
  hwpt: Hwpt,
): Errno | undefined {
  for (const [at, { id: device }] of devices.entries()) {
    const errno = reserve(machine, { ...place, device }, hwpt);
    if (errno === undefined) continue;
    for (const { id } of devices.slice(0, at)) release(machine, { ...place, device: id }, hwpt);
    return errno;
  }
  return undefined;
}

function release(machine: Machine, place: DevicePlace, hwpt: Hwpt): void {
  const at = { context: place.context, ioas: ioasOf(machine.state, place, hwpt) };
  releaseRanges(machine, at, ownerOfDevice(place.device));
}

function ownerOfDevice(device: number): string {
  return `device:${device}`;
}

function count(machine: Machine, context: number, { id }: Hwpt, by: number): void {
  for (let left = Math.abs(by); left > 0; left -= 1) refer(machine, context, id, by > 0 ? 1 : -1);
}
