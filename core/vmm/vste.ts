/**
 * A vSTE becomes an attachment: abort and bypass vSTEs the HWPTs that the VMM keeps for them, a stage 1 vSTE a new
 * nested HWPT, which replaces the one before. QEMU: hw/arm/smmuv3-accel.c, smmuv3_accel_install_ste.
 */
import { VSTE_ALLOWED } from '../driver/nested.ts';
import { numbers } from '../kernel/uapi/enums.ts';
import type { Context } from '../machine.ts';
import { readSte } from '../smmu/configuration.ts';
import { enabled, reg } from '../smmu/regs.ts';
import type { State } from '../state.ts';
import type { Frame, FrameRow } from '../tasks/task.ts';
import { vmmTells } from '../vm/exits.ts';
import type { VmAttachment, VmDevice } from '../vm/state.ts';
import { deviceOf, emulatedSmmu, findVm, isServed, virtualSmmuOf, vmOf } from '../vm/vm.ts';
import { answerOf, call } from './call.ts';
import { failed } from './guest-command.ts';
import { policiesOf } from './profiles.ts';

interface OfDevice {
  readonly vm: string;
  readonly smmu: string;
  readonly endpoint: string;
}

type VsteFrame = Frame & OfDevice;

/** The first time, the device gets its vDEVICE, with the StreamID it has now. */
export const applyRow: FrameRow<VsteFrame> = {
  run: ({ state, emit }, frame) => {
    const { vm, smmu, endpoint } = frame;
    const owner = findVm(state, vm);
    const device = owner?.devices[endpoint];
    if (owner === undefined || device === undefined) return;
    if (frame['named'] === true && device.seen !== true)
      emit(vm, { type: 'device.changed', vm, endpoint, set: { seen: true } });
    const install = { ...frame, do: 'vste.install' };
    const { viommu } = virtualSmmuOf(owner, smmu);
    if (viommu === 0) return;
    if (device.vdevice !== 0 || policiesOf(owner.config).vdevice === 'never') return [install];
    return [bindDevice(state, frame), install];
  },
};

/** IOMMU_VDEVICE_ALLOC with the StreamID that the device has now. */
export function bindDevice(state: State, frame: OfDevice & { readonly plug?: boolean }): Frame {
  const { vm, smmu, endpoint, plug } = frame;
  const owner = vmOf(state, vm);
  const { deviceId, streamId } = deviceOf(owner, endpoint);
  const { viommu } = virtualSmmuOf(owner, smmu);
  const fields = { viommu_id: viommu, dev_id: deviceId, virt_id: BigInt(streamId) };
  const then = { do: 'vste.bound', vm, smmu, endpoint, ...(plug === true ? { plug } : {}) };
  return call(vm, owner.iommufd, 'IOMMU_VDEVICE_ALLOC', fields, then);
}

export const boundRow: FrameRow<VsteFrame> = {
  run: ({ state, emit }, frame) => {
    const { vm, smmu, endpoint } = frame;
    const { errno, out } = answerOf(frame);
    const why = `IOMMU_VDEVICE_ALLOC: ${errno}`;
    if (errno !== undefined)
      return [frame['plug'] === true ? { do: 'plug.refused', vm, why } : failed(vm, smmu, why)];
    const boundSid = deviceOf(vmOf(state, vm), endpoint).streamId;
    const set = { vdevice: Number(out['out_vdevice_id']), boundSid };
    emit(vm, { type: 'device.changed', vm, endpoint, set });
    return undefined;
  },
};

/** Reads the vSTE, and says where the device goes. What cannot be read changes nothing. */
export const installRow: FrameRow<VsteFrame> = {
  run: (context, frame) => {
    const { vm, smmu: name, endpoint } = frame;
    const owner = findVm(context.state, vm);
    if (owner === undefined) return;
    const device = deviceOf(owner, endpoint);
    const smmu = emulatedSmmu(context.state, name);
    if (!enabled.smmu(smmu)) return attachShared(context.state, frame, gbpaTarget(context.state, name));
    const { noSte, install } = policiesOf(owner.config);
    const words = readSte(context, smmu, device.streamId);
    if (words === undefined)
      return noSte === 'abort' ? attachShared(context.state, frame, 'abort') : undefined;
    const [q0 = 0n, q1 = 0n] = doublewords(words);
    const config = Number((q0 >> 1n) & 7n);
    if ((q0 & 1n) === 0n || (config & 4) === 0) return attachShared(context.state, frame, 'abort');
    if (config === 4) return attachShared(context.state, frame, 'bypass');
    // Who parks a stream hands any of these to the kernel, which refuses all but stage 1.
    const parks = install === 'park';
    if (config !== 5 && !parks) return refuse(context, frame, `STE.Config=${config}`);
    const vste = [q0 & VSTE_ALLOWED[0], q1 & VSTE_ALLOWED[1]] as const;
    return [
      ...(parks ? attachShared(context.state, frame, 'abort') : []),
      allocate(context.state, vm, name, device, vste, { ...frame, do: 'vste.allocated' }),
    ];
  },
};

function doublewords(bytes: Uint8Array): readonly bigint[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return [view.getBigUint64(0, true), view.getBigUint64(8, true)];
}

/** Where devices go while the emulated SMMU is off: GBPA.ABORT, bit 20 (6.3.14). */
export function gbpaTarget(state: State, smmu: string): 'abort' | 'bypass' {
  return (reg(emulatedSmmu(state, smmu), 'GBPA') & (1 << 20)) !== 0 ? 'abort' : 'bypass';
}

