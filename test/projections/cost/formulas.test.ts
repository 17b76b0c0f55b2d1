/**
 * The closed forms against the machine: what a guest's map and unmap cost in exits, ioctls, commands and waits, for
 * every design, sizes, ATS, ranges and numbers of devices. The machine is not told what to expect.
 */
import { describe, expect, it } from 'vitest';
import { formulaRows } from '../../../adapters/cli/cost-compare.ts';
import { type LineCost, runStory } from '../../../adapters/compare-run.ts';
import type { VmmProfileName } from '../../../core/vmm/profiles.ts';
import { countOf } from '../../../projections/cost/counts-of.ts';
import { type Case, cases, designs, formulas } from '../../../projections/cost/formulas.ts';
import { defaultPrices } from '../../../projections/cost/prices.ts';
import { commandsFor, piecesOf } from '../../../projections/cost/sizes.ts';
import { IOVA, type StoryShape, storyOf, unmapStory } from '../../support/cost-story.ts';

function lastTwo(vmm: VmmProfileName, shape: StoryShape): readonly [LineCost, LineCost] {
  const { lines } = runStory(unmapStory(shape), vmm, defaultPrices);
  const [map, unmap] = lines.slice(-2);
  if (map === undefined || unmap === undefined) throw new Error('the story ends with two lines');
  return [map, unmap];
}

/** X, I, C, Y of a line. */
function counts({ counts: of }: LineCost): readonly number[] {
  return (['X', 'I', 'C', 'Y'] as const).map((each) => countOf(of, each));
}

/** Rows of formulas that do not hold, over all lines that have one. */
function wrong(lines: readonly LineCost[]): readonly object[] {
  return lines.flatMap((line) =>
    formulaRows(line)
      .filter(({ holds }) => !holds)
      .map((row) => ({ line: line.line, op: line.op, ...row })),
  );
}

const ofCase = (lines: readonly LineCost[], wanted: Case): readonly LineCost[] =>
  lines.filter(({ formula }) => formula?.case === wanted);

/** IDR0 with ATS, and IDR3 without RIL, over what the profile has. */
const ATS = { IDR0: 0x0d44_141a };
const NO_RIL = { IDR3: 0x1004 };
const RUNS = { batch: 'run' };

describe('the number of TLBI commands for a range', () => {
  // IHI 0070 4.4.1.1, and the loop of linux: __arm_smmu_tlb_inv_range.
  it.each([
    [1, 1],
    [31, 1],
    [32, 1],
    [33, 2],
    [63, 2],
    [64, 1],
    [511, 2],
    [512, 1],
    [1000, 2],
    [4095, 3],
  ])('%i pages take %i with ranges', (n, commands) => {
    expect(commandsFor(n, true)).toBe(commands);
  });

  it('is one for each page without ranges, and one in all from 2 MiB on', () => {
    expect([1, 8, 511, 512].map((n) => commandsFor(n, false))).toEqual([1, 8, 511, 1]);
  });
});

describe('counts by hand', () => {
  // Worked out on paper from the steps of each design.
  it.each([
    ['qemu', { n: 8 }, [0, 0, 0, 0], [2, 0, 0, 0]],
    ['qemu-accel', { n: 8 }, [0, 0, 0, 0], [2, 1, 1, 1]],
    ['qemu-accel', { n: 33 }, [0, 0, 0, 0], [2, 2, 2, 2]],
    ['qemu-accel', { n: 8, ats: true, vm: { idr: ATS } }, [0, 0, 0, 0], [4, 2, 2, 2]],
    ['qemu-accel', { n: 8, vm: { idr: NO_RIL } }, [0, 0, 0, 0], [2, 8, 8, 8]],
    ['openvmm', { n: 8 }, [0, 0, 0, 0], [2, 1, 8, 1]],
    ['openvmm', { n: 100 }, [0, 0, 0, 0], [3, 2, 100, 3]],
    ['tlbi-on-map', { n: 8 }, [10, 16, 0, 0], [10, 8, 8, 8]],
    ['tlbi-on-map', { n: 8, d: 2 }, [10, 24, 0, 0], [10, 16, 8, 8]],
  ] as const)('%s %j', (vmm, shape, map, unmap) => {
    const [mapped, unmapped] = lastTwo(vmm, shape);
    expect([counts(mapped), counts(unmapped)]).toEqual([map, unmap]);
  });
});

