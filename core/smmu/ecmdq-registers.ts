/**
 * The registers of enhanced command queues: which exist, and where. A control page of 64 KiB holds
 * 2^LOG2NUMQ interfaces of 16 bytes, evenly spaced; page n tells its place in CMDQ_CONTROL_PAGE_BASEn.
 * IHI 0070 3.5.6, 6.2.5, 6.3.45, 6.3.49 to 6.3.51, 6.3.107 to 6.3.109.
 *
 * The places of the pages are IMPLEMENTATION DEFINED; ours begin at 0x40000 from the SMMU's base.
 */
import { encode } from '../layout/layout.ts';
import type { Register, RegisterWord } from '../layout/register.ts';
import type { Features } from './features.ts';
import { ecmdqRegisters, registers } from './registers.ts';

/** All enhanced queues of an SMMU, at most; the architecture allows more (6.3.45). */
export const ENHANCED_QUEUES_MAX = 256;
/** Offset of control page 0 from the base of the SMMU. */
export const CONTROL_PAGES_OFFSET = 0x4_0000;
const PAGE_BYTES = 0x1_0000;
/** Each page has 32 bytes of page 0: BASE, CFG, STATUS. */
const ABOUT_OFFSET = 0x4000;
const ABOUT_BYTES = 32;

/** How many enhanced queues there are; 0 without IDR1.ECMDQ. */
export function enhancedCount(features: Features): number {
  if (!features.ecmdq) return 0;
  return Math.min(ENHANCED_QUEUES_MAX, 2 ** (features.ecmdqPagesLog2 + features.ecmdqsPerPageLog2));
}

/** A register of one enhanced queue. */
export interface EnhancedRegister {
  /** Which queue of the SMMU, counted over all pages. */
  readonly queue: number;
  readonly which: 'ECMDQ_BASE' | 'ECMDQ_PROD' | 'ECMDQ_CONS';
  /** The register under its own name: `ECMDQ3_PROD`. */
  readonly register: Register;
  readonly word: 0 | 1;
}

/** The name of a register of queue `queue`: `ECMDQ3_PROD` for ECMDQ_PROD. */
export function enhancedName(queue: number, which: EnhancedRegister['which']): string {
  return which.replace('ECMDQ', `ECMDQ${queue}`);
}

/** What stands at an offset inside the control pages, or undefined: RES0. */
export function enhancedRegisterAt(features: Features, offset: number): EnhancedRegister | undefined {
  const count = enhancedCount(features);
  const from = offset - CONTROL_PAGES_OFFSET;
  if (count === 0 || from < 0) return undefined;
  const spacing = PAGE_BYTES / 2 ** features.ecmdqsPerPageLog2;
  const queue = Math.floor(from / spacing);
  if (queue >= count) return undefined;
  const found = ecmdqRegisters.at(from % spacing);
  if (found === undefined) return undefined;
  const which = found.register.name;
  const register = { ...found.register, name: enhancedName(queue, which), offset: offset - 4 * found.word };
  return { queue, which, register, word: found.word };
}

/** Where the registers of queue `queue` begin, from the base of the SMMU. */
export function enhancedOffset(features: Features, queue: number): number {
  return CONTROL_PAGES_OFFSET + (queue * PAGE_BYTES) / 2 ** features.ecmdqsPerPageLog2;
}

/** The registers of all enhanced queues under their own names. */
export function enhancedRegisters(features: Features): readonly Register[] {
  return Array.from({ length: enhancedCount(features) }, (_, queue) =>
    ecmdqRegisters.list.map((register) => ({
      ...register,
      name: enhancedName(queue, register.name),
      offset: enhancedOffset(features, queue) + register.offset,
    })),
  ).flat();
}

const about = [
  registers.byName.CMDQ_CONTROL_PAGE_BASE0,
  registers.byName.CMDQ_CONTROL_PAGE_CFG0,
  registers.byName.CMDQ_CONTROL_PAGE_STATUS0,
] as const;

/** A word of what tells of a control page (6.3.49 to 6.3.51), or undefined: there is no such page. */
export function controlPageAt(
  features: Features,
  offset: number,
): (RegisterWord & { readonly value: number }) | undefined {
  const page = Math.floor((offset - ABOUT_OFFSET) / ABOUT_BYTES);
  if (!features.ecmdq || page < 0 || page >= 2 ** features.ecmdqPagesLog2) return undefined;
  const first = offset - page * ABOUT_BYTES;
  const row = about.find((each) => first >= each.offset && first < each.offset + each.width / 8);
  if (row === undefined) return undefined;
  const word = first === row.offset ? 0 : 1;
  const name = row.name.replace('0', String(page));
  return {
    register: { ...row, name, offset: row.offset + page * ABOUT_BYTES },
    word,
    value: told(row.name, page)[word] ?? 0,
  };
}

/** Each page is in registers, has a granule of 64 KiB and is always enabled. */
function told(name: (typeof about)[number]['name'], page: number): Uint32Array {
  const { CMDQ_CONTROL_PAGE_BASE0, CMDQ_CONTROL_PAGE_CFG0, CMDQ_CONTROL_PAGE_STATUS0 } = registers.byName;
  if (name === 'CMDQ_CONTROL_PAGE_CFG0') return encode(CMDQ_CONTROL_PAGE_CFG0, { EN: true });
  if (name === 'CMDQ_CONTROL_PAGE_STATUS0') return encode(CMDQ_CONTROL_PAGE_STATUS0, { ENACK: true });
  return encode(CMDQ_CONTROL_PAGE_BASE0, {
    CMDQ_CONTROL_PAGE_PRESET: true,
    CMDQGS: 1,
    ADDR: CONTROL_PAGES_OFFSET + page * PAGE_BYTES,
  });
}
