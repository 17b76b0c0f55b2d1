/**
 * HWPT_ALLOC of May 2023: a type of HWPT instead of a type of data, and for an SMMUv3 pointers to the whole
 * STE and to a place for an event record, which gets a C_BAD_STE where the STE is refused. Source: mail
 * `guestQueue`; what it leaves open is derived.
 */
import { encodeEventRecord } from '../../../smmu/event-record.ts';
import { type Call, contextOf, copyIn, copyOut, failed, type Result } from '../../ioctl.ts';
import { proposedEnums, proposedStructs } from '../../uapi/proposed-structs.ts';
import { decodeStruct, type Values } from '../../uapi/struct.ts';
import { deviceOf } from '../device.ts';
import { makePagingHwpt } from '../hwpt-paging.ts';
import { nestOver } from '../nested.ts';
import { findAny } from '../object.ts';
import type { Device, HwptPaging } from '../state.ts';

type Asked = Values<(typeof proposedStructs)['iommu_hwpt_alloc 2023-05']>;
const DATA = proposedStructs['iommu_hwpt_arm_smmuv3 2023-05'];
type Data = Values<typeof DATA>;

const type = proposedEnums.iommu_hwpt_type.members;
const S2 = BigInt(proposedEnums.iommu_hwpt_arm_smmuv3_flags.members.IOMMU_SMMUV3_FLAG_S2[0]);
/** The two doublewords of an STE that are a guest's. */
const STE_BYTES = 16;

/** Whether a struct is that of the proposal. */
export function isOfSte(arg: object): arg is Asked {
  return 'hwpt_type' in arg;
}

/** The call, by its type: a paging HWPT, a nesting parent, or a nested HWPT of an STE. */
export function allocOfSte(call: Call, arg: Asked): Result {
  if (arg.flags !== 0 || arg.__reserved !== 0) return failed('EOPNOTSUPP');
  if ((arg.hwpt_type === type.IOMMU_HWPT_TYPE_DEFAULT[0]) !== (arg.data_len === 0)) return failed('EINVAL');
  const device = deviceOf(call, arg.dev_id);
  if (device === undefined) return failed('ENOENT');
  const data = dataOf(call, arg);
  if (data !== undefined && 'errno' in data) return data;
  const target = findAny(contextOf(call), arg.pt_id);
  if (target?.kind === 'ioas') return allocPaging(call, target.id, device, data);
  if (target?.kind === 'hwpt_paging' && data !== undefined) return allocNested(call, target, device, data);
  return failed('EINVAL');
}

function dataOf(
  call: Call,
  { hwpt_type, data_len, data_uptr }: Asked,
): Data | (Result & { errno: string }) | undefined {
  if (hwpt_type === type.IOMMU_HWPT_TYPE_DEFAULT[0]) return undefined;
  if (hwpt_type !== type.IOMMU_HWPT_TYPE_ARM_SMMUV3[0] || data_len !== DATA.bytes) return { errno: 'EINVAL' };
  const bytes = copyIn(call, data_uptr, DATA.bytes);
  return bytes === undefined ? { errno: 'EFAULT' } : decodeStruct(DATA, bytes);
}

/** With the flag it is a stage 2, to nest over. */
function allocPaging(call: Call, ioas: number, { endpoint }: Device, data: Data | undefined): Result {
  if (data !== undefined && (data.flags & ~S2) !== 0n) return failed('EOPNOTSUPP');
  const nestParent = data !== undefined && (data.flags & S2) !== 0n;
  const made = makePagingHwpt(call.machine, call.context, { ioas, endpoint, auto: false, nestParent });
  if ('errno' in made) return made;
  call.made.push(made.id);
  return { out: { out_hwpt_id: made.id } };
}

function allocNested(call: Call, parent: HwptPaging, device: Device, data: Data): Result {
  if (!parent.nestParent || data.flags !== 0n || data.ste_len < STE_BYTES) return failed('EINVAL');
  const bytes = copyIn(call, data.ste_uptr, STE_BYTES);
  if (bytes === undefined) return failed('EFAULT');
  const view = new DataView(bytes.buffer);
  const { id, ...made } = nestOver(call, { parent }, [
    view.getBigUint64(0, true),
    view.getBigUint64(8, true),
  ]);
  if (id !== undefined) return { out: { out_hwpt_id: id } };
  return made.errno === 'EIO' && !tellBadSte(call, device, data) ? failed('EFAULT') : made;
}

/** A C_BAD_STE of the device's virtual StreamID, as much of it as there is room for. */
function tellBadSte(call: Call, { userSid = 0 }: Device, { event_len, out_event_uptr }: Data): boolean {
  if (out_event_uptr === 0n || event_len === 0n) return true;
  const words = encodeEventRecord('C_BAD_STE', { StreamID: userSid });
  const bytes = new Uint8Array(words.length * 4);
  const view = new DataView(bytes.buffer);
  for (const [at, word] of words.entries()) view.setUint32(at * 4, word, true);
  const room = event_len < BigInt(bytes.length) ? Number(event_len) : bytes.length;
  return copyOut(call, out_event_uptr, bytes.subarray(0, room));
}
