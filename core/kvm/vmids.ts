/**
 * The VMIDs of KVM: a number for each VM, in a namespace of its own; that of an SMMU's stage 2 has nothing to do with
 * it. A new generation gives each VM another number, but for those that are pinned (linux: arch/arm64/kvm/vmid.c; the
 * pinning of the RFC of February 2021).
 */
import type { Context, Decider } from '../machine.ts';
import type { State } from '../state.ts';
import { findVm } from '../vm/vm.ts';

/** What KVM has for a VM. */
export interface KvmVmid {
  readonly vmid: number;
  /** It stays when a generation ends. */
  readonly pinned: boolean;
}

const VMIDS = 2 ** 16;

/** The lowest number that no VM has, and that is not `not`; 0 is the host's. */
function freeVmid({ vms }: State, not = 0): number {
  const taken = new Set(Object.values(vms).map(({ kvm }) => kvm?.vmid));
  for (let vmid = 1; vmid < VMIDS; vmid += 1) if (vmid !== not && !taken.has(vmid)) return vmid;
  return not;
}

/** A new VM gets its number. @param wanted by the scenario */
export function giveVmid({ state, emit }: Context, vm: string, wanted?: number): void {
  emit('kvm', { type: 'kvm.vmid', vm, vmid: wanted ?? freeVmid(state), pinned: false });
}

/** The number stays the VM's from now on: its SMMU entries may have it. */
export function pinVmid({ state, emit }: Context, vm: string): void {
  const kvm = findVm(state, vm)?.kvm;
  if (kvm?.pinned === false) emit('kvm', { type: 'kvm.vmid', vm, vmid: kvm.vmid, pinned: true });
}

/** A generation ends: whoever is not pinned has another number. */
export const rollOver: Decider<'kvm.rollover'> = ({ state, emit }) => {
  for (const [vm, { kvm }] of Object.entries(state.vms))
    if (kvm?.pinned === false)
      emit('kvm', { type: 'kvm.vmid', vm, vmid: freeVmid(state, kvm.vmid), pinned: false });
  emit('kvm', { type: 'vm.answered', vm: '', about: state.outside });
};
