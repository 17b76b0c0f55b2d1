/**
 * Events of assigned devices: the VMM reads the vEVENTQ of its vIOMMU, record by record, and the emulated SMMU
 * raises each as its own. A gap in the sequence numbers, or the mark for lost ones, is a line in its log; whether it
 * is an overflow of the guest's queue too goes by the VMM.
 */
import { type FileKindRow, fileKind } from '../kernel/files.ts';
import { hasVevents } from '../kernel/iommufd/veventq.ts';
import { kernelOf } from '../kernel/kernel.ts';
import type { FileKind, FileOf } from '../kernel/state.ts';
import { structs } from '../kernel/uapi/data-structs.ts';
import { numbers } from '../kernel/uapi/enums.ts';
import { decodeStruct } from '../kernel/uapi/struct.ts';
import type { Context } from '../machine.ts';
import { eventRecordByNumber } from '../smmu/event-record.ts';
import { markOverflow } from '../smmu/eventq.ts';
import { reg } from '../smmu/regs.ts';
import type { State } from '../state.ts';
import type { Frame, FrameRow } from '../tasks/task.ts';
import { vmmTells } from '../vm/exits.ts';
import { vmmUnit } from '../vm/state.ts';
import { emulatedSmmu, findVm, virtualSmmuOf, vmOf } from '../vm/vm.ts';
import { answerOf, call } from './call.ts';
import { policiesOf } from './profiles.ts';

/** Makes the vEVENTQ, as deep as the guest's Event queue, where there is none yet. */
export function openEventQueue(state: State, vm: string, smmu: string): readonly Frame[] {
  const owner = vmOf(state, vm);
  const { viommu, veventq } = virtualSmmuOf(owner, smmu);
  if (viommu === 0 || veventq !== 0) return [];
  const { veventq: when } = policiesOf(owner.config);
  const guests = 2 ** (reg(emulatedSmmu(state, smmu), 'EVENTQ_BASE') & 0x1f);
  const depth = when === 'eventqen' ? guests : Number(when.slice('depth-'.length));
  const fields = { viommu_id: viommu, type: numbers.IOMMU_VEVENTQ_TYPE_ARM_SMMUV3, veventq_depth: depth };
  const then = { do: 'veventq.made', vm, smmu };
  return [call(vm, owner.iommufd, 'IOMMU_VEVENTQ_ALLOC', fields, then)];
}

interface OfSmmu extends Frame {
  readonly vm: string;
  readonly smmu: string;
}

export const veventqMadeRow: FrameRow<OfSmmu> = {
  run: ({ emit }, frame) => {
    const { errno, out } = answerOf(frame);
    if (errno !== undefined) return;
    const set = { veventq: Number(out['out_veventq_id']), veventFd: Number(out['out_veventq_fd']) };
    emit(frame.vm, { type: 'vsmmu.changed', vm: frame.vm, smmu: frame.smmu, set });
  },
};

export interface PendingPoll {
  readonly unit: string;
  readonly frame: Frame;
}

/** VMMs whose vEVENTQ has something to read. */
export function pendingPolls(state: State): readonly PendingPoll[] {
  const found: PendingPoll[] = [];
  const look = (vm: string, smmu: string, fd: number, frame: string): void => {
    if (isReadable(state, fd)) found.push({ unit: vmmUnit(vm), frame: { do: frame, vm, smmu } });
  };
  for (const name in state.vms) {
    const smmus = state.vms[name]?.smmus;
    for (const key in smmus) {
      const smmu = smmus[key];
      if (smmu === undefined) continue;
      look(name, smmu.name, smmu.veventFd, 'vevents.read');
      look(name, smmu.name, smmu.secondEventFd ?? -1, 'second.read');
    }
  }
  return found;
}

/** Whether any VM waits for events; costs nothing where there are no VMs. */
export function hasPolls({ vms }: State): boolean {
  for (const _ in vms) return true;
  return false;
}

function isReadable(state: State, fd: number): boolean {
  if (fd < 0) return false;
  const file = state.kernel?.files[fd];
  return file?.kind === 'veventq' && hasVevents(state, file.context, file.object);
}

const HEADER = structs.iommufd_vevent_header;
const RECORD_BYTES = 32;

/** Reads one record; the rest is for turns to come. */
export const readRow: FrameRow<OfSmmu> = {
  run: (context, { vm, smmu }) => {
    const owner = findVm(context.state, vm);
    if (owner === undefined) return;
    const { veventFd, veventSeen } = virtualSmmuOf(owner, smmu);
    const data = readFile(context, veventFd);
    if (data === undefined || data.length < HEADER.bytes) return;
    const { flags, sequence } = decodeStruct(HEADER, data.slice(0, HEADER.bytes));
    const full = flags === numbers.IOMMU_VEVENTQ_FLAG_LOST_EVENTS;
    const gap = veventSeen >= 0 && sequence !== veventSeen + 1;
    if (full) vmmTells(context, vm, 'vEVENTQ overflowed', smmu);
    else if (gap) vmmTells(context, vm, 'vEVENTs lost', `${sequence - veventSeen - 1}`);
    if ((full || gap) && policiesOf(owner.config).eventLoss === 'ovflg') {
      const emulated = emulatedSmmu(context.state, smmu);
      markOverflow(context, emulated, reg(emulated, 'EVENTQ_PROD'), reg(emulated, 'EVENTQ_CONS'));
    }
    context.emit(vm, { type: 'vsmmu.changed', vm, smmu, set: { veventSeen: sequence } });
    if (data.length >= HEADER.bytes + RECORD_BYTES) raiseRecord(context, smmu, data.slice(HEADER.bytes));
  },
};

/** One record of a vEVENTQ's file, with its header. */
export function readFile(context: Context, fd: number): Uint8Array | undefined {
  const file = kernelOf(context.state).files[fd];
  if (file?.kind !== 'veventq') return undefined;
  const { read } = fileKind(file.kind) as FileKindRow<FileKind>;
  return read?.(context, file as FileOf<FileKind>, HEADER.bytes + RECORD_BYTES).data;
}

/** The record as it came, with the StreamID that the guest knows. */
function raiseRecord({ emit }: Context, smmu: string, words: Uint8Array): void {
  const view = new DataView(words.buffer, words.byteOffset, words.byteLength);
  const number = view.getUint8(0);
  const record = eventRecordByNumber(number)?.name ?? `event 0x${number.toString(16)}`;
  emit(smmu, { type: 'record.raised', smmu, record, streamId: view.getUint32(4, true), words });
}
