/** ASIDs and VMIDs in commands: which command invalidates by which (linux: arm_smmu_inv_to_cmdq). */
import type { CommandName } from '../smmu/command-layout.ts';
import type { Frame } from '../tasks/task.ts';
import { issueAndSync } from './cmdq.ts';
import { cmdOf } from './commands.ts';
import type { DriverState, Inv, InvType } from './state.ts';

interface Names {
  readonly ranged: 'CMD_TLBI_NH_VA' | 'CMD_TLBI_EL2_VA' | 'CMD_TLBI_S2_IPA';
  readonly all: Extract<CommandName, 'CMD_TLBI_NH_ASID' | 'CMD_TLBI_EL2_ASID' | 'CMD_TLBI_S12_VMALL'>;
}

/** Commands that invalidate a range, or all, of what an entry names. */
export function namesOf(type: InvType, e2h: boolean): Names {
  if (type !== 'S1_ASID') return { ranged: 'CMD_TLBI_S2_IPA', all: 'CMD_TLBI_S12_VMALL' };
  return e2h
    ? { ranged: 'CMD_TLBI_EL2_VA', all: 'CMD_TLBI_EL2_ASID' }
    : { ranged: 'CMD_TLBI_NH_VA', all: 'CMD_TLBI_NH_ASID' };
}

/** Streams of stage 1 alone have VMID 0; EL2 has none. */
export function tagOf({ type, id }: Inv, e2h: boolean): Readonly<Partial<Record<'ASID' | 'VMID', number>>> {
  if (type !== 'S1_ASID') return { VMID: id };
  return e2h ? { ASID: id } : { ASID: id, VMID: 0 };
}

/** Frames that flush an ASID or VMID that nobody uses any more. */
export function flushTag(driver: DriverState, inv: Inv): readonly Frame[] {
  if (driver.quirks['keep-tag'] === true) return [];
  const e2h = driver.features?.e2h === true;
  return [issueAndSync(driver.name, [cmdOf(namesOf(inv.type, e2h).all, tagOf(inv, e2h) as never)])];
}
