/**
 * Effects of requests in the host (qemu: vfio_iommu_map_notify, vfio_listener_region_add and _del): each
 * assigned device has an IOAS of its own; a mapping is a run of calls of aligned powers of two, and a switch of
 * the address space takes all of the guest's memory out of the IOAS or puts it there. Emulated devices have
 * nothing in the host.
 */
import { numbers } from '../kernel/uapi/enums.ts';
import type { Context } from '../machine.ts';
import type { State } from '../state.ts';
import type { Frame, FrameRow } from '../tasks/task.ts';
import { vmmUnit } from '../vm/state.ts';
import { vmmAddress, vmOf } from '../vm/vm.ts';
import { answerOf, call } from '../vmm/call.ts';
import { type HostStep, nextHostStep } from './host.ts';
import type { AddressSpace, Effect } from './space.ts';
import { findVirtio } from './virtio.ts';

interface EffectFrame extends Frame {
  readonly do: 'virtio.effect';
  readonly vm: string;
  readonly effect: Effect;
  /** Where its next step begins. */
  readonly from: bigint;
}

export const effectRow: FrameRow<EffectFrame> = {
  run: (context, frame) => {
    const { vm, effect, from } = frame;
    const virtio = findVirtio(context.state, vm);
    if (virtio === undefined) return { instead: [] };
    const ioas = virtio.hosts[effect.endpoint]?.ioas ?? 0;
    if (ioas === 0) return;
    const stepped = nextHostStep(virtio.device, effect, from);
    if (stepped === undefined) return;
    const rest: readonly Frame[] = stepped.next === undefined ? [] : [{ ...frame, from: stepped.next }];
    const now = stepFrames(context.state, vm, ioas, stepped.step);
    if (now !== undefined) return [...now, ...rest];
    refuse(context, vm, `no memory at ${showGpa(stepped.step)}`);
    return rest;
  },
};

function showGpa(step: HostStep): string {
  return step.do === 'map' ? `0x${step.gpa.toString(16)}` : '';
}

/** The calls of one step; undefined where the guest maps what the VMM has no memory for. */
function stepFrames(state: State, vm: string, ioas: number, step: HostStep): readonly Frame[] | undefined {
  if (step.do === 'switch') return switchFrames(state, vm, ioas, step.to);
  const { iova, size: length } = step;
  const { iommufd } = vmOf(state, vm);
  const then = { do: 'virtio.called', vm };
  if (step.do === 'unmap')
    return [call(vm, iommufd, 'IOMMU_IOAS_UNMAP', { ioas_id: ioas, iova, length }, then)];
  const va = vmmRange(state, vm, step.gpa, length);
  if (va === undefined) return undefined;
  const flags =
    numbers.IOMMU_IOAS_MAP_FIXED_IOVA |
    (step.writeable ? numbers.IOMMU_IOAS_MAP_WRITEABLE : 0) |
    (step.readable ? numbers.IOMMU_IOAS_MAP_READABLE : 0);
  const fields = { flags, ioas_id: ioas, user_va: BigInt(va), length, iova };
  return [call(vm, iommufd, 'IOMMU_IOAS_MAP', fields, then)];
}

/** The VMM's address of a range that lies in one slot. */
function vmmRange(state: State, vm: string, gpa: bigint, length: bigint): number | undefined {
  if (gpa + length > BigInt(Number.MAX_SAFE_INTEGER)) return undefined;
  const owner = vmOf(state, vm);
  const first = vmmAddress(owner, Number(gpa));
  const last = vmmAddress(owner, Number(gpa + length - 1n));
  return first !== undefined && last === first + Number(length - 1n) ? first : undefined;
}

/** All of the guest's memory goes into the IOAS, or out of it. */
export function switchFrames(state: State, vm: string, ioas: number, to: AddressSpace): readonly Frame[] {
  const { slots, iommufd } = vmOf(state, vm);
  const then = { do: 'virtio.called', vm };
  const flags =
    numbers.IOMMU_IOAS_MAP_FIXED_IOVA | numbers.IOMMU_IOAS_MAP_WRITEABLE | numbers.IOMMU_IOAS_MAP_READABLE;
  return slots.map(({ gpa, bytes, va }) => {
    const range = { ioas_id: ioas, iova: BigInt(gpa), length: BigInt(bytes) };
    return to === 'system'
      ? call(vm, iommufd, 'IOMMU_IOAS_MAP', { ...range, flags, user_va: BigInt(va) }, then)
      : call(vm, iommufd, 'IOMMU_IOAS_UNMAP', range, then);
  });
}

/** A call came back: a refusal is the request's, where the device says so. */
export const calledRow: FrameRow<Frame & { readonly vm: string }> = {
  run: (context, frame) => {
    const { errno } = answerOf(frame);
    if (errno !== undefined) refuse(context, frame.vm, errno);
  },
};

function refuse({ state, emit }: Context, vm: string, why: string): void {
  if (findVirtio(state, vm) !== undefined) emit(vmmUnit(vm), { type: 'virtio.refused', vm, why });
}
