/**
 * Reading the registers an SMMU holds now. A 32-bit register is a number under its name; the upper
 * half of a 64-bit one stands under its name with `_HI`.
 */

import { assert } from '../assert.ts';
import type { SmmuConfig } from '../config.ts';
import type { Words } from '../layout/field.ts';
import { encode, mask } from '../layout/layout.ts';
import type { Guard } from '../layout/register.ts';
import { wide } from '../layout/words.ts';
import { controlPageAt } from './ecmdq-registers.ts';
import { Features } from './features.ts';
import { guardBits, type HeldName, registerNamed, registers, vatosRegisters } from './registers.ts';
import type { SmmuState } from './state.ts';

type Held = Pick<SmmuState, 'regs'>;

/** The register, or the lower half of a 64-bit one. */
export function reg(smmu: Held, name: HeldName): number {
  return smmu.regs[name] ?? 0;
}

/** Names of upper halves, made once; those of a vendor's registers and of enhanced queues as they are asked for. */
const highNames: ReadonlyMap<string, string> = new Map(
  [...registers.list, ...vatosRegisters.list].map(({ name }) => [name, `${name}_HI`]),
);

function highName(name: string): string {
  return highNames.get(name) ?? `${name}_HI`;
}

export function regHigh(smmu: Held, name: HeldName): number {
  return smmu.regs[highName(name)] ?? 0;
}

/** The words of a register, for the fields of its layout. */
export function regWords(smmu: Held, name: HeldName): Words {
  return [reg(smmu, name), regHigh(smmu, name)];
}

/** The whole register. */
export function regValue(smmu: Held, name: HeldName): bigint {
  return wide(regHigh(smmu, name), reg(smmu, name));
}

/** What a register holds when it is written with a 64-bit value. */
export function putReg(smmu: SmmuState, name: string, value: bigint): void {
  smmu.regs[name] = Number(value & 0xffff_ffffn);
  const high = Number(value >> 32n);
  const upper = highName(name);
  if (high !== 0 || upper in smmu.regs) smmu.regs[upper] = high;
}

interface GuardBit {
  readonly register: string;
  readonly bits: number;
}

/** The bits of each guard in the words that hold them; all are flags of 32-bit registers. */
const guardMasks: ReadonlyMap<string, readonly GuardBit[]> = new Map(
  Object.entries(guardBits).map(([guard, places]) => [guard, places.map(guardBit)] as const),
);

function guardBit([register, field]: readonly [register: string, field: string]): GuardBit {
  const declared = registerNamed(register);
  assert(declared !== undefined, `there is a register ${register}`);
  return { register, bits: mask(declared, [field])[0] ?? 0 };
}

/**
 * Whether a guard's bit, or its acknowledge copy, is 1 (6.2).
 * @param queue the enhanced queue that a guard of enhanced queues is about.
 */
export function guardHolds({ regs }: Held, guard: Guard, queue?: number): boolean {
  const places = guardMasks.get(guard) ?? [];
  return places.some(({ register, bits }) => {
    const name = queue === undefined ? register : register.replace('ECMDQ', `ECMDQ${queue}`);
    return ((regs[name] ?? 0) & bits) !== 0;
  });
}

/**
 * Registers after reset. What the architecture leaves UNKNOWN is 0 (profile choice); identification
 * registers have their profile's values.
 */
export function resetRegisters(config: SmmuConfig): Record<string, number> {
  const values: Record<string, number> = {};
  const { choices, idr } = config;
  const { IDR0, CR2, GBPA } = registers.byName;
  const vatos = IDR0.fields.VATOS.read([idr['IDR0'] ?? 0]);
  for (const { name, width, reset } of [...registers.list, ...(vatos ? vatosRegisters.list : [])]) {
    values[name] = idr[name] ?? (typeof reset === 'number' ? reset : 0);
    if (width === 64) values[`${name}_HI`] = 0;
  }
  const SHCFG = choices['gbpaIncomingAtReset'] === true ? 'USE_INCOMING' : 'NSH';
  values['GBPA'] = encode(GBPA, { SHCFG, ABORT: choices['gbpaAbortAtReset'] === true })[0] ?? 0;
  const page = controlPageAt(new Features(idr), registers.byName.CMDQ_CONTROL_PAGE_BASE0.offset);
  values['CMDQ_CONTROL_PAGE_BASE0'] = page?.value ?? 0;
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

/** PRIQEN in force: SMMUEN=0 implies 0 (6.3.9.5). */
export function isPriqEnabled(smmu: Held): boolean {
  return enabled.smmu(smmu) && (reg(smmu, 'CR0') & reg(smmu, 'CR0ACK') & 2) !== 0;
}

/** CR0.ATSCHK in force: Translated transactions are checked (6.3.9.3). */
export function checksTranslated(smmu: Held): boolean {
  return (reg(smmu, 'CR0ACK') & 16) !== 0;
}

/** Whether a configuration fault of ATS or PRI is recorded: CR2.REC_CFG_ATS, and RECINVSID for a StreamID (3.9.1.2, 8.1). */
export function recordsAts(smmu: Held, record = ''): boolean {
  const needed = record === 'C_BAD_STREAMID' ? 8 | 2 : 8;
  return (reg(smmu, 'CR2') & needed) === needed;
}

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
