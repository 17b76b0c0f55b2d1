/**
 * Reading the registers an SMMU holds now. A 32-bit register is a number under its name; the upper
 * half of a 64-bit one stands under its name with `_HI`.
 */

import type { SmmuConfig } from '../config.ts';
import type { Words } from '../layout/field.ts';
import { encode } from '../layout/layout.ts';
import type { Guard } from '../layout/register.ts';
import { guardBits, type RegisterName, registers } from './registers.ts';
import type { SmmuState } from './state.ts';

type Held = Pick<SmmuState, 'regs'>;

/** The register, or the lower half of a 64-bit one. */
export function reg(smmu: Held, name: RegisterName): number {
  return smmu.regs[name] ?? 0;
}

export function regHigh(smmu: Held, name: RegisterName): number {
  return smmu.regs[`${name}_HI`] ?? 0;
}

/** The words of a register, for the fields of its layout. */
export function regWords(smmu: Held, name: RegisterName): Words {
  return [reg(smmu, name), regHigh(smmu, name)];
}

/** The whole register. */
export function regValue(smmu: Held, name: RegisterName): bigint {
  return (BigInt(regHigh(smmu, name)) << 32n) | BigInt(reg(smmu, name));
}

/** What a register holds when it is written with a 64-bit value. */
export function putReg(smmu: SmmuState, name: string, value: bigint): void {
  smmu.regs[name] = Number(value & 0xffff_ffffn);
  if (`${name}_HI` in smmu.regs) smmu.regs[`${name}_HI`] = Number(value >> 32n);
}

/** Whether a guard's bit, or its acknowledge copy, is 1 (6.2). */
export function guardHolds(smmu: Held, guard: Guard): boolean {
  return guardBits[guard].some(([register, field]) => {
    const declared = registers.byName[register as RegisterName]?.fields as
      | Record<string, { read(words: Words): unknown }>
      | undefined;
    return declared?.[field]?.read(regWords(smmu, register as RegisterName)) === true;
  });
}

/**
 * Registers after reset. What the architecture leaves UNKNOWN is 0 (profile choice); identification
 * registers have their profile's values.
 */
export function resetRegisters(config: SmmuConfig): Record<string, number> {
  const values: Record<string, number> = {};
  for (const { name, width, reset } of registers.list) {
    values[name] = config.idr[name] ?? (typeof reset === 'number' ? reset : 0);
    if (width === 64) values[`${name}_HI`] = 0;
  }
  const { choices, idr } = config;
  const { IDR0, CR2, GBPA } = registers.byName;
  const SHCFG = choices['gbpaIncomingAtReset'] === true ? 'USE_INCOMING' : 'NSH';
  values['GBPA'] = encode(GBPA, { SHCFG, ABORT: choices['gbpaAbortAtReset'] === true })[0] ?? 0;
  const PTM = choices['ptmAtReset'] === true && IDR0.fields.BTM.read([idr['IDR0'] ?? 0]);
  values['CR2'] = encode(CR2, { PTM })[0] ?? 0;
  return values;
}

/** Effective enables: what is written and acknowledged. */
export const enabled = {
  smmu: (smmu: Held): boolean => (reg(smmu, 'CR0') & reg(smmu, 'CR0ACK') & 1) !== 0,
  eventq: (smmu: Held): boolean => (reg(smmu, 'CR0') & reg(smmu, 'CR0ACK') & 4) !== 0,
  cmdq: (smmu: Held): boolean => (reg(smmu, 'CR0') & reg(smmu, 'CR0ACK') & 8) !== 0,
} as const;

/** CR2.E2H: EL2 streams are EL2-E2H (6.3.12). */
export function isE2h(smmu: Held): boolean {
  return (reg(smmu, 'CR2') & 1) !== 0;
}

/** Low VMID bits that invalidations do not look at: CR0.VMW in force, 0 to 4; other values act as 0 (6.3.9.1). */
export function vmidWildcard(smmu: Held): number {
  const vmw = (reg(smmu, 'CR0ACK') >>> 6) & 7;
  return vmw <= 4 ? vmw : 0;
}

/** GERROR bits that are active: GERROR XOR GERRORN (7.5). */
export function activeErrors(smmu: Held): number {
  return (reg(smmu, 'GERROR') ^ reg(smmu, 'GERRORN')) >>> 0;
}
