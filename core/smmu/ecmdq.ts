/**
 * Enhanced command queues: what is theirs alone, the enabling of each and the misuse of its PROD. IHI 0070
 * 3.5.6, 6.3.108, 6.3.109. Commands go through them as through the Command queue.
 */
import type { Context } from '../machine.ts';
import { type CommandQueue, held, ringOf } from './command-queues.ts';
import { enhancedName } from './ecmdq-registers.ts';
import { isConsistent, used } from './queue.ts';
import type { SmmuState } from './state.ts';
import { updateRegister } from './update-register.ts';

const EN = 2 ** 31;
const ERR = 1 << 23;

/** PROD.EN of queue `index` was written and CONS.ENACK does not show it yet. */
export function isInTransition(smmu: Pick<SmmuState, 'regs'>, index: number): boolean {
  const prod = held(smmu, enhancedName(index, 'ECMDQ_PROD'));
  return prod >= EN !== held(smmu, enhancedName(index, 'ECMDQ_CONS')) >= EN;
}

/** PROD.EN was written and CONS.ENACK does not show it yet; a half executed command has to end first (3.5.6.2). */
export function enableReady(smmu: SmmuState, { name, prod, cons }: CommandQueue): boolean {
  const asked = held(smmu, prod) >= EN;
  if (asked === held(smmu, cons) >= EN) return false;
  return asked || !smmu.inFlight.some((each) => each.queue === name && !each.consumed);
}

/** CONS.ENACK takes the value of PROD.EN, whether an error is active or not. */
export function enable(context: Context, smmu: SmmuState, queue: CommandQueue): void {
  const { prod, cons } = queue;
  const name = smmu.config.name;
  const old = held(smmu, cons);
  const on = held(smmu, prod) >= EN;
  updateRegister(context, smmu, cons, on ? (old % EN) + EN : old % EN);
  if (!on) return;
  for (const [rule, wrong] of [
    ['queue-inconsistent', !isConsistent(ringOf(smmu, queue), held(smmu, prod), old)],
    ['ecmdq-enabled-with-error', queue.kind.isStopped(smmu, queue)],
  ] as const) {
    if (wrong)
      context.emit(name, { type: 'misuse.noted', smmu: name, rule, detail: `${queue.name} is enabled` });
  }
}

/**
 * What is wrong with a new PROD of a queue that runs: pointers that no queue can have, commands taken back
 * without an error, an acknowledgement of no error (3.5.1, 3.5.6.3, 7.1). Undefined: nothing.
 */
export function prodMisuse(smmu: SmmuState, queue: CommandQueue, value: number): string | undefined {
  if (!queue.kind.isOn(smmu, queue)) return undefined;
  const ring = ringOf(smmu, queue);
  const cons = held(smmu, queue.cons);
  const before = held(smmu, queue.prod);
  if (!isConsistent(ring, value, cons)) return 'queue-inconsistent';
  if (queue.kind.isStopped(smmu, queue)) return undefined;
  if (used(ring, value, cons) < used(ring, before, cons)) return 'prod-moved-back';
  return ((value ^ before) & ERR) === 0 ? undefined : 'ecmdq-acknowledged-no-error';
}
