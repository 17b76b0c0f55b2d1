/**
 * A device of the host becomes one of the guest: the nesting parent and its mappings, the host's registers and the
 * checks, and with the first device the vIOMMU and the two HWPTs that aborting and bypassing streams share. Where
 * VMMs differ in the order goes by their policies. Each step may wait for calls.
 */
import { present } from '../assert.ts';
import type { SmmuConfig } from '../config.ts';
import { numbers } from '../kernel/uapi/enums.ts';
import type { Context } from '../machine.ts';
import { reg } from '../smmu/regs.ts';
import type { State } from '../state.ts';
import type { Frame, FrameRow } from '../tasks/task.ts';
import type { VmState } from '../vm/state.ts';
import { deviceOf, devicesBehind, emulatedSmmu, findVm, isOn, virtualSmmuOf, vmOf } from '../vm/vm.ts';
import { answerOf, call, close } from './call.ts';
import { allocWithQueues } from './cmdqv-plug.ts';
import { composed, idrProblem, withProperties } from './idr.ts';
import { mapSlots } from './map-slots.ts';
import { policiesOf } from './profiles.ts';
import { secondObjects } from './second-queues.ts';
import { openEventQueue } from './vevents.ts';
import { allocate, attach, attachShared, bindDevice, gbpaTarget } from './vste.ts';

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
  (state, vm, endpoint) => sharedNumber(state, vm, endpoint, 0),
  (state, vm, endpoint) => sharedNumber(state, vm, endpoint, 1),
  (state, vm, endpoint) => {
    const { smmu } = deviceOf(vmOf(state, vm), endpoint);
    const on = (reg(emulatedSmmu(state, smmu), 'CR0') & EVENTQEN) !== 0;
    const late = policiesOf(vmOf(state, vm).config).veventq === 'eventqen';
    return on || !late ? openEventQueue(state, vm, smmu) : [];
  },
  placed,
];

/** The two shared HWPTs, in the order of the VMM. */
function sharedNumber(state: State, vm: string, endpoint: string, at: 0 | 1): readonly Frame[] {
  const abortFirst = policiesOf(vmOf(state, vm).config).shared === 'abort-first';
  return abortFirst === (at === 0)
    ? shared(state, vm, endpoint, 'abortHwpt', V)
    : shared(state, vm, endpoint, 'bypassHwpt', BYPASS);
}

/** Where a new device goes, and its vDEVICE, where the VMM makes it now. */
function placed(state: State, vm: string, endpoint: string): readonly Frame[] {
  const owner = vmOf(state, vm);
  const { smmu } = deviceOf(owner, endpoint);
  const of = { vm, smmu, endpoint };
  const { plugged, vdevice } = policiesOf(owner.config);
  const binding = vdevice === 'plug' ? [bindDevice(state, { ...of, plug: true })] : [];
  if (plugged === 'bypass') return [...binding, ...attachShared(state, of, 'bypass')];
  if (plugged === 'abort-gbpa')
    return [...attachShared(state, of, 'abort'), ...binding, { do: 'vste.install', ...of }];
  const first = devicesBehind(owner, smmu)[0]?.endpoint === endpoint;
  return [...binding, ...(first ? attachShared(state, of, gbpaTarget(state, smmu)) : [])];
}

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
  const attaches = policiesOf(owner.config).parent === 'attached';
  if (held !== 0) return attaches ? [attach(state, { vm, smmu, endpoint }, held, 's2', 0)] : [];
  const other = parentOfAnother(state, owner, endpoint);
  if (other !== undefined) return [{ do: 'nested.adopt', vm, endpoint, parent: other }];
  const fields = { flags: numbers.IOMMU_HWPT_ALLOC_NEST_PARENT, dev_id: deviceId, pt_id: owner.ioas };
  return [ask(state, vm, 'IOMMU_HWPT_ALLOC', fields, 'nested.parent', { endpoint })];
}

/** The nesting parent of another emulated SMMU before the same SMMU of the host, where the VMM shares it. */
function parentOfAnother(state: State, owner: VmState, endpoint: string): number | undefined {
  if (policiesOf(owner.config).parents === 'own') return undefined;
  const physical = state.endpoints[endpoint]?.config.smmu;
  return Object.values(owner.smmus).find((each) => each.parent !== 0 && each.physical === physical)?.parent;
}

export const adoptRow: FrameRow<PlugAnswer & { readonly parent: number }> = {
  run: ({ state, emit }, { vm, endpoint, parent: held }) => {
    const { smmu } = deviceOf(vmOf(state, vm), endpoint);
    const physical = present(state.endpoints[endpoint], `endpoint ${endpoint}`).config.smmu;
    emit(vm, { type: 'vsmmu.changed', vm, smmu, set: { parent: held, physical } });
    const attaches = policiesOf(vmOf(state, vm).config).parent === 'attached';
    return attaches ? [attach(state, { vm, smmu, endpoint }, held, 's2', 0)] : [];
  },
};

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
    const attaches = policiesOf(vmOf(state, vm).config).parent === 'attached';
    return attaches ? [attach(state, { vm, smmu, endpoint }, hwpt, 's2', 0)] : [];
  },
};

/** The registers of the host: what the guest sees goes by them, until it runs; then they are compared. */
export const infoRow: FrameRow<PlugAnswer> = {
  run: (context, frame) => {
    const { vm, endpoint } = frame;
    const { errno } = answerOf(frame);
    if (errno !== undefined) return [{ do: 'plug.refused', vm, why: `IOMMU_GET_HW_INFO: ${errno}` }];
    const owner = vmOf(context.state, vm);
    const { smmu } = deviceOf(owner, endpoint);
    const host = present(context.state.endpoints[endpoint], `endpoint ${endpoint}`).config.smmu;
    const idr = present(context.state.smmus[host], `SMMU ${host}`).config.idr;
    resolveIdr(context, owner, endpoint, idr);
    const problem = idrProblem(
      policiesOf(owner.config).checks,
      idr,
      emulatedSmmu(context.state, smmu).config.idr,
    );
    return problem === undefined ? undefined : [{ do: 'plug.refused', vm, why: problem }];
  },
};

/** With the first device, before the guest runs, the ID registers are made final. */
function resolveIdr(context: Context, owner: VmState, endpoint: string, host: SmmuConfig['idr']): void {
  const { smmu, ats } = deviceOf(owner, endpoint);
  if (isOn(context.state, owner) || devicesBehind(owner, smmu)[0]?.endpoint !== endpoint) return;
  const { config } = emulatedSmmu(context.state, smmu);
  const { properties = {} } = owner.config;
  const shown = composed(policiesOf(owner.config).ids, config.idr, host, ats);
  const idr = withProperties(shown, properties, host);
  const same = Object.entries(idr).every(([name, value]) => config.idr[name] === value);
  if (!same) context.emit(owner.name, { type: 'smmu.made', smmu, config: { ...config, idr } });
}

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
  const { smmu, vdevice, hwpt, fd } = deviceOf(owner, endpoint);
  const attaches = policiesOf(owner.config).parent === 'attached';
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
    ...(held === 0 || !attaches ? [] : [attach(state, { vm, smmu, endpoint }, held, 's2', 0)]),
    ...(attaches ? [] : [call(vm, fd, 'VFIO_DEVICE_DETACH_IOMMUFD_PT', {}), ...destroy(state, vm, [hwpt])]),
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
    const used = Object.values(owner.smmus).some((each) => each.name !== smmu && each.parent === held);
    return used ? [] : destroy(state, vm, [held]);
  },
};
