/**
 * Command queues of a guest that the kernel works off itself, as proposed in March 2023 and never merged: a page in
 * the guest's memory holds PROD, CONS and the errors, the commands stand behind it, and a doorbell wakes a worker.
 * It reads as a copy, lets through what HWPT_INVALIDATE does, puts VMID and StreamIDs in, and moves CONS when the
 * physical CMD_SYNC is complete. What the mails leave open is derived: the page is that of a Tegra241 queue.
 */
import { CMDQ_ERR, ERR_SHIFT, offsetOf, POINTER, type QueueRegister } from '../../cmdqv/registers.ts';
import { type Cmd, fieldsOf } from '../../driver/commands.ts';
import { convertCommand } from '../../driver/guest-commands.ts';
import { viommuInvalidate } from '../../driver/ops.ts';
import { driverOf, tell } from '../../driver/port.ts';
import type { DoneFrame } from '../../driver/viommu.ts';
import { own } from '../../lookup.ts';
import type { Context as Machine } from '../../machine.ts';
import { type CerrorName, cerrors } from '../../smmu/codes.ts';
import { commandByOpcode } from '../../smmu/command-layout.ts';
import type { State } from '../../state.ts';
import type { Frame, FrameRow } from '../../tasks/task.ts';
import { type Arg, type Call, contextOf, failed, make, type Result } from '../ioctl.ts';
import { kernelOf, switchOf } from '../kernel.ts';
import { readUser, writeUser } from '../process/memory.ts';
import { PAGE_BYTES } from '../process/state.ts';
import { numbers } from '../uapi/enums.ts';
import { areaBelow, areasOf } from './areas.ts';
import { commandOf } from './invalidate-entries.ts';
import { targetOfViommu } from './invalidation.ts';
import { change, find, objectOf, objectsOf, refer } from './object.ts';
import { contextIn } from './object-handlers.ts';
import type { Area, HwQueue, Viommu } from './state.ts';
import { report } from './veventq.ts';

/** Type of IOMMU_HW_QUEUE_ALLOC; no release has it. */
export const SOFTWARE_QUEUE = 0x8000_0000;
const ENTRY_BYTES = 16;
const SIZE_LOG2_MAX = 19;

/** The queue's page and entries are `length` bytes from `nesting_parent_iova` on. */
export function allocSoftwareQueue(call: Call, arg: Arg<'IOMMU_HW_QUEUE_ALLOC'>): Result {
  const { machine, context } = call;
  const { index, nesting_parent_iova: iova, length, viommu_id } = arg;
  const viommu = find(contextOf(call), viommu_id, 'viommu');
  if (viommu === undefined) return failed('ENOENT');
  if (viommu.type !== numbers.IOMMU_VIOMMU_TYPE_ARM_SMMUV3) return failed('EOPNOTSUPP');
  const entries = Number(length - BigInt(PAGE_BYTES)) / ENTRY_BYTES;
  const sizeLog2 = Math.log2(entries);
  if (!Number.isInteger(sizeLog2) || sizeLog2 < 1 || sizeLog2 > SIZE_LOG2_MAX) return failed('EINVAL');
  if (iova % BigInt(PAGE_BYTES) !== 0n) return failed('EINVAL');
  for (const { viommu: owner, index: taken } of objectsOf(contextOf(call), 'hw_queue'))
    if (owner === viommu.id && taken === index) return failed('EEXIST');
  const made = { viommu: viommu.id, access: 0, index, pa: 0, bytes: Number(length), iova, below: 0 } as const;
  const id = make(call, { kind: 'hw_queue', ...made, software: { cons: 0 } });
  if (id === undefined) return failed('ENOMEM');
  refer(machine, context, viommu.id, 1);
  // STATUS is last: the guest uses the queue as soon as it stands there, and of a queue that is not made nobody takes.
  const place: Place = { context, viommu: viommu.id, iova };
  for (const [register, value] of [
    ['CONS', 0],
    ['GERROR', 0],
    ['GERRORN', 0],
    ['STATUS', 1],
  ] as const)
    if (!storeRegister(machine, place, register, value)) return failed('EFAULT');
  return { out: { out_hw_queue_id: id } };
}

