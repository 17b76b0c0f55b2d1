/**
 * Nested HWPTs: the guest's half of an STE over a nesting parent. linux: iommufd/hw_pagetable.c,
 * iommufd_viommu_alloc_hwpt_nested; arm-smmu-v3-iommufd.c, arm_vsmmu_alloc_domain_nested and
 * arm_smmu_attach_prepare_vmaster.
 */
import { allocNested, freeDomain } from '../../driver/ops.ts';
import type { Vmaster } from '../../driver/state.ts';
import type { Context as Machine } from '../../machine.ts';
import type { State } from '../../state.ts';
import type { Errno } from '../errno.ts';
import { type Call, copyIn, failed, type Result } from '../ioctl.ts';
import { kernelOf, switchOf } from '../kernel.ts';
import { structs } from '../uapi/data-structs.ts';
import { numbers } from '../uapi/enums.ts';
import { decodeStruct } from '../uapi/struct.ts';
import type { MadeHwpt } from './hwpt-paging.ts';
import type { KindRow } from './kinds.ts';
import { objectOf, refer, reserve } from './object.ts';
import type { HwptNested, HwptPaging, Viommu } from './state.ts';

const FAULT_ID_VALID = numbers.IOMMU_HWPT_FAULT_ID_VALID;
const STE = structs.iommu_hwpt_arm_smmuv3;

/** Driver data as HWPT_ALLOC passes it. */
export interface DriverData {
  readonly flags: number;
  readonly data_type: number;
  readonly data_len: number;
  readonly data_uptr: bigint;
}

/** What a nested HWPT is made over. */
export interface Under {
  readonly parent: HwptPaging;
  readonly viommu?: Viommu;
}

/** Steps 1 and 2 of the driver's validation (flags, envelope), then a HWPT of the vSTE. */
export function makeNestedHwpt(
  call: Call,
  data: DriverData,
  under: Under,
): Result & { readonly id?: number } {
  const kernel = kernelOf(call.machine.state);
  // The core takes FAULT_ID_VALID for itself, from 6.15 on.
  const seen = switchOf(kernel, 'nestedFaultId') === 'core' ? data.flags & ~FAULT_ID_VALID : data.flags;
  if (seen !== 0) return failed('EOPNOTSUPP');
  if (data.data_type !== numbers.IOMMU_HWPT_DATA_ARM_SMMUV3) return failed('EINVAL');
  if (data.data_len !== STE.bytes) return failed('EINVAL');
  const bytes = copyIn(call, data.data_uptr, STE.bytes);
  if (bytes === undefined) return failed('EFAULT');
  const [word0 = 0n, word1 = 0n] = decodeStruct(STE, bytes).ste;
  return nestOver(call, under, [word0, word1]);
}

/** A nested HWPT of a vSTE whose content the driver checks; it ends with the call. */
export function nestOver(
  call: Call,
  under: Under,
  vste: readonly [bigint, bigint],
): Result & { readonly id?: number } {
  const made = makeNested(call.machine, call.context, under, vste, false);
  if ('id' in made) call.made.push(made.id);
  return made;
}

/** The same without a call: the HWPT is not published. @param proxy it goes with its last user */
export function makeNested(
  machine: Machine,
  context: number,
  { parent, viommu }: Under,
  vste: readonly [bigint, bigint],
  proxy: boolean,
): MadeHwpt {
  const { smmu } = viommu ?? parent;
  const vetoAll = switchOf(kernelOf(machine.state), 'eatsVeto') === 'all';
  const made = allocNested(machine, smmu, { parentDomain: parent.domain, vetoAll }, vste);
  if ('errno' in made) return { errno: made.errno, frames: [] };
  const holds = viommu === undefined ? { viommu: 0, parent: parent.id } : { viommu: viommu.id, parent: 0 };
  const object = { ...holds, fault: 0, domain: made.domain, smmu, stage1: isStage1(vste), proxy };
  const id = reserve(machine, context, { kind: 'hwpt_nested', ...object });
  if (id === undefined) return { errno: 'ENOMEM', frames: freeDomain(machine, made.domain) };
  refer(machine, context, viommu?.id ?? parent.id, 1);
  return { id };
}

/** V=1 and Config "stage 1 translate" (IHI 0070 5.2). */
function isStage1([word0]: readonly [bigint, bigint]): boolean {
  return (word0 & 0xfn) === 0xbn;
}

/**
 * Whose events an endpoint's are once it is attached to a nested HWPT. Without a vDEVICE there is nobody,
 * and depending on the kernel no attach either.
 */
export function vmasterFor(
  state: State,
  context: number,
  endpoint: string,
  { viommu: id, stage1 }: HwptNested,
): { readonly vmaster?: Vmaster } | { readonly errno: Errno } {
  if (id === 0) return {};
  const { vdevices } = objectOf(state, context, id, 'viommu');
  const found = Object.entries(vdevices).find(([, each]) => each.endpoint === endpoint);
  if (found !== undefined) return { vmaster: { viommu: id, context, vsid: found[0] } };
  const needed = switchOf(kernelOf(state), 'vdeviceNeeded');
  return needed === 'all' || (needed === 'stage1' && stage1) ? { errno: 'ENOENT' } : {};
}

export const hwptNestedKind: KindRow<'hwpt_nested'> = {
  end: (machine, context, { viommu, parent, fault, domain }) => {
    if (fault !== 0) refer(machine, context, fault, -1);
    refer(machine, context, viommu === 0 ? parent : viommu, -1);
    return freeDomain(machine, domain);
  },
};
