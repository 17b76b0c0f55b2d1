/**
 * Broadcast TLB maintenance for guests (vBTM): what a VMM tells its guest of IDR0.BTM, and the link between the VMID
 * of the SMMU's stage 2 and that of KVM, without which a broadcast of the guest meets no entry of its devices.
 */
import { kernelOf, switchOf } from '../kernel/kernel.ts';
import { pinVmid } from '../kvm/vmids.ts';
import { registers } from '../smmu/registers.ts';
import type { State } from '../state.ts';
import type { Frame, FrameRow } from '../tasks/task.ts';
import { vmmTells } from '../vm/exits.ts';
import type { VmConfig } from '../vm/state.ts';
import { findVm } from '../vm/vm.ts';
import { policiesOf } from './profiles.ts';

const BTM = 1 << registers.byName.IDR0.fields.BTM.lo;

/** IDR0.BTM of a host's SMMU, as GET_HW_INFO reports it. */
function isReported(state: State): boolean {
  const kernel = kernelOf(state);
  const has = Object.values(state.smmus).some(
    ({ config, features }) => config.space === undefined && features.btm,
  );
  return has && (switchOf(kernel, 'hwInfoIdr') === 'raw' || switchOf(kernel, 'vbtm'));
}

type Idr = Readonly<Record<string, number>>;

/** The ID registers that a guest is told, with or without BTM. */
export function withBroadcast(state: State, config: VmConfig, idr: Idr): Idr {
  const { btm } = policiesOf(config);
  const told = btm === 'forwarded' ? isReported(state) : btm === 'linked' && canLink(state);
  const { IDR0 = 0 } = idr;
  return told ? { ...idr, IDR0: (IDR0 | BTM) >>> 0 } : idr;
}

function canLink(state: State): boolean {
  return isReported(state) && switchOf(kernelOf(state), 'vbtm');
}

/** Before the nesting parent is made: KVM pins the VMID that it is to have. */
export const linkRow: FrameRow<Frame & { readonly vm: string }> = {
  run: (context, { vm }) => {
    const owner = findVm(context.state, vm);
    if (owner === undefined || policiesOf(owner.config).btm !== 'linked') return;
    if (canLink(context.state)) pinVmid(context, vm);
    else vmmTells(context, vm, 'no link to the VMID of KVM', 'IDR0.BTM=0 for the guest');
  },
};
