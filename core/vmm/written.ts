/** What a VMM does after a write of the guest to a register of its emulated SMMU. */
import { consumeReady, fetchReady, performReady } from '../smmu/cmdq.ts';
import { mainQueue } from '../smmu/command-queues.ts';
import type { RegisterName } from '../smmu/registers.ts';
import { enabled as isEnabled, reg } from '../smmu/regs.ts';
import type { SmmuState } from '../smmu/state.ts';
import type { Frame, FrameRow } from '../tasks/task.ts';
import { emulatedSmmu, findVm } from '../vm/vm.ts';
import { policiesOf, type VmmPolicies } from './profiles.ts';
import { strategyOf } from './strategies.ts';

const SMMUEN = 1;

interface WrittenFrame extends Frame {
  readonly vm: string;
  readonly smmu: string;
  readonly register: RegisterName;
  /** The registers as they were before the write. */
  readonly cr0: number;
  readonly gbpa: number;
}

export const writtenRow: FrameRow<WrittenFrame> = {
  run: ({ state }, { vm, smmu: name, register, cr0, gbpa }) => {
    const owner = findVm(state, vm);
    if (owner === undefined) return;
    const smmu = emulatedSmmu(state, name);
    const policies = policiesOf(owner.config);
    const { reattach, enabled } = strategyOf(policies.strategy);
    const work: Frame[] = [];
    if (register === 'GBPA' && reg(smmu, 'GBPA') !== gbpa && followsGbpa(policies.gbpa, smmu))
      work.push(...(reattach?.(vm, name, policies.gbpa === 'seen-while-off' ? 'seen' : undefined) ?? []));
    if (register === 'CR0') {
      const toggled = ((reg(smmu, 'CR0') ^ cr0) & SMMUEN) !== 0;
      if (toggled && policies.smmuen !== 'ignored')
        work.push(...(reattach?.(vm, name, policies.smmuen === 'seen' ? 'seen' : undefined) ?? []));
      work.push(...(enabled?.(state, vm, name) ?? []));
    }
    return hasCommands(smmu) ? [...work, { do: 'vsmmu.consume', vm, smmu: name }] : work;
  },
};

/** Whether attachments follow a write of GBPA now: it says where streams go while the SMMU is off (6.3.14). */
function followsGbpa(policy: VmmPolicies['gbpa'], smmu: SmmuState): boolean {
  return policy === 'follows' || (policy !== 'ignored' && !isEnabled.smmu(smmu));
}

/** Whether the emulated Command queue runs and holds something. */
function hasCommands(smmu: SmmuState): boolean {
  return fetchReady(smmu, mainQueue) || consumeReady(smmu, mainQueue) || performReady(smmu, mainQueue);
}
