/** A register that the SMMU itself changes: one event, with what it held before. */
import type { Context } from '../machine.ts';
import type { HeldName } from './registers.ts';
import { regValue } from './regs.ts';
import type { SmmuState } from './state.ts';

/** @param register the name it is held under: `ECMDQ3_CONS` */
export function updateRegister(
  { emit }: Context,
  smmu: SmmuState,
  register: string,
  value: number | bigint,
): void {
  const name = smmu.config.name;
  const old = regValue(smmu, register as HeldName);
  emit(name, { type: 'register.updated', smmu: name, register, value: BigInt(value), old });
}
