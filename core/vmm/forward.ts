/** Commands of the guest on their way to the kernel: IOMMU_HWPT_INVALIDATE of a vIOMMU, and what becomes of a refusal. */

import { numbers } from '../kernel/uapi/enums.ts';
import { putWord } from '../layout/words.ts';
import { encodeCommand } from '../smmu/command-layout.ts';
import type { State } from '../state.ts';
import type { Frame, FrameRow } from '../tasks/task.ts';
import { hasQuirk } from '../vm/exits.ts';
import { devicesBehind, virtualSmmuOf, vmOf } from '../vm/vm.ts';
import { answerOf, call } from './call.ts';
import { failed } from './guest-command.ts';
import { policiesOf } from './profiles.ts';

const ENTRY_BYTES = 16;
/** Size of a CMD_ATC_INV of everything (4.5.1). */
const ATC_ALL = 52;

interface AnsweredFrame extends Frame {
  readonly do: 'invalidate.answered';
  readonly vm: string;
  readonly smmu: string;
  readonly asked: number;
}

/** Hands commands to the kernel, as one call. */
export function invalidate(
  state: State,
  vm: string,
  smmu: string,
  commands: readonly Uint32Array[],
): readonly Frame[] {
  if (hasQuirk(state, vm, 'swallow-invalidations')) return [];
  const then: AnsweredFrame = { do: 'invalidate.answered', vm, smmu, asked: commands.length };
  return [callInvalidate(state, vm, smmu, commands, then)];
}

function callInvalidate(
  state: State,
  vm: string,
  smmu: string,
  commands: readonly Uint32Array[],
  then?: Frame,
): Frame {
  const { iommufd } = vmOf(state, vm);
  const fields = {
    hwpt_id: virtualSmmuOf(vmOf(state, vm), smmu).viommu,
    data_type: numbers.IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3,
    entry_len: ENTRY_BYTES,
    entry_num: commands.length,
  };
  return call(vm, iommufd, 'IOMMU_HWPT_INVALIDATE', fields, then, { data_uptr: bytesOf(commands) });
}

function bytesOf(commands: readonly Uint32Array[]): Uint8Array {
  const bytes = new Uint8Array(commands.length * ENTRY_BYTES);
  for (const [index, words] of commands.entries())
    for (const [at, word] of words.entries()) putWord(bytes, index * ENTRY_BYTES + at * 4, word);
  return bytes;
}

export const answeredRow: FrameRow<AnsweredFrame> = {
  run: ({ state }, frame) => {
    const { vm, smmu, asked } = frame;
    const { errno, out } = answerOf(frame);
    if (errno === undefined) return;
    const { failure } = policiesOf(vmOf(state, vm).config);
    const why = `IOMMU_HWPT_INVALIDATE: ${errno}`;
    if (failure === 'invalidate-all')
      return [callInvalidate(state, vm, smmu, [encodeCommand('CMD_TLBI_NSNH_ALL', {})])];
    if (failure === 'ill') return [failed(vm, smmu, why)];
    if (failure === 'resync') return [...resync(state, vm, smmu), failed(vm, smmu, why)];
    // -ENOMEM leaves the count as it was given: that is no success.
    const handled = Number(out['entry_num'] ?? 0);
    return [failed(vm, smmu, why, handled >= asked ? 0 : handled)];
  },
};

/** All of the guest's TLB entries, and the whole ATC of each device that translates with ATS. */
function resync(state: State, vm: string, smmu: string): readonly Frame[] {
  const caching = devicesBehind(vmOf(state, vm), smmu).filter(
    ({ attached, ats, vdevice }) => ats && attached === 'nested' && vdevice !== 0,
  );
  const commands = [
    encodeCommand('CMD_TLBI_NH_ALL', {}),
    ...caching.map(({ boundSid }) => encodeCommand('CMD_ATC_INV', { StreamID: boundSid, Size: ATC_ALL })),
  ];
  return commands.map((command) => callInvalidate(state, vm, smmu, [command]));
}