/** IOMMU_HWPT_ALLOC of a nested HWPT with the two doublewords of a vSTE. */
export function allocate(
  state: State,
  vm: string,
  smmu: string,
  device: VmDevice,
  vste: readonly [bigint, bigint],
  then: Frame,
): Frame {
  const data = new Uint8Array(16);
  const view = new DataView(data.buffer);
  view.setBigUint64(0, vste[0], true);
  view.setBigUint64(8, vste[1], true);
  const fields = {
    dev_id: device.deviceId,
    pt_id: virtualSmmuOf(vmOf(state, vm), smmu).viommu,
    data_type: numbers.IOMMU_HWPT_DATA_ARM_SMMUV3,
    data_len: data.length,
  };
  return call(vm, vmOf(state, vm).iommufd, 'IOMMU_HWPT_ALLOC', fields, then, { data_uptr: data });
}

/** Attaches the device to the HWPT that the VMM keeps for aborting or bypassing streams. */
export function attachShared(
  state: State,
  { vm, smmu, endpoint }: OfDevice,
  to: 'abort' | 'bypass',
  own = 0,
): readonly Frame[] {
  const owner = vmOf(state, vm);
  // It may have been taken away since.
  if (owner.devices[endpoint] === undefined) return [];
  const { abortHwpt, bypassHwpt } = virtualSmmuOf(owner, smmu);
  return [attach(state, { vm, smmu, endpoint }, to === 'abort' ? abortHwpt : bypassHwpt, to, own)];
}

/** VFIO_DEVICE_ATTACH_IOMMUFD_PT. @param own the HWPT is the device's own, and goes with its next attachment */
export function attach(
  state: State,
  { vm, smmu, endpoint }: OfDevice,
  hwpt: number,
  to: VmAttachment,
  own: number,
): Frame {
  const { fd } = deviceOf(vmOf(state, vm), endpoint);
  const then = { do: 'vste.attached', vm, smmu, endpoint, to, own };
  return call(vm, fd, 'VFIO_DEVICE_ATTACH_IOMMUFD_PT', { pt_id: hwpt }, then);
}

export const allocatedRow: FrameRow<VsteFrame> = {
  run: (context, frame) => {
    const { errno, out } = answerOf(frame);
    if (errno !== undefined) return refuse(context, frame, `IOMMU_HWPT_ALLOC: ${errno}`);
    const hwpt = Number(out['out_hwpt_id']);
    return [attach(context.state, frame, hwpt, 'nested', hwpt)];
  },
};

/** A vSTE that cannot be installed: an error of the command, or a stream that aborts. */
function refuse(context: Context, frame: VsteFrame, why: string): readonly Frame[] {
  const { vm, smmu } = frame;
  vmmTells(context, vm, 'cannot install the vSTE', why);
  const { badSte } = policiesOf(vmOf(context.state, vm).config);
  return badSte === 'ill' ? [failed(vm, smmu, why)] : attachShared(context.state, frame, 'abort');
}

type AttachedFrame = VsteFrame & { readonly to: VmAttachment; readonly own: number };

/** The HWPT before goes when the new one is in place; the new one goes when it is not. */
export const attachedRow: FrameRow<AttachedFrame> = {
  run: ({ state, emit }, frame) => {
    const { vm, smmu, endpoint, to, own } = frame;
    const { errno } = answerOf(frame);
    const owner = vmOf(state, vm);
    const free = (id: number): readonly Frame[] =>
      id === 0 ? [] : [call(vm, owner.iommufd, 'IOMMU_DESTROY', { id })];
    if (errno !== undefined) {
      const { badSte } = policiesOf(owner.config);
      const told = `VFIO_DEVICE_ATTACH_IOMMUFD_PT: ${errno}`;
      const rest = to === 'abort' ? [] : attachShared(state, { vm, smmu, endpoint }, 'abort');
      return [...free(own), ...(badSte === 'ill' ? [failed(vm, smmu, told)] : rest)];
    }
    const before = deviceOf(owner, endpoint).hwpt;
    emit(vm, { type: 'device.changed', vm, endpoint, set: { attached: to, hwpt: own } });
    return before === own ? [] : free(before);
  },
};

/** Reads every vSTE again, or follows GBPA while the SMMU is off. */
export const reattachRow: FrameRow<
  Frame & { readonly vm: string; readonly smmu: string; readonly only?: 'seen' }
> = {
  run: ({ state }, { vm, smmu, only }) => {
    const owner = findVm(state, vm);
    if (owner === undefined || virtualSmmuOf(owner, smmu).viommu === 0) return;
    const { smmuen, gbpa } = policiesOf(owner.config);
    const on = smmuen !== 'ignored' && enabled.smmu(emulatedSmmu(state, smmu));
    return Object.values(owner.devices)
      .filter((device) => isServed(device) && device.smmu === smmu)
      .filter(({ seen }) => only === undefined || seen === true)
      .flatMap(({ endpoint, hwpt }): readonly Frame[] => {
        if (on) return [{ do: 'vste.apply', vm, smmu, endpoint }];
        // QEMU keeps the nested HWPT that the device leaves, until the next one.
        const kept = gbpa === 'follows' ? hwpt : 0;
        return attachShared(state, { vm, smmu, endpoint }, gbpaTarget(state, smmu), kept);
      });
  },
};

/** Power-on: every device follows GBPA as it is after a reset. */
export const resetRow: FrameRow<Frame & { readonly vm: string }> = {
  run: ({ state }, { vm }) =>
    Object.keys(findVm(state, vm)?.smmus ?? {}).map((smmu) => ({ do: 'nested.reattach', vm, smmu })),
};
