/**
 * Calls about devices that were proposed with the handing over of guest queues in 2023: a device's virtual
 * StreamID, and its reserved ranges. Source: mail `devData`; what it leaves open is derived.
 */
import { copyIn, copyOut, failed, type Rows } from '../../ioctl.ts';
import { structs } from '../../uapi/data-structs.ts';
import { proposedStructs } from '../../uapi/proposed-structs.ts';
import { decodeStruct, encodeStruct, type Values } from '../../uapi/struct.ts';
import { MSI_WINDOW } from '../attach.ts';
import { deviceOf, hardwareAt } from '../device.ts';
import { change } from '../object.ts';
import { userStreams } from '../virtual-streams.ts';

const DATA = proposedStructs.iommu_dev_data_arm_smmuv3;
const RANGE = structs.iommu_iova_range;

export const devDataRows: Rows = {
  IOMMU_SET_DEV_DATA: (call, arg) => {
    const { dev_id, data_uptr, data_len } = arg as Values<(typeof proposedStructs)['iommu_set_dev_data']>;
    const device = deviceOf(call, dev_id);
    if (device === undefined) return failed('ENOENT');
    if (device.userSid !== undefined) return failed('EEXIST');
    if (data_len !== DATA.bytes) return failed('EINVAL');
    const bytes = copyIn(call, data_uptr, DATA.bytes);
    if (bytes === undefined) return failed('EFAULT');
    const { sid } = decodeStruct(DATA, bytes);
    const { state } = call.machine;
    if (userStreams(state, hardwareAt(state, device).smmu)[String(sid)] !== undefined)
      return failed('EEXIST');
    change(call.machine, call.context, device, { userSid: sid });
    return {};
  },

  IOMMU_UNSET_DEV_DATA: (call, arg) => {
    const { dev_id } = arg as Values<(typeof proposedStructs)['iommu_unset_dev_data']>;
    const device = deviceOf(call, dev_id);
    if (device === undefined) return failed('ENOENT');
    if (device.userSid === undefined) return failed('EINVAL');
    call.machine.emit('kernel', {
      type: 'object.changed',
      context: call.context,
      object: device.id,
      set: { userSid: undefined },
    });
    return {};
  },

  IOMMU_RESV_IOVA_RANGES: (call, arg) => {
    const asked = arg as Values<(typeof proposedStructs)['iommu_resv_iova_ranges']>;
    if (asked.__reserved !== 0) return failed('EOPNOTSUPP');
    if (deviceOf(call, asked.dev_id) === undefined) return failed('ENOENT');
    const ranges = [MSI_WINDOW];
    for (const [at, range] of ranges.slice(0, asked.num_iovas).entries())
      if (!copyOut(call, asked.resv_iovas + BigInt(at * RANGE.bytes), encodeStruct(RANGE, range)))
        return failed('EFAULT');
    const out = { num_iovas: ranges.length };
    return ranges.length > asked.num_iovas ? { errno: 'EMSGSIZE', out, copy: 'always' } : { out };
  },
};
