/**
 * Invalidation by handing over the guest's Command queue, as proposed in 2023: user space keeps PROD and
 * CONS, the kernel reads the entries between them, puts its own VMID and StreamIDs in, and moves CONS. A
 * command it does not forward is passed over; one whose StreamID is unknown leaves CERROR_ILL in CONS, and the
 * call succeeds. Sources: mails `rawCommands`, `guestQueue`, `readQueue`, `devData`; what they leave open is
 * derived.
 */

import { assert } from '../../../assert.ts';
import type { Cmd } from '../../../driver/commands.ts';
import { convertCommand } from '../../../driver/guest-commands.ts';
import type { DoneFrame } from '../../../driver/viommu.ts';
import type { Context as Machine } from '../../../machine.ts';
import { cerrors } from '../../../smmu/codes.ts';
import { type CommandName, commandByOpcode } from '../../../smmu/command-layout.ts';
import { type Call, contextOf, copyIn, failed, type Result, setAnswer } from '../../ioctl.ts';
import { kernelOf, switchOf } from '../../kernel.ts';
import { writeUser } from '../../process/memory.ts';
import { proposedStructs } from '../../uapi/proposed-structs.ts';
import { decodeStruct, type Values } from '../../uapi/struct.ts';
import { commandOf } from '../invalidate-entries.ts';
import { issue, type Target, targetOfNested } from '../invalidation.ts';
import { find } from '../object.ts';

type Asked = Values<(typeof proposedStructs)['iommu_hwpt_invalidate 2023-05']>;
const QUEUE = proposedStructs.iommu_hwpt_invalidate_arm_smmuv3;
type Queue = Values<typeof QUEUE>;

const ENTRY_BYTES = 16;
/** SMMU_IDR1.CMDQS is 19 at most (IHI 0070 6.3.2). */
const LOG2_MAX = 19;
/** CMDQ_CONS: the pointer with its wrap bit, and ERR[30:24] (6.3.28). */
const POINTER_BITS = 0xf_ffff;
const ERR_SHIFT = 24;

/** Commands that name a stream. */
const ofStreams: ReadonlySet<CommandName> = new Set(['CMD_ATC_INV', 'CMD_CFGI_CD', 'CMD_CFGI_CD_ALL']);

/** Whether a struct is that of the proposal. */
export function isGuestQueue(arg: object): arg is Asked {
  return 'hwpt_id' in arg && 'data_len' in arg;
}

/** Takes the queue as far as it is good; `answerInQueue` moves CONS. */
export function handOverQueue(call: Call, arg: Asked): Result {
  if (arg.__reserved !== 0) return failed('EOPNOTSUPP');
  const hwpt = find(contextOf(call), arg.hwpt_id, 'hwpt_nested');
  if (hwpt === undefined) return failed('ENOENT');
  const target = targetOfNested(call.machine.state, call.context, hwpt);
  if (target === undefined) return failed('EOPNOTSUPP');
  if (arg.data_len !== QUEUE.bytes) return failed('EINVAL');
  const bytes = copyIn(call, arg.data_uptr, QUEUE.bytes);
  if (bytes === undefined) return failed('EFAULT');
  const queue = decodeStruct(QUEUE, bytes);
  if (queue.cmdq_entry_size !== ENTRY_BYTES || queue.cmdq_log2size > LOG2_MAX) return failed('EINVAL');
  const cons = copyIn(call, queue.cmdq_cons_uptr, 4);
  if (cons === undefined) return failed('EFAULT');
  const from = new DataView(cons.buffer).getUint32(0, true) & POINTER_BITS;
  return consume(call, target, queue, from);
}

/** Commands from CONS to PROD, up to the first bad one. */
function consume(call: Call, target: Target, queue: Queue, from: number): Result {
  const span = 2 ** (queue.cmdq_log2size + 1);
  const features = call.machine.state.drivers[target.smmu]?.features;
  assert(features !== undefined, `driver ${target.smmu} has been probed`);
  const count = (queue.cmdq_prod - from + span * 2) % span;
  if (from >= span || queue.cmdq_prod >= span || count > span / 2) return failed('EINVAL');
  const skips = switchOf(kernelOf(call.machine.state), 'unknownCommand') === 'skipped';
  const good: Cmd[] = [];
  let at = 0;
  let bad = false;
  for (; at < count && !bad; at += bad ? 0 : 1) {
    const slot = (from + at) % (span / 2);
    const bytes = copyIn(call, queue.cmdq_uptr + BigInt(slot * ENTRY_BYTES), ENTRY_BYTES);
    if (bytes === undefined) return failed('EFAULT');
    const command = commandOf(bytes);
    const converted = convertCommand(command, target.view, features, false);
    if (converted !== undefined) good.push(command);
    else bad = isOfStream(command) || !skips;
  }
  const cons = ((from + at) % span) | (bad ? cerrors.CERROR_ILL << ERR_SHIFT : 0);
  const end = { form: 'queue', consVa: queue.cmdq_cons_uptr, cons, process: call.process } as const;
  if (good.length === 0) return storeCons(call.machine, end) ? {} : failed('EFAULT');
  return { frames: issue(call, target, good, end) };
}

function isOfStream([lo]: Cmd): boolean {
  const name = commandByOpcode(Number(lo & 0xffn))?.name;
  return name !== undefined && ofStreams.has(name);
}

interface End {
  readonly consVa: bigint;
  readonly cons: number;
  readonly process: string;
}

export interface QueueFrame extends DoneFrame, End {
  readonly form: 'queue';
  readonly ioctl: number;
}

/** CONS moves when all is done; a time-out leaves it where it was. */
export function answerInQueue(machine: Machine, { ioctl, errno, ...end }: QueueFrame): void {
  if (errno !== undefined) setAnswer(machine, ioctl, { errno });
  else if (!storeCons(machine, end)) setAnswer(machine, ioctl, { errno: 'EFAULT' });
}

function storeCons(machine: Machine, { consVa, cons, process }: End): boolean {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, cons, true);
  return writeUser(machine, 'kernel', process, consVa, bytes);
}
