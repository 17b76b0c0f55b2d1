/**
 * The handshakes: CR0 to CR0ACK, IRQ_CTRL to IRQ_CTRLACK, GBPA.Update (6.3.9, 6.3.16, 6.3.14). A turn
 * of this unit finishes all updates whose side effects are done.
 */
import type { Context } from '../machine.ts';
import type { RegisterName } from './registers.ts';
import { reg, regValue } from './regs.ts';
import { abandonStalls } from './stalls.ts';
import type { SmmuState } from './state.ts';

const SMMUEN = 1 << 0;
const CMDQEN = 1 << 3;
const UPDATE = 2 ** 31;

/** CR0 as CR0ACK may show it now: CMDQEN stays up while a command is half executed. */
function settledCr0(smmu: SmmuState): number {
  const asked = reg(smmu, 'CR0');
  const held = reg(smmu, 'CR0ACK');
  const halfway = smmu.inFlight.some((command) => !command.consumed);
  return halfway && (asked & CMDQEN) === 0 ? (asked | (held & CMDQEN)) >>> 0 : asked;
}

export function acknowledgeReady(smmu: SmmuState): boolean {
  return (
    settledCr0(smmu) !== reg(smmu, 'CR0ACK') ||
    reg(smmu, 'IRQ_CTRL') !== reg(smmu, 'IRQ_CTRLACK') ||
    reg(smmu, 'GBPA') >= UPDATE
  );
}

export function acknowledge(context: Context, smmu: SmmuState): void {
  const stops = (reg(smmu, 'CR0ACK') & ~settledCr0(smmu) & SMMUEN) !== 0;
  settle(context, smmu, 'CR0ACK', settledCr0(smmu));
  settle(context, smmu, 'IRQ_CTRLACK', reg(smmu, 'IRQ_CTRL'));
  settle(context, smmu, 'GBPA', reg(smmu, 'GBPA') % UPDATE);
  if (stops) abandonStalls(context, smmu);
}

function settle({ emit }: Context, smmu: SmmuState, register: RegisterName, value: number): void {
  if (reg(smmu, register) === value) return;
  const name = smmu.config.name;
  emit(name, {
    type: 'register.updated',
    smmu: name,
    register,
    value: BigInt(value),
    old: regValue(smmu, register),
  });
}
