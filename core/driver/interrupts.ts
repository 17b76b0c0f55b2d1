/**
 * The handlers of an SMMU's interrupts (linux: arm_smmu_gerror_handler, arm_smmu_cmdq_skip_err,
 * arm_smmu_evtq_thread, arm_smmu_priq_thread). Each is a unit of its own, and works once for all interrupts
 * that came before it began. Where the Command queue's memory aborts again and again, the real handler goes on
 * for ever while those who wait time out; here it gives up after RETRIES_MAX, so that the machine comes to rest.
 */
import { present } from '../assert.ts';
import type { Context } from '../machine.ts';
import { cerrors } from '../smmu/codes.ts';
import { gerrorBits } from '../smmu/gerror.ts';
import type { State } from '../state.ts';
import type { Frame, FrameRow } from '../tasks/task.ts';
import { cmdOf } from './commands.ts';
import { driverOf, loadDoublewords, portOf, storeDoublewords, tell } from './port.ts';
import type { DriverInterrupt, DriverState } from './state.ts';

interface HandlerFrame extends Frame {
  readonly driver: string;
}

/** Units of the handlers, by their part of the name behind the driver's. */
// biome-ignore format: a table
const handlers: Readonly<Record<DriverInterrupt, { readonly unit: string; readonly frame: string }>> = {
  GERROR: { unit: 'gerror-irq', frame: 'irq.gerror' },
  EVENTQ: { unit: 'evtq-irq',   frame: 'irq.evtq' },
  PRIQ:   { unit: 'priq-irq',   frame: 'irq.priq' },
  CMDQV:  { unit: 'cmdqv-irq',  frame: 'irq.cmdqv' },
  VCMDQ:  { unit: 'vcmdq-irq',  frame: 'irq.second' },
};

export interface PendingInterrupt {
  readonly unit: string;
  readonly driver: string;
  readonly source: DriverInterrupt;
  readonly frame: Frame;
}

/** Interrupts that wait for their handler, each with the unit that takes it. */
export function pendingInterrupts({ drivers }: State): readonly PendingInterrupt[] {
  const found: PendingInterrupt[] = [];
  for (const name in drivers) {
    for (const source of drivers[name]?.interrupts ?? []) {
      const { unit, frame } = handlers[source];
      found.push({ unit: `${name}.${unit}`, driver: name, source, frame: { do: frame, driver: name } });
    }
  }
  return found;
}

/** Whether any interrupt waits; costs nothing where there are no drivers. */
export function hasInterrupts({ drivers }: State): boolean {
  for (const name in drivers) if ((drivers[name]?.interrupts.length ?? 0) > 0) return true;
  return false;
}

/** Says that a handler begins. */
export function takeInterrupt({ state, emit }: Context, { driver, source }: PendingInterrupt): void {
  emit(driverOf(state, driver).setup.actor, { type: 'interrupt.taken', driver, source });
}

const SFM_ERR = 1 << 8;
/** Times that an aborted read of the Command queue is tried again at one place. */
const RETRIES_MAX = 8;

export const gerrorRow: FrameRow<HandlerFrame> = {
  run: (context, { driver: name }) => {
    const driver = driverOf(context.state, name);
    const port = portOf(driver);
    const gerror = Number(port.read(context, driver, 'GERROR'));
    const active = (gerror ^ Number(port.read(context, driver, 'GERRORN'))) >>> 0;
    if (active === 0) return;
    tell(context, driver, 'unexpected global error reported', `0x${active.toString(16)}`);
    if (driver.quirks['ignore-errors'] === true) return;
    if ((active & SFM_ERR) !== 0) port.write(context, driver, 'CR0', 0n);
    const stopped = (active & gerrorBits.CMDQ_ERR) !== 0 && !mendQueue(context, driver);
    port.write(context, driver, 'GERRORN', BigInt(stopped ? (gerror ^ gerrorBits.CMDQ_ERR) >>> 0 : gerror));
  },
};

/**
 * An entry that hardware refuses becomes a CMD_SYNC; for all else the acknowledgement is enough. Returns whether the
 * error is to be acknowledged.
 */
function mendQueue(context: Context, driver: DriverState): boolean {
  const port = portOf(driver);
  const value = Number(port.read(context, driver, 'CMDQ_CONS'));
  const code = (value >>> 24) & 0x7f;
  const queue = present(driver.queues.CMDQ, 'Command queue');
  if (code === cerrors.CERROR_NONE) return true;
  if (code === cerrors.CERROR_ABT) return retries(context, driver, value & 0xf_ffff);
  if (code === cerrors.CERROR_ATC_INV_SYNC) {
    tell(context, driver, 'ATC invalidate timeout');
    return true;
  }
  const slot = queue.pa + ((value & 0xf_ffff) % 2 ** queue.sizeLog2) * 16;
  const [lo = 0n, hi = 0n] = loadDoublewords(context.state, driver, slot, 2);
  tell(context, driver, 'skipping command in error state', `0x${lo.toString(16)} 0x${hi.toString(16)}`);
  storeDoublewords(context, driver, slot, cmdOf('CMD_SYNC', { CS: 'SIG_SEV', MSH: 'ISH', MSIAttr: 0xf }));
  return true;
}

/** Whether an aborted read is tried once more. */
function retries(context: Context, driver: DriverState, cons: number): boolean {
  const { retried } = driver;
  const count = retried.cons === cons ? retried.count + 1 : 1;
  if (count > RETRIES_MAX) return false;
  tell(context, driver, 'retrying command fetch');
  context.emit(driver.setup.actor, { type: 'fetch.retried', driver: driver.name, cons, count });
  return true;
}
