/**
 * A write of the guest to a register of its emulated SMMU. The register takes the value at once, and handshakes
 * are done before the access ends; what else has to follow (commands, another GBPA) is work of the VMM for which
 * the vCPU is held.
 */
import type { Context } from '../machine.ts';
import { acknowledge, acknowledgeReady } from '../smmu/acknowledge.ts';
import { writeRegister } from '../smmu/mmio.ts';
import { type RegisterName, registers } from '../smmu/registers.ts';
import { reg } from '../smmu/regs.ts';
import { exitTo } from '../vm/exits.ts';
import { emulatedSmmu } from '../vm/vm.ts';

/** Registers after whose write the VMM looks for work. */
const WORK: ReadonlySet<RegisterName> = new Set(['CR0', 'GBPA', 'GERRORN', 'CMDQ_PROD', 'CMDQ_CONS']);

/** The guest writes a register: an exit, the write, and the VMM's work. */
export function writeTrapped(
  context: Context,
  vm: string,
  name: string,
  register: RegisterName,
  value: bigint,
): void {
  const { offset, width } = registers.byName[register];
  const smmu = emulatedSmmu(context.state, name);
  const before = { cr0: reg(smmu, 'CR0'), gbpa: reg(smmu, 'GBPA') };
  const work = WORK.has(register) ? [{ do: 'vsmmu.written', vm, smmu: name, register, ...before }] : [];
  exitTo(context, vm, { why: 'mmio.write', what: register }, work);
  writeRegister(context, { type: 'mmio.write', smmu: name, offset, size: width / 8, value });
  if (acknowledgeReady(smmu)) acknowledge(context, smmu);
}
