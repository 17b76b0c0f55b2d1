/** A device goes: the guest lets go first, where it runs; then the VMM takes it apart. */
import { isMapping } from '../dma-api/calls.ts';
import { driverFor } from '../dma-api/drivers.ts';
import { planAttach } from '../driver/attach.ts';
import { inGroup } from '../driver/group.ts';
import { own } from '../lookup.ts';
import type { Decider } from '../machine.ts';
import { beginTask } from '../tasks/begin.ts';
import { cpuUnit } from '../tasks/cpu.ts';
import type { FrameRow } from '../tasks/task.ts';
import { close } from '../vmm/call.ts';
import { policiesOf } from '../vmm/profiles.ts';
import { strategyOf } from '../vmm/strategies.ts';
import { behind, type OfDevice } from './of-device.ts';
import { vmmUnit } from './state.ts';
import { endpointOf, findVm, vmOf } from './vm.ts';

/** The guest lets go first, where it runs; then the VMM takes the device apart. */
export const unplugDevice: Decider<'vm.unplug'> = (context, { vm, endpoint }) => {
  const owner = findVm(context.state, vm);
  if (owner === undefined || own(owner.devices, endpoint) === undefined) return;
  const about = context.state.outside;
  beginTask(context, cpuUnit(vm, 0), 'unplug', [
    { do: 'guest.lost', vm, endpoint },
    { do: 'unplug.begin', vm, endpoint, about },
  ]);
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

/** A guest whose driver knows the device lets go of it, when nobody else is at work on its group. */
export const lostRow: FrameRow<OfDevice> = {
  run: ({ state }, { vm, endpoint }) => {
    const driver = driverFor(state, vm, endpoint);
    return driver && [inGroup(driver.name, endpoint, [{ do: 'guest.letgo', vm, endpoint }])];
  },
};

/** Its own driver goes first, and ends the calls that it is in (linux: device_release_driver, before the bus lets go). */
export const letGoRow: FrameRow<OfDevice> = {
  ready: (state, { vm, endpoint }) => {
    const driver = driverFor(state, vm, endpoint);
    return driver === undefined || !isMapping(state, driver.name, endpoint);
  },
  run: (context, { vm, endpoint }, task) => {
    const { lost } = strategyOf(policiesOf(vmOf(context.state, vm).config).strategy);
    if (lost !== undefined) return lost(context, vm, endpoint, behind(task, 'guest.letgo'));
    const plan = planAttach(context, endpoint, 'blocked', { owner: vm });
    return 'errno' in plan ? [] : plan;
  },
};
