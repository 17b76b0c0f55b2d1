/**
 * Global errors, and the interrupts of the queues and of the errors: GERROR toggles while the error is
 * inactive, and interrupts (IHI 0070 7.5); an enabled source gives a wired edge and a message (3.18.2).
 */
import type { Context } from '../machine.ts';
import { sendMsi } from './msi.ts';
import { registers } from './registers.ts';
import { activeErrors, reg, regWords } from './regs.ts';
import type { SmmuState } from './state.ts';
import { updateRegister } from './update-register.ts';

// biome-ignore format: a table
export const gerrorBits = {
  CMDQ_ERR:           1 << 0,
  EVENTQ_ABT_ERR:     1 << 2,
  PRIQ_ABT_ERR:       1 << 3,
  MSI_CMDQ_ABT_ERR:   1 << 4,
  MSI_EVENTQ_ABT_ERR: 1 << 5,
  MSI_PRIQ_ABT_ERR:   1 << 6,
  MSI_GERROR_ABT_ERR: 1 << 7,
  CMDQP_ERR:          1 << 9,
} as const;
export type GerrorName = keyof typeof gerrorBits;

/** GERROR and GERRORN differ in the error's bit (7.5). */
export function isActive(smmu: SmmuState, error: GerrorName): boolean {
  return (activeErrors(smmu) & gerrorBits[error]) !== 0;
}

/** Activates an error; one that is active already is not logged again (7.5). The interrupt comes after it. */
export function raiseError(context: Context, smmu: SmmuState, error: GerrorName): void {
  if (isActive(smmu, error)) return;
  updateRegister(context, smmu, 'GERROR', (reg(smmu, 'GERROR') ^ gerrorBits[error]) >>> 0);
  // Another message to the same address might abort again (7.5.1).
  if (error !== 'MSI_GERROR_ABT_ERR') interrupt(context, smmu, 'GERROR');
}

/** Interrupt sources of IRQ_CTRL: its bit, where the message is configured, and the error when its store aborts. */
// biome-ignore format: a table
const sources = {
  GERROR: { enable: 1 << 0, address: 'GERROR_IRQ_CFG0', data: 'GERROR_IRQ_CFG1', aborted: 'MSI_GERROR_ABT_ERR' },
  PRIQ:   { enable: 1 << 1, address: 'PRIQ_IRQ_CFG0',   data: 'PRIQ_IRQ_CFG1',   aborted: 'MSI_PRIQ_ABT_ERR' },
  EVENTQ: { enable: 1 << 2, address: 'EVENTQ_IRQ_CFG0', data: 'EVENTQ_IRQ_CFG1', aborted: 'MSI_EVENTQ_ABT_ERR' },
} as const;
export type InterruptSource = keyof typeof sources;

/**
 * Signals an interrupt if its source is enabled and acknowledged (6.3.16): the wired edge, whatever ADDR is,
 * then the message. An abort of the message is told before anything that follows.
 */
export function interrupt(context: Context, smmu: SmmuState, source: InterruptSource): void {
  const { enable, address, data, aborted } = sources[source];
  if ((reg(smmu, 'IRQ_CTRL') & reg(smmu, 'IRQ_CTRLACK') & enable) === 0) return;
  context.emit(smmu.config.name, { type: 'interrupt.raised', smmu: smmu.config.name, source });
  const fate = sendMsi(context, smmu, {
    source,
    address: registers.byName[address].fields.ADDR.read(regWords(smmu, address)),
    data: reg(smmu, data),
  });
  if (fate === 'aborted') raiseError(context, smmu, aborted);
}