/** The guest sees that nobody works the queue off any more. */
export function closeSoftwareQueue(machine: Machine, context: number, { viommu, iova }: HwQueue): void {
  storeRegister(machine, { context, viommu, iova }, 'STATUS', 0);
}

interface Place {
  readonly context: number;
  readonly viommu: number;
  readonly iova: bigint;
}

/** The area of the nesting parent's IOAS that holds all of a range. Memory of files is not read. */
function areaOf(
  state: State,
  { context, viommu }: Pick<Place, 'context' | 'viommu'>,
  iova: bigint,
  bytes: number,
) {
  const held = contextIn(state, context);
  const parent = objectOf(state, context, objectOf(state, context, viommu, 'viommu').hwpt, 'hwpt_paging');
  const area = areaBelow(areasOf(held, objectOf(state, context, parent.ioas, 'ioas')), iova);
  if (area === undefined || area.last < iova + BigInt(bytes) - 1n || !('process' in area.source)) return;
  return { process: area.source.process, va: addressIn(area, iova), writeable: area.writeable };
}

function addressIn({ iova: first, address }: Area, iova: bigint): bigint {
  return BigInt(address) + iova - first;
}

function load(state: State, place: Place, at: bigint, bytes: number): Uint8Array | undefined {
  const found = areaOf(state, place, at, bytes);
  return found && readUser(state, found.process, found.va, bytes);
}

function loadRegister(state: State, place: Place, register: QueueRegister): number | undefined {
  const bytes = load(state, place, place.iova + BigInt(offsetOf(register)), 4);
  return bytes && new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
}

function storeRegister(machine: Machine, place: Place, register: QueueRegister, value: number): boolean {
  const found = areaOf(machine.state, place, place.iova + BigInt(offsetOf(register)), 4);
  if (found === undefined || !found.writeable) return false;
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value >>> 0, true);
  return writeUser(machine, 'kernel', found.process, found.va, bytes);
}

export interface WorkFrame extends Frame {
  readonly do: 'vcmdq.work';
  readonly context: number;
  readonly object: number;
}

function queueOf(state: State, { context, object }: Pick<WorkFrame, 'context' | 'object'>) {
  const held = own(kernelOf(state).contexts, String(context));
  return held && find(held, object, 'hw_queue');
}

/** One batch: the commands from CONS up to a CMD_SYNC, PROD, or the first that is refused. */
export const workRow: FrameRow<WorkFrame> = {
  run: (machine, frame) => {
    const { state } = machine;
    const queue = queueOf(state, frame);
    if (queue?.software === undefined) return undefined;
    const place: Place = { context: frame.context, viommu: queue.viommu, iova: queue.iova };
    const [prod, gerror, gerrorn] = (['PROD', 'GERROR', 'GERRORN'] as const).map((register) =>
      loadRegister(state, place, register),
    );
    if (prod === undefined || gerror === undefined || gerrorn === undefined) return undefined;
    if (((gerror ^ gerrorn) & CMDQ_ERR) !== 0) return undefined;
    const { cons } = queue.software;
    const span = ((queue.bytes - PAGE_BYTES) / ENTRY_BYTES) * 2;
    const waiting = ((prod & POINTER) - cons + span) % span;
    if (waiting === 0 || waiting > span / 2) return undefined;
    return takeBatch(machine, frame, queue, { cons, span, waiting });
  },
};

interface Batch {
  readonly cons: number;
  /** Values of a pointer. */
  readonly span: number;
  readonly waiting: number;
}

