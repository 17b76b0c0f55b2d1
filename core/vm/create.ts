/** What scenarios ask of a VM: made, a device plugged or unplugged, its guest started, the VM ended. */

import type { DriverConfig } from '../config.ts';
import { planAttach } from '../driver/attach.ts';
import type { Platform } from '../driver/features.ts';
import { type BootOptions, bootFrames, bootOptions } from '../driver/probe.ts';
import { allocate } from '../kernel/process/process.ts';
import { endProcess } from '../kernel/work.ts';
import { giveVmid } from '../kvm/vmids.ts';
import { own } from '../lookup.ts';
import type { Context, Decider } from '../machine.ts';
import { smmuConfig } from '../smmu/profiles.ts';
import type { State } from '../state.ts';
import { beginTask } from '../tasks/begin.ts';
import { cpuUnit } from '../tasks/cpu.ts';
import type { Frame, FrameRow, Task } from '../tasks/task.ts';
import { withBroadcast } from '../vmm/broadcast.ts';
import { answerOf, call, close, open } from '../vmm/call.ts';
import { withProperties } from '../vmm/idr.ts';
import { policiesOf, type VmmProfile, vmmProfiles } from '../vmm/profiles.ts';
import { strategyOf } from '../vmm/strategies.ts';
import { withUpdates } from '../vmm/updates.ts';
import { backMemory } from './memory.ts';
import { type Slot, type VmConfig, type VmDevice, type VmState, vmmUnit } from './state.ts';
import { deviceOf, endpointOf, findVm, vmOf } from './vm.ts';

/** Register pages of emulated SMMUs begin here; nothing else of the machine does. */
const EMULATED_BASE = 0x9050_0000;

/** The VM, its memory and its emulated SMMUs. */
export const createVm: Decider<'vm.create'> = (context, { vm, config: given }) => {
  const { emit, state } = context;
  if (state.kernel === undefined || own(state.vms, vm) !== undefined) return;
  const strategy = strategyOf(policiesOf(given).strategy);
  const config = strategy.noSmmus === true ? { ...given, smmus: [] } : given;
  const slots: Slot[] = [];
  for (const { base, size } of config.ram) {
    const va = allocate(context, vm, size, 'contiguous');
    if (va === undefined) {
      // A VMM without memory for its guest ends.
      endProcess(context, vm);
      return answer(context, vm, { errno: 'ENOMEM' });
    }
    slots.push({ gpa: base, bytes: size, va });
  }
  emit(vm, { type: 'vm.made', vm, config });
  giveVmid(context, vm, config.vmid);
  backMemory(context, vm, slots);
  for (const name of config.smmus)
    emit(vm, { type: 'smmu.made', smmu: name, config: emulatedConfig(state, vm, name, config) });
  strategy.create?.(context, vm);
  answer(context, vm, {});
};

function emulatedConfig(state: State, vm: string, name: string, config: VmConfig) {
  const { profile, idr = {}, policies, properties = {} } = config;
  const { hardware, idr: told } = vmmProfiles[profile];
  const { strategy, eventqFull, syncMsi } = policiesOf({ profile, policies });
  const emulates = strategy === 'trap-emulate';
  const caches = emulates ? {} : { caches: { ste: 0, cd: 0, tlb: 0, walk: 0 } };
  const shown = withProperties(
    { ...withUpdates(state, config, withBroadcast(state, config, told)), ...idr },
    properties,
  );
  const made = smmuConfig(hardware, { name, base: EMULATED_BASE, idr: shown, ...caches });
  const emulator = {
    ...(eventqFull === 'abt-err' ? { eventqFull } : {}),
    ...(syncMsi === 'ignored' ? {} : { syncMsi }),
  };
  return { ...made, space: vm, ...(Object.keys(emulator).length === 0 ? {} : { emulator }) };
}

/** What the stimulus came to: said at once, or by the last frame of its task. */
function answer(
  { state, emit }: Context,
  vm: string,
  told: { readonly errno?: string; readonly refused?: string },
): void {
  emit(vm, { type: 'vm.answered', vm, about: state.outside, ...told });
}

