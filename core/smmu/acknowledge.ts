/**
 * The handshakes: CR0 to CR0ACK, IRQ_CTRL to IRQ_CTRLACK, Update of GBPA and its like (6.3.9, 6.3.16, 6.3.14). A
 * turn of this unit finishes all updates whose side effects are done.
 */
import type { Context } from '../machine.ts';
import { endAtos } from './atos.ts';
import type { QueueName } from './codes.ts';
import { noteEnabled } from './register-notes.ts';
import type { HeldName } from './registers.ts';
import { reg } from './regs.ts';
import { abandonStalls } from './stalls.ts';
import type { SmmuState } from './state.ts';
import { updateRegister } from './update-register.ts';

const SMMUEN = 1 << 0;
const PRIQEN = 1 << 1;
const EVENTQEN = 1 << 2;
const CMDQEN = 1 << 3;
const UPDATE = 2 ** 31;

/** Registers whose Update bit says that their value is not in force yet. */
const UPDATED = ['GBPA', 'GMPAM', 'GBPMPAM'] as const;

/** The bit of CR0 that enables each queue. */
const ENABLES: readonly (readonly [bit: number, queue: QueueName])[] = [
  [CMDQEN, 'CMDQ'],
  [EVENTQEN, 'EVENTQ'],
  [PRIQEN, 'PRIQ'],
];

/** CR0 as CR0ACK may show it now: CMDQEN stays up while a command is half executed. */
function settledCr0(smmu: SmmuState): number {
  const asked = reg(smmu, 'CR0');
  if ((asked & CMDQEN) !== 0) return asked;
  const held = reg(smmu, 'CR0ACK');
  const halfway = smmu.inFlight.some(
    ({ queue, consumed, beside }) => queue === 'CMDQ' && !consumed && !beside,
  );
  return halfway ? (asked | (held & CMDQEN)) >>> 0 : asked;
}

export function acknowledgeReady(smmu: SmmuState): boolean {
  return (
    settledCr0(smmu) !== reg(smmu, 'CR0ACK') ||
    reg(smmu, 'IRQ_CTRL') !== reg(smmu, 'IRQ_CTRLACK') ||
    UPDATED.some((name) => reg(smmu, name) >= UPDATE)
  );
}

export function acknowledge(context: Context, smmu: SmmuState): void {
  const before = reg(smmu, 'CR0ACK');
  const after = settledCr0(smmu);
  const down = before & ~after;
  const up = after & ~before;
  if ((down & SMMUEN) !== 0) {
    endAtos(context, smmu);
    abandonStalls(context, smmu);
  }
  if ((down & EVENTQEN) !== 0) dropUncommitted(context, smmu);
  for (const [bit, queue] of ENABLES) if ((up & bit) !== 0) noteEnabled(context, smmu, queue);
  settle(context, smmu, 'CR0ACK', after);
  settle(context, smmu, 'IRQ_CTRLACK', reg(smmu, 'IRQ_CTRL'));
  for (const name of UPDATED) settle(context, smmu, name, reg(smmu, name) % UPDATE);
}

/** Records that are not in the queue when it is disabled are lost; those of stalls wait on (6.3.9.4, 7.2). */
function dropUncommitted({ emit }: Context, smmu: SmmuState): void {
  const name = smmu.config.name;
  for (const { record, raised, stag } of smmu.records)
    if (stag === undefined)
      emit(name, { type: 'record.dropped', smmu: name, record, why: 'EVENTQEN=0', raised });
}

function settle(context: Context, smmu: SmmuState, register: HeldName, value: number): void {
  if (reg(smmu, register) !== value) updateRegister(context, smmu, register, value);
}
