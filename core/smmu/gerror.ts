/** Global errors: GERROR toggles while the error is inactive, and interrupts (7.5). */
import type { Context } from '../machine.ts';
import { activeErrors, reg, regValue } from './regs.ts';
import type { SmmuState } from './state.ts';

// biome-ignore format: a table
export const gerrorBits = {
  CMDQ_ERR:           1 << 0,
  EVENTQ_ABT_ERR:     1 << 2,
  PRIQ_ABT_ERR:       1 << 3,
  MSI_CMDQ_ABT_ERR:   1 << 4,
  MSI_EVENTQ_ABT_ERR: 1 << 5,
  MSI_PRIQ_ABT_ERR:   1 << 6,
  MSI_GERROR_ABT_ERR: 1 << 7,
} as const;
export type GerrorName = keyof typeof gerrorBits;

export function isActive(smmu: SmmuState, error: GerrorName): boolean {
  return (activeErrors(smmu) & gerrorBits[error]) !== 0;
}

/** Activates an error; one that is active already is not logged again (7.5). */
export function raiseError(context: Context, smmu: SmmuState, error: GerrorName): void {
  if (isActive(smmu, error)) return;
  const name = smmu.config.name;
  const value = BigInt((reg(smmu, 'GERROR') ^ gerrorBits[error]) >>> 0);
  context.emit(name, {
    type: 'register.updated',
    smmu: name,
    register: 'GERROR',
    value,
    old: regValue(smmu, 'GERROR'),
  });
  if (error !== 'MSI_GERROR_ABT_ERR') interrupt(context, smmu, 'GERROR');
}

/** IRQ_CTRL bit of each source. */
// biome-ignore format: a table
const enables = { GERROR: 1 << 0, PRIQ: 1 << 1, EVENTQ: 1 << 2 } as const;

/** Signals an interrupt if its source is enabled and acknowledged (3.18, 6.3.16). */
export function interrupt(context: Context, smmu: SmmuState, source: keyof typeof enables): void {
  if ((reg(smmu, 'IRQ_CTRL') & reg(smmu, 'IRQ_CTRLACK') & enables[source]) === 0) return;
  context.emit(smmu.config.name, { type: 'interrupt.raised', smmu: smmu.config.name, source });
}
