/**
 * Where registers stand from page 0 on: pages 0 and 1, and the blocks behind them (IHI 0070 6.1, 6.2). Each block
 * is a row that knows its own offsets.
 */
import type { Register } from '../layout/register.ts';
import {
  controlPageAt,
  enhancedCount,
  enhancedOffset,
  enhancedRegisterAt,
  enhancedRegisters,
} from './ecmdq-registers.ts';
import {
  ecmdqRegisters,
  type HeldName,
  PAGE1,
  registerNamed,
  registers,
  vatosRegisters,
} from './registers.ts';
import type { SmmuState } from './state.ts';

/** Bytes of a page, and of every block behind page 1. */
const PAGE = 0x10000;

/** A 32-bit word of a register. */
export interface Located {
  /** As it is declared: the registers of all enhanced queues are one. */
  readonly register: Register;
  readonly word: 0 | 1;
  /** The name under which `SmmuState.regs` has it. */
  readonly held: HeldName;
  /** The enhanced queue whose register it is. */
  readonly queue?: number;
  /** What it reads as, where it is fixed and not held. */
  readonly value?: number;
}

type Owner = Pick<SmmuState, 'config' | 'features'>;
type Block = (smmu: Owner, offset: number) => Located | undefined;

const blocks: readonly Block[] = [controlPages, pages, vatos, enhancedQueues];

function pages(_: Owner, offset: number): Located | undefined {
  const found = registers.at(offset);
  return found && { register: found.register, word: found.word, held: found.register.name };
}

function vatos({ config, features }: Owner, offset: number): Located | undefined {
  const found = features.vatos ? vatosRegisters.at(offset - vatosPage(config.idr)) : undefined;
  return found && { register: found.register, word: found.word, held: found.register.name };
}

/** What tells of the control pages of enhanced queues (6.3.49 to 6.3.51). */
function controlPages({ features }: Owner, offset: number): Located | undefined {
  const found = controlPageAt(features, offset);
  return found && { ...found, held: found.register.name as HeldName };
}

function enhancedQueues({ features }: Owner, offset: number): Located | undefined {
  const found = enhancedRegisterAt(features, offset);
  if (found === undefined) return undefined;
  const { which, word, queue } = found;
  return {
    register: ecmdqRegisters.byName[which],
    word,
    held: found.register.name as HeldName,
    queue,
  };
}

/** Offset of the VATOS page (6.3.3). @param idr identification registers by name. */
function vatosPage(idr: Readonly<Record<string, number>>): number {
  return PAGE1 + PAGE + registers.byName.IDR2.fields.BA_VATOS.read([idr['IDR2'] ?? 0]) * PAGE;
}

/** What stands at a 32-bit aligned offset; nothing: RES0. */
export function locate(smmu: Owner, offset: number): Located | undefined {
  for (const block of blocks) {
    const found = block(smmu, offset);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Offset of a register from page 0, by its name; undefined where the SMMU has no place for it. */
export function offsetOf({ config, features }: Owner, name: string): number | undefined {
  const declared = registerNamed(name);
  if (declared === undefined || Object.hasOwn(registers.byName, name)) return declared?.offset;
  if (Object.hasOwn(vatosRegisters.byName, name))
    return features.vatos ? vatosPage(config.idr) + declared.offset : undefined;
  const queue = Number(/^ECMDQ(\d+)_/.exec(name)?.[1] ?? Number.NaN);
  return queue < enhancedCount(features) ? enhancedOffset(features, queue) + declared.offset : undefined;
}

/** The registers that an SMMU has: of pages 0 and 1, the VATOS page, and each enhanced command queue. */
export function registersOf({ features }: Owner): readonly Register[] {
  const vatosPages = features.vatos ? vatosRegisters.list : [];
  return [...registers.list, ...vatosPages, ...enhancedRegisters(features)];
}