function takeBatch(machine: Machine, frame: WorkFrame, queue: HwQueue, { cons, span, waiting }: Batch) {
  const { state } = machine;
  const { context, object } = frame;
  const viommu = objectOf(state, context, queue.viommu, 'viommu');
  const { smmu, view } = targetOfViommu(state, viommu);
  const { features } = driverOf(state, smmu);
  if (features === undefined) return undefined;
  const strict = switchOf(kernelOf(state), 'strictCommandValidation');
  const place: Place = { context, viommu: viommu.id, iova: queue.iova };
  const good: Cmd[] = [];
  let error: CerrorName | undefined;
  let taken = 0;
  for (let ended = false; taken < waiting && !ended; ) {
    const slot = BigInt(((cons + taken) % (span / 2)) * ENTRY_BYTES);
    const bytes = load(state, place, queue.iova + BigInt(PAGE_BYTES) + slot, ENTRY_BYTES);
    const command = bytes && commandOf(bytes);
    ended = command !== undefined && isPlainSync(command);
    if (command === undefined) error = 'CERROR_ABT';
    else if (!ended && convertCommand(command, view, features, strict) === undefined) error = 'CERROR_ILL';
    if (error !== undefined) break;
    if (command !== undefined && !ended) good.push(command);
    taken += 1;
  }
  const next = (cons + taken) % span;
  const keep = switchOf(kernelOf(state), 'softwareQueueTags') === 'guest';
  const early = switchOf(kernelOf(state), 'softwareQueueCons') === 'early';
  if (early) moveCons(machine, { context, object }, next);
  const about = { form: 'worker', context, object, cons: next, ...(error === undefined ? {} : { error }) };
  if (good.length === 0) return [{ do: 'invalidate.done', ...about, handled: 0 }];
  const asGuest = keep ? { ...view, vmid: vmidIn(good) } : view;
  const rules = { batchRule: 'validate-first', strict, zeroLength: 'accepted' } as const;
  return viommuInvalidate(machine, smmu, asGuest, good, rules, about);
}

/** The VMID that the guest itself put there: what a worker that forgets to replace it would use. */
function vmidIn([first]: readonly Cmd[]): number {
  return first === undefined ? 0 : Number((first[0] >> 32n) & 0xffffn);
}

/** A CMD_SYNC that tells of itself by CONS alone; others a guest's queue does not take. */
function isPlainSync(command: Cmd): boolean {
  if (commandByOpcode(Number(command[0] & 0xffn))?.name !== 'CMD_SYNC') return false;
  return fieldsOf(command, 'CMD_SYNC').CS === 'SIG_NONE';
}

export interface WorkerFrame extends DoneFrame {
  readonly form: 'worker';
  readonly context: number;
  readonly object: number;
  readonly cons: number;
  readonly error?: CerrorName;
}

/** The physical CMD_SYNC is complete: CONS moves, and stops where something was wrong. */
export function endBatch(machine: Machine, frame: WorkerFrame): readonly Frame[] | undefined {
  const { context, object, cons, errno } = frame;
  const queue = queueOf(machine.state, frame);
  if (queue === undefined) return undefined;
  // What timed out in the host's queue was an invalidation of this guest: its queue stops behind it.
  const error = errno === undefined ? frame.error : 'CERROR_ATC_INV_SYNC';
  moveCons(machine, frame, cons);
  if (error !== undefined) stop(machine, frame, queue, error);
  return error === undefined ? [{ do: 'vcmdq.work', context, object, pause: true }] : undefined;
}

function moveCons(
  machine: Machine,
  { context, object }: Pick<WorkFrame, 'context' | 'object'>,
  cons: number,
): void {
  const queue = queueOf(machine.state, { context, object });
  if (queue === undefined) return;
  change(machine, context, queue, { software: { cons } });
  storeRegister(machine, { context, viommu: queue.viommu, iova: queue.iova }, 'CONS', cons);
}

/** CONS.ERR, then GERROR, then the event; until GERRORN follows GERROR the queue stands still. */
function stop(machine: Machine, { context, cons }: WorkerFrame, queue: HwQueue, error: CerrorName): void {
  const { viommu: id, iova, index } = queue;
  const place: Place = { context, viommu: id, iova };
  const { smmu }: Viommu = objectOf(machine.state, context, id, 'viommu');
  tell(machine, driverOf(machine.state, smmu), 'guest queue stopped', `${error} at ${cons}`);
  storeRegister(machine, place, 'CONS', (cons | (cerrors[error] << ERR_SHIFT)) >>> 0);
  const gerror = loadRegister(machine.state, place, 'GERROR') ?? 0;
  storeRegister(machine, place, 'GERROR', gerror ^ CMDQ_ERR);
  const type = numbers.IOMMU_VEVENTQ_TYPE_TEGRA241_CMDQV;
  report(machine, { context, viommu: id, type }, [1n << BigInt(index), 0n]);
}
