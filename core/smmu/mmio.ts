/**
 * Register reads and writes: IHI 0070 6.1, 6.2. Where a register stands says `register-blocks.ts`, what a
 * write of it may change `register-rules.ts`, and what it shows of its driver `register-notes.ts`.
 */
import { wide } from '../layout/words.ts';
import { own } from '../lookup.ts';
import type { Context, Decider } from '../machine.ts';
import { type Located, locate } from './register-blocks.ts';
import { note, noteGuarded, noteReserved, noteValue } from './register-notes.ts';
import { isAbsent, keepInTransition, openBits, refusal } from './register-rules.ts';
import { reg, regHigh, regValue } from './regs.ts';
import { absentPointerBits } from './rings.ts';
import type { SmmuState } from './state.ts';

const LOW = 0xffff_ffffn;

export const writeRegister: Decider<'mmio.write'> = (context, { smmu: name, offset, size, value }) => {
  const smmu = own(context.state.smmus, name);
  if (smmu === undefined) return;
  const why = badAccess(offset, size);
  if (why !== undefined) {
    context.emit(name, { type: 'write.ignored', smmu: name, register: '-', offset, value, why });
    note(context, smmu, 'bad-access', `write of ${size} bytes at 0x${offset.toString(16)}`);
    return;
  }
  const halves = [Number(value & LOW), Number((value >> 32n) & LOW)] as const;
  const found = locate(smmu, offset);
  if (size === 8 && found?.register.width === 64) {
    store(context, smmu, found, offset, halves, [0, 1]);
    return;
  }
  if (size === 8) noteSpan(context, smmu, 'write', offset);
  writeHalf(context, smmu, offset, halves[0]);
  if (size === 8) writeHalf(context, smmu, offset + 4, halves[1]);
};

export const readRegister: Decider<'mmio.read'> = (context, { smmu: name, offset, size }) => {
  const smmu = own(context.state.smmus, name);
  if (smmu === undefined) return;
  const found = locate(smmu, offset);
  const register = found?.held ?? '-';
  let value = 0n;
  if (badAccess(offset, size) !== undefined) {
    note(context, smmu, 'bad-access', `read of ${size} bytes at 0x${offset.toString(16)}`);
  } else {
    if (size === 8 && found?.register.width !== 64) noteSpan(context, smmu, 'read', offset);
    value = wide(size === 8 ? readHalf(context, smmu, offset + 4) : 0, readHalf(context, smmu, offset));
  }
  context.emit(name, { type: 'register.read', smmu: name, register, offset, size, value });
};

/** An access of another size, or off its alignment, is CONSTRAINED UNPREDICTABLE: here RAZ/WI (6.2). */
function badAccess(offset: number, size: number): string | undefined {
  return (size === 4 || size === 8) && offset % size === 0 ? undefined : 'bad size or alignment';
}

/** A doubleword over two registers is CONSTRAINED UNPREDICTABLE: here two accesses, the lower first (6.2). */
function noteSpan(context: Context, smmu: SmmuState, verb: string, offset: number): void {
  note(context, smmu, 'spans-registers', `${verb} of 8 bytes at 0x${offset.toString(16)}`);
}

/** Offsets in page 0 of what stands in page 1: Reserved, aliases at the most (6.2). */
const PAGE_0_ALIASES: ReadonlySet<number> = new Set([0xa8, 0xac, 0xc8, 0xcc]);

function noteAlias(context: Context, smmu: SmmuState, offset: number): void {
  if (!PAGE_0_ALIASES.has(offset)) return;
  note(context, smmu, 'page-0-alias', `0x${offset.toString(16)} is in page 1`);
}

function readHalf(context: Context, smmu: SmmuState, offset: number): number {
  const found = locate(smmu, offset);
  if (found === undefined) noteAlias(context, smmu, offset);
  if (found === undefined || isAbsent(found.register.name, smmu.features)) return 0;
  if (found.value !== undefined) return found.value;
  const { word, held } = found;
  return word === 0 ? (reg(smmu, held) & ~absentPointerBits(smmu, held)) >>> 0 : regHigh(smmu, held);
}

function writeHalf(context: Context, smmu: SmmuState, offset: number, half: number): void {
  const found = locate(smmu, offset);
  if (found === undefined) {
    const name = smmu.config.name;
    // Registers of the Secure interface are there for Secure accesses alone (6.2).
    const why = offset >= 0x8000 && offset < 0x10000 ? 'Secure' : 'RES0';
    context.emit(name, {
      type: 'write.ignored',
      smmu: name,
      register: '-',
      offset,
      value: BigInt(half),
      why,
    });
    noteAlias(context, smmu, offset);
    return;
  }
  const words = [reg(smmu, found.held), regHigh(smmu, found.held)];
  words[found.word] = half;
  store(context, smmu, found, offset, words, [found.word]);
}

/** Stores what the access rules let through. @param written which of the words were written. */
function store(
  context: Context,
  smmu: SmmuState,
  found: Located,
  offset: number,
  words: readonly number[],
  written: readonly number[],
): void {
  const { register, held } = found;
  const name = smmu.config.name;
  const open = openBits(smmu, found);
  const why = refusal(smmu, found, words, open, written);
  if (why !== undefined) {
    const value = wide(words[1] ?? 0, words[0] ?? 0);
    context.emit(name, { type: 'write.ignored', smmu: name, register: held, offset, value, why });
    return;
  }
  const kept = [reg(smmu, held), regHigh(smmu, held)];
  noteReserved(context, smmu, found, words);
  noteGuarded(context, smmu, found, words, kept);
  const [asked = 0, high = 0] = kept.map((old, word) => merge(old, words[word] ?? 0, open[word] ?? 0));
  const low = keepInTransition(smmu, register, asked);
  if (low !== asked) note(context, smmu, 'rewritten-in-transition', `${held} = 0x${asked.toString(16)}`);
  noteValue(context, smmu, found, low);
  const old = regValue(smmu, held);
  context.emit(name, { type: 'register.written', smmu: name, register: held, value: wide(high, low), old });
}

function merge(kept: number, written: number, bits: number): number {
  return ((kept & ~bits) | (written & bits)) >>> 0;
}
