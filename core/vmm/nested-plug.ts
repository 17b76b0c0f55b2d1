/**
 * A device of the host becomes one of the guest, in the order of QEMU with accel=on: the nesting parent and its
 * mappings, the host's registers and the checks, and with the first device the vIOMMU and the two HWPTs that
 * aborting and bypassing streams share. Each step may wait for calls.
 */
import { present } from '../assert.ts';
import { numbers } from '../kernel/uapi/enums.ts';
import { reg } from '../smmu/regs.ts';
import type { State } from '../state.ts';
import type { Frame, FrameRow } from '../tasks/task.ts';
import { deviceOf, devicesBehind, emulatedSmmu, findVm, virtualSmmuOf, vmOf } from '../vm/vm.ts';
import { answerOf, call, close } from './call.ts';
import { allocWithQueues } from './cmdqv-plug.ts';
import { idrProblem } from './idr.ts';
import { mapSlots } from './map-slots.ts';
import { policiesOf } from './profiles.ts';
import { secondObjects } from './second-queues.ts';
import { openEventQueue } from './vevents.ts';
import { allocate, attach, attachShared, gbpaTarget } from './vste.ts';

export interface PlugFrame extends Frame {
  readonly vm: string;
  readonly endpoint: string;
  readonly step: number;
}

type Step = (state: State, vm: string, endpoint: string) => readonly Frame[];

/** Bytes of struct iommu_hw_info_arm_smmuv3. */
const HW_INFO_BYTES = 40;
const V = 1n;
const BYPASS = V | (4n << 1n);
const EVENTQEN = 4;

const steps: readonly Step[] = [
  (_, vm) => [{ do: 'kvm.link', vm }],
  (state, vm) => (vmOf(state, vm).ioas === 0 ? [ask(state, vm, 'IOMMU_IOAS_ALLOC', {}, 'nested.ioas')] : []),
  parent,
  (state, vm) => mapSlots(state, vm),
  (state, vm, endpoint) => {
    const { deviceId } = deviceOf(vmOf(state, vm), endpoint);
    const fields = { dev_id: deviceId, data_len: HW_INFO_BYTES };
    const then = { do: 'nested.info', vm, endpoint };
    const data_uptr = new Uint8Array(HW_INFO_BYTES);
    return [call(vm, vmOf(state, vm).iommufd, 'IOMMU_GET_HW_INFO', fields, then, { data_uptr })];
  },
  viommu,
  (state, vm, endpoint) => shared(state, vm, endpoint, 'abortHwpt', V),
  (state, vm, endpoint) => shared(state, vm, endpoint, 'bypassHwpt', BYPASS),
  (state, vm, endpoint) => {
    const { smmu } = deviceOf(vmOf(state, vm), endpoint);
    const on = (reg(emulatedSmmu(state, smmu), 'CR0') & EVENTQEN) !== 0;
    return on ? openEventQueue(state, vm, smmu) : [];
  },
  (state, vm, endpoint) => {
    const { smmu } = deviceOf(vmOf(state, vm), endpoint);
    const first = devicesBehind(vmOf(state, vm), smmu)[0]?.endpoint === endpoint;
    return first ? attachShared(state, { vm, smmu, endpoint }, gbpaTarget(state, smmu)) : [];
  },
];

function ask(
  state: State,
  vm: string,
  name: string,
  fields: Readonly<Record<string, number | bigint>>,
  then: string,
  more: Readonly<Record<string, unknown>> = {},
): Frame {
  return call(vm, vmOf(state, vm).iommufd, name, fields, { do: then, vm, ...more });
}