describe('each formula is what the machine counts', () => {
  const sizes = [1, 33, 63, 64, 65, 128, 300];
  const mapping: readonly (readonly [VmmProfileName, string, Omit<StoryShape, 'n'>])[] = [
    ['qemu', 'emulated', {}],
    ['qemu', 'emulated, no ranges', { vm: { idr: NO_RIL } }],
    ['qemu-accel', 'nested', {}],
    ['qemu-accel', 'nested, ATS', { ats: true, vm: { idr: ATS } }],
    ['qemu-accel', 'nested, no ranges', { vm: { idr: NO_RIL } }],
    [
      'qemu-accel',
      'nested, no ranges, ATS, 2 devices',
      { ats: true, d: 2, vm: { idr: { ...ATS, ...NO_RIL } } },
    ],
    ['qemu-accel', 'nested in runs, ATS', { ats: true, vm: { idr: ATS, policies: RUNS } }],
    [
      'qemu-accel',
      'nested in runs, no ranges, ATS',
      { ats: true, vm: { idr: { ...ATS, ...NO_RIL }, policies: RUNS } },
    ],
    ['openvmm', 'nested in runs', {}],
    ['openvmm', 'nested in runs, 3 devices', { d: 3 }],
    ['cloud-hypervisor', 'nested', {}],
  ];

  for (const [vmm, name, shape] of mapping)
    it(`${vmm} (${name})`, { timeout: 120_000 }, () => {
      for (const n of sizes)
        for (const line of lastTwo(vmm, { ...shape, n })) {
          // More commands than OpenVMM's queue of 256 holds: the driver polls for room too.
          if (vmm === 'openvmm' && n > 255 && line.op === 'guest.unmap') expect(line.formula).toBeUndefined();
          else expect(line.formula?.sizes, `n=${n}`).toMatchObject({ n, a: shape.ats ? 1 : 0 });
          expect(
            formulaRows(line).filter(({ holds }) => !holds),
            `${line.op} n=${n}`,
          ).toEqual([]);
        }
    });

  // Each page is two calls and a wait: fewer sizes.
  it.each([
    ['by page', {}],
    ['by page, 2 devices', { d: 2 }],
    ['by mask', { boot: { platform: { tlbiOnMap: 'mask' } } }],
    ['by mask, 2 devices', { d: 2, boot: { platform: { tlbiOnMap: 'mask' } } }],
  ] as const)('tlbi-on-map (%s)', { timeout: 120_000 }, (_, shape) => {
    for (const n of [1, 8, 33])
      for (const line of lastTwo('tlbi-on-map', { ...shape, n }))
        expect(
          formulaRows(line).filter(({ holds }) => !holds),
          `${line.op} n=${n}`,
        ).toEqual([]);
  });

  const served: readonly (readonly [VmmProfileName, string, Omit<StoryShape, 'n'>])[] = [
    ['qemu', 'emulated', {}],
    ['qemu', 'emulated, ATS', { ats: true, vm: { idr: ATS } }],
    ['qemu-accel', 'nested', {}],
    ['qemu-accel', 'nested, ATS', { ats: true, vm: { idr: ATS } }],
    ['openvmm', 'nested in runs', {}],
    ['openvmm', 'nested in runs, ATS', { ats: true, vm: { idr: ATS } }],
    ['cloud-hypervisor', 'nested', {}],
    ['cloud-hypervisor', 'nested, ATS', { ats: true, vm: { idr: ATS } }],
    ['qemu-cmdqv', 'a queue of hardware', {}],
    ['qemu-cmdqv', 'a queue of hardware, ATS', { ats: true, vm: { idr: ATS } }],
    ['sw-vcmdq', 'a queue of the kernel', { kernel: 'linux-7.3-software-queue' }],
    ['virtio-iommu', 'requests', {}],
  ];
  const page = { vm: 'vm0', endpoint: 'nic0', bytes: 0x1000 };
  const to = (kind: string): object => ({ op: 'guest.attach', vm: 'vm0', endpoint: 'nic0', to: kind });

  it.each(served)('%s (%s): an attach from nothing, and a change of domains', (vmm, _, shape) => {
    const story = storyOf(shape, [to('blocked'), to('dma'), to('dma-fq'), to('dma')]);
    const { lines } = runStory(story, vmm, defaultPrices);
    expect([ofCase(lines, 'attach').length, ofCase(lines, 'switch').length]).toEqual([1, 1]);
    expect(wrong(lines)).toEqual([]);
  });

  it.each(served)('%s (%s): the walks of a device', (vmm, _, shape) => {
    const at = { op: 'guest.dma', vm: 'vm0', endpoint: 'nic0', bytes: 8, access: 'read' };
    const story = storyOf(shape, [
      { op: 'guest.map', ...page, iova: IOVA },
      { op: 'guest.map', ...page, iova: 0x4000_0000 },
      { ...at, iova: IOVA },
      { ...at, iova: IOVA },
      { ...at, iova: 0x4000_0000 },
      { ...at, iova: IOVA },
    ]);
    const all = runStory(story, vmm, defaultPrices).lines;
    const lines = ofCase(all, 'dma');
    const reads = lines.map((line) => countOf(line.counts, 'R'));
    expect(wrong(all)).toEqual([]);
    // A miss reads, with two stages or one; a hit does not.
    expect(reads.map((count) => count > 0)).toEqual([true, false, true, false]);
  });

  it.each(served.filter(([vmm]) => vmm !== 'virtio-iommu'))('%s (%s): 257 lazy unmaps', (vmm, _, shape) => {
    const rounds = Array.from({ length: 257 }, (__, at) => IOVA + at * 0x1000).flatMap((iova) => [
      { op: 'guest.map', ...page, iova },
      { op: 'guest.unmap', ...page, iova },
    ]);
    const { lines } = runStory(storyOf(shape, [to('dma-fq'), ...rounds]), vmm, defaultPrices);
    // 255 find room in the queue of 256 slots, the next one flushes for all.
    expect([ofCase(lines, 'queue').length, ofCase(lines, 'flush').length]).toEqual([256, 1]);
    expect(wrong(lines)).toEqual([]);
  });

  it.each(served)('%s (%s): a map and an unmap', { timeout: 120_000 }, (vmm, _, shape) => {
    for (const n of [1, 7, 33, 63])
      for (const iova of [IOVA, 0x10_3000]) {
        const { lines } = runStory(unmapStory({ ...shape, n, iova }), vmm, defaultPrices);
        expect([ofCase(lines, 'map').length, ofCase(lines, 'unmap').length]).toEqual([1, 1]);
        expect(wrong(lines), `n=${n} at ${iova}`).toEqual([]);
      }
  });

  it('is there for each design and kind of operation but these, whose counts have no closed form', () => {
    const without = cases.flatMap((each) =>
      designs.filter((design) => formulas[each][design] === undefined).map((design) => `${each} ${design}`),
    );
    expect(without).toEqual([
      // Every flush empties the shadow whole, as often as it holds pages; requests wait for the next doorbell.
      'queue shadow',
      'queue shadow-mask',
      'queue virtio',
      'flush shadow',
      'flush shadow-mask',
      'flush virtio',
      // The shadow is built again from the guest's tables.
      'attach shadow',
      'attach shadow-mask',
      'switch shadow',
      'switch shadow-mask',
    ]);
  });
});

describe('the pieces of a range', () => {
  it.each([
    [0x100, 8, 1],
    [0x100, 33, 2],
    [0x100, 100, 3],
    [0x103, 8, 4],
    [0, 12, 2],
    [2 ** 40, 64, 1],
    [2 ** 31 + 1, 3, 2],
  ])('%i, %i pages: %i', (iova, n, pieces) => {
    expect(piecesOf(iova, n)).toBe(pieces);
  });
});
