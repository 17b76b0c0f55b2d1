/**
 * Tegra241 CMDQV as far as objects go: virtual interfaces (VINTF) of vIOMMUs, their pairs of StreamIDs and
 * the page that a VM may map. What they write into the unit: `cmdqv-hardware.ts`. linux: tegra241-cmdqv.c.
 */
import { type Cmdqv, cmdqvIn } from '../../cmdqv/param.ts';
import type { State } from '../../state.ts';
import { type Arg, type Call, copyOut, failed, type Result } from '../ioctl.ts';
import { kernelOf, switchOf } from '../kernel.ts';
import { PAGE_BYTES } from '../process/state.ts';
import { structs } from '../uapi/data-structs.ts';
import { constants, numbers } from '../uapi/enums.ts';
import { encodeStruct } from '../uapi/struct.ts';
import { openVintf } from './cmdqv-hardware.ts';
import { objectOf, objectsOf } from './object.ts';
import { contextIn } from './object-handlers.ts';
import type { Context, HwptPaging, Viommu } from './state.ts';
import { allocViommu } from './viommu-object.ts';

const OUT = structs.iommu_viommu_tegra241_cmdqv;
const MMAP_BYTES = constants.TEGRA241_VINTF_MMAP_LENGTH;

/** The CMDQV beside an SMMU; undefined where there is none. */
export function cmdqvOf({ smmus }: State, smmu: string): Cmdqv | undefined {
  return cmdqvIn(smmus[smmu]?.config.choices ?? {});
}

/** Whether there is a CMDQV beside an SMMU. */
export function hasCmdqv(state: State, smmu: string): boolean {
  return cmdqvOf(state, smmu) !== undefined;
}

/** What GET_HW_INFO tells of it. */
export function cmdqvInfo({ version, queuesLog2, sidsLog2 }: Cmdqv): Uint8Array {
  return encodeStruct(structs.iommu_hw_info_tegra241_cmdqv, {
    version,
    log2vcmdqs: queuesLog2,
    log2vsids: sidsLog2,
  });
}

/** A vIOMMU with a virtual interface, whose page 0 the file can be mapped for. */
export function allocCmdqv(call: Call, arg: Arg<'IOMMU_VIOMMU_ALLOC'>, hwpt: HwptPaging): Result {
  const { machine, context } = call;
  if (arg.data_len !== OUT.bytes) return failed('EINVAL');
  const vintf = freeVintf(machine.state, hwpt.smmu);
  if (vintf === undefined) return failed('ENOSPC');
  const mmapOffset = freeOffset(contextIn(machine.state, context));
  const { id, ...made } = allocViommu(call, arg, hwpt, { vintf, mmapOffset });
  if (id === undefined) return made;
  openVintf(machine, objectOf(machine.state, context, id, 'viommu'));
  const out = { out_vintf_mmap_offset: BigInt(mmapOffset), out_vintf_mmap_length: BigInt(MMAP_BYTES) };
  return copyOut(call, arg.data_uptr, encodeStruct(OUT, out)) ? made : failed('EFAULT');
}

/** The lowest interface that no vIOMMU of the SMMU has; 0 is the host's. */
function freeVintf(state: State, smmu: string): number | undefined {
  const taken = new Set<number>();
  for (const context of Object.values(kernelOf(state).contexts))
    for (const viommu of objectsOf(context, 'viommu')) if (viommu.smmu === smmu) taken.add(viommu.vintf);
  const { vintfs } = cmdqvOf(state, smmu) ?? { vintfs: 0 };
  for (let vintf = 1; vintf < vintfs; vintf += 1) if (!taken.has(vintf)) return vintf;
  return undefined;
}

/** Where the next region of the file begins: the lowest room behind the first page, which is never used. */
function freeOffset(context: Context): number {
  const taken = [...objectsOf(context, 'viommu')]
    .map(({ mmapOffset }) => mmapOffset)
    .filter((each) => each !== 0);
  let offset = PAGE_BYTES;
  for (const start of taken.sort((one, other) => one - other)) if (start === offset) offset += MMAP_BYTES;
  return offset;
}

/** What a vDEVICE of such a vIOMMU needs: a short virtual StreamID, one stream, a free pair. */
export function checkCmdqvDevice(
  state: State,
  { smmu, vdevices }: Viommu,
  virtId: bigint,
  single: boolean,
): 'EINVAL' | 'EOPNOTSUPP' | 'ENOSPC' | undefined {
  const kernel = kernelOf(state);
  if (virtId >> BigInt(switchOf(kernel, 'tegraVirtIdBits')) !== 0n) return 'EINVAL';
  if (!single && switchOf(kernel, 'vdeviceOneStream')) return 'EOPNOTSUPP';
  const pairs = 2 ** (cmdqvOf(state, smmu)?.sidsLog2 ?? 0);
  return Object.keys(vdevices).length >= pairs ? 'ENOSPC' : undefined;
}

/** The type of hw_info that asks for it. */
export const CMDQV_INFO = numbers.IOMMU_HW_INFO_TYPE_TEGRA241_CMDQV;
