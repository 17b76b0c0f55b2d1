/**
 * HWPT_ALLOC: which kind of HWPT is asked for follows from what pt_id names. linux: iommufd/hw_pagetable.c,
 * iommufd_hwpt_alloc. The numbers are those of the table of checks in the reference.
 */
import { type Arg, type Call, contextOf, failed, hasUnknown, type Result, type Rows } from '../ioctl.ts';
import { kernelOf, releaseOf, switchOf } from '../kernel.ts';
import { numbers } from '../uapi/enums.ts';
import { atLeast } from '../uapi/versions.ts';
import { deviceOf, hardwareOf, smmuNests, smmuTakesFlags, tracksDirty } from './device.ts';
import { makePagingHwpt } from './hwpt-paging.ts';
import { makeNestedHwpt } from './nested.ts';
import { find, findAny, objectOf, refer } from './object.ts';
import { allocOfSte, isOfSte } from './proposals/ste-pointer.ts';
import type { Device, HwptPaging, Ioas, Viommu } from './state.ts';

type Asked = Arg<'IOMMU_HWPT_ALLOC'>;
/** `id`: the HWPT that ends with the call, unless it succeeds. */
type Made = Result & { readonly id?: number };

const NEST_PARENT = numbers.IOMMU_HWPT_ALLOC_NEST_PARENT;
const DIRTY_TRACKING = numbers.IOMMU_HWPT_ALLOC_DIRTY_TRACKING;
const FAULT_ID_VALID = numbers.IOMMU_HWPT_FAULT_ID_VALID;
const PASID = numbers.IOMMU_HWPT_ALLOC_PASID;
const { IOMMU_HWPT_DATA_NONE } = numbers;

export const hwptRows: Rows = {
  IOMMU_HWPT_ALLOC: (call, arg) => {
    if (isOfSte(arg)) return allocOfSte(call, arg);
    if (arg.__reserved !== 0) return failed('EOPNOTSUPP'); // 1
    if (arg.flags !== 0 && !atLeast(releaseOf(kernelOf(call.machine.state)), '6.7'))
      return failed('EOPNOTSUPP');
    if ((arg.data_type === IOMMU_HWPT_DATA_NONE) !== (arg.data_len === 0)) return failed('EINVAL'); // 2
    const device = deviceOf(call, arg.dev_id);
    if (device === undefined) return failed('ENOENT'); // 3
    const { id, ...made } = allocate(call, arg, device);
    if (id === undefined) return made;
    if ((arg.flags & FAULT_ID_VALID) !== 0 && !useFaultQueue(call, id, arg.fault_id)) return failed('ENOENT'); // 6
    return { ...made, out: { out_hwpt_id: id } }; // 7
  },
};

function allocate(call: Call, arg: Asked, device: Device): Made {
  const target = findAny(contextOf(call), arg.pt_id);
  if (target === undefined) return failed('EINVAL'); // 4
  if (target.kind === 'ioas') return allocatePaging(call, arg, device, target); // 5
  if (target.kind === 'hwpt_paging') return allocateOnParent(call, arg, target);
  if (target.kind === 'viommu') return allocateOnViommu(call, arg, device, target);
  return failed('EINVAL');
}

function allocatePaging(call: Call, { flags, data_len }: Asked, device: Device, ioas: Ioas): Made {
  const { machine, context } = call;
  const { state } = machine;
  const hardware = hardwareOf(state, device.endpoint);
  if (hardware === undefined) return failed('ENODEV'); // a
  if (hasUnknown(call, 'iommufd_hwpt_alloc_flags', flags) || isEarlyPasid(call, flags))
    return failed('EOPNOTSUPP'); // b
  if ((flags & ~FAULT_ID_VALID) !== 0 && !smmuTakesFlags(state)) return failed('EOPNOTSUPP');
  if ((flags & DIRTY_TRACKING) !== 0 && !tracksDirty(state, hardware)) return failed('EOPNOTSUPP'); // c
  if ((flags & FAULT_ID_VALID) !== 0 && (flags & NEST_PARENT) !== 0) return failed('EOPNOTSUPP'); // d
  if (data_len !== 0) return failed('EOPNOTSUPP'); // e: the driver knows no data of a paging domain
  if ((flags & NEST_PARENT) !== 0 && !smmuNests(state)) return failed('EOPNOTSUPP');
  const made = makePagingHwpt(machine, context, {
    ioas: ioas.id,
    endpoint: device.endpoint,
    auto: false,
    nestParent: (flags & NEST_PARENT) !== 0,
    dirtyTracking: (flags & DIRTY_TRACKING) !== 0,
    pasid: (flags & PASID) !== 0,
    ...linkedVmid(call, (flags & NEST_PARENT) !== 0),
  }); // e, g
  if ('id' in made) call.made.push(made.id);
  return made;
}

/** The VMID that KVM has pinned for the VM of a VMM, which its nesting parents share with it. */
function linkedVmid({ machine, process }: Call, nestParent: boolean): { readonly vmid?: number } {
  const kvm = machine.state.vms[process]?.kvm;
  const linked = nestParent && kvm?.pinned === true && switchOf(kernelOf(machine.state), 'vbtm');
  return linked ? { vmid: kvm.vmid } : {};
}

/** Named in 6.13, and refused until 6.15. */
function isEarlyPasid({ machine }: Call, flags: number): boolean {
  return (flags & PASID) !== 0 && !switchOf(kernelOf(machine.state), 'allocPasid');
}

/** Flags that a nested HWPT may have, and its data. */
function isNestedRequest(call: Call, { flags, data_len }: Asked): boolean {
  const known =
    (flags & ~(FAULT_ID_VALID | PASID)) === 0 && !hasUnknown(call, 'iommufd_hwpt_alloc_flags', flags);
  return known && !isEarlyPasid(call, flags) && data_len !== 0;
}

/** The SMMUv3 driver has no such operation, unless a proposal gives it one. */
function allocateOnParent(call: Call, arg: Asked, parent: HwptPaging): Made {
  const { state } = call.machine;
  const nests = smmuNests(state) && switchOf(kernelOf(state), 'smmuNestedOn') !== 'viommu';
  if (!isNestedRequest(call, arg) || !nests) return failed('EOPNOTSUPP');
  if (parent.auto || !parent.nestParent) return failed('EINVAL');
  return makeNestedHwpt(call, arg, { parent });
}

function allocateOnViommu(call: Call, arg: Asked, device: Device, viommu: Viommu): Made {
  const { state } = call.machine;
  if (hardwareOf(state, device.endpoint)?.smmu !== viommu.smmu) return failed('EINVAL');
  if (!isNestedRequest(call, arg)) return failed('EOPNOTSUPP');
  if (switchOf(kernelOf(state), 'smmuNestedOn') === 'hwpt') return failed('EOPNOTSUPP');
  return makeNestedHwpt(call, arg, {
    parent: objectOf(state, call.context, viommu.hwpt, 'hwpt_paging'),
    viommu,
  });
}

/** Faults of what is attached to the HWPT go to that queue. Returns whether there is one. */
function useFaultQueue(call: Call, hwpt: number, id: number): boolean {
  const { machine, context } = call;
  if (find(contextOf(call), id, 'fault') === undefined) return false;
  machine.emit('kernel', { type: 'object.changed', context, object: hwpt, set: { fault: id } });
  refer(machine, context, id, 1);
  return true;
}
