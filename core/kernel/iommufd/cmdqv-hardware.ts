/**
 * What a kernel writes into a Tegra241 CMDQV for its objects: an interface for a vIOMMU, a pair of StreamIDs for a
 * vDEVICE, BASE for a queue. A queue that goes is switched off, and a CMD_SYNC of the main queue flushes what timed
 * out in it. linux: tegra241-cmdqv.c, tegra241_vintf_hw_init, tegra241_vcmdq_hw_deinit, tegra241_cmdqv_isr.
 */

import { present } from '../../assert.ts';
import {
  CMDQ_ALLOC,
  CMDQ_BASE,
  errorMap,
  firstQueue,
  pairSid,
  queueRegister,
  unpairSid,
  VINTF_CONFIG,
  vintfRegister,
  writeUnit,
} from '../../cmdqv/unit.ts';
import { issueAndSync } from '../../driver/cmdq.ts';
import { encode } from '../../layout/layout.ts';
import { wide } from '../../layout/words.ts';
import type { Context as Machine } from '../../machine.ts';
import type { SmmuState } from '../../smmu/state.ts';
import type { Frame, FrameRow } from '../../tasks/task.ts';
import { kernelOf, switchOf } from '../kernel.ts';
import { numbers } from '../uapi/enums.ts';
import { objectsOf } from './object.ts';
import type { HwQueue, Viommu } from './state.ts';
import { report } from './veventq.ts';

type Slice = Pick<Viommu, 'smmu' | 'vintf'>;

function smmuOf({ state }: Machine, name: string): SmmuState {
  return present(state.smmus[name], `SMMU ${name}`);
}

/** A guest's interface: its VMID goes into every command. */
export function openVintf(machine: Machine, { smmu, vintf, vmid }: Slice & Pick<Viommu, 'vmid'>): void {
  const [word = 0] = encode(VINTF_CONFIG, { EN: true, VMID: vmid, HYP_OWN: false });
  writeUnit(machine, smmuOf(machine, smmu), vintfRegister(vintf, 'CONFIG'), BigInt(word));
}

/** The interface is off. */
export function closeVintf(machine: Machine, { smmu, vintf }: Slice): void {
  writeUnit(machine, smmuOf(machine, smmu), vintfRegister(vintf, 'CONFIG'), 0n);
}

/** A vDEVICE has its pair. */
export function openPair(machine: Machine, { smmu, vintf }: Slice, virtId: bigint, sid: number): void {
  pairSid(machine, smmuOf(machine, smmu), vintf, Number(virtId), sid);
}

/** The pair is free. */
export function closePair(machine: Machine, { smmu, vintf }: Slice, virtId: bigint): void {
  unpairSid(machine, smmuOf(machine, smmu), vintf, Number(virtId));
}

/** The queue has its memory; the guest enables it. */
export function openQueue(
  machine: Machine,
  { smmu: name, vintf }: Slice,
  index: number,
  pa: number,
  bytes: number,
): void {
  const smmu = smmuOf(machine, name);
  const queue = firstQueue(smmu, vintf) + index;
  const [low = 0, high = 0] = encode(CMDQ_BASE, { ADDR: pa, LOG2SIZE: Math.log2(bytes) - 4 });
  writeUnit(machine, smmu, queueRegister(queue, 'BASE'), wide(high, low));
  const [word = 0] = encode(CMDQ_ALLOC, { ALLOCATED: true, VINTF: vintf, LVCMDQ: index });
  writeUnit(machine, smmu, queueRegister(queue, 'ALLOC'), BigInt(word));
}

/** The queue is off; while it is still its interface's, the main queue flushes what timed out. Returns what is left to do. */
export function closeQueue(
  machine: Machine,
  { smmu: name, vintf }: Slice,
  { index }: Pick<HwQueue, 'index'>,
): readonly Frame[] {
  const smmu = smmuOf(machine, name);
  const queue = firstQueue(smmu, vintf) + index;
  writeUnit(machine, smmu, queueRegister(queue, 'CONFIG'), 0n);
  const drain = switchOf(kernelOf(machine.state), 'drainsQueues') ? [issueAndSync(name, [])] : [];
  return [...drain, { do: 'queue.closed', smmu: name, queue }];
}

interface ClosedFrame extends Frame {
  readonly smmu: string;
  readonly queue: number;
}

/** Its registers are 0, and an error is acknowledged. */
export const queueClosedRow: FrameRow<ClosedFrame> = {
  run: (machine, { smmu: name, queue }) => {
    const smmu = smmuOf(machine, name);
    for (const register of ['PROD', 'CONS', 'BASE'] as const)
      writeUnit(machine, smmu, queueRegister(queue, register), 0n);
    const gerror = smmu.regs[queueRegister(queue, 'GERROR')] ?? 0;
    if (gerror !== (smmu.regs[queueRegister(queue, 'GERRORN')] ?? 0))
      writeUnit(machine, smmu, queueRegister(queue, 'GERRORN'), BigInt(gerror));
    writeUnit(machine, smmu, queueRegister(queue, 'ALLOC'), 0n);
  },
};

/** The unit's interrupt: each VM with a queue that has stopped gets the map of its own. */
export const cmdqvIrqRow: FrameRow<Frame & { readonly driver: string }> = {
  run: (machine, { driver }) => {
    const smmu = machine.state.smmus[driver];
    if (smmu === undefined) return;
    const type = numbers.IOMMU_VEVENTQ_TYPE_TEGRA241_CMDQV;
    for (const context of Object.values(kernelOf(machine.state).contexts)) {
      for (const viommu of [...objectsOf(context, 'viommu')]) {
        const map = viommu.smmu === driver && viommu.vintf !== 0 ? errorMap(smmu, viommu.vintf) : 0n;
        if (map !== 0n) report(machine, { context: context.id, viommu: viommu.id, type }, [map, 0n]);
      }
    }
  },
};
