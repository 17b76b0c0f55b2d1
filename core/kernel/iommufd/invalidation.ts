/**
 * Invalidation for a guest: whose view of the SMMU its commands are turned by, the work that issues them, and
 * the answer that tells how many were handled.
 */
import { changed } from '../../changed.ts';
import type { Cmd } from '../../driver/commands.ts';
import type { GuestView } from '../../driver/guest-commands.ts';
import { viommuInvalidate, vmidOf } from '../../driver/ops.ts';
import type { InvalidateRules } from '../../driver/viommu.ts';
import type { State } from '../../state.ts';
import type { Frame } from '../../tasks/task.ts';
import type { Answer } from '../call.ts';
import type { Errno } from '../errno.ts';
import type { Call, Result } from '../ioctl.ts';
import { kernelOf, switchOf } from '../kernel.ts';
import { smmuNests } from './device.ts';
import { type EntryArray, readEntries } from './invalidate-entries.ts';
import { objectOf } from './object.ts';
import type { HwptNested, Viommu } from './state.ts';
import { streamsFor } from './virtual-streams.ts';

/** Who the commands are of. */
export interface Target {
  readonly smmu: string;
  readonly view: GuestView;
}

/** The answer after so many entries; it is written back on errors too. */
export function counted(errno: Errno | undefined, entry_num = 0): Answer {
  const out = { entry_num };
  return errno === undefined ? { out, copy: 'always' } : { errno, out, copy: 'always' };
}

/** Where the SMMUv3 driver has the operation for a nested HWPT, as proposals do. */
export function targetOfNested(
  state: State,
  context: number,
  { viommu, parent, smmu }: HwptNested,
): Target | undefined {
  if (!smmuNests(state) || switchOf(kernelOf(state), 'smmuNestedOn') === 'viommu') return undefined;
  if (viommu !== 0) return targetOfViommu(state, objectOf(state, context, viommu, 'viommu'));
  const vmid = vmidOf(state, objectOf(state, context, parent, 'hwpt_paging').domain);
  return { smmu, view: { vmid, streams: streamsFor(state, smmu) } };
}

/** The SMMU, the VMID and the streams of a vIOMMU. */
export function targetOfViommu(state: State, viommu: Viommu): Target {
  const { smmu, vmid } = viommu;
  return { smmu, view: { vmid, streams: streamsFor(state, smmu, viommu) } };
}

/** Reads the array and gives its commands to the driver; `invalidate.done` answers. */
export function invalidate(call: Call, target: Target, array: EntryArray, type: number): Result {
  const entries = readEntries(call, array, type);
  if ('errno' in entries) return counted(entries.errno, entries.handled);
  return changed(counted(undefined), {
    frames: issue(call, target, entries.commands, { form: 'count' }),
  });
}

/** Work that issues commands. @param about what `invalidate.done` finds besides how it ended */
export function issue(
  { machine, id: ioctl }: Call,
  { smmu, view }: Target,
  commands: readonly Cmd[],
  about: Readonly<Record<string, unknown>>,
): readonly Frame[] {
  return viommuInvalidate(machine, smmu, view, commands, rulesOf(machine.state), changed(about, { ioctl }));
}

function rulesOf(state: State): InvalidateRules {
  const kernel = kernelOf(state);
  return {
    batchRule: switchOf(kernel, 'batchRule'),
    strict: switchOf(kernel, 'strictCommandValidation'),
    zeroLength: switchOf(kernel, 'zeroLengthProbe'),
  };
}
