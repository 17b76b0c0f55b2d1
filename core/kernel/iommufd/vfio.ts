/**
 * Calls of a VFIO device's file: binding it to an iommufd, attaching and detaching. The size field is the
 * first word, as in iommufd; sizes are negotiated otherwise. The numbers are those of the tables of checks in
 * the reference. linux: vfio/device_cdev.c, vfio/iommufd.c.
 */

import { own } from '../../lookup.ts';
import type { Frame, FrameRow } from '../../tasks/task.ts';
import { type Call, copyIn, copyOut, failed, hasUnknown, type Result, setAnswer } from '../ioctl.ts';
import { kernelOf, switchOf } from '../kernel.ts';
import { writeUser } from '../process/memory.ts';
import { hasIoctl, ioctlAt, type Call as Row } from '../profiles.ts';
import type { FileOf } from '../state.ts';
import { constants, numbers } from '../uapi/enums.ts';
import { decodeStruct, type Values } from '../uapi/struct.ts';
import { ioctlStructs } from '../uapi/structs.ts';
import { detachDevice } from './attach.ts';
import { changeAttachment, putHwpt } from './auto-domain.ts';
import { bindDevice, unbindDevice } from './bind.ts';
import { irqProblem, setIrqs } from './msi.ts';

type File = FileOf<'vfio'>;
const structs = {
  bind: ioctlStructs.vfio_device_bind_iommufd,
  attach: ioctlStructs.vfio_device_attach_iommufd_pt,
  detach: ioctlStructs.vfio_device_detach_iommufd_pt,
  irqs: ioctlStructs.vfio_irq_set,
} as const;
const RID = constants.IOMMU_NO_PASID;

/** @param file as it is open; not bound while its context is 0. */
export function vfioIoctl(call: Call, file: File): Result {
  const { profile } = kernelOf(call.machine.state);
  // Before there was a file for each device, its file came by way of the group, where none of these is known.
  if (!hasIoctl(profile, 'VFIO_DEVICE_BIND_IOMMUFD')) return failed('ENOTTY');
  const row = ioctlAt(profile, 'vfio-device', call.code & 0xff);
  const known = row?.code === call.code ? row : undefined;
  if (known?.name === 'VFIO_DEVICE_BIND_IOMMUFD') return bind(call, file, known);
  if (file.device === 0) return failed('EINVAL');
  if (known?.name === 'VFIO_DEVICE_ATTACH_IOMMUFD_PT') return attach(call, file, known);
  if (known?.name === 'VFIO_DEVICE_DETACH_IOMMUFD_PT') return detach(call, file, known);
  if (known?.name === 'VFIO_DEVICE_SET_IRQS') return irqs(call, file, known);
  return failed('ENOTTY');
}

function irqs(call: Call, { context, device }: File, row: Row): Result {
  const struct = read(call, row);
  if (!('data' in struct)) return struct;
  const arg = decodeStruct(structs.irqs, struct.data);
  const errno = irqProblem(arg, row.min);
  return errno === undefined ? setIrqs(call.machine, { context, device }, arg) : failed(errno);
}

/** The struct as far as the user has it and the kernel knows it. */
function read(
  call: Call,
  { min, bytes }: Row,
): { readonly argsz: number; readonly data: Uint8Array } | Result {
  const head = copyIn(call, call.argument, 4);
  if (head === undefined) return failed('EFAULT');
  const argsz = new DataView(head.buffer).getUint32(0, true);
  if (argsz < min) return failed('EINVAL');
  const data = copyIn(call, call.argument, Math.min(argsz, bytes));
  return data === undefined ? failed('EFAULT') : { argsz, data };
}

