/**
 * Register reads and writes: IHI 0070 6.1, 6.2. The access rules come from the register table; what
 * is left here is the few registers whose write does more than store (`adjust`).
 */

import { type Register, writableBits } from '../layout/register.ts';
import { own } from '../lookup.ts';
import type { Context, Decider } from '../machine.ts';
import { commandQueue } from './cmdq.ts';
import { eventQueue } from './eventq.ts';
import type { Features } from './features.ts';
import { isActive } from './gerror.ts';
import { isConsistent, used } from './queue.ts';
import { type RegisterName, registers } from './registers.ts';
import { activeErrors, enabled, guardHolds, reg, regHigh, regValue } from './regs.ts';
import type { SmmuState } from './state.ts';

/** What a write to a register does besides storing: the value that is really stored (32-bit halves). */
type Adjust = (smmu: SmmuState, value: number) => number;

/**
 * A field whose handshake is not finished keeps its first value; a second write of it is CONSTRAINED
 * UNPREDICTABLE (6.3.9, 6.3.16).
 */
const keepInTransition =
  (name: RegisterName, ack: RegisterName): Adjust =>
  (smmu, value) => {
    const differing = reg(smmu, name) ^ reg(smmu, ack);
    let moving = 0;
    for (const { hi, lo } of Object.values(registers.byName[name].fields)) {
      const bits = 2 ** (hi + 1) - 2 ** lo;
      if ((differing & bits) !== 0) moving |= bits;
    }
    return ((value & ~moving) | (reg(smmu, name) & moving)) >>> 0;
  };

const adjusts: Partial<Record<RegisterName, Adjust>> = {
  CR0: keepInTransition('CR0', 'CR0ACK'),
  IRQ_CTRL: keepInTransition('IRQ_CTRL', 'IRQ_CTRLACK'),
};

/** Bits that are RES0 for want of a feature (6.3). */
// biome-ignore format: a table
const res0Without: Partial<Record<RegisterName, readonly (readonly [has: (features: Features) => boolean, bits: number])[]>> = {
  CR0:      [[(f) => f.pri, 1 << 1], [(f) => f.ats, 1 << 4], [(f) => f.vmw, 7 << 6], [(f) => f.dpt, 1 << 10]],
  CR2:      [[(f) => f.hyp, 1 << 0], [(f) => f.btm, 1 << 2], [(f) => f.atsRecErr, 1 << 3]],
  IRQ_CTRL: [[(f) => f.pri, 1 << 1]],
  STRTAB_BASE_CFG: [[(f) => f.stLevel !== 0, 3 << 16]],
  PRIQ_IRQ_CFG2:   [[(f) => f.msi, 0x3f]],
};

/** Registers that are not there without a feature: RES0. */
// biome-ignore format: a table
const absentWithout: readonly (readonly [names: RegExp, has: (features: Features) => boolean])[] = [
  // PRIQ_IRQ_CFG2 has LO without MSIs too (6.3.36).
  [/^(GERROR|EVENTQ)_IRQ_CFG[012]$/,      (f) => f.msi],
  [/^PRIQ_IRQ_CFG[01]$/,                  (f) => f.msi],
  [/^PRIQ_/,                              (f) => f.pri],
  [/^GATOS_/,                             (f) => f.atos],
  [/^VATOS_SEL$/,                         (f) => f.vatos],
  [/^(MPAMIDR|GMPAM|GBPMPAM)$/,           (f) => f.mpam],
  [/^DPT_/,                               (f) => f.dpt],
  [/^CMDQ_CONTROL_PAGE_|^IDR6$/,          (f) => f.ecmdq],
  [/^S2PII$/,                             (f) => f.s2pi],
];