/** A device for the guest. */
export const plugDevice: Decider<'vm.plug'> = (context, { vm, endpoint, device: given }) => {
  const { state, emit } = context;
  const owner = findVm(state, vm);
  if (owner === undefined || own(owner.devices, endpoint) !== undefined) return;
  const strategy = strategyOf(policiesOf(owner.config).strategy);
  const kind = given.kind ?? strategy.device;
  if (kind === 'assigned' && strategy.refusesAssigned !== undefined)
    return answer(context, vm, { refused: strategy.refusesAssigned });
  const device: VmDevice = {
    endpoint,
    kind,
    smmu: given.smmu ?? Object.keys(owner.smmus)[0] ?? '',
    streamId: given.streamId ?? 0,
    ssidBits: given.ssidBits ?? 0,
    ats: given.ats ?? false,
    pri: given.pri ?? false,
    stall: given.stall ?? false,
    fd: `vfio:${endpoint}`,
    deviceId: 0,
    vdevice: 0,
    boundSid: 0,
    ioas: 0,
    hwpt: 0,
    attached: 'none',
  };
  emit(vm, { type: 'device.plugged', vm, endpoint, device });
  const end = { do: 'plug.end', vm, endpoint, about: state.outside };
  if (kind === 'emulated') {
    makeEndpoint(context, vm, device);
    strategy.plugEmulated?.(context, vm, endpoint);
    beginTask(context, vmmUnit(vm), 'plug', [end]);
    return;
  }
  const iommufd = owner.iommufd === '' ? `iommu:${vm}` : owner.iommufd;
  const opened = owner.iommufd === '' ? [open(vm, iommufd)] : [];
  if (opened.length > 0) emit(vm, { type: 'vm.changed', vm, set: { iommufd } });
  const frames = [
    ...opened,
    open(vm, device.fd),
    { do: 'plug.bind', vm, endpoint },
    ...(strategy.plug?.(vm, endpoint) ?? []),
    end,
  ];
  beginTask(context, vmmUnit(vm), 'plug', frames);
};

function makeEndpoint({ emit }: Context, vm: string, device: VmDevice): void {
  const { smmu, streamId, ssidBits, ats, pri, stall } = device;
  const name = `${vm}.${device.endpoint}`;
  const config = { name, smmu, streamId, ats, pri, ssidBits, atc: ats ? 64 : 0, stall };
  emit(vm, { type: 'endpoint.made', endpoint: name, config });
}

/** A task that answers when it is done. */
function later(context: Context, unit: string, what: string, frames: readonly Frame[], vm: string): void {
  const end = { do: 'vm.answer', vm, about: context.state.outside };
  beginTask(context, unit, what, [...frames, end]);
}

interface AnswerFrame extends Frame {
  readonly vm: string;
  readonly about: number;
  readonly refused?: string;
  readonly errno?: string;
}

export const answerRow: FrameRow<AnswerFrame> = {
  run: ({ emit }, { vm, about, refused, errno }) => {
    const told = { ...(refused === undefined ? {} : { refused }), ...(errno === undefined ? {} : { errno }) };
    emit(vm, { type: 'vm.answered', vm, about, ...told });
  },
};

/** Something of a plug failed: what was to follow does not, the device is gone, and the answer says why. */
export const refusedRow: FrameRow<Frame & { readonly vm: string; readonly why: string }> = {
  run: ({ state, emit }, { vm, why: refused }, task) => {
    emit(vm, { type: 'vmm.told', vm, what: 'a device is refused', detail: refused });
    const end = task.frames.find((each): each is PlugEnd => each.do === 'plug.end');
    if (end === undefined) return { instead: [] };
    const { endpoint, about } = end;
    const fd = state.kernel?.names[deviceOf(vmOf(state, vm), endpoint).fd];
    const closing = close(vm, fd);
    const answering = { do: 'vm.answer', vm, about, refused };
    return { instead: [...closing, { do: 'device.gone', vm, endpoint }, answering] };
  },
};

interface PlugEnd extends Frame {
  readonly do: 'plug.end';
  readonly vm: string;
  readonly endpoint: string;
  readonly about: number;
}

