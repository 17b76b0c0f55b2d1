/**
 * Accesses of a scenario to the registers of an SMMU: of hardware, or of an emulated one, where they are those of the
 * guest's first CPU and trap. What its VMM does then is done before that CPU goes on.
 */
import { own } from '../lookup.ts';
import type { Context, Decider } from '../machine.ts';
import { readRegister, writeRegister } from '../smmu/mmio.ts';
import { locate } from '../smmu/register-blocks.ts';
import { registerNamed } from '../smmu/registers.ts';
import { cpuUnit } from '../tasks/cpu.ts';
import { exitTo } from '../vm/exits.ts';
import { findVm } from '../vm/vm.ts';
import { writeTrapped } from './traps.ts';

/** The VM whose SMMU it is; undefined for hardware, and for what nobody emulates any more. */
function guestOf({ state }: Context, smmu: string): string | undefined {
  const { space } = own(state.smmus, smmu)?.config ?? {};
  return space !== undefined && findVm(state, space) !== undefined ? space : undefined;
}

function nameAt({ state }: Context, name: string, offset: number): string {
  const smmu = own(state.smmus, name);
  return (smmu && locate(smmu, offset)?.register.name) ?? '-';
}

export const writeAccess: Decider<'mmio.write'> = (context, stimulus) => {
  const { smmu, offset, size, value } = stimulus;
  const vm = guestOf(context, smmu);
  if (vm === undefined) return writeRegister(context, stimulus);
  const inGuest: Context = { ...context, unit: cpuUnit(vm, 0) };
  const register = registerNamed(nameAt(context, smmu, offset));
  if (register?.offset === offset && register.width === size * 8)
    return writeTrapped(inGuest, vm, smmu, register.name as Parameters<typeof writeTrapped>[3], value);
  exitTo(inGuest, vm, { why: 'mmio.write', what: nameAt(context, smmu, offset) });
  writeRegister(inGuest, stimulus);
};

export const readAccess: Decider<'mmio.read'> = (context, stimulus) => {
  const { smmu, offset } = stimulus;
  const vm = guestOf(context, smmu);
  if (vm !== undefined) {
    const what = nameAt(context, smmu, offset);
    exitTo({ ...context, unit: cpuUnit(vm, 0) }, vm, { why: 'mmio.read', what });
  }
  readRegister(context, stimulus);
};
