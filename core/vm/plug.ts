/** A device for a guest: the VMM takes it, and a guest that runs finds it. */
import { own } from '../lookup.ts';
import type { Context, Decider } from '../machine.ts';
import type { State } from '../state.ts';
import { beginTask } from '../tasks/begin.ts';
import { cpuUnit } from '../tasks/cpu.ts';
import type { Frame, FrameRow } from '../tasks/task.ts';
import { answerOf, call, close, open } from '../vmm/call.ts';
import { policiesOf } from '../vmm/profiles.ts';
import { strategyOf } from '../vmm/strategies.ts';
import { answer } from './answer.ts';
import { behind, type OfDevice } from './of-device.ts';
import { type VmDevice, type VmState, vmmUnit } from './state.ts';
import { deviceOf, findVm, vmOf } from './vm.ts';
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
