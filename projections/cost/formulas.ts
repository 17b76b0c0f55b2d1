/**
 * What operations of a guest cost by design, in closed form: exits X, ioctls I, commands C and waits Y of the host, and
 * memory reads R of walks. For n pages of 4 KiB that form no block, no lock shared, a waited CMD_SYNC polled once.
 * linux: __arm_smmu_tlb_inv_range, arm_smmu_cmdq_batch_add, arm_smmu_attach_dev, queue_iova,
 * arm_smmu_viommu_cache_invalidate; QEMU: smmuv3_cmdq_consume, virtio_iommu_handle_command.
 */
import type { Quantity } from './counts-of.ts';
import { BATCH, BLOCK, commandsFor, type Sizes } from './sizes.ts';

/** How a device of a guest is served, as far as these counts go. */
export const designs = [
  'emulated',
  'shadow',
  'shadow-mask',
  'nested-each',
  'nested-run',
  'own-queue',
  'virtio',
] as const;
export type Design = (typeof designs)[number];

export interface Formula {
  readonly text: string;
  of(sizes: Sizes): number;
  /** The count is that or less. */
  readonly atMost?: true;
}

export type Formulas = Readonly<Partial<Record<Quantity, Formula>>>;

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
const one: Formula = { text: '1', of: () => 1 };
const none = { X: zero, I: zero, C: zero, Y: zero } as const;
const traps: Formula = { text: 'p + 1 + 2a', of: (sizes) => p(sizes) + 1 + 2 * sizes.a };
const perCommand: Formula = { text: 'c + a k', of: (sizes) => c(sizes) + sizes.a * sizes.k };
const pieces: Formula = { text: 'r', of: ({ r }) => r };

// A lazy unmap that finds the queue of its CPU full: one CMD_TLBI_NH_ASID, one CMD_ATC_INV of all.
const flushTraps: Formula = { text: '2 + 2a', of: ({ a }) => 2 + 2 * a };
const flush: Formula = { text: '1 + a k', of: ({ a, k }) => 1 + a * k };
const flushed = { X: flushTraps, I: flush, C: flush, Y: flush } as const;

// CD twice, STE twice, a prefetch: 5 writes of PROD, 4 waits; with ATS its control register, and CMD_ATC_INV.
const attachTraps: Formula = { text: '9 + a + 2a', of: ({ a }) => 9 + 3 * a };
const attached: Formulas = {
  X: attachTraps,
  // Two CFGI_CD, vDEVICE, HWPT_ALLOC, two attaches, a destroy.
  I: { text: '7 + a', of: ({ a }) => 7 + a, atMost: true },
  Y: { text: '6 + 2a', of: ({ a }) => 6 + 2 * a, atMost: true },
};

// The CD goes through V=0: three CFGI_CD; the old ASID dies.
const switchTraps: Formula = { text: '7 + 2 + 2a', of: ({ a }) => 9 + 2 * a };
const switching: Formula = { text: '3 + 1 + a k', of: ({ a, k }) => 4 + a * k };
const switched = { X: switchTraps, I: switching, C: switching, Y: switching } as const;

// Four levels each; with two stages, each descriptor and the page go through the second; then configuration.
const oneStage: Formula = { text: '4n + 2 + 1', of: ({ n }) => 4 * n + 3, atMost: true };
const twoStages: Formula = { text: '24n + 2 + 2 (4 + 1)', of: ({ n }) => 24 * n + 12, atMost: true };
const walks = { ...none, R: oneStage } as const;
const nestedWalks = { ...none, R: twoStages } as const;

/** Kinds of operations: `queue` and `flush` are lazy unmaps that find room in the flush queue, or none. */
export const cases = ['map', 'unmap', 'queue', 'flush', 'attach', 'switch', 'dma'] as const;
export type Case = (typeof cases)[number];

/** A set for each kind of operation and design, where there is one. */
export const formulas: Readonly<Record<Case, Readonly<Partial<Record<Design, Formulas>>>>> = {
  map: {
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
    'own-queue': none,
    virtio: { ...none, X: one, I: { text: 'r e', of: ({ r, e }) => r * e } },
  },
  unmap: {
    emulated: { ...none, X: traps },
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
    'own-queue': { ...none, C: perCommand, Y: { text: '1 + a', of: ({ a }) => 1 + a } },
    // One request and one range of the host for each MAP that it covers.
    virtio: { X: one, I: pieces, C: pieces, Y: pieces },
  },
  queue: { emulated: none, 'nested-each': none, 'nested-run': none, 'own-queue': none },
  flush: {
    emulated: { ...none, X: flushTraps },
    'nested-each': flushed,
    'nested-run': flushed,
    'own-queue': { ...none, C: flush, Y: flush },
  },
  attach: {
    emulated: { ...none, X: attachTraps },
    'nested-each': attached,
    'nested-run': attached,
    'own-queue': { ...attached, X: { text: '9 + a', of: ({ a }) => 9 + a } },
    virtio: { X: one, I: { text: 'm', of: ({ m }) => m } },
  },
  switch: {
    emulated: { ...none, X: switchTraps },
    'nested-each': switched,
    'nested-run': switched,
    'own-queue': { X: { text: '7', of: () => 7 } },
    virtio: { X: one },
  },
  dma: {
    emulated: walks,
    shadow: walks,
    'shadow-mask': walks,
    virtio: walks,
    'nested-each': nestedWalks,
    'nested-run': nestedWalks,
    'own-queue': nestedWalks,
  },
};
