/** Stories of a guest that maps and unmaps, as lines, for what is counted of them. */
import type { StoryLine } from '../../adapters/compare-run.ts';

export interface StoryShape {
  /** Pages mapped and unmapped. */
  readonly n: number;
  readonly ats?: boolean;
  /** Devices behind the emulated SMMU; the first one does the work. */
  readonly d?: number;
  /** More of the `vm.create` line, as idr. */
  readonly vm?: Readonly<Record<string, unknown>>;
  /** Where the mapping begins; `IOVA` when absent. */
  readonly iova?: number;
  /** Profile of the host's kernel. */
  readonly kernel?: string;
  /** More of the `guest.boot` line. */
  readonly boot?: Readonly<Record<string, unknown>>;
}

/** The IOVA of the mapping. */
export const IOVA = 0x10_0000;

/** A machine, a VM with devices, a boot, and one mapping that comes and goes. */
export function unmapStory(shape: StoryShape): readonly StoryLine[] {
  const about = { vm: 'vm0', endpoint: 'nic0', bytes: shape.n * 0x1000, iova: shape.iova ?? IOVA };
  return storyOf(shape, [
    { op: 'guest.map', ...about },
    { op: 'guest.unmap', ...about },
  ]);
}

/** A machine, a VM with devices, a boot, and what comes then. */
export function storyOf(
  { ats = false, d = 1, vm = {}, boot = {}, kernel }: Omit<StoryShape, 'n'>,
  rest: readonly object[],
): readonly StoryLine[] {
  const endpoints = Array.from({ length: d }, (_, at) => ({ name: `nic${at}`, streamId: 8 + at, ats }));
  const lines: readonly object[] = [
    {
      op: 'machine',
      ram: [{ base: 0x4000_0000, size: 0x4000_0000 }],
      // With queues of hardware for guests, as a Tegra241 has them.
      smmus: [{ name: 'smmu0', profile: 'everything', choices: { tegra241Param: 0x4231 } }],
      endpoints,
      kernel: kernel === undefined ? {} : { profile: kernel },
    },
    { op: 'vm.create', vm: 'vm0', ...vm },
    ...endpoints.map(({ name, streamId }) => ({ op: 'vm.plug', vm: 'vm0', endpoint: name, streamId, ats })),
    { op: 'guest.boot', vm: 'vm0', ...boot },
    ...rest,
  ];
  return lines.map((raw, at) => ({ raw, place: { file: 'story', line: at + 1 } }));
}
