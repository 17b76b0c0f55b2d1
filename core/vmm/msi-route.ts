/**
 * Where KVM sends the messages of an assigned device in the guest. Hardware uses a doorbell of the host's; what the guest
 * has put into the vector is an address of its own tables that no hardware reads, and the VMM makes a route of it when
 * the vector is programmed. Where VMMs differ goes by their policy `doorbell`. QEMU: target/arm/kvm.c,
 * kvm_arch_fixup_msi_route; OpenVMM: vm/devices/iommu/smmu/src/shared.rs, SmmuIrqFdRoute.
 */

import { own } from '../lookup.ts';
import type { Context } from '../machine.ts';
import { raise } from '../smmu/raise.ts';
import { type Request, translate } from '../smmu/translate.ts';
import { vmmTells } from '../vm/exits.ts';
import { type VmDevice, type VmState, vmmUnit } from '../vm/state.ts';
import { policiesOf } from './profiles.ts';

/** GITS_TRANSLATER of QEMU's `virt` board (hw/arm/virt.c, VIRT_GIC_ITS). */
const BOARD_DOORBELL = 0x809_0040;
const MESSAGE_BYTES = 4;

/** Makes the route. Returns where it leads in the guest; undefined: nowhere, or nobody translates for the device. */
export function routeMessages(
  context: Context,
  { name: vm, config }: VmState,
  device: VmDevice,
  iova: bigint,
): number | undefined {
  const { endpoint } = device;
  const routed = (gpa: number, via: string): number => {
    context.emit(vmmUnit(vm), { type: 'msi.routed', vm, endpoint, iova, gpa, via });
    return gpa;
  };
  if (policiesOf(config).doorbell === 'board') return routed(BOARD_DOORBELL, 'board');
  const smmu = own(context.state.smmus, device.smmu);
  if (smmu === undefined) return undefined;
  const { streamId } = device;
  const asked = { streamId, iova, access: 'write' } as const;
  const request: Request = { ...asked, substreamId: undefined, exec: false, privileged: false };
  const answer = translate(context, smmu, request);
  const about = { smmu: device.smmu, endpoint, ...asked, size: MESSAGE_BYTES, ...answer.basis };
  if (answer.kind === 'ok') {
    const { pa, via } = answer;
    context.emit(vmmUnit(vm), { type: 'access.completed', ...about, pa, via });
    return routed(pa, via);
  }
  const { fault, seen = request, mev = false, result, why } = answer;
  if (fault !== undefined) raise(context, smmu, seen, fault, { mev });
  // Nobody waits for software here: what would stall is no route.
  const ended = result === 'stall' ? 'abort' : result;
  context.emit(vmmUnit(vm), { type: 'access.terminated', ...about, result: ended, reason: why });
  vmmTells(context, vm, `no route for messages of ${endpoint}`, why);
  return undefined;
}
