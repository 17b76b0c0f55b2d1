/**
 * The strategy `tlbi-on-map` (RFC of August 2017): the guest's driver invalidates what it maps too, and at each
 * invalidation the VMM unmaps the range from the IOAS of every device behind the SMMU, reads the guest's tables,
 * and maps what it finds there. Invalidations of all are a replay of all. There is no filter by ASID: a range of
 * one domain is unmapped and mapped again in all others, with a window between.
 */
import { MASK_COMMAND } from '../driver/map-command.ts';
import type { Context } from '../machine.ts';
import type { CommandName } from '../smmu/command-layout.ts';
import { findCd, findSte } from '../smmu/configuration.ts';
import { enabled } from '../smmu/regs.ts';
import { stage1Of } from '../smmu/stage1.ts';
import type { SmmuState } from '../smmu/state.ts';
import type { WalkContext } from '../smmu/walker.ts';
import type { State } from '../state.ts';
import type { Frame, FrameRow } from '../tasks/task.ts';
import { deviceOf, devicesBehind, emulatedSmmu, findVm, isServed, vmmAddress, vmOf } from '../vm/vm.ts';
import { answerOf, call } from './call.ts';
import type { Before, GuestCommand } from './guest-command.ts';
import { leavesIn } from './guest-table.ts';
import type { Strategy } from './strategies.ts';

/** All that a device can address: what a replay unmaps. */
const EVERYTHING = 2 ** 48;
const PAGE = 0x1000;
/** IOMMU_IOAS_MAP_FIXED_IOVA and READABLE, and WRITEABLE. */
const READ = 5;
const WRITE = 2;

/** Commands after which all of a table is read again. */
const REPLAYS: ReadonlySet<CommandName> = new Set([
  'CMD_TLBI_NH_ASID',
  'CMD_TLBI_NH_ALL',
  'CMD_TLBI_NSNH_ALL',
  'CMD_CFGI_STE',
  'CMD_CFGI_STE_RANGE',
]);

export const shadowStrategy: Strategy = {
  device: 'assigned',
  plug: (vm, endpoint) => [{ do: 'shadow.plug', vm, endpoint }],
  before: beforeCommands,
};

function beforeCommands(
  state: State,
  vm: string,
  smmu: SmmuState,
  [first]: readonly GuestCommand[],
): Before | undefined {
  if (first === undefined) return undefined;
  const range = rangeOf(first);
  if (range === undefined) return undefined;
  const { name } = smmu.config;
  const work = devicesBehind(vmOf(state, vm), name)
    .filter(isServed)
    .map(({ endpoint }) => ({ do: 'shadow.renew', vm, smmu: name, endpoint, ...range }));
  return { count: 1, work, ...(range.invented ? { passOver: true } : {}) };
}

interface Range {
  readonly from: number;
  readonly to: number;
  /** The RFC's own command. */
  readonly invented: boolean;
}

/** What a command makes the VMM read again. */
function rangeOf({ name, words }: GuestCommand): Range | undefined {
  const [low = 0, high = 0, third = 0, fourth = 0] = words;
  const address = fourth * 2 ** 32 + ((third & 0xffff_f000) >>> 0);
  if ((low & 0xff) === MASK_COMMAND.opcode)
    return { from: address, to: address + (high & 0xffff) * PAGE, invented: true };
  if (name === 'CMD_TLBI_NH_VA' || name === 'CMD_TLBI_NH_VAA')
    return { from: address, to: address + PAGE, invented: false };
  return name !== undefined && REPLAYS.has(name) ? { from: 0, to: EVERYTHING, invented: false } : undefined;
}

interface ShadowFrame extends Frame {
  readonly vm: string;
  readonly smmu: string;
  readonly endpoint: string;
  readonly from: number;
  readonly to: number;
}

/** First the range goes. */
export const renewRow: FrameRow<ShadowFrame> = {
  run: ({ state }, frame) => {
    const owner = findVm(state, frame.vm);
    if (owner === undefined) return;
    const { ioas } = deviceOf(owner, frame.endpoint);
    const fields = { ioas_id: ioas, iova: BigInt(frame.from), length: BigInt(frame.to - frame.from) };
    return [call(frame.vm, owner.iommufd, 'IOMMU_IOAS_UNMAP', fields), { ...frame, do: 'shadow.fill' }];
  },
};

/** Then what the guest's tables have there is mapped, leaf by leaf. */
export const fillRow: FrameRow<ShadowFrame> = {
  run: (context, frame) => {
    const { vm, smmu, endpoint, from, to } = frame;
    const owner = findVm(context.state, vm);
    const walk = owner && tableOf(context, smmu, deviceOf(owner, endpoint).streamId);
    if (owner === undefined || walk === undefined) return;
    const { ioas } = deviceOf(owner, endpoint);
    return leavesIn(context.state, vm, walk, from, to).flatMap(({ iova, size, gpa, writeable }) => {
      const va = vmmAddress(owner, gpa);
      if (va === undefined) return [];
      const flags = READ | (writeable ? WRITE : 0);
      const place = { user_va: BigInt(va), length: BigInt(size), iova: BigInt(iova) };
      return [call(vm, owner.iommufd, 'IOMMU_IOAS_MAP', { flags, ioas_id: ioas, ...place })];
    });
  },
};

/** The guest's table for the addresses of a stream; undefined where nothing translates. */
function tableOf(context: Context, name: string, streamId: number): WalkContext | undefined {
  const smmu = emulatedSmmu(context.state, name);
  if (!enabled.smmu(smmu)) return undefined;
  const ste = findSte(context, smmu, streamId);
  if (!ste.ok || ste.held.value.Config !== 'S1') return undefined;
  const cd = findCd(context, smmu, streamId, ste.held.value, 0);
  if (!cd.ok) return undefined;
  return stage1Of(cd.held.value, ste.held.value, false, smmu.features, 0n).walk;
}

interface PlugFrame extends Frame {
  readonly vm: string;
  readonly endpoint: string;
}

/** An IOAS of its own, as the container of an address space of its own; it is empty. */
export const shadowPlugRow: FrameRow<PlugFrame> = {
  run: ({ state }, frame) => {
    const { iommufd } = vmOf(state, frame.vm);
    return [call(frame.vm, iommufd, 'IOMMU_IOAS_ALLOC', {}, { ...frame, do: 'shadow.ioas' })];
  },
};

export const shadowIoasRow: FrameRow<PlugFrame> = {
  run: ({ state, emit }, frame) => {
    const { vm, endpoint } = frame;
    const { errno, out } = answerOf(frame);
    if (errno !== undefined) return [{ do: 'plug.refused', vm, why: `IOMMU_IOAS_ALLOC: ${errno}` }];
    const ioas = Number(out['out_ioas_id']);
    emit(vm, { type: 'device.changed', vm, endpoint, set: { ioas } });
    const { fd } = deviceOf(vmOf(state, vm), endpoint);
    const then = { do: 'shadow.attached', vm, endpoint };
    return [call(vm, fd, 'VFIO_DEVICE_ATTACH_IOMMUFD_PT', { pt_id: ioas }, then)];
  },
};

export const shadowAttachedRow: FrameRow<PlugFrame> = {
  run: ({ emit }, frame) => {
    const { vm, endpoint } = frame;
    const { errno } = answerOf(frame);
    if (errno !== undefined)
      return [{ do: 'plug.refused', vm, why: `VFIO_DEVICE_ATTACH_IOMMUFD_PT: ${errno}` }];
    emit(vm, { type: 'device.changed', vm, endpoint, set: { attached: 'ioas' } });
    return undefined;
  },
};
