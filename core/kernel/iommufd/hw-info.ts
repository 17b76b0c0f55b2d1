/**
 * GET_HW_INFO: what the kernel reports of an SMMU and of a device's way to it. What was reported is an event,
 * so that a history of capabilities can be told. linux: iommufd/device.c, iommufd_get_hw_info.
 */
import { hwInfo } from '../../driver/ops.ts';
import { registers } from '../../smmu/registers.ts';
import type { State } from '../../state.ts';
import { type Call, copyOut, failed, hasUnknown, type Result, type Rows } from '../ioctl.ts';
import { kernelOf, releaseOf, switchOf } from '../kernel.ts';
import { hasName } from '../profiles.ts';
import { structs } from '../uapi/data-structs.ts';
import { type MemberName, members, numbers } from '../uapi/enums.ts';
import { atLeast } from '../uapi/versions.ts';
import { CMDQV_INFO, cmdqvInfo, cmdqvOf } from './cmdqv.ts';
import { deviceOf, type Hardware, hardwareAt, profileOf, tracksDirty } from './device.ts';
import { sanitised, workingHttu } from './listed-fields.ts';

/** Bytes that are zeroed with one store. */
const CHUNK_BYTES = 0x1_0000;
/** SMMU_IDR0 to SMMU_IDR5. */
const IDRS = 6;
const { IOMMU_HW_INFO_FLAG_INPUT_TYPE, IOMMU_HW_INFO_TYPE_DEFAULT } = numbers;

interface Report {
  readonly type: number;
  readonly bytes: Uint8Array;
}

export const hwInfoRows: Rows = {
  IOMMU_GET_HW_INFO: (call, arg) => {
    const { state } = call.machine;
    if (hasUnknown(call, 'iommufd_hw_info_flags', arg.flags)) return failed('EOPNOTSUPP'); // 1
    if (isReserved(call, arg)) return failed('EOPNOTSUPP'); // 2
    const asked =
      (arg.flags & IOMMU_HW_INFO_FLAG_INPUT_TYPE) !== 0 ? arg.in_data_type : IOMMU_HW_INFO_TYPE_DEFAULT; // 3
    const device = deviceOf(call, arg.dev_id);
    if (device === undefined) return failed('ENOENT'); // 4
    const hardware = hardwareAt(state, device);
    const info = infoOf(state, hardware, asked);
    if ('errno' in info) return failed(info.errno); // 6
    const pointer = (arg as { data_ptr?: bigint }).data_ptr ?? arg.data_uptr;
    if (!put(call, pointer, arg.data_len, info.bytes)) return failed('EFAULT'); // 7
    return report(call, device.endpoint, hardware, info); // 8
  },
};

/** The bytes after the type; one of them became an output in 6.15. */
function isReserved(
  { machine }: Call,
  arg: { readonly __reserved: unknown; readonly out_max_pasid_log2?: number },
): boolean {
  const rest = ([] as unknown[]).concat(arg.__reserved);
  const all =
    switchOf(kernelOf(machine.state), 'hwInfoReserved') === 4 ? [arg.out_max_pasid_log2 ?? 0, ...rest] : rest;
  return all.some((each) => each !== 0);
}

/** A driver that reports nothing gives type 0 without data: SMMUv3 before 6.13. */
function infoOf(state: State, { smmu }: Hardware, asked: number): Report | { readonly errno: 'EOPNOTSUPP' } {
  const reports = hasName(profileOf(state), 'IOMMU_HW_INFO_TYPE_ARM_SMMUV3');
  const cmdqv = cmdqvOf(state, smmu);
  if (
    asked === CMDQV_INFO &&
    cmdqv !== undefined &&
    hasName(profileOf(state), 'IOMMU_HW_INFO_TYPE_TEGRA241_CMDQV')
  )
    return { type: CMDQV_INFO, bytes: cmdqvInfo(cmdqv) };
  if (reports) {
    const info = hwInfo(state, smmu, asked);
    return 'errno' in info ? { errno: 'EOPNOTSUPP' } : { ...info, bytes: cutDown(state, smmu, info.bytes) };
  }
  return asked === IOMMU_HW_INFO_TYPE_DEFAULT
    ? { type: 0, bytes: new Uint8Array() }
    : { errno: 'EOPNOTSUPP' };
}

