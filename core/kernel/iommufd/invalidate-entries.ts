/**
 * Arrays of invalidation commands in user memory. linux: iommufd.h, iommu_copy_struct_from_full_user_array;
 * arm-smmu-v3-iommufd.c, arm_vsmmu_cache_invalidate.
 */
import type { Cmd } from '../../driver/commands.ts';
import type { Errno } from '../errno.ts';
import { type Call, copyIn } from '../ioctl.ts';
import { allocates, kernelOf, switchOf } from '../kernel.ts';
import { structs } from '../uapi/data-structs.ts';
import { decodeStruct } from '../uapi/struct.ts';

const COMMAND = structs.iommu_viommu_arm_smmuv3_invalidate;
/** Largest array of kmalloc with pages of 4 KiB; a kernel that caps the count takes all that the cap allows. */
const KMALLOC_MAX = 2 ** 22;
/** Bytes of a tail that are looked at in one go. */
const CHUNK_BYTES = 0x1_0000;

export interface EntryArray {
  readonly type: number;
  readonly va: bigint;
  /** Bytes of an entry as user space has it. */
  readonly length: number;
  readonly count: number;
}

/** `handled`: what the count becomes. */
export type Entries =
  | { readonly commands: readonly Cmd[] }
  | { readonly errno: Errno; readonly handled: number };

const refused = (errno: Errno): Entries => ({ errno, handled: 0 });

/** The commands of an array whose type is that of the driver. */
export function readEntries(call: Call, array: EntryArray, type: number): Entries {
  const { machine } = call;
  const capped = switchOf(kernelOf(machine.state), 'entryCaps');
  const tooLarge = !capped && array.count * COMMAND.bytes > KMALLOC_MAX;
  // The count stays what it was: as if all had been handled.
  if (tooLarge || !allocates(machine, 'commands')) return { errno: 'ENOMEM', handled: array.count };
  if (array.type !== type) return refused('EINVAL');
  if (array.count === 0) return { commands: [] };
  if (array.length === COMMAND.bytes) return readBulk(call, array);
  const commands: Cmd[] = [];
  for (let at = 0; at < array.count; at += 1) {
    const entry = readEntry(call, array.va + BigInt(at) * BigInt(array.length), array.length);
    if (typeof entry === 'string') return refused(entry);
    commands.push(entry);
  }
  return { commands };
}

function readBulk(call: Call, { va, count }: EntryArray): Entries {
  const bytes = copyIn(call, va, count * COMMAND.bytes);
  if (bytes === undefined) return refused('EFAULT');
  const at = (index: number): Cmd =>
    commandOf(bytes.subarray(index * COMMAND.bytes, (index + 1) * COMMAND.bytes));
  return { commands: Array.from({ length: count }, (_, index) => at(index)) };
}

/** A shorter entry reads as zero behind its end; a longer one must be zero there. */
function readEntry(call: Call, va: bigint, length: number): Cmd | Errno {
  for (let from = COMMAND.bytes; from < length; from += CHUNK_BYTES) {
    const tail = copyIn(call, va + BigInt(from), Math.min(CHUNK_BYTES, length - from));
    if (tail === undefined) return 'EFAULT';
    if (tail.some((byte) => byte !== 0)) return 'E2BIG';
  }
  const bytes = copyIn(call, va, Math.min(length, COMMAND.bytes));
  return bytes === undefined ? 'EFAULT' : commandOf(bytes);
}

/** A command from its 16 bytes; missing ones are zero. */
export function commandOf(bytes: Uint8Array): Cmd {
  const [lo = 0n, hi = 0n] = decodeStruct(COMMAND, bytes).cmd;
  return [lo, hi];
}