/** The nesting parent that there is, or a new one: it belongs to one SMMU of the host. */
function parent(state: State, vm: string, endpoint: string): readonly Frame[] {
  const owner = vmOf(state, vm);
  const { smmu, deviceId } = deviceOf(owner, endpoint);
  const { parent: held } = virtualSmmuOf(owner, smmu);
  if (held !== 0) return [attach(state, { vm, smmu, endpoint }, held, 's2', 0)];
  const fields = { flags: numbers.IOMMU_HWPT_ALLOC_NEST_PARENT, dev_id: deviceId, pt_id: owner.ioas };
  return [ask(state, vm, 'IOMMU_HWPT_ALLOC', fields, 'nested.parent', { endpoint })];
}

function viommu(state: State, vm: string, endpoint: string): readonly Frame[] {
  const owner = vmOf(state, vm);
  const { smmu, deviceId } = deviceOf(owner, endpoint);
  const { viommu: held, parent: hwpt } = virtualSmmuOf(owner, smmu);
  if (held !== 0) return [];
  if (policiesOf(owner.config).strategy === 'nested-cmdqv')
    return allocWithQueues(state, vm, { smmu, endpoint, deviceId, hwpt });
  const fields = { type: numbers.IOMMU_VIOMMU_TYPE_ARM_SMMUV3, dev_id: deviceId, hwpt_id: hwpt };
  const made = { smmu, what: 'viommu', out: 'out_viommu_id', endpoint };
  return [ask(state, vm, 'IOMMU_VIOMMU_ALLOC', fields, 'nested.made', made)];
}

function shared(
  state: State,
  vm: string,
  endpoint: string,
  what: 'abortHwpt' | 'bypassHwpt',
  vste: bigint,
): readonly Frame[] {
  const owner = vmOf(state, vm);
  const device = deviceOf(owner, endpoint);
  if (virtualSmmuOf(owner, device.smmu)[what] !== 0) return [];
  const then = { do: 'nested.made', vm, smmu: device.smmu, what, out: 'out_hwpt_id', endpoint };
  return [allocate(state, vm, device.smmu, device, [vste, 0n], then)];
}

export const plugRow: FrameRow<PlugFrame> = {
  run: ({ state }, frame) => {
    const { vm, endpoint, step } = frame;
    const row = steps[step];
    if (row === undefined || findVm(state, vm)?.devices[endpoint] === undefined) return;
    return [...row(state, vm, endpoint), { ...frame, step: step + 1 }];
  },
};

interface PlugAnswer extends Frame {
  readonly vm: string;
  readonly endpoint: string;
}

export const ioasRow: FrameRow<Frame & { readonly vm: string }> = {
  run: ({ emit }, frame) => {
    const { vm } = frame;
    const { errno, out } = answerOf(frame);
    if (errno !== undefined) return [{ do: 'plug.refused', vm, why: `IOMMU_IOAS_ALLOC: ${errno}` }];
    emit(vm, { type: 'vm.changed', vm, set: { ioas: Number(out['out_ioas_id']) } });
    return undefined;
  },
};

export const parentRow: FrameRow<PlugAnswer> = {
  run: ({ state, emit }, frame) => {
    const { vm, endpoint } = frame;
    const { errno, out } = answerOf(frame);
    if (errno !== undefined) return [{ do: 'plug.refused', vm, why: `no nesting parent: ${errno}` }];
    const { smmu } = deviceOf(vmOf(state, vm), endpoint);
    const hwpt = Number(out['out_hwpt_id']);
    const physical = present(state.endpoints[endpoint], `endpoint ${endpoint}`).config.smmu;
    emit(vm, { type: 'vsmmu.changed', vm, smmu, set: { parent: hwpt, physical } });
    return [attach(state, { vm, smmu, endpoint }, hwpt, 's2', 0)];
  },
};