/** The registers as they are, or what of them works for a VM. */
function cutDown(state: State, smmu: string, bytes: Uint8Array): Uint8Array {
  const kernel = kernelOf(state);
  if (switchOf(kernel, 'hwInfoIdr') === 'raw') return bytes;
  const left = bytes.slice();
  const view = new DataView(left.buffer);
  const { offset } = structs.iommu_hw_info_arm_smmuv3.fields.idr;
  for (let at = 0; at < IDRS; at += 1) {
    const value = view.getUint32(offset + at * 4, true);
    view.setUint32(offset + at * 4, sanitised(`IDR${at}`, value, switchOf(kernel, 'idr5DsListed')), true);
  }
  if (switchOf(kernel, 'vhttu')) {
    const words = [view.getUint32(offset, true)];
    registers.byName.IDR0.fields.HTTU.write(words, workingHttu(state, smmu));
    view.setUint32(offset, words[0] ?? 0, true);
  }
  return left;
}

/** As much as fits, and zeros in the rest of the user's buffer. */
function put(call: Call, va: bigint, length: number, bytes: Uint8Array): boolean {
  if (!copyOut(call, va, bytes.subarray(0, length))) return false;
  for (let at = bytes.length; at < length; at += CHUNK_BYTES) {
    const zeros = new Uint8Array(Math.min(CHUNK_BYTES, length - at));
    if (!copyOut(call, va + BigInt(at), zeros)) return false;
  }
  return true;
}

function report({ machine, context }: Call, endpoint: string, hardware: Hardware, info: Report): Result {
  const { state } = machine;
  const capabilities = capabilitiesOf(state, hardware, endpoint);
  const hasPasid = atLeast(releaseOf(kernelOf(state)), '6.15');
  const maxPasidLog2 = hasPasid ? hardware.master.ssidBits : 0;
  machine.emit('kernel', {
    type: 'hwinfo.reported',
    context,
    endpoint,
    smmu: hardware.smmu,
    dataType: info.type,
    words: wordsOf(info.bytes),
    capabilities: BigInt(capabilities),
    maxPasidLog2,
  });
  return {
    out: {
      data_len: info.bytes.length,
      out_data_type: info.type,
      ...(hasPasid ? { out_max_pasid_log2: maxPasidLog2 } : {}),
      ...(atLeast(releaseOf(kernelOf(state)), '6.7') ? { out_capabilities: BigInt(capabilities) } : {}),
    },
  };
}

/** The bits of iommufd_hw_capabilities that hold, of those that the kernel knows. */
function capabilitiesOf(state: State, hardware: Hardware, endpoint: string): number {
  const config = state.endpoints[endpoint]?.config;
  const { master } = hardware;
  const pasid = master.ssidBits > 0;
  const holds: readonly (readonly [MemberName, boolean])[] = [
    ['IOMMU_HW_CAP_DIRTY_TRACKING', tracksDirty(state, hardware)],
    ['IOMMU_HW_CAP_PCI_PASID_EXEC', pasid && config?.pasidExec === true],
    ['IOMMU_HW_CAP_PCI_PASID_PRIV', pasid && config?.pasidPriv === true],
    ['IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED', !master.canAts],
  ];
  const known = holds.filter(([name, held]) => held && hasName(profileOf(state), name));
  return known.reduce((bits, [name]) => bits | members[name][0], 0);
}

function wordsOf(bytes: Uint8Array): readonly number[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Array.from({ length: bytes.length >> 2 }, (_, at) => view.getUint32(at * 4, true));
}