/** A guest that runs finds the device, with a CPU of its own; the plug has ended when its driver is done. */
export const plugEndRow: FrameRow<PlugEnd> = {
  run: (context, { vm, endpoint, about }) => {
    const answering = { do: 'vm.answer', vm, about };
    const owner = findVm(context.state, vm);
    if (owner?.devices[endpoint] !== undefined)
      context.emit(vm, { type: 'device.changed', vm, endpoint, set: { ready: true } });
    // A guest that is about to look at its devices finds it by itself.
    if (owner === undefined || (!owner.booted && !hasProbed(context.state, owner, endpoint)))
      return [answering];
    beginTask(context, cpuUnit(vm, 0), 'hot-plug', [{ do: 'guest.found', vm, endpoint }, answering]);
    return undefined;
  },
};

/** Whether the guest's driver of the device's SMMU has looked for devices already. */
function hasProbed({ drivers }: State, { devices }: VmState, endpoint: string): boolean {
  return drivers[devices[endpoint]?.smmu ?? '']?.running === true;
}

type OfDevice = Frame & { readonly vm: string; readonly endpoint: string };

export const bindRow: FrameRow<OfDevice> = {
  run: ({ state }, { vm, endpoint }) => {
    const owner = vmOf(state, vm);
    const { fd } = deviceOf(owner, endpoint);
    const iommufd = state.kernel?.names[owner.iommufd] ?? -1;
    return [call(vm, fd, 'VFIO_DEVICE_BIND_IOMMUFD', { iommufd }, { do: 'plug.bound', vm, endpoint })];
  },
};

export const boundDeviceRow: FrameRow<OfDevice> = {
  run: ({ emit }, frame) => {
    const { vm, endpoint } = frame;
    const { errno, out } = answerOf(frame);
    if (errno !== undefined) return [{ do: 'plug.refused', vm, why: `VFIO_DEVICE_BIND_IOMMUFD: ${errno}` }];
    emit(vm, { type: 'device.changed', vm, endpoint, set: { deviceId: Number(out['out_devid']) } });
    return undefined;
  },
};

/** The frames of a task behind the first of a kind. */
function behind({ frames }: Task, kind: string): readonly Frame[] {
  return frames.slice(frames.findIndex((frame) => frame.do === kind) + 1);
}

/** A guest that runs already finds the device, and its driver probes it. */
export const foundRow: FrameRow<OfDevice> = {
  run: (context, { vm, endpoint }, task) => {
    const { state } = context;
    const owner = findVm(state, vm);
    if (owner?.devices[endpoint] === undefined) return;
    const { found } = strategyOf(policiesOf(owner.config).strategy);
    if (found !== undefined) return found(context, vm, endpoint, behind(task, 'guest.found'));
    const { smmu } = deviceOf(owner, endpoint);
    const driver = state.drivers[smmu];
    if (driver?.running !== true) return;
    // At boot its driver may have come to it already; one that was lost is blocked, and probed anew.
    const known = driver.masters[endpoint];
    if (known !== undefined && known.attached[0] !== 'blocked') return;
    return [{ do: 'endpoint.probe', driver: smmu, endpoint }];
  },
};

/** The guest lets go first, where it runs; then the VMM takes the device apart. */
export const unplugDevice: Decider<'vm.unplug'> = (context, { vm, endpoint }) => {
  const owner = findVm(context.state, vm);
  if (owner === undefined || own(owner.devices, endpoint) === undefined) return;
  const going = { do: 'unplug.begin', vm, endpoint, about: context.state.outside };
  const frames = owner.booted ? [{ do: 'guest.lost', vm, endpoint }, going] : [going];
  beginTask(context, cpuUnit(vm, 0), 'unplug', frames);
};