export const writeRegister: Decider<'mmio.write'> = (context, { smmu: name, offset, size, value }) => {
  const smmu = own(context.state.smmus, name);
  if (smmu === undefined) return;
  const refuse = (why: string, register = '-'): void => {
    context.emit(name, { type: 'write.ignored', smmu: name, register, offset, value, why });
  };
  if ((size !== 4 && size !== 8) || offset % size !== 0) return refuse('bad size or alignment');
  const found = registers.at(offset);
  // A doubleword over two 32-bit registers is two accesses, the lower first (6.2).
  if (size === 8 && found?.register.width !== 64) {
    writeHalf(context, smmu, offset, Number(value & 0xffff_ffffn));
    writeHalf(context, smmu, offset + 4, Number(value >> 32n));
    return;
  }
  if (found === undefined) return refuse('RES0');
  if (size === 4) return writeHalf(context, smmu, offset, Number(value & 0xffff_ffffn));
  store(context, smmu, found.register, offset, [Number(value & 0xffff_ffffn), Number(value >> 32n)]);
};

export const readRegister: Decider<'mmio.read'> = (context, { smmu: name, offset, size }) => {
  const smmu = own(context.state.smmus, name);
  if (smmu === undefined) return;
  const good = (size === 4 || size === 8) && offset % size === 0;
  const value = good ? readHalf(smmu, offset) | (size === 8 ? readHalf(smmu, offset + 4) << 32n : 0n) : 0n;
  const register = registers.at(offset)?.register.name ?? '-';
  context.emit(name, { type: 'register.read', smmu: name, register, offset, size, value });
};

function readHalf(smmu: SmmuState, offset: number): bigint {
  const found = registers.at(offset);
  if (found === undefined || isAbsent(found.register.name, smmu.features)) return 0n;
  const name = found.register.name as RegisterName;
  return BigInt(found.word === 0 ? reg(smmu, name) : regHigh(smmu, name));
}

function writeHalf(context: Context, smmu: SmmuState, offset: number, half: number): void {
  const found = registers.at(offset);
  const name = smmu.config.name;
  if (found === undefined) {
    context.emit(name, {
      type: 'write.ignored',
      smmu: name,
      register: '-',
      offset,
      value: BigInt(half),
      why: 'RES0',
    });
    return;
  }
  const register = found.register;
  const held = [reg(smmu, register.name as RegisterName), regHigh(smmu, register.name as RegisterName)];
  held[found.word] = half;
  store(context, smmu, register, offset, held, found.word);
}

/** Stores what the access rules let through; `only` names the half that was written. */
function store(
  context: Context,
  smmu: SmmuState,
  register: Register,
  offset: number,
  words: number[],
  only?: number,
): void {
  const name = register.name as RegisterName;
  const old = regValue(smmu, name);
  const writable = writableBits(register, (guard) => guardHolds(smmu, guard));
  for (const [has, bits] of res0Without[name] ?? [])
    if (!has(smmu.features)) writable[0] = (writable[0] ?? 0) & ~bits;
  const why = refusal(smmu, register, words, writable, only);
  if (why !== undefined) {
    const about = { smmu: smmu.config.name, register: name, offset, value: wide(words), why };
    context.emit(smmu.config.name, { type: 'write.ignored', ...about });
    return;
  }
  const kept = [reg(smmu, name), regHigh(smmu, name)];
  const next = [0, 1].map((word) => merge(kept[word] ?? 0, words[word] ?? 0, writable[word] ?? 0));
  noteReserved(context, smmu, register, words);
  noteGuarded(context, smmu, register, words, kept);
  const asked = next[0] ?? 0;
  next[0] = adjusts[name]?.(smmu, asked) ?? asked;
  if (next[0] !== asked) note(context, smmu, 'rewritten-in-transition', `${name} = 0x${asked.toString(16)}`);
  if (name === 'GERRORN') noteInactive(context, smmu, asked);
  if (name === 'CMDQ_PROD' || name === 'EVENTQ_CONS') notePointers(context, smmu, name, next[0]);
  context.emit(smmu.config.name, {
    type: 'register.written',
    smmu: smmu.config.name,
    register: name,
    value: wide(next),
    old,
  });
}

