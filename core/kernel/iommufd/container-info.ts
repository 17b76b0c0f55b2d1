/**
 * What VFIO_IOMMU_GET_INFO tells of the IOAS of a VFIO container: the struct, and behind it, where there is room,
 * the chain of capabilities: memory that can be mapped, ranges of IOVA. linux: iommufd/vfio_compat.c.
 */
import { geometry } from '../../driver/ops.ts';
import { type Call, copyOut, failed, type Result } from '../ioctl.ts';
import { kernelOf, switchOf } from '../kernel.ts';
import { PAGE_BYTES } from '../process/state.ts';
import { structs } from '../uapi/data-structs.ts';
import { numbers } from '../uapi/enums.ts';
import { encodeStruct } from '../uapi/struct.ts';
import { IOVA_LAST } from './areas.ts';
import { domainOf, EVERYWHERE } from './filling.ts';
import { holes } from './placing.ts';
import type { Ioas } from './state.ts';

const INFO = structs.vfio_iommu_type1_info;
const AVAILABLE = structs.vfio_iommu_type1_info_dma_avail;
const RANGES = structs.vfio_iommu_type1_info_cap_iova_range;
const RANGE_BYTES = 16;
const PAGE = BigInt(PAGE_BYTES);

/** Bytes for the user, at an offset of its struct; written where all of `upTo` is the user's. */
interface Part {
  readonly at: number;
  readonly bytes: Uint8Array;
  readonly upTo: number;
}

/** @param argsz bytes of the user's buffer, at least those of the struct without `cap_offset` */
export function tellInfo(call: Call, ioas: Ioas, argsz: number): Result {
  const align = switchOf(kernelOf(call.machine.state), 'infoCapabilityAlign');
  const second = INFO.bytes + Math.ceil(AVAILABLE.bytes / align) * align;
  const ranges = [...holes(ioas.reserved, undefined, EVERYWHERE)];
  const needed = second + RANGES.bytes + ranges.length * RANGE_BYTES;
  const available = {
    id: 3,
    version: 1,
    next: argsz >= second ? second : 0,
    avail: 0xffff_ffff,
  };
  const parts: Part[] = [
    {
      at: INFO.bytes,
      bytes: encodeStruct(AVAILABLE, available),
      upTo: INFO.bytes + AVAILABLE.bytes,
    },
    ...ranges.map(({ start, last }, index) => {
      const at = second + RANGES.bytes + index * RANGE_BYTES;
      return { at, bytes: new Uint8Array(new BigUint64Array([start, last]).buffer), upTo: at + RANGE_BYTES };
    }),
    {
      at: second,
      bytes: encodeStruct(RANGES, { id: 1, version: 1, nr_iovas: ranges.length }),
      upTo: needed,
    },
    { at: 0, bytes: infoOf(call, ioas, argsz, needed).slice(0, Math.min(argsz, INFO.bytes)), upTo: 0 },
  ];
  const whole = parts.every(
    ({ at, bytes, upTo }) => argsz < upTo || copyOut(call, call.argument + BigInt(at), bytes),
  );
  return whole ? { copy: 'none' } : failed('EFAULT');
}

function infoOf(call: Call, ioas: Ioas, argsz: number, needed: number): Uint8Array {
  return encodeStruct(INFO, {
    argsz: needed,
    flags: numbers.VFIO_IOMMU_INFO_PGSIZES | numbers.VFIO_IOMMU_INFO_CAPS,
    iova_pgsizes: pageSizesOf(call, ioas),
    cap_offset: argsz >= needed ? INFO.bytes : 0,
  });
}

function pageSizesOf(call: Call, ioas: Ioas): bigint {
  let sizes = IOVA_LAST;
  for (const hwpt of ioas.hwpts)
    sizes &= geometry(call.machine.state, domainOf(call.machine, call.context, hwpt)).pageSizes;
  if ((sizes & (PAGE - 1n)) !== 0n) sizes = (sizes & ~(PAGE - 1n)) | PAGE;
  return sizes > BigInt(ioas.alignment) ? sizes : BigInt(ioas.alignment);
}
