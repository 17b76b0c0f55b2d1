/**
 * vIOMMUs: one VM's slice of one SMMU, and vDEVICEs: which endpoint has which virtual StreamID there. The
 * numbers are those of the tables of checks in the reference. linux: iommufd/viommu.c.
 */
import { canNest } from '../../driver/ops.ts';
import type { State } from '../../state.ts';
import { contextOf, failed, make, type Rows } from '../ioctl.ts';
import { kernelOf, switchOf } from '../kernel.ts';
import { hasName } from '../profiles.ts';
import { numbers } from '../uapi/enums.ts';
import { allocCmdqv, checkCmdqvDevice, hasCmdqv } from './cmdqv.ts';
import { openPair } from './cmdqv-hardware.ts';
import { deviceOf, hardwareOf, profileOf } from './device.ts';
import { change, find, refer } from './object.ts';
import { allocEarlyViommu, isEarlyViommu } from './proposals/viommu-2024.ts';
import type { Device, Viommu } from './state.ts';
import { allocViommu, nameDevice } from './viommu-object.ts';

const { IOMMU_VIOMMU_TYPE_ARM_SMMUV3: ARM_SMMUV3, IOMMU_VIOMMU_TYPE_TEGRA241_CMDQV: TEGRA241 } = numbers;

export const viommuRows: Rows = {
  IOMMU_VIOMMU_ALLOC: (call, arg) => {
    const early: object = arg;
    if (isEarlyViommu(early)) return allocEarlyViommu(call, early);
    const { state } = call.machine;
    if (arg.flags !== 0 || arg.type === numbers.IOMMU_VIOMMU_TYPE_DEFAULT) return failed('EOPNOTSUPP'); // 1
    const device = deviceOf(call, arg.dev_id);
    if (device === undefined) return failed('ENOENT'); // 2
    const smmu = hardwareOf(state, device.endpoint)?.smmu;
    if (smmu === undefined) return failed('EOPNOTSUPP'); // 3
    if (!offers(state, smmu, arg.type)) return failed('EOPNOTSUPP'); // 4
    const hwpt = find(contextOf(call), arg.hwpt_id, 'hwpt_paging');
    if (hwpt === undefined) return failed('ENOENT'); // 5
    if (!hwpt.nestParent) return failed('EINVAL'); // 6
    if (hwpt.smmu !== smmu) return failed('EINVAL'); // 7
    return arg.type === TEGRA241 ? allocCmdqv(call, arg, hwpt) : allocViommu(call, arg, hwpt);
  },

  IOMMU_VDEVICE_ALLOC: (call, arg) => {
    const { machine, context } = call;
    const viommu = find(contextOf(call), arg.viommu_id, 'viommu');
    const device = deviceOf(call, arg.dev_id);
    if (viommu === undefined || device === undefined) return failed('ENOENT'); // 2
    const errno = checkVdevice(machine.state, viommu, device, arg.virt_id);
    if (errno !== undefined) return failed(errno);
    const { endpoint } = device;
    const made = { viommu: viommu.id, device: device.id, endpoint, virtId: arg.virt_id } as const;
    const id = make(call, { kind: 'vdevice', ...made });
    if (id === undefined) return failed('ENOMEM');
    nameDevice(call, viommu, arg.virt_id, { endpoint, object: id });
    const [sid] = hardwareOf(machine.state, endpoint)?.master.streams ?? [];
    if (viommu.vintf !== 0 && sid !== undefined) openPair(machine, viommu, arg.virt_id, sid);
    refer(machine, context, viommu.id, 1);
    change(machine, context, device, { vdevice: id });
    return { out: { out_vdevice_id: id } };
  },
};

/** Steps 3 to 7. */
function checkVdevice(
  state: State,
  viommu: Viommu,
  device: Device,
  virtId: bigint,
): 'EINVAL' | 'EEXIST' | 'EOPNOTSUPP' | 'ENOSPC' | undefined {
  const kernel = kernelOf(state);
  const hardware = hardwareOf(state, device.endpoint);
  if (hardware?.smmu !== viommu.smmu) return 'EINVAL'; // 3
  if (device.vdevice !== 0 && switchOf(kernel, 'oneVdevicePerDevice')) return 'EEXIST'; // 5
  if (viommu.vdevices[String(virtId)] !== undefined) return 'EEXIST'; // 6
  const single = hardware.master.streams.length === 1;
  if (viommu.type === TEGRA241) return checkCmdqvDevice(state, viommu, virtId, single); // 7
  return !single && switchOf(kernel, 'vdeviceOneStream') ? 'EOPNOTSUPP' : undefined;
}

/** Whether the driver makes vIOMMUs of a type on that SMMU. */
function offers(state: State, smmu: string, type: number): boolean {
  if (!canNest(state, smmu)) return false;
  if (type === ARM_SMMUV3) return true;
  const known = hasName(profileOf(state), 'IOMMU_VIOMMU_TYPE_TEGRA241_CMDQV');
  return type === TEGRA241 && known && hasCmdqv(state, smmu);
}