function bind(call: Call, file: File, row: Row): Result {
  const { machine } = call;
  const kernel = kernelOf(machine.state);
  const struct = read(call, row); // 1
  if (!('data' in struct)) return struct;
  const checksTail = switchOf(kernel, 'bindTail') === 'E2BIG';
  if (checksTail && hasTail(call, row.bytes, struct.argsz)) return failed('E2BIG'); // 2
  const { iommufd, flags } = decodeStruct(structs.bind, struct.data);
  if (iommufd < 0 || hasUnknown(call, 'vfio_device_bind_flags', flags)) return failed('EINVAL'); // 3
  if (file.device !== 0) return failed('EINVAL'); // 6
  if ((flags & numbers.VFIO_DEVICE_BIND_FLAG_TOKEN) !== 0) return failed('EINVAL'); // 7: no device here has tokens
  const target = own(kernel.files, String(iommufd));
  if (target === undefined) return failed('EBADF'); // 8
  if (target.kind !== 'iommufd') return failed('EBADFD');
  const others = Object.values(kernel.files).filter((each) => each.kind === 'vfio' && each.device !== 0);
  if (others.some((each) => each.kind === 'vfio' && each.endpoint === file.endpoint)) return failed('EINVAL'); // 9
  const bound = bindDevice(machine, target.context, file); // 10
  if ('errno' in bound) return failed(bound.errno);
  const at = structs.bind.fields.out_devid.offset;
  if (put(call, at, bound.id)) return { frames: bound.frames }; // 11
  machine.emit('kernel', { type: 'file.changed', fd: file.fd, set: { context: 0, device: 0 } });
  const { context } = target;
  const unbound = unbindDevice(machine, { context, device: bound.id, endpoint: file.endpoint });
  return { errno: 'EFAULT', frames: [...bound.frames, ...unbound] };
}

/** Whether a byte beyond the kernel's struct is not zero, or cannot be read. */
function hasTail(call: Call, from: number, end: number): boolean {
  const CHUNK_BYTES = 0x1_0000;
  for (let at = from; at < end; at += CHUNK_BYTES) {
    const piece = copyIn(call, call.argument + BigInt(at), Math.min(CHUNK_BYTES, end - at));
    if (piece === undefined || piece.some((byte) => byte !== 0)) return true;
  }
  return false;
}

function put(call: Call, offset: number, value: number): boolean {
  return copyOut(call, call.argument + BigInt(offset), wordOf(value));
}

function wordOf(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, true);
  return bytes;
}

type WithPasid = Values<typeof structs.attach> | Values<typeof structs.detach>;

/** The PASID that is meant, or that the struct is too short to name it. */
function pasidOf(
  { flags, pasid }: WithPasid,
  flag: number,
  argsz: number,
  bytes: number,
): number | undefined {
  if ((flags & flag) === 0) return RID;
  return argsz < bytes ? undefined : pasid;
}

function attach(call: Call, { context, device }: File, row: Row): Result {
  const { machine, id: ioctl, process, argument } = call;
  const struct = read(call, row); // 1
  if (!('data' in struct)) return struct;
  const arg = decodeStruct(structs.attach, struct.data);
  if (hasUnknown(call, 'vfio_device_attach_flags', arg.flags)) return failed('EINVAL');
  const pasid = pasidOf(arg, numbers.VFIO_DEVICE_ATTACH_PASID, struct.argsz, structs.attach.bytes); // 3
  if (pasid === undefined) return failed('EINVAL');
  const done = changeAttachment(machine, { context, device }, arg.pt_id, pasid); // 4, 5
  if ('errno' in done) return done;
  const at = argument + BigInt(structs.attach.fields.pt_id.offset);
  const reply = { do: 'vfio.attached', ioctl, process, at, hwpt: done.id, context, device };
  return { frames: [...done.frames, reply] };
}

export interface AttachedFrame extends Frame {
  readonly do: 'vfio.attached';
  readonly ioctl: number;
  readonly process: string;
  /** Where pt_id is. */
  readonly at: bigint;
  readonly hwpt: number;
  readonly context: number;
  readonly device: number;
}

/** 6. pt_id is written back; where it cannot be, the RID is detached, whatever was attached. */
export const attachedRow: FrameRow<AttachedFrame> = {
  run: (machine, { ioctl, process, at, hwpt, context, device }) => {
    if (writeUser(machine, 'kernel', process, at, wordOf(hwpt))) return [];
    setAnswer(machine, ioctl, { errno: 'EFAULT' });
    const { frames, old } = detachDevice(machine, { context, device }, RID);
    return [...frames, ...(old === undefined ? [] : putHwpt(machine, context, old))];
  },
};

function detach(call: Call, { context, device }: File, row: Row): Result {
  const { machine } = call;
  const struct = read(call, row);
  if (!('data' in struct)) return struct;
  const arg = decodeStruct(structs.detach, struct.data);
  if (hasUnknown(call, 'vfio_device_detach_flags', arg.flags)) return failed('EINVAL');
  const pasid = pasidOf(arg, numbers.VFIO_DEVICE_DETACH_PASID, struct.argsz, structs.detach.bytes);
  if (pasid === undefined) return failed('EINVAL');
  const { frames, old } = detachDevice(machine, { context, device }, pasid);
  return { frames: [...frames, ...(old === undefined ? [] : putHwpt(machine, context, old))] };
}
