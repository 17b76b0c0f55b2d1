/** Looking at virtual machines: one by its name, its devices, where its memory lies. */
import { present } from '../assert.ts';
import { own } from '../lookup.ts';
import type { SmmuState } from '../smmu/state.ts';
import type { State } from '../state.ts';
import type { VirtualSmmu, VmDevice, VmState } from './state.ts';

/** The last frame of a boot. */
export const BOOTED = 'guest.booted';

/** The VM of a name that stands for one. */
export function vmOf({ vms }: State, name: string): VmState {
  return present(own(vms, name), `VM ${name}`);
}

/** The VM, or undefined: it may have ended. */
export function findVm({ vms }: State, name: string): VmState | undefined {
  return own(vms, name);
}

/** Whether the guest has power: its drivers may look at devices now, or have done so. */
export function isOn({ tasks }: State, { name, booted }: VmState): boolean {
  return (
    booted || tasks.some(({ frames }) => frames.some(({ do: what, vm }) => what === BOOTED && vm === name))
  );
}

/** The device of a VM. */
export function deviceOf(vm: VmState, endpoint: string): VmDevice {
  return present(own(vm.devices, endpoint), `device ${endpoint}`);
}

/** The devices behind an emulated SMMU, in the order they were plugged. */
export function devicesBehind({ devices }: VmState, smmu: string): readonly VmDevice[] {
  return Object.values(devices).filter((device) => device.smmu === smmu);
}

/** A device of the host whose plug is done: before, there is nothing to attach. */
export function isServed({ kind, ready }: VmDevice): boolean {
  return kind === 'assigned' && ready === true;
}

/** What the VMM keeps for an emulated SMMU. */
export function virtualSmmuOf({ smmus }: VmState, name: string): VirtualSmmu {
  return present(own(smmus, name), `emulated SMMU ${name}`);
}

/** The emulated SMMU itself: registers, queues, caches. */
export function emulatedSmmu({ smmus }: State, name: string): SmmuState {
  return present(own(smmus, name), `SMMU ${name}`);
}

/** The endpoint that does the DMA of a device: its own, or the one the VMM emulates. */
export function endpointOf(vm: VmState, { kind, endpoint }: VmDevice): string {
  return kind === 'assigned' ? endpoint : `${vm.name}.${endpoint}`;
}

/** The VMM's address of guest memory; undefined where no slot is. */
export function vmmAddress({ slots }: VmState, gpa: number): number | undefined {
  const slot = slots.find((each) => gpa >= each.gpa && gpa < each.gpa + each.bytes);
  return slot && slot.va + gpa - slot.gpa;
}