/** The VMM's part, as a task of its own unit. */
export const unplugBeginRow: FrameRow<OfDevice & { readonly about: number }> = {
  run: (context, { vm, endpoint, about }) => {
    const owner = findVm(context.state, vm);
    const device = owner?.devices[endpoint];
    if (owner === undefined || device === undefined) return;
    const assigned = device.kind === 'assigned';
    const fd = assigned ? context.state.kernel?.names[device.fd] : undefined;
    beginTask(context, vmmUnit(vm), 'unplug', [
      ...(assigned ? [{ do: 'unplug.go', vm, endpoint }] : []),
      ...close(vm, fd),
      { do: 'device.gone', vm, endpoint },
      ...(assigned ? (strategyOf(policiesOf(owner.config).strategy).unplugged?.(vm, device.smmu) ?? []) : []),
      { do: 'vm.answer', vm, about },
    ]);
  },
};

/** The strategy's part of an unplug, decided when the guest has let go of the device. */
export const unplugRow: FrameRow<OfDevice> = {
  run: ({ state }, { vm, endpoint }) => {
    const owner = findVm(state, vm);
    // It may have gone by another request.
    if (owner?.devices[endpoint] === undefined) return [];
    return strategyOf(policiesOf(owner.config).strategy).unplug?.(state, vm, endpoint) ?? [];
  },
};

export const goneRow: FrameRow<OfDevice> = {
  run: (context, { vm, endpoint }) => {
    const { state, emit } = context;
    const device = findVm(state, vm)?.devices[endpoint];
    if (device === undefined) return;
    emit(vm, { type: 'device.unplugged', vm, endpoint });
    if (device.kind !== 'emulated') return;
    strategyOf(policiesOf(vmOf(state, vm).config).strategy).unplugEmulated?.(context, vm, endpoint);
    emit(vm, { type: 'endpoint.removed', endpoint: endpointOf(vmOf(state, vm), device) });
  },
};

/** The guest's driver lets go of a device that it loses. */
export const lostRow: FrameRow<OfDevice> = {
  run: (context, { vm, endpoint }, task) => {
    const { lost } = strategyOf(policiesOf(vmOf(context.state, vm).config).strategy);
    if (lost !== undefined) return lost(context, vm, endpoint, behind(task, 'guest.lost'));
    const plan = planAttach(context, endpoint, 'blocked', { owner: vm });
    return 'errno' in plan ? [] : plan;
  },
};

/** Power-on: the VMM resets its devices, and the guest's driver probes each SMMU. */
export const bootGuest: Decider<'guest.boot'> = (context, { vm, platform = {}, driver }) => {
  const { state } = context;
  const owner = findVm(state, vm);
  if (owner === undefined || owner.booted) return;
  const strategy = strategyOf(policiesOf(owner.config).strategy);
  const { platform: told }: VmmProfile = vmmProfiles[owner.config.profile];
  const frames = [
    ...(strategy.reset?.(state, vm) ?? []),
    ...Object.keys(owner.smmus).flatMap((smmu) => [
      ...bootFrames(smmu, guestOptions(vm, { ...told, ...platform }, driver)),
    ]),
    ...(strategy.boot?.(vm, { vhe: false, ...platform }) ?? []),
    { do: 'guest.booted', vm },
  ];
  later(context, cpuUnit(vm, 0), 'boot', frames, vm);
};

/** There is no EL2 in a guest. */
function guestOptions(vm: string, platform: Partial<Platform>, driver: DriverConfig = {}): BootOptions {
  const { platform: more, ...release } = bootOptions(driver);
  return { owner: vm, platform: { vhe: false, ...more, ...platform }, ...release };
}

export const bootedRow: FrameRow<Frame & { readonly vm: string }> = {
  run: ({ emit }, { vm }) => {
    emit(vm, { type: 'vm.changed', vm, set: { booted: true } });
  },
};

/** The VM is killed: its process ends, with all it had open. */
export const endVm: Decider<'vm.end'> = (context, { vm }) => {
  const owner = findVm(context.state, vm);
  if (owner === undefined) return;
  for (const device of Object.values(owner.devices))
    if (device.kind === 'emulated')
      context.emit(vm, { type: 'endpoint.removed', endpoint: endpointOf(owner, device) });
  context.emit(vm, { type: 'vm.ended', vm });
  const end = { do: 'vm.answer', vm, about: context.state.outside };
  beginTask(context, 'kernel', 'exit', [{ do: 'process.exit', process: vm }, end]);
};