/** Why the whole write is IGNORED, or undefined when some of it is taken. */
function refusal(
  smmu: SmmuState,
  register: Register,
  words: readonly number[],
  writable: Uint32Array,
  only: number | undefined,
): string | undefined {
  if (isAbsent(register.name, smmu.features)) return 'RES0';
  if (register.access === 'RO') return 'read-only';
  const written = only === undefined ? [0, 1] : [only];
  if (written.every((word) => (writable[word] ?? 0) === 0)) {
    const holding = register.guards.filter(({ guard }) => guardHolds(smmu, guard));
    return `guarded by ${holding.map(({ guard }) => guard).join(', ')}`;
  }
  // 6.3.14.1: the new value and Update come in one write.
  if (register.name === 'GBPA' && (words[0] ?? 0) >>> 31 === 0) return 'Update=0';
  return undefined;
}

/** A register with two owners takes the part that is free; the rest of the write is IGNORED (6.3.11). */
function noteGuarded(
  context: Context,
  smmu: SmmuState,
  register: Register,
  words: readonly number[],
  kept: readonly number[],
): void {
  const lost = register.guards.filter(
    ({ guard, mask }) =>
      mask.some((bits, word) => ((words[word] ?? 0) ^ (kept[word] ?? 0)) & bits) && guardHolds(smmu, guard),
  );
  if (lost.length === 0) return;
  note(
    context,
    smmu,
    'guarded-bits',
    `${register.name} guarded by ${lost.map((row) => row.guard).join(', ')}`,
  );
}

/** Toggling GERRORN for an error that is not active is CONSTRAINED UNPREDICTABLE: it is stored (6.3.20). */
function noteInactive(context: Context, smmu: SmmuState, asked: number): void {
  const toggled = (reg(smmu, 'GERRORN') ^ asked) & ~activeErrors(smmu);
  if (toggled !== 0) note(context, smmu, 'gerrorn-inactive', `GERRORN = 0x${asked.toString(16)}`);
}

/**
 * Pointers that no queue can have, and a PROD that takes commands back from a queue that runs, are
 * CONSTRAINED UNPREDICTABLE; only an error allows the second (3.5.1, 4.1.2, 7.1).
 */
function notePointers(
  context: Context,
  smmu: SmmuState,
  name: 'CMDQ_PROD' | 'EVENTQ_CONS',
  value: number,
): void {
  const commands = name === 'CMDQ_PROD';
  if (!(commands ? enabled.cmdq(smmu) : enabled.eventq(smmu))) return;
  const queue = commands ? commandQueue(smmu) : eventQueue(smmu);
  const prod = commands ? value : reg(smmu, 'EVENTQ_PROD');
  const cons = commands ? reg(smmu, 'CMDQ_CONS') : value;
  const detail = `${name} = 0x${value.toString(16)}`;
  if (!isConsistent(queue, prod, cons)) note(context, smmu, 'queue-inconsistent', detail);
  else if (
    commands &&
    used(queue, prod, cons) < used(queue, reg(smmu, name), cons) &&
    !isActive(smmu, 'CMDQ_ERR')
  )
    note(context, smmu, 'prod-moved-back', detail);
}

function note({ emit }: Context, smmu: SmmuState, rule: string, detail: string): void {
  emit(smmu.config.name, { type: 'misuse.noted', smmu: smmu.config.name, rule, detail });
}

function merge(kept: number, written: number, bits: number): number {
  return ((kept & ~bits) | (written & bits)) >>> 0;
}

function wide(words: readonly number[]): bigint {
  return (BigInt(words[1] ?? 0) << 32n) | BigInt(words[0] ?? 0);
}

/** Reserved bits are masked; setting them is a driver error that hardware hides (6.2). */
function noteReserved(context: Context, smmu: SmmuState, register: Register, words: readonly number[]): void {
  const reserved = words.some(
    (word, at) =>
      (word & ~(register.writeMask[at] ?? 0) & ~(register.name === 'CMDQ_CONS' ? 0x7f00_0000 : 0)) !== 0,
  );
  if (!reserved) return;
  note(context, smmu, 'reserved-bits', `${register.name} = 0x${wide(words).toString(16)}`);
}

function isAbsent(name: string, features: Features): boolean {
  return absentWithout.some(([names, has]) => names.test(name) && !has(features));
}