/** The registers of the host against those of the guest. */
export const infoRow: FrameRow<PlugAnswer> = {
  run: (context, frame) => {
    const { vm, endpoint } = frame;
    const { errno } = answerOf(frame);
    if (errno !== undefined) return [{ do: 'plug.refused', vm, why: `IOMMU_GET_HW_INFO: ${errno}` }];
    const owner = vmOf(context.state, vm);
    const { smmu } = deviceOf(owner, endpoint);
    const host = present(context.state.endpoints[endpoint], `endpoint ${endpoint}`).config.smmu;
    const idr = present(context.state.smmus[host], `SMMU ${host}`).config.idr;
    const problem = idrProblem(
      policiesOf(owner.config).checks,
      idr,
      emulatedSmmu(context.state, smmu).config.idr,
    );
    return problem === undefined ? undefined : [{ do: 'plug.refused', vm, why: problem }];
  },
};

interface MadeFrame extends PlugAnswer {
  readonly smmu: string;
  readonly what: 'viommu' | 'abortHwpt' | 'bypassHwpt';
  readonly out: string;
}

export const madeRow: FrameRow<MadeFrame> = {
  run: ({ emit }, frame) => {
    const { vm, smmu, what, out: field } = frame;
    const { errno, out } = answerOf(frame);
    if (errno !== undefined) return [{ do: 'plug.refused', vm, why: `${what}: ${errno}` }];
    emit(vm, { type: 'vsmmu.changed', vm, smmu, set: { [what]: Number(out[field]) } });
    return undefined;
  },
};

/** Back to the plain second stage; then the objects go, the last device's with those that all share. */
export function unplugNested(state: State, vm: string, endpoint: string): readonly Frame[] {
  const owner = vmOf(state, vm);
  const { smmu, vdevice } = deviceOf(owner, endpoint);
  const {
    parent: held,
    abortHwpt,
    bypassHwpt,
    viommu: id,
    veventFd,
    veventq,
    secondEventFd = -1,
    secondAt = 0n,
  } = virtualSmmuOf(owner, smmu);
  const last = assignedBehind(state, vm, smmu) === 1;
  const unmapping = secondAt === 0n ? [] : [{ do: 'cmdqv.unmap', vm, fd: owner.iommufd, at: secondAt }];
  const shared = last
    ? [...secondObjects(virtualSmmuOf(owner, smmu)), veventq, bypassHwpt, abortHwpt, id]
    : [];
  return [
    ...(held === 0 ? [] : [attach(state, { vm, smmu, endpoint }, held, 's2', 0)]),
    ...destroy(state, vm, [vdevice]),
    ...(last ? [...close(vm, veventFd), ...close(vm, secondEventFd), ...unmapping] : []),
    ...destroy(state, vm, shared),
  ];
}

function assignedBehind(state: State, vm: string, smmu: string): number {
  return devicesBehind(vmOf(state, vm), smmu).filter(({ kind }) => kind === 'assigned').length;
}

function destroy(state: State, vm: string, ids: readonly number[]): readonly Frame[] {
  const { iommufd } = vmOf(state, vm);
  return ids.filter((id) => id !== 0).map((id) => call(vm, iommufd, 'IOMMU_DESTROY', { id }));
}

const NOTHING = {
  parent: 0,
  viommu: 0,
  abortHwpt: 0,
  bypassHwpt: 0,
  veventq: 0,
  veventFd: -1,
  seconds: {},
  secondEventq: 0,
  secondEventFd: -1,
  secondAt: 0n,
  secondVintf: 0,
  secondUnit: { unit: false, vintf: false },
} as const;

type OfSmmu = Frame & { readonly vm: string; readonly smmu: string };

/** The files of all devices are closed: nobody is attached to the parent. */
export const restRow: FrameRow<OfSmmu> = {
  run: ({ state, emit }, { vm, smmu }) => {
    const owner = findVm(state, vm);
    if (owner === undefined || assignedBehind(state, vm, smmu) > 0) return;
    const { parent: held } = virtualSmmuOf(owner, smmu);
    if (held === 0) return;
    emit(vm, { type: 'vsmmu.changed', vm, smmu, set: { ...NOTHING, veventSeen: -1, physical: '' } });
    return destroy(state, vm, [held]);
  },
};
