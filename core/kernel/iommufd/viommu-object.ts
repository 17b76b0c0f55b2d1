/** vIOMMU objects: made over a nesting parent, named devices in, ended. linux: iommufd/viommu.c. */
import { vmidOf } from '../../driver/ops.ts';
import { type Call, failed, make, type Result } from '../ioctl.ts';
import { closeVintf } from './cmdqv-hardware.ts';
import type { KindRow } from './kinds.ts';
import { change, refer } from './object.ts';
import type { HwptPaging, Viommu } from './state.ts';

/** A vIOMMU over a nesting parent, whose VMID it has. */
export function allocViommu(
  call: Call,
  { type }: { readonly type: number },
  { id: hwpt, smmu, domain }: HwptPaging,
  more: Partial<Viommu> = {},
): Result & { readonly id?: number } {
  const { machine, context } = call;
  const vmid = vmidOf(machine.state, domain);
  const made = {
    type,
    hwpt,
    smmu,
    vmid,
    vdevices: {},
    veventqs: {},
    vintf: 0,
    mmapOffset: 0,
    maps: [],
    ...more,
  };
  const id = make(call, { kind: 'viommu', ...made });
  if (id === undefined) return failed('ENOMEM');
  refer(machine, context, hwpt, 1);
  return { id, out: { out_viommu_id: id } };
}

export const viommuKind: KindRow<'viommu'> = {
  end: (machine, context, viommu) => {
    const { hwpt, vintf } = viommu;
    if (vintf !== 0) closeVintf(machine, viommu);
    refer(machine, context, hwpt, -1);
    return [];
  },
};

/** From now on that virtual StreamID means the endpoint. */
export function nameDevice(
  { machine, context }: Call,
  viommu: Viommu,
  virtId: bigint,
  device: Viommu['vdevices'][string],
): void {
  change(machine, context, viommu, { vdevices: { ...viommu.vdevices, [String(virtId)]: device } });
}
