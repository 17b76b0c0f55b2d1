/**
 * What maps and unmaps cost by design, in closed form: exits X, ioctls I, commands C and waits Y of the host. For n
 * pages of 4 KiB that form no block, a strict domain, no lock shared, a waited CMD_SYNC polled once. linux:
 * __arm_smmu_tlb_inv_range, arm_smmu_cmdq_batch_add, arm_smmu_viommu_cache_invalidate; QEMU: smmuv3_cmdq_consume.
 */
import type { Quantity } from './counts-of.ts';

/** How a device of a guest is served, as far as these counts go. */
export const designs = ['emulated', 'shadow', 'shadow-mask', 'nested-each', 'nested-run'] as const;
export type Design = (typeof designs)[number];

export interface Sizes {
  /** Pages. */
  readonly n: number;
  /** ATS of the endpoint is on: 1 or 0. */
  readonly a: number;
  /** StreamIDs of the endpoint. */
  readonly k: number;
  /** Assigned devices behind the emulated SMMU, and those of them in the domain. */
  readonly d: number;
  readonly e: number;
  /** Range invalidation of the guest's SMMU. */
  readonly ril: boolean;
}

export interface Formula {
  readonly text: string;
  of(sizes: Sizes): number;
}

/** Commands that a driver submits at once; those of one block of the kernel's, with a CMD_SYNC of its own. */
const BATCH = 64;
const BLOCK = 63;
/** From so many pages on, a driver without ranges invalidates the whole ASID: 2 MiB. */
const ALL_PAGES = 512;

/** TLBI commands for n pages of 4 KiB, all leaves of one size. */
export function commandsFor(n: number, ril: boolean): number {
  if (!ril) return n >= ALL_PAGES ? 1 : n;
  let commands = 0;
  for (let left = n; left > 0; commands += 1) {
    const scale = 31 - Math.clz32(left & -left);
    left -= ((left >>> scale) & 31) << scale;
  }
  return commands;
}

const c = ({ n, ril }: Sizes): number => commandsFor(n, ril);
/** Writes of PROD for the TLBI commands and their CMD_SYNC. */
const p = (sizes: Sizes): number => Math.max(1, Math.ceil(c(sizes) / BATCH));

/** Blocks of the kernel for commands that come in batches of 64. */
function blocks(sizes: Sizes): number {
  let waits = 0;
  for (let left = c(sizes); left > 0; left -= BATCH) waits += Math.ceil(Math.min(left, BATCH) / BLOCK);
  return waits;
}

const zero: Formula = { text: '0', of: () => 0 };
const none = { X: zero, I: zero, C: zero, Y: zero } as const;
const traps: Formula = { text: 'p + 1 + 2a', of: (sizes) => p(sizes) + 1 + 2 * sizes.a };
const perCommand: Formula = { text: 'c + a k', of: (sizes) => c(sizes) + sizes.a * sizes.k };

export type Formulas = Readonly<Record<Quantity, Formula>>;
export type FormulaOp = 'guest.map' | 'guest.unmap';

/** One set for each operation and design. */
export const formulas: Readonly<Record<FormulaOp, Readonly<Record<Design, Formulas>>>> = {
  'guest.map': {
    emulated: none,
    shadow: {
      ...none,
      X: { text: 'n + 1 + 1', of: ({ n }) => n + 2 },
      I: { text: 'n (d + e)', of: ({ n, d, e }) => n * (d + e) },
    },
    'shadow-mask': {
      ...none,
      X: { text: 'ceil(n/65535) + 1 + 1', of: ({ n }) => Math.ceil(n / 65535) + 2 },
      I: { text: 'd + n e', of: ({ n, d, e }) => d + n * e },
    },
    'nested-each': none,
    'nested-run': none,
  },
  'guest.unmap': {
    emulated: { ...none, X: { text: 'p + 1', of: (sizes) => p(sizes) + 1 } },
    shadow: {
      X: { text: 'n + 1 + 1', of: ({ n }) => n + 2 },
      I: { text: 'n d', of: ({ n, d }) => n * d },
      C: { text: 'n', of: ({ n }) => n },
      Y: { text: 'n', of: ({ n }) => n },
    },
    'shadow-mask': {
      X: { text: '2 + 1', of: ({ n }) => Math.ceil(n / 65535) + 2 },
      I: { text: 'd', of: ({ d }) => d },
      // Each leaf was mapped by a call of its own: an area of its own, that the kernel unmaps and waits for by itself.
      C: { text: 'n', of: ({ n }) => n },
      Y: { text: 'n', of: ({ n }) => n },
    },
    'nested-each': { X: traps, I: perCommand, C: perCommand, Y: perCommand },
    'nested-run': {
      X: traps,
      I: { text: 'p + a', of: (sizes) => p(sizes) + sizes.a },
      C: perCommand,
      Y: { text: 'sum of ceil(b/63) over batches b of 64, + a', of: (sizes) => blocks(sizes) + sizes.a },
    },
  },
};

/** Whether there is a closed form for an operation. */
export function hasFormula(what: string): what is FormulaOp {
  return Object.hasOwn(formulas, what);
}
