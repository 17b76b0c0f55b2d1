/**
 * Driver errors that an access to a register shows and that hardware hides: IHI 0070 6.2, 6.3, 3.5.1, 4.1.2,
 * 7.5. Each is an event of its own, and nothing else depends on it.
 */
import { wide } from '../layout/words.ts';
import type { Context } from '../machine.ts';
import type { QueueName } from './codes.ts';
import { commandQueueNamed, mainQueue } from './command-queues.ts';
import { prodMisuse } from './ecmdq.ts';
import { isConsistent } from './queue.ts';
import type { Located } from './register-blocks.ts';
import { isGuarded, storedBits } from './register-rules.ts';
import { activeErrors, enabled, isPriqEnabled, reg } from './regs.ts';
import { ring } from './rings.ts';
import type { SmmuState } from './state.ts';

/** Notes a driver error; `rule` names it. */
export function note({ emit }: Context, smmu: SmmuState, rule: string, detail: string): void {
  emit(smmu.config.name, { type: 'misuse.noted', smmu: smmu.config.name, rule, detail });
}

/** Bits that a write sets for hardware: ERR of CMDQ_CONS is stored or ignored (6.3.28). */
const HARDWARE_BITS: Readonly<Record<string, number>> = { CMDQ_CONS: 0x7f00_0000 };
/** Where an address that the SMMU cannot put out would be truncated (6.3.21, 6.3.24, 6.3.26). */
const ADDRESSES = /^(STRTAB|E?CMDQ|EVENTQ|PRIQ)_BASE$|_IRQ_CFG0$/;

/**
 * Reserved bits are masked (6.2), and address bits beyond OAS. Bits that are RES0 for want of a feature are
 * masked too, without a word: drivers set some of them on every SMMU.
 */
export function noteReserved(
  context: Context,
  smmu: SmmuState,
  { register, held }: Located,
  words: readonly number[],
): void {
  const { name } = register;
  const stored = storedBits(register, smmu.features);
  const about = `${held} = 0x${wide(words[1] ?? 0, words[0] ?? 0).toString(16)}`;
  const beyond = (bits: Uint32Array): boolean =>
    words.some((word, at) => (word & ~(bits[at] ?? 0) & ~(at === 0 ? (HARDWARE_BITS[name] ?? 0) : 0)) !== 0);
  if (beyond(register.writeMask)) note(context, smmu, 'reserved-bits', about);
  else if (ADDRESSES.test(name) && beyond(stored)) note(context, smmu, 'address-beyond-oas', about);
}

/** A register with two owners takes the part that is free; the rest of the write is IGNORED (6.3.11). */
export function noteGuarded(
  context: Context,
  smmu: SmmuState,
  { register: { name, guards }, queue }: Located,
  words: readonly number[],
  kept: readonly number[],
): void {
  const lost = guards.filter(
    ({ guard, mask }) =>
      mask.some((bits, word) => ((words[word] ?? 0) ^ (kept[word] ?? 0)) & bits) &&
      isGuarded(smmu, guard, queue),
  );
  if (lost.length === 0) return;
  note(context, smmu, 'guarded-bits', `${name} guarded by ${lost.map(({ guard }) => guard).join(', ')}`);
}

/** What is told of the value that a register is about to take. */
export function noteValue(context: Context, smmu: SmmuState, { held, queue }: Located, value: number): void {
  if (held === 'GERRORN') noteInactive(context, smmu, value);
  if (held === 'EVENTQ_CONS' || held === 'PRIQ_CONS') noteCons(context, smmu, held, value);
  const commands = queue === undefined ? mainQueue : commandQueueNamed(`ECMDQ${queue}`);
  if (commands?.prod !== held) return;
  const rule = prodMisuse(smmu, commands, value);
  if (rule !== undefined) note(context, smmu, rule, `${held} = 0x${value.toString(16)}`);
}

/** Toggling GERRORN for an error that is not active is CONSTRAINED UNPREDICTABLE: it is stored (6.3.20). */
function noteInactive(context: Context, smmu: SmmuState, value: number): void {
  const toggled = (reg(smmu, 'GERRORN') ^ value) & ~activeErrors(smmu);
  if (toggled !== 0) note(context, smmu, 'gerrorn-inactive', `GERRORN = 0x${value.toString(16)}`);
}

/** Pointers that no queue can have are CONSTRAINED UNPREDICTABLE (3.5.1). */
function noteCons(context: Context, smmu: SmmuState, held: 'EVENTQ_CONS' | 'PRIQ_CONS', value: number): void {
  const name = held === 'EVENTQ_CONS' ? 'EVENTQ' : 'PRIQ';
  if (!(name === 'EVENTQ' ? enabled.eventq(smmu) : isPriqEnabled(smmu))) return;
  if (isConsistent(ring(smmu, name), reg(smmu, `${name}_PROD`), value)) return;
  note(context, smmu, 'queue-inconsistent', `${held} = 0x${value.toString(16)}`);
}

/** A queue that is enabled with pointers that no queue can have (3.5.1). */
export function noteEnabled(context: Context, smmu: SmmuState, name: QueueName): void {
  const prod = reg(smmu, `${name}_PROD`);
  const cons = reg(smmu, `${name}_CONS`);
  if (isConsistent(ring(smmu, name), prod, cons)) return;
  const detail = `${name} enabled with PROD = 0x${prod.toString(16)}, CONS = 0x${cons.toString(16)}`;
  note(context, smmu, 'queue-inconsistent', detail);
}
